"""How does a file become a report, in the background and across restarts?

- routes: uploads, their list and their progress by HTTP
- refused: why one is refused, in any language
- receive: a body to a file, streamed
- jobs: what is known of an upload, on disk
- staging: a raw file to events sorted by code, cut into pieces of whole lots
- pieces: a piece of events, as it is asked and as it is kept
- worker: one upload from its file to what the store takes
- process: the process of its own that workers run in
- helper: that process as the service sees it
- messages: what the two say to each other
- keeper: has an upload worked on, and keeps its report
- queue: which uploads are at work
"""

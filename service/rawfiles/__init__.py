"""What does a raw scan file mean?

- cells: what is written into one
- refused: why a file cannot be used, in any language
- encoding: which letters its bytes are
- rows: what a line means
- times: what a time means
- plain: rows that are plain, all at once (compiled)
- table: one file to columns
- parts: a large file, part by part
- columns: files to columns
- folders: which files of a folder are raw files
"""

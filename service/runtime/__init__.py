"""Where does work run, how long does it take, and how is the process set up?

- threads: work off the event loop, and large requests that give way to small ones
- timing: where the time of requests goes
- process: the event loop, memory and interpreter of a process
"""

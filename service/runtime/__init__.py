"""Where does work run, until when, how long does it take, and how is the process set up?

- threads: work on and off the event loop, and large requests that give way to small ones
- tasks: several pieces of work at the same time
- deadline: until when an answer is of use
- timing: where the time of requests goes
- process: the event loop, memory and interpreter of a process
"""

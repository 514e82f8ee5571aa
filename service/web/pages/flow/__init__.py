"""What do people see of flow?

- measured: how much is where, and how fast it moves
- forecast: the coming days, and what a plan needs
- stored: the flow of a report of the store
- files: both in one file each
- routes: the pages by HTTP
"""

"""Forecasts of flow on real public logs, none of which is part of this repository.

Run it as ``python -m tests.tools.flow_log LOG``; ``--epochs`` and the like are those of ``flow backtest``. A case is an
item, the queue of work that it is in its site, and something that is known of it as it comes its product.

- event_log: cases, and the stays and the history that they are
- loans: ``BPI_Challenge_2012.xes.gz``: van Dongen (2012), doi:10.4121/uuid:3926db30-f712-4394-aebc-75976070e91f
- tickets: ``helpdesk.csv``: Polato (2017), doi:10.17632/39bp3vv62t.1
- steady: the months in which as much comes as is usual
- __main__: from a log to the tables
"""

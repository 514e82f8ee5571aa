"""Forecasts of flow on a real public log: the backtest on loan applications of a Dutch bank.

Run it as ``python -m tests.tools.flow_log BPI_Challenge_2012.xes.gz``. The log is that of van Dongen (2012),
doi:10.4121/uuid:3926db30-f712-4394-aebc-75976070e91f, 13,087 applications from October 2011 to March 2012, and is no
part of this repository. A case is an item, the queue of work that it is in (``W_`` activities) its site, and a third of
the amounts asked for its product. Its last two weeks only close what began before, and are left out.

- __main__: from the log to the tables
"""

"""From a log to the tables."""

from __future__ import annotations

import argparse
from pathlib import Path

from service.jobs.progress import shown_progress
from tests.tools.flow_log.event_log import EventLog
from tests.tools.flow_log.loans import read_loans
from tests.tools.flow_log.tickets import read_tickets
from training.evaluation.report import write_sheets
from training.flow.backtest import backtest
from training.flow.config import flow_config
from training.flow.report import sheets_of


def read_log(path: Path) -> EventLog:
    """Return the log of a file, by what its name ends with."""
    return read_tickets(path) if path.suffix == ".csv" else read_loans(path)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="The backtest of a real public log.")
    parser.add_argument("log", type=Path)
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--batch-size", type=int)
    parser.add_argument("--learning-rate", type=float)
    parser.add_argument("--patience", type=int)
    given = vars(parser.parse_args())
    with shown_progress() as progress:
        found = backtest(read_log(given.pop("log")).history(), flow_config(**given), progress)
    write_sheets(sheets_of(found))

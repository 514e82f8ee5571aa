"""The commands of the training side: where its packages are missing, and before work that replaces what is there."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.support.command import assert_one_line, run
from tests.support.gateway import ROOT


def test_training_commands_without_the_extra_name_it() -> None:
    program = (
        "import sys; sys.modules.update(torch=None, pandas=None)\n"  # the documented way to make an import fail
        "from service.__main__ import main; sys.argv[1:] = ['train', '--data', 'x', '--out', 'y']; main()"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert_one_line(done, 1, 'pip install "epc-sentinel[train]"')


def test_training_in_the_folder_of_a_finished_run_is_said_before_it_begins(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text("{}")
    done = run("train", "--data", tmp_path / "none", "--out", tmp_path)
    assert done.stderr.startswith(f"warning: {tmp_path} has a finished run: this training takes its place")

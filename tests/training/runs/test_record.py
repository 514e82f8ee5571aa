"""run.json through its type: the same text again, old ones still read, damaged ones refused by the field's name."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from training.errors import DataError
from training.runs.folder import RUN_FILE, SVM_FILE, Run
from training.runs.record import Contents, read_record

Content = dict[str, Any]


def changed(run: Path, folder: Path, change: Callable[[Content], object]) -> Path:
    """Return a copy of the run whose run.json was changed."""
    copy = Path(shutil.copytree(run, folder / "run"))
    content = json.loads((copy / RUN_FILE).read_text())
    change(content)
    (copy / RUN_FILE).write_text(json.dumps(content, indent=1, ensure_ascii=False))
    return copy


def of_an_earlier_release(content: Content) -> None:
    for name in ("svm_thresholds", "ensemble", "operating_points", "svm_operating_points"):
        del content[name]
    del content["lineage"]["more_data"], content["config"]["miss_cost"]


def test_what_is_read_is_written_again_to_the_letter(tiny_run: Path) -> None:
    assert read_record(tiny_run / RUN_FILE).to_json() == (tiny_run / RUN_FILE).read_text()


def test_a_run_of_an_earlier_release_is_read_and_nothing_is_added_to_it(tiny_run: Path, tmp_path: Path) -> None:
    earlier = changed(tiny_run, tmp_path, of_an_earlier_release)
    (earlier / SVM_FILE).unlink()
    record = Run.load(earlier).record
    assert (record.svm_thresholds, record.ensemble, record.folds) == (None,) * 3
    assert record.lineage.more_data == []
    assert record.to_json() == (earlier / RUN_FILE).read_text()


@pytest.mark.parametrize("folders", [0, 1])
def test_the_one_folder_of_more_data_of_an_earlier_release_is_read(
    tiny_run: Path, tmp_path: Path, folders: int
) -> None:
    home = json.loads((tiny_run / RUN_FILE).read_text())["lineage"]
    more = {name: value for name, value in home.items() if name in Contents.model_fields} if folders else None
    earlier = changed(tiny_run, tmp_path, lambda content: content["lineage"].update(more_data=more))
    kept = Run.load(earlier).record.lineage.more_data
    assert [one.model_dump() for one in kept] == [more] * folders


def test_the_manifest_has_the_words_of_the_record(tiny_run: Path, exported: Path) -> None:
    content = json.loads((tiny_run / RUN_FILE).read_text())
    for name, prefix in (("epc_lstm", ""), ("epc_svm", "svm_")):
        manifest = json.loads((exported / name / "1" / "manifest.json").read_text())
        assert manifest["thresholds"] == content[f"{prefix}thresholds"]
        assert manifest["operating_points"] == content[f"{prefix}operating_points"]
        assert manifest["operating_points"].keys() == {"precise", "balanced", "sensitive"}
        assert manifest["metrics"] == content["metrics"]
        assert manifest["histograms"] == (content["histograms"] if name == "epc_lstm" else {})
        assert manifest["lineage"].pop("parity_max_abs_difference") >= 0
        assert manifest["lineage"] == content["lineage"] | {"config": content["config"]}
    assert manifest["ensemble"] == content["ensemble"]


@pytest.mark.parametrize(
    ("change", "field"),
    [
        (lambda content: content.pop("created_at"), "created_at"),
        (lambda content: content["lineage"].update(epcs="many"), r"lineage\.epcs"),
        (
            lambda content: content["lineage"]["files_sha256"].update({"icn.csv": "0"}),
            r"lineage\.files_sha256\.icn\.csv",
        ),
        (lambda content: content["thresholds"].update(causal=[0.5] * 4), r"thresholds\.causal"),
        (lambda content: content["config"].update(hidden=0), r"config\.hidden"),
        (lambda content: content["model"].update(width=3), r"model\.width"),
        (lambda content: content["probe"][0].pop(), r"probe\.0"),
        (lambda content: content["metrics"].pop("causal"), r"metrics\.causal"),
        (lambda content: content.update(more=1), "more"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_damaged_record_is_refused_by_the_name_of_the_field(
    tiny_run: Path, tmp_path: Path, change: Callable[[Content], object], field: str
) -> None:
    with pytest.raises(DataError, match=rf"run\.json is damaged \({field}: .*train again"):
        Run.load(changed(tiny_run, tmp_path, change))


def test_what_is_no_json_is_damaged(tiny_run: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(tiny_run, tmp_path / "run"))
    (copy / RUN_FILE).write_text("{")
    with pytest.raises(DataError, match=r"run\.json is damaged \(the file: "):
        Run.load(copy)


@pytest.mark.parametrize(
    "change",
    [lambda content: content.update(feature_spec_hash="0" * 64), lambda content: content["model"].pop("pieces")],
    ids=["features", "network"],
)
def test_a_run_of_another_version_is_told_from_a_damaged_one(
    tiny_run: Path, tmp_path: Path, change: Callable[[Content], object]
) -> None:
    with pytest.raises(DataError, match="trained by another version"):
        Run.load(changed(tiny_run, tmp_path, lambda content: (change(content), content.pop("lineage"))))


def test_svms_without_their_thresholds_are_refused(tiny_run: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"has svm\.pt, of which run\.json has no svm_thresholds"):
        Run.load(changed(tiny_run, tmp_path, lambda content: content.pop("svm_thresholds")))

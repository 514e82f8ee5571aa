"""The console script: analyze on raw files, settings, and one line for every failure."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from service.api.requests import decode_request
from service.errors import CommandError, SettingsError
from service.events.columns import Events
from service.jobs.analyze import merge, split
from service.pb.epcsentinel.v1 import anomaly_pb2 as pb
from service.rawfiles.columns import read_files
from service.settings import OnnxTarget, TritonTarget, load_settings
from tests.support.command import FORGED, HEADER, NORMAL, SAMPLE, assert_one_line, run
from tests.support.gateway import ROOT, Gateway
from tests.support.requests import NORMAL_CODE, request, scan


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "scans.csv"
    path.write_text(HEADER + FORGED)
    return path


# ---------------------------------------------------------------- analyze
def test_real_rows_are_normal_journeys() -> None:
    done = run("analyze", SAMPLE)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("No findings in 13 events of 2 EPCs.\nJudged by lstm-deep-learning epc_lstm/")


def test_a_table_shows_what_and_where_and_when(tmp_path: Path) -> None:
    path = tmp_path / "named.csv"
    path.write_text(f"scan_location,{HEADER}인천공장,{FORGED}", encoding="utf-8-sig")
    done = run("analyze", path, "--detector", "rules")
    assert done.returncode == 0, done.stderr
    for text in ("forged", "인천공장", "2025-07-01 10:35:17", "epcFake", "named.csv", "1 of 1 events of 1 EPCs"):
        assert text in done.stdout


def test_what_steers_a_terminal_is_shown_as_escapes(tmp_path: Path) -> None:
    path = tmp_path / "evil.csv"
    path.write_text(HEADER + FORGED.replace("forged", "\x1b[31m[bold]forged"))
    done = run("analyze", path, "--detector", "rules")
    assert "\x1b" not in done.stdout
    assert r"\x1b[31m[bold]forged" in done.stdout


def test_json_is_the_contracts_answer(table: Path) -> None:
    done = run("analyze", table, SAMPLE, "--json", "--detector", "rules")
    answer = json.loads(done.stdout)
    assert [file["fileId"] for file in answer["files"]] == ["1", "2"]
    assert answer["files"][0]["EventHistory"][0]["eventId"] == "1"
    assert answer["files"][0]["epcAnomalyStats"][0]["epcCode"] == "forged"
    assert answer["files"][1]["fileAnomalyStats"]["totalEvents"] == 0


def test_csv_has_a_row_per_event_and_kind(table: Path) -> None:
    done = run("analyze", table, "--csv", "--detector", "rules")
    rows = list(csv.DictReader(io.StringIO(done.stdout)))
    assert {"file_id": "1", "event_id": "1", "epc_code": "forged", "kind": "epcFake"}.items() <= rows[0].items()
    assert 0 < float(rows[0]["score"]) <= 100


@pytest.mark.parametrize("detector", ["lstm", "rules", "svm"])
def test_a_gateway_answers_the_same_as_this_process(gateway: Gateway, table: Path, detector: str) -> None:
    here = run("analyze", table, SAMPLE, "--json", "--detector", detector)
    there = run("analyze", table, SAMPLE, "--json", "--detector", detector, "--target", gateway.target)
    assert here.returncode == there.returncode == 0, there.stderr
    assert here.stdout == there.stdout


def test_large_input_is_judged_in_pieces(gateway: Gateway, table: Path) -> None:
    whole = run("analyze", table, SAMPLE, "--csv", "--detector", "rules")
    pieces = run("analyze", table, SAMPLE, "--csv", "--detector", "rules", "--target", gateway.target,
                 "--max-events-per-request", "10")  # fmt: skip
    assert pieces.returncode == 0, pieces.stderr
    assert [row.split(",")[:4] for row in pieces.stdout.splitlines()] == [
        row.split(",")[:4] for row in whole.stdout.splitlines()
    ]
    sizes = [line["events"] for line in gateway.log() if line["event"] == "call"][-2:]
    assert sorted(sizes) == [4, 10]  # the sample's two EPCs have 10 and 3


def test_no_gateway_is_one_line(table: Path) -> None:
    assert_one_line(run("analyze", table, "--target", "127.0.0.1:1"), 1, "no gateway answers at 127.0.0.1:1")


def test_pieces_keep_epcs_whole_and_lots_together() -> None:
    lots = [f"001.8804823.1293291.0100{lot:02d}.20250701.{serial:09d}" for serial in range(3) for lot in range(4)]
    body = request(*(scan(at, epc_code=lots[at % 12]) for at in range(24)))
    events, *_ = decode_request(body.SerializeToString(), max_events=24, one_file=True)
    pieces = split(events, limit=13)
    assert sorted(np.concatenate(pieces).tolist()) == list(range(24))
    assert [len(piece) for piece in pieces] == [12, 12]
    first, second = ({code[:26] for code in events.take(piece).epc_codes} for piece in pieces)
    assert not first & second
    for limit in (2, 3, 4, 5):  # smaller than a lot: only EPCs stay whole
        pieces = split(events, limit)
        assert max(map(len, pieces)) <= limit
        assert sum(len(set(events.epc[piece].tolist())) for piece in pieces) == 12


def test_a_fallback_in_one_piece_is_a_fallback_of_the_whole() -> None:
    events, *_ = decode_request(request(scan(1), scan(2)).SerializeToString(), max_events=2, one_file=True)
    counts = pb.FileAnomalyStats(total_events=2, jump_count=2)
    fallback = pb.AnalyzeResponse(file_id=1, method="rule-based-fallback", warning="why", file_anomaly_stats=counts)
    model = pb.AnalyzeResponse(file_id=1, method="lstm-deep-learning", file_anomaly_stats=counts)
    for answers in ([[fallback], [model]], [[model], [fallback]]):
        [merged] = merge(events, answers).files
        assert (merged.method, merged.warning) == ("rule-based-fallback", "why")
        assert (merged.file_anomaly_stats.total_events, merged.file_anomaly_stats.jump_count) == (4, 4)


# ---------------------------------------------------------------- raw files
def read(tmp_path: Path, *texts: str, encoding: str = "utf-8") -> Events:
    paths = [tmp_path / f"{at}.csv" for at in range(len(texts))]
    for path, text in zip(paths, texts, strict=True):
        path.write_text(text, encoding=encoding)
    return read_files(paths).events


def test_ids_are_row_numbers_over_all_files(tmp_path: Path) -> None:
    events = read(tmp_path, HEADER + NORMAL + FORGED, HEADER + FORGED)
    assert events.event_id.tolist() == [1, 2, 3]
    assert events.file_id.tolist() == [1, 1, 2]
    assert events.epc_codes == [NORMAL_CODE, "forged"]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
@pytest.mark.parametrize("separator", [",", "\t"])
def test_columns_come_in_any_order_and_form(tmp_path: Path, encoding: str, separator: str) -> None:
    names = ("file_id", "event_time", "extra", "event_type", "business_step", "location_id", "event_id", "epc_code")
    row = ("9", "2025-07-01T10:00:00+09:00", '"a, b"', "WMS_Inbound", "WMS", "5", "77", '"quoted"')
    text = "\r\n".join((separator.join(names), separator.join(row), "", ""))
    events = read(tmp_path, text, encoding=encoding)
    assert (events.event_id.tolist(), events.file_id.tolist()) == ([77], [9])
    assert events.epc_codes == ["quoted"]
    assert events.time_us.tolist() == [1_751_331_600 * 10**6]


@pytest.mark.parametrize(("text", "says"), [
    ("", "line 1: no column epc_code, location_id"),
    ("epc_code;location_id\n", "separated by tab or comma"),
    (HEADER.replace("event_time", "time"), "line 1: no column event_time"),
    (HEADER.replace("event_type", "epc_code"), "no column event_type"),
    (HEADER.strip() + ",epc_code\n", "twice"),
    (HEADER + NORMAL + NORMAL.replace("2025-07-01 10:34:17", "yesterday"), "line 3: column event_time: 'yesterday'"),
    (HEADER + NORMAL.replace("2025-07-01 10:34:17", ""), "line 2: column event_time: is empty"),
    (HEADER + NORMAL.replace(",1,", ",,"), "line 2: column location_id: is empty"),
    (HEADER + NORMAL.replace(",1,", ",1.5,"), "line 2: column location_id: '1.5'"),
    (HEADER + NORMAL.replace(",1,", f",{2**63},"), "line 2: column location_id"),
    (HEADER + NORMAL.replace(",Factory", ""), "line 2: has 4 columns, the first line names 5"),
    ("event_id," + HEADER + "4," + NORMAL + "4," + FORGED, "line 3: column event_id: 4 is also in"),
])  # fmt: skip
def test_a_row_that_cannot_be_used_is_named(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(CommandError) as caught:
        read(tmp_path, text)
    assert says in str(caught.value)
    assert "0.csv" in str(caught.value)


def test_damaged_codes_steps_and_types_are_data(tmp_path: Path) -> None:
    events = read(tmp_path, HEADER + ",1,,,2025-07-01 10:34:17\n" + "7" * 10_240 + ",1,?,?,2025-07-01\n")
    assert [len(code) for code in events.epc_codes] == [0, 10_240]


def test_other_encodings_are_refused_with_the_way_out(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="not UTF-8; save the file as UTF-8"):
        read(tmp_path, HEADER + NORMAL.replace("Factory", "인천공장"), encoding="cp949")


@pytest.mark.parametrize(
    ("text", "says"), [(HEADER, "no rows below the header"), (HEADER + "x\n", "line 2: has 1 col")]
)
def test_unusable_files_are_one_line(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "scans.csv"
    path.write_text(text)
    assert_one_line(run("analyze", path), 1, str(path), says)


def test_a_missing_file_is_one_line() -> None:
    assert_one_line(run("analyze", "no-such.csv"), 1, "no-such.csv: cannot be read: No such file")


# ---------------------------------------------------------------- settings
def test_flags_win_over_variables_and_those_over_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EPC_SENTINEL_PORT", "1234")
    monkeypatch.setenv("EPC_SENTINEL_HOST", "::1")
    monkeypatch.setenv("EPC_SENTINEL_BACKEND", "triton://models.example:8001")
    settings = load_settings(port="99", log_format=None)
    assert (settings.port, settings.host, settings.log_format) == (99, "::1", "console")
    assert settings.target == TritonTarget("models.example:8001")
    assert settings.repository == Path("model_repository")
    assert load_settings(backend="onnx:/models").target == OnnxTarget(Path("/models"))


@pytest.mark.parametrize("backend", ["", "onnx:", "triton:", "triton://host", "http://host:1", "triton://h:1/x"])
def test_backends_that_are_none(backend: str) -> None:
    with pytest.raises(SettingsError, match=r"--backend is .* onnx:REPOSITORY nor triton://HOST:PORT"):
        load_settings(backend=backend)


def test_bad_settings_are_one_line_each_naming_flag_or_variable() -> None:
    done = run("serve", "--port", "abc", EPC_SENTINEL_LOG_FORMAT="xml")
    assert done.returncode == 2
    lines = done.stderr.splitlines()
    assert [line.split(" is ")[0] for line in lines] == ["error: --port", "error: EPC_SENTINEL_LOG_FORMAT"]
    assert "'abc'" in lines[0]
    assert "50051" not in lines[1]
    assert "console or json" in lines[1]


def test_the_variable_that_kubernetes_injects_is_explained() -> None:
    done = run("serve", EPC_SENTINEL_PORT="tcp://10.0.0.1:50051")
    assert_one_line(done, 2, "EPC_SENTINEL_PORT", "enableServiceLinks: false")


def test_a_repository_that_is_none_is_one_line(tmp_path: Path) -> None:
    assert_one_line(run("serve", "--backend", f"onnx:{tmp_path}"), 1, str(tmp_path))


@pytest.mark.parametrize("arguments", [("bogus",), ("serve", "--bogus"), ("analyze",), ("train", "--data", "x")])
def test_wrong_usage_is_one_line(arguments: tuple[str, ...]) -> None:
    assert_one_line(run(*arguments), 2, "--help")


def test_choices_that_exclude_each_other(table: Path) -> None:
    assert_one_line(run("analyze", table, "--json", "--csv"), 2, "exclude")
    assert_one_line(run("analyze", table, "--target", "h:1", "--backend", "onnx:x"), 2, "exclude")


@pytest.mark.parametrize("command", ["serve", "analyze", "simulate", "inspect", "train", "evaluate", "export", "bench"])
def test_every_command_has_help(command: str) -> None:
    done = run(command, "--help", COLUMNS="200")
    assert done.returncode == 0
    assert "Usage" in done.stdout


def test_training_commands_without_the_extra_name_it() -> None:
    program = (
        "import sys; sys.modules.update(torch=None, pandas=None)\n"  # the documented way to make an import fail
        "from service.__main__ import main; sys.argv[1:] = ['train', '--data', 'x', '--out', 'y']; main()"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert_one_line(done, 1, 'pip install "epc-sentinel[train]"')

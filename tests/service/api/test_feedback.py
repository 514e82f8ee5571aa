"""FeedbackService at a real gateway: labels go in and come back, the audit sample hides what the detectors said."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest

from service.api.feedback import FEEDBACK
from service.feedback.sql import open_verdicts
from service.pb.epcsentinel.v1 import feedback_pb2 as fb
from tests.service.feedback.labels import ask, label_some, wait_for_sample
from tests.service.feedback.samples import ASKED, judge_beside_a_flipper, judge_with_errors
from tests.support.command import run
from tests.support.gateway import Gateway
from tests.support.observed import samples, scrape, value
from tests.support.requests import call, many

CONFIRMED, REJECTED, WITHDRAWN = (
    fb.LABEL_VERDICT_CONFIRMED, fb.LABEL_VERDICT_REJECTED, fb.LABEL_VERDICT_WITHDRAWN,
)  # fmt: skip


def label(event_id: int, verdict: fb.LabelVerdict.ValueType = CONFIRMED, **fields: Any) -> fb.LabelRequest:  # noqa: ANN401
    one = fb.EventLabel(event_id=event_id, file_id=1, kind="jump", verdict=verdict, **fields)
    return fb.LabelRequest(labels=[one])


@pytest.fixture(scope="module")
def keeping(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A gateway that keeps verdicts, and asks about every tenth event."""
    with Gateway("--verdicts", str(tmp_path_factory.mktemp("verdicts")), "--audit-share", "0.1") as running:
        yield running


def test_labels_are_appended_once_and_listed_as_they_count(keeping: Gateway) -> None:
    first = ask(keeping.target, label(901, who="ann", note="no truck is that fast", score=97.5))
    assert (first.appended, ask(keeping.target, label(901, who="ann", note="no truck is that fast")).appended) == (1, 0)
    [kept] = first.labels
    assert (kept.who, kept.score, kept.verdict, kept.sequence) == ("ann", 97.5, CONFIRMED, 1)
    assert kept.sent_by.startswith("anonymous@")
    ask(keeping.target, label(901, REJECTED, who="ann"))
    ask(keeping.target, label(902, who="bob"))
    ask(keeping.target, label(902, WITHDRAWN, who="bob"))
    counting = ask(keeping.target, fb.ListLabelsRequest(event_ids=[901, 902]))
    assert [(one.event_id, one.verdict) for one in counting.labels] == [(901, REJECTED)]
    history = ask(keeping.target, fb.ListLabelsRequest(event_ids=[901, 902], history=True))
    assert [one.verdict for one in history.labels] == [CONFIRMED, REJECTED, CONFIRMED, WITHDRAWN]
    page = ask(keeping.target, fb.ListLabelsRequest(history=True, limit=3))
    rest = ask(keeping.target, fb.ListLabelsRequest(history=True, after=page.next))
    assert [*page.labels, *rest.labels] == list(history.labels)
    assert rest.next == 0
    assert ask(keeping.target, label(903, who=" ")).labels[0].who == kept.sent_by, "nobody has no name"


def test_the_sample_is_listed_without_what_was_said_of_it_until_it_is_labelled(keeping: Gateway) -> None:
    call(keeping.target, "Analyze", many(600).SerializeToString())
    sample = wait_for_sample(keeping.target)
    assert 10 < sample.waiting < 500
    assert {field.name for field in sample.events[0].DESCRIPTOR.fields} == {
        "event_id", "epc_code", "location_id", "business_step", "event_type", "event_time", "file_id",
    }  # fmt: skip
    sent = {event.event_id: event for event in many(600).data}
    for event in sample.events:
        assert sent[event.event_id].SerializeToString() == event.SerializeToString()
    one = sample.events[0].event_id
    [kept] = ask(keeping.target, label(one, who="cid")).labels
    assert kept.model_version == "epc_lstm/1"
    assert kept.HasField("score")
    for who, left in (("", sample.waiting - 1), ("cid", sample.waiting - 1), ("dan", sample.waiting)):
        assert ask(keeping.target, fb.ListSampleRequest(who=who)).waiting == left


def test_unusable_labels_are_refused_field_by_field(keeping: Gateway) -> None:
    bad = fb.EventLabel(event_id=1, kind="fake", label_id="a b", note="x" * 2_001, score=101, model_version="a\0")
    bad.labelled_at.seconds = 2**60
    with pytest.raises(grpc.RpcError) as refused:
        ask(keeping.target, fb.LabelRequest(labels=[*label(1).labels, bad]))
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    details = refused.value.trailing_metadata()
    shown = next(value for key, value in details if key == "grpc-status-details-bin").decode(errors="replace")
    for field in ("kind", "verdict", "label_id", "note", "score", "model_version", "labelled_at"):
        assert f"labels[1].{field}" in shown
    ahead = label(1)
    ahead.labels[0].labelled_at.FromJsonString("9999-12-31T23:59:59Z")
    for unusable in (
        fb.LabelRequest(),
        fb.ListLabelsRequest(limit=10_001),
        fb.ListLabelsRequest(event_ids=range(40_000)),
        fb.AccuracyRequest(model_version="\0"),
        ahead,
    ):
        with pytest.raises(grpc.RpcError, match=r"labels: are 0|limit: is 10001|are 40,000|NUL|lies ahead"):
            ask(keeping.target, unusable)


def test_a_gateway_without_verdicts_says_so(gateway: Gateway) -> None:
    with pytest.raises(grpc.RpcError, match="keeps no verdicts: its operator can start it with --verdicts") as refused:
        ask(gateway.target, label(1))
    assert refused.value.code() is grpc.StatusCode.UNIMPLEMENTED
    assert gateway.health(FEEDBACK.full_name) == "UNREACHABLE"


def test_the_service_is_healthy_and_described_where_it_works(keeping: Gateway) -> None:
    assert keeping.health(FEEDBACK.full_name) == "SERVING"


def test_only_callers_with_the_role_label(start_gateway: Callable[..., Gateway], tmp_path: Path) -> None:
    keys = tmp_path / "keys.toml"
    keys.write_text(
        "\n".join(
            f'[[key]]\nname = "{role}"\nsha256 = "{hashlib.sha256(role.encode()).hexdigest()}"\nroles = ["{role}"]'
            for role in ("analyze", "label")
        )
    )
    running = start_gateway("--verdicts", str(tmp_path / "v"), "--auth-keys", str(keys))
    with pytest.raises(grpc.RpcError) as refused:
        ask(running.target, label(1), "analyze")
    assert refused.value.code() is grpc.StatusCode.PERMISSION_DENIED
    [kept] = ask(running.target, label(1), "label").labels
    assert (kept.who, kept.sent_by) == ("key:label", "key:label")


def test_accuracy_is_that_of_the_labels(start_gateway: Callable[..., Gateway], tmp_path: Path) -> None:
    flags = ("--verdicts", str(tmp_path), "--audit-share", "1", "--metrics-port", "0")
    running = start_gateway(*flags)
    label_some(running.target)
    kinds = {one.kind: one for one in ask(running.target, fb.AccuracyRequest()).kinds}
    fake, jump = kinds["epcFake"], kinds["jump"]
    assert (fake.labels, fake.confirmed, fake.batches, fake.sampled, jump.labels) == (40, 20, 1, 100, 0)
    assert fake.auc.value == fake.recall.value == fake.precision.value == 1
    assert fake.auc.low < 1
    assert fake.baseline_average_precision > 0.9
    assert not jump.HasField("auc")
    assert ask(running.target, fb.AccuracyRequest(model_version="epc_lstm/9")).kinds == []
    found = samples(scrape(running))
    assert value(found, "rolling_auc", kind="epcFake") == 1
    assert value(found, "rolling_labels", kind="epcFake") == 40
    assert value(found, "rolling_expected_precision", kind="epcFake") > 0.9
    assert value(found, "audit_sampled_total") == 100


def test_a_gateway_is_told_how_often_auditors_err(start_gateway: Callable[..., Gateway], tmp_path: Path) -> None:
    judge_with_errors(open_verdicts(str(tmp_path)))
    running = start_gateway("--verdicts", str(tmp_path), "--auditor-error-rate", "0.05", "--metrics-port", "0")
    [jump] = [one for one in ask(running.target, fb.AccuracyRequest()).kinds if one.kind == "jump"]
    assert jump.average_precision.value > 0.97
    assert value(samples(scrape(running)), "rolling_average_precision", kind="jump") > 0.97


def test_accuracy_says_who_is_at_odds_with_the_others(start_gateway: Callable[..., Gateway], tmp_path: Path) -> None:
    judge_beside_a_flipper(open_verdicts(str(tmp_path)), 0.0)
    running = start_gateway("--verdicts", str(tmp_path), "--auditor-error-rate", "0.05", "--metrics-port", "0")
    auditors = {one.who: one for one in ask(running.target, fb.AccuracyRequest()).auditors}
    assert {who: one.at_odds for who, one in auditors.items()} == {"ann": False, "bob": False, "cay": True}
    assert auditors["cay"].words == auditors["cay"].compared == ASKED
    assert auditors["cay"].confirms_of_normal == pytest.approx(0.35, abs=0.05)
    assert value(samples(scrape(running)), "auditors_at_odds") == 1
    assert running.wait_log("an auditor is at odds with the others")["who"] == "cay"
    shown = run("accuracy", "--target", running.target).stdout
    assert "'cay' is at odds with the others" in shown
    assert "'ann'" not in shown

"""Rounds on real folders: what they do is done once, wherever the process is killed, and goes on after that."""

from __future__ import annotations

import asyncio
import getpass
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from service.errors import CommandError
from service.features.table import feature_spec_hash
from service.feedback.sql import open_verdicts
from service.feedback.verdicts import LabelVerdict
from service.lifecycle.operations import Operations, Progressing
from service.lifecycle.promotion_log import PromotionLog
from service.lifecycle.register import Register
from service.lifecycle.states import EMERGENCY, Action, Entry
from service.operate.observing import Lookout
from service.operate.rounds import RoundDone, Roundsman
from service.operate.settings import OperateSettings
from service.operate.state import STATE_FILE, OperateState, read_state
from service.operate.steps import What
from tests.k8s.workflow import step
from tests.service.feedback.samples import judge_beside_a_flipper, judge_with_errors, label, sampled
from tests.support.command import assert_one_line, run
from tests.support.preloaded import Child, popen
from tests.support.processes import die_at, end, wait_for
from tests.support.versions import flip_last_byte

PLACES = (
    (os, "fsync"),
    (Entry, "model_dump_json"),
    (OperateState, "model_dump_json"),
    (Path, "replace"),
    (asyncio, "create_subprocess_exec"),
)


def all_is_wrong(folder: Path) -> None:
    """Write verdicts by which version 1 finds what is no jump, and misses what is."""
    store = open_verdicts(str(folder))
    store.add_sample([sampled(at, 0.9 if at % 2 else 0.1) for at in range(40)])
    store.append([label(at, LabelVerdict.REJECTED if at % 2 else LabelVerdict.CONFIRMED) for at in range(40)])
    store.close()


@pytest.fixture
def world(two_versions: Path, tmp_path: Path) -> Path:
    """A folder with a repository, verdicts on version 1, and a log in which it is the champion."""
    made = tmp_path / "world"
    made.mkdir()
    (made / "repository").symlink_to(two_versions)
    register_of(made).begin(1)
    all_is_wrong(made / "verdicts")
    return made


def register_of(world: Path) -> Register:
    return Register(world / "repository", PromotionLog(world / "lifecycle"), feature_spec_hash())


@contextmanager
def operating(world: Path, **settings: object) -> Iterator[Roundsman]:
    """Yield what does the rounds of a world; both responses at once, and the command leaves a line in a file."""
    own = OperateSettings(
        **{"fallback": "act", "retraining": "act", "fallback_if_worse": True, "least_labels": 40, **settings}
    )  # type: ignore[arg-type]
    store = open_verdicts(str(world / "verdicts"))
    observer = Lookout(register_of(world), Operations(world / "lifecycle" / "operations"), store, own)
    command = f'sh -c \'echo ran >> "{world}/ran"; until [ -e "{world}/go on" ]; do sleep 0.02; done\''
    try:
        yield Roundsman(observer, own, {What.RETRAIN: command, What.ADOPT: own.adopt_command})
    finally:
        store.close()


def one_round(world: Path, *, wait: bool = True, **settings: object) -> RoundDone:
    async def do(operator: Roundsman) -> RoundDone:
        found = await operator.once()
        if not wait:
            operator.observer.operations.leave()
        for one in found.begun if wait else ():
            await operator.observer.operations.wait(one)
        return found

    with operating(world, **settings) as operator, operator.turn():
        return asyncio.run(do(operator))


def test_errors_of_auditors_alone_are_nothing_to_respond_to(two_versions: Path, tmp_path: Path) -> None:
    register = Register(two_versions, PromotionLog(tmp_path / "lifecycle"), feature_spec_hash())
    register.begin(1)
    store = open_verdicts(str(tmp_path / "verdicts"))
    judge_with_errors(store)
    store.close()
    flags = ("--lifecycle", str(tmp_path / "lifecycle"), "--verdicts", str(tmp_path / "verdicts"), "--repository",
             str(two_versions), "--retraining", "suggest", "--least-labels", "40", "--log-format", "json")  # fmt: skip
    assert "retrain" in run("operate", "--once", *flags).stderr
    said = run("operate", "--once", "--auditor-error-rate", "0.05", *flags).stderr
    assert '"performance": 0.0' in said
    assert "retrain" not in said


def test_a_round_names_who_is_at_odds_with_the_other_auditors(two_versions: Path, tmp_path: Path) -> None:
    Register(two_versions, PromotionLog(tmp_path / "lifecycle"), feature_spec_hash()).begin(1)
    store = open_verdicts(str(tmp_path / "verdicts"))
    judge_beside_a_flipper(store, 0.4)
    store.close()
    flags = ("--lifecycle", str(tmp_path / "lifecycle"), "--verdicts", str(tmp_path / "verdicts"), "--repository",
             str(two_versions), "--retraining", "suggest", "--log-format", "json")  # fmt: skip
    said = run("operate", "--once", "--auditor-error-rate", "0.05", *flags).stderr
    [line] = [one for one in said.splitlines() if "an auditor is at odds with the others" in one]
    assert '"who": "cay"' in line
    assert "retrain" in said, "the fall is seen in spite of him"


def after_each_kill(world: Path, tmp_path: Path, **settings: object) -> Iterator[Path]:
    """Yield copies of a world, in each of which a round was ended at another of its PLACES; in the last at none."""
    for number in range(1, 30):
        copy = shutil.copytree(world, tmp_path / f"world {number}", symlinks=True)
        if (child := os.fork()) == 0:
            try:
                die_at(number, *PLACES)
                one_round(copy, wait=False, **settings)
            finally:
                os._exit(0)
        killed = os.WIFSIGNALED(os.waitpid(child, 0)[1])
        yield copy
        if not killed:
            return
    raise AssertionError("a round has more steps")


def test_a_kill_at_any_step_leaves_what_can_go_on_and_nothing_is_done_twice(world: Path, tmp_path: Path) -> None:
    """Each step that touches the disk, or begins the retraining, is the last one of a process once."""
    left = set()
    for copy in after_each_kill(world, tmp_path):
        log, operations = register_of(copy).log, Operations(copy / "lifecycle" / "operations")
        newest = operations.latest("retrain")
        left.add((len(log.entries()), newest.state.value if newest else "", read_state(copy / "lifecycle").rounds))
        (copy / "go on").touch()
        one_round(copy)
        wait_for(lambda found=operations: found.latest("retrain").state is not Progressing.RUNNING)
        one_round(copy)
        assert [entry.why.startswith(EMERGENCY) for entry in log.entries()] == [False, True]
        assert log.standing().traffic == "rules=100"
        assert (copy / "ran").read_text() == "ran\n", f"killed in {copy.name}"
        assert operations.latest("retrain").state is Progressing.SUCCEEDED  # type: ignore[union-attr]
        assert read_state(copy / "lifecycle").closely
    assert {(1, "", 0), (2, "", 0), (2, "failed", 0), (2, "running", 0), (2, "running", 1)} <= left


def test_two_processes_do_not_have_the_rounds_of_one_folder(world: Path) -> None:
    with operating(world) as operator, operator.turn(), pytest.raises(CommandError, match="another operate has"):
        one_round(world)


def test_a_damaged_version_is_refused_once_and_said_and_the_champion_stays(world: Path) -> None:
    whole = (world / "repository").resolve()
    (world / "repository").unlink()
    flip_last_byte(shutil.copytree(whole, world / "repository") / "epc_lstm" / "2" / "model.onnx")
    rolling = {"fallback": "off", "retraining": "off", "adopt_command": "true"}
    with capture_logs() as told:
        found = [one_round(world, **rolling) for _ in range(3)]
    assert [len(one.begun) for one in found] == [1, 0, 0], "the tables roll on once a week"
    assert [len(one.refused) for one in found] == [1, 0, 0]
    assert [line["why"] for line in told if line["event"] == "refused"] == [found[0].refused[0][1]]
    assert "is not the file that was exported" in found[0].refused[0][1]
    standing = register_of(world).standing()
    assert (standing.champion, standing.challenger, standing.number) == (1, None, 1)


@pytest.mark.parametrize(
    ("kind", "settings"),
    [(What.ADOPT, {"retraining": "off", "adopt_command": "no-such-program"}), (What.RETRAIN, {"retraining": "act"})],
)
def test_a_command_whose_program_is_missing_is_not_tried_every_round(
    world: Path, kind: What, settings: dict[str, str]
) -> None:
    with operating(world, fallback="off", **settings) as operator:
        operator.commands[kind] = "no-such-program"
        found = [asyncio.run(operator.once()) for _ in range(2)]
    [only] = Operations(world / "lifecycle" / "operations").listed()
    assert [one.begun for one in found] == [[only], []]
    assert (only.state, only.message) == (
        Progressing.FAILED, "no-such-program cannot be run: there is no such program")  # fmt: skip


def both_judged(folder: Path, first: int, *, challenger_is_right: bool) -> None:
    """Write 120 events of jumps and none, with verdicts, of which only one of the versions has any idea."""
    store = open_verdicts(str(folder))
    events = range(first, first + 120)
    right = {at: 0.9 if at % 3 == 0 else 0.1 for at in events}
    chance = {at: ((at * 37) % 97) / 97 for at in events}
    scores = (chance, right) if challenger_is_right else (right, chance)
    now = time.time_ns() // 1_000
    store.add_sample([sampled(at, scores[0][at], judged_at_us=now) for at in events])
    store.add_shadow([sampled(at, scores[1][at], judged_at_us=now, model_version="epc_lstm/2") for at in events])
    said = {True: LabelVerdict.CONFIRMED, False: LabelVerdict.REJECTED}
    store.append([label(at, said[at % 3 == 0], who="bob", labelled_at_us=10**17) for at in events])
    store.close()


def test_a_challenger_earns_each_step_anew_and_loses_all_at_harm(world: Path) -> None:
    register, verdicts = register_of(world), world / "verdicts"
    register.load(2, who="ops", why="to be compared")

    def round_with(handling: str) -> RoundDone:
        with operating(world, fallback="off", retraining="off", traffic=handling) as operator:
            return asyncio.run(operator.once())

    assert "too few verdicts" in round_with("act").held[0].why
    both_judged(verdicts, 1_000, challenger_is_right=True)
    [step] = round_with("suggest").suggested
    assert (step.traffic, register.standing().traffic) == ("lstm@challenger=10", "")
    for first, share in ((1_000, 10), (2_000, 20)):
        both_judged(verdicts, first, challenger_is_right=True)
        assert round_with("act").done
        assert register.standing().traffic == f"lstm@challenger={share}"
        assert "too few verdicts" in round_with("act").held[0].why, "the same verdicts move nothing twice"
    both_judged(verdicts, 3_000, challenger_is_right=False)
    both_judged(verdicts, 4_000, challenger_is_right=False)
    both_judged(verdicts, 5_000, challenger_is_right=False)
    assert "worse" in round_with("act").done[0].why
    assert register.standing().traffic == ""
    register.share("lstm@challenger=30,rules=10", who="ops", why="set by hand")
    register.promote(2, who="ops", why="better")
    register.load(1, who="ops", why="another challenger")
    assert "before it" in round_with("act").done[0].why
    assert register.standing().traffic == "rules@champion=10"


CANARY = {"fallback": "off", "retraining": "off", "traffic": "act"}


def test_a_kill_while_the_share_of_a_challenger_moves_moves_it_once(world: Path, tmp_path: Path) -> None:
    """One step of the canary is earned: the round that was killed makes it, or the next one, and not both."""
    register_of(world).load(2, who="ops", why="to be compared")
    both_judged(world / "verdicts", 1_000, challenger_is_right=True)
    left = set()
    for copy in after_each_kill(world, tmp_path, **CANARY):
        log = register_of(copy).log
        left.add(log.standing().traffic)
        for _ in range(2):
            one_round(copy, **CANARY)
        assert log.standing().traffic == "lstm@challenger=10", f"killed in {copy.name}"
        assert [one.action for one in log.entries()] == [Action.PROMOTE, Action.LOAD, Action.TRAFFIC]
        assert log.standing().champion == 1
    assert left == {"", "lstm@challenger=10"}


def test_a_kill_while_tables_roll_on_and_a_challenger_comes_does_both_once(world: Path, tmp_path: Path) -> None:
    rolling = {"fallback": "off", "retraining": "off",
               "adopt_command": "sh -c 'echo ran >> \"{repository}.ran\"'"}  # fmt: skip
    left = set()
    for copy in after_each_kill(world, tmp_path, **rolling):
        log, operations = register_of(copy).log, Operations(copy / "lifecycle" / "operations")
        left.add((len(operations.listed()), log.standing().challenger))
        one_round(copy, **rolling)
        wait_for(lambda found=operations: found.latest("adopt").state is not Progressing.RUNNING)
        one_round(copy, **rolling)
        assert (copy / "repository.ran").read_text() == "ran\n", f"killed in {copy.name}"
        assert [(one.action, one.version) for one in log.entries()] == [(Action.PROMOTE, 1), (Action.LOAD, 2)]
    assert {(0, None), (1, None), (1, 2)} <= left


def test_what_is_suggested_is_said_once_and_a_state_that_was_damaged_harms_nobody(world: Path) -> None:
    asked = {"fallback": "suggest", "retraining": "suggest"}
    with capture_logs() as told:
        first = one_round(world, **asked)
        one_round(world, **asked)
    assert [line["what"] for line in told if line["event"] == "suggested"] == ["traffic rules=100", "retrain"]
    assert (first.is_due, first.done, first.closely) == (True, [], True)
    assert register_of(world).standing().number == 1
    path = world / "lifecycle" / STATE_FILE
    path.write_text(path.read_text()[:40])
    assert one_round(world, **asked).is_due


def test_the_workflow_asks_once_in_a_cool_down_whether_a_retraining_is_due(world: Path) -> None:
    asked = step("due", lifecycle=world / "lifecycle", model_repository=world / "repository")
    variables = {"EPC_SENTINEL_VERDICTS": str(world / "verdicts"), "EPC_SENTINEL_OPERATE_LEAST_LABELS": "40"}
    said = [run(*asked, **variables) for _ in range(2)]
    assert [one.stdout for one in said] == ["yes\n", "no\n"], said[0].stderr
    assert "40 new verdicts" in said[0].stderr
    assert register_of(world).standing().number == 1


@pytest.mark.parametrize("flag", ["--once", "--due"])
def test_metrics_of_a_single_round_are_refused_for_nobody_could_ask_for_them(world: Path, flag: str) -> None:
    done = run("operate", flag, "--lifecycle", world / "lifecycle", "--metrics-port", 0)
    assert_one_line(done, 2, "--metrics-port goes not with --once or --due")
    assert not (world / "lifecycle" / STATE_FILE).exists()


def test_a_folder_that_cannot_be_written_is_told_by_its_setting(world: Path) -> None:
    (world / "away").symlink_to(world / "not mounted")
    done = run("operate", "--once", "--lifecycle", world / "away", "--repository", world / "repository")
    assert_one_line(done, 1, "cannot write ", "make the folder of --lifecycle writable, or name another")


def test_a_log_that_has_moved_on_is_looked_at_again(world: Path) -> None:
    with operating(world, retraining="off") as operator:
        look: Callable[..., object] = operator.observer.look

        def meanwhile(_self: Lookout, *, closely: bool) -> object:  # somebody sets shares while a round decides
            seen = look(closely=closely)
            register_of(world).share("lstm@1=50", who="ann", why="by hand")
            return seen

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Lookout, "look", meanwhile)
            found = asyncio.run(operator.once())
    assert [why for _, why in found.refused] == ["the log has moved on to entry 2: look again"]
    assert register_of(world).standing().traffic == "lstm@1=50"


def test_a_killed_operate_goes_on_as_another_process(two_versions: Path, tmp_path: Path) -> None:
    """The command, killed while its retraining runs: the challenger comes, is promoted, and the rules give back."""
    lifecycle, verdicts, go_on = tmp_path / "lifecycle", tmp_path / "verdicts", tmp_path / "go on"
    log = PromotionLog(lifecycle)
    register = Register(two_versions, log, feature_spec_hash())
    register.begin(1)
    all_is_wrong(verdicts)
    where = f"--repository {two_versions} --lifecycle {lifecycle}"
    retraining = (
        f'sh -c \'echo half: 50 %; until [ -e "{go_on}" ]; do sleep 0.05; done;'
        f" exec {sys.executable} -m service models load 2 --why retrained {where}'"
    )
    operate = ["operate", *where.split(), "--verdicts", str(verdicts),
               "--retrain-command", retraining, "--fallback", "act", "--fallback-if-worse", "true",
               "--retraining", "act", "--least-labels", "40", "--interval-s", "0.2"]  # fmt: skip
    operations = Operations(lifecycle / "operations")

    def retrained() -> Progressing | None:
        found = operations.latest("retrain")
        return found.state if found else None

    def start() -> Child | subprocess.Popen[bytes]:
        with Path(os.devnull).open("wb") as nowhere:
            return popen(operate, {}, nowhere.fileno(), nowhere.fileno())

    first = start()
    try:
        wait_for(lambda: retrained() is Progressing.RUNNING and operations.latest("retrain").progress == 0.5)  # type: ignore[union-attr]
    finally:
        first.send_signal(signal.SIGKILL)
        first.wait()
    assert (retrained(), log.standing().traffic) == (Progressing.RUNNING, "rules=100")
    second = start()
    try:
        go_on.touch()
        wait_for(lambda: retrained() is Progressing.SUCCEEDED)
        assert (log.standing().champion, log.standing().challenger) == (1, 2)
        register.promote(2, who="ann", why="better", instead_of=1)
        wait_for(lambda: log.standing().traffic == "")
    finally:
        end(second)
    assert second.returncode == 0
    who = ["gateway", "epc-sentinel operate", f"user:{getpass.getuser()}", "ann", "epc-sentinel operate"]
    assert [entry.who for entry in log.entries()] == who
    assert log.entries()[-1].why == "fallback lifted: version 2 judges now"
    assert len(operations.listed()) == 1

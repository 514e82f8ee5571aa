"""Versions with their states on the disk: what is not whole is not promoted, and no crash leaves two truths."""

from __future__ import annotations

import os
import resource
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from service.errors import ModelRepositoryError, NoSuchModel, NotInThisState
from service.lifecycle.promotion_log import LOG_FILE, PromotionLog
from service.lifecycle.register import Register
from service.lifecycle.states import Entry, ModelState
from service.model.repository import retired, versions
from service.model.signing import load_trust
from service.model.verify import verify
from tests.servers.triton.fixture import SPEC_HASH
from tests.support.processes import die_at
from tests.support.secrets import public_pem
from tests.support.versions import edit, flip_last_byte


@pytest.fixture
def register(small_repository: Path, tmp_path: Path) -> Register:
    """A register of versions 1 and 2 in which 1 is the champion."""
    repository = shutil.copytree(small_repository, tmp_path / "repository")
    made = Register(repository, PromotionLog(tmp_path / "lifecycle"), SPEC_HASH)
    made.begin(1)
    return made


def wrong_probe(repository: Path) -> None:
    probe = Register(repository, PromotionLog(repository / "none"), SPEC_HASH).one(2).manifest
    assert probe is not None
    content = probe.probe.model_dump()
    content["probabilities"] = np.full_like(content["probabilities"], 0.5).tolist()
    edit(repository, probe=content)


BAD: dict[str, tuple[Callable[[Path], object], str]] = {
    "corrupt": (lambda r: flip_last_byte(r / "epc_lstm/2/model.onnx"), "is not the file that was exported"),
    "half of it": (lambda r: (r / "epc_lstm/2/model.onnx").unlink(), "cannot read model.onnx"),
    "other features": (lambda r: edit(r, feature_spec_hash="f" * 64), "was trained on other features"),
    "a model that does not answer as it says": (wrong_probe, "answer to the probe of version 2 is off by"),
}


@pytest.mark.parametrize("damage", BAD)
def test_a_bad_version_is_refused_and_nothing_changes(register: Register, damage: str) -> None:
    spoil, reason = BAD[damage]
    spoil(register.repository)
    for move in (register.load, register.promote):
        with pytest.raises(NotInThisState, match=reason) as caught:
            move(2, who="key:ops", why="try")
        assert str(register.repository) not in str(caught.value)
    assert [entry.version for entry in register.log.entries()] == [1]
    assert register.listed()[0].state is ModelState.NONE


def test_a_version_that_is_not_signed_is_refused(register: Register, tmp_path: Path) -> None:
    key = Ed25519PrivateKey.generate()
    (tmp_path / "trust.pem").write_bytes(public_pem(key))
    signed = Register(register.repository, register.log, SPEC_HASH, load_trust(tmp_path / "trust.pem"))
    with pytest.raises(NotInThisState, match="is not signed"):
        signed.promote(2, who="key:ops", why="try")
    folder = register.repository / "epc_lstm" / "2"
    (folder / "manifest.sig").write_bytes(key.sign((folder / "manifest.json").read_bytes()))
    assert signed.promote(2, who="key:ops", why="signed now").champion == 2


def test_a_number_is_never_used_again_and_what_the_log_names_stays(register: Register) -> None:
    register.load(2, who="key:ops", why="to be compared")
    with pytest.raises(NotInThisState, match="it is the challenger"):
        register.delete(2, who="key:ops", why="room")
    shutil.copytree(register.repository / "epc_lstm" / "2", register.repository / "epc_lstm" / "3")
    register.delete(3, who="key:ops", why="room")
    assert (versions(register.repository), retired(register.repository)) == ([1, 2], {3})
    verify(register.repository)  # Triton's check takes the list of numbers for what it is
    shutil.copytree(register.repository / "epc_lstm" / "2", register.repository / "epc_lstm" / "3")
    assert [one.version for one in register.listed()] == [2, 1]
    with pytest.raises(NotInThisState, match="its number is never used again"):
        register.promote(3, who="key:ops", why="back")
    with pytest.raises(NoSuchModel, match="no version 7"):
        register.promote(7, who="key:ops", why="a guess")


def test_another_model_under_a_number_that_the_log_names_is_refused(register: Register) -> None:
    register.load(2, who="key:ops", why="to be compared")
    edit(register.repository, created_at="2026-02-02T00:00:00Z")
    with pytest.raises(NotInThisState, match="another model was put under its number"):
        register.promote(2, who="key:ops", why="it was better")


def test_promotions_at_the_same_time_come_one_after_the_other(register: Register) -> None:
    def swap(number: int) -> str:
        try:
            register.promote(2, who=f"key:{number}", why="race", instead_of=1)
        except NotInThisState as error:
            return str(error)
        return "promoted"

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(swap, range(8)))
    assert found.count("promoted") == 1
    assert [entry.number for entry in register.log.entries()] == [1, 2]


PLACES = ((os, "fsync"), (os, "open"), (Entry, "model_dump_json"), (Path, "replace"), (shutil, "rmtree"))


def test_a_kill_at_any_step_leaves_one_truth(register: Register, tmp_path: Path) -> None:
    """Each step that touches the disk is the last one of a process once; what it leaves is what was before or after."""
    shutil.copytree(register.repository / "epc_lstm" / "2", register.repository / "epc_lstm" / "3")
    seen, killed = set(), True
    for step in range(1, 40):
        repository = shutil.copytree(register.repository, tmp_path / f"repository {step}")
        after = Register(
            repository, PromotionLog(shutil.copytree(register.log.folder, tmp_path / f"log {step}")), SPEC_HASH
        )
        if (child := os.fork()) == 0:
            try:
                die_at(step, *PLACES)
                after.promote(2, who="key:ops", why="first")
                after.rollback(who="key:ops", why="second")
                after.delete(3, who="key:ops", why="third")
            finally:
                os._exit(0)
        killed = os.WIFSIGNALED(os.waitpid(child, 0)[1])
        standing = after.standing()
        seen.add((standing.number, standing.champion))
        assert standing.number < 4 or 3 not in {one.version for one in after.listed()}
        if standing.champion == 1:
            assert after.promote(2, who="key:ops", why="goes on").champion == 2
        if not killed:
            break
    assert not killed
    assert seen == {(1, 1), (2, 2), (3, 1), (4, 1)}


def test_a_torn_line_is_no_entry_and_the_next_writer_cuts_it_off(register: Register) -> None:
    path = register.log.folder / LOG_FILE
    whole = path.read_bytes()
    path.write_bytes(whole + whole[: len(whole) // 2])
    assert register.standing().champion == 1
    register.promote(2, who="key:ops", why="after a crash")
    assert path.read_bytes().startswith(whole)
    assert [entry.version for entry in register.log.entries()] == [1, 2]


def test_a_log_that_was_edited_is_no_log(register: Register) -> None:
    register.promote(2, who="key:ops", why="better")
    path = register.log.folder / LOG_FILE
    path.write_bytes(path.read_bytes().replace(b'"who":"gateway"', b'"who":"nobody"', 1))
    with pytest.raises(ModelRepositoryError, match=r"line 2 .* does not follow the one before"):
        register.standing()


def test_a_folder_that_cannot_be_written_is_told_by_its_setting(register: Register, tmp_path: Path) -> None:
    (tmp_path / "away").symlink_to(tmp_path / "not mounted")
    elsewhere = Register(register.repository, PromotionLog(tmp_path / "away"), SPEC_HASH)
    with pytest.raises(ModelRepositoryError, match=r"cannot write .*; make the folder of --lifecycle writable, or"):
        elsewhere.begin(1)


def test_a_full_disk_changes_nothing(register: Register, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_handle: int) -> None:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ModelRepositoryError, match=r"No space left on device; nothing was changed"):
        register.promote(2, who="key:ops", why="better")
    monkeypatch.undo()
    assert register.standing().champion == 1


@pytest.mark.parametrize("share", [0.1, 0.9])
def test_a_disk_that_is_full_in_the_middle_of_a_line_changes_nothing(register: Register, share: float) -> None:
    """Of a line that did not fit nothing may be written later, when the file is closed."""
    before = register.log.path.read_bytes()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) + int(share * len(before)), limits[1]))
    try:
        with pytest.raises(ModelRepositoryError, match=r"File too large; nothing was changed"):
            register.share("rules=20", who="key:ops", why="as long as the first line, and a bit longer than that")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert register.log.path.read_bytes() == before
    assert register.share("rules=20", who="key:ops", why="there is room again").traffic == "rules=20"

"""What the entries of the promotion log add up to, for every order of moves that there can be."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.errors import NotInThisState
from service.lifecycle.states import Action, Entry, ModelState, Standing, standing_of


def entry(number: int, action: Action, version: int) -> Entry:
    return Entry(number=number, at="2026-01-01T00:00:00+00:00", who="key:ops", action=action, version=version, why="x")


def moved(*moves: tuple[Action, int]) -> Standing:
    return standing_of(entry(number, *move) for number, move in enumerate(moves, 1))


def test_a_rollback_goes_back_step_by_step_and_never_forward_to_what_was_bad() -> None:
    standing = moved((Action.PROMOTE, 1), (Action.PROMOTE, 2), (Action.PROMOTE, 3), (Action.ROLLBACK, 2))
    assert (standing.champion, standing.previous, standing.state(3)) == (2, 1, ModelState.ARCHIVED)
    with pytest.raises(NotInThisState, match="there is no previous version"):
        standing.after(entry(5, Action.ROLLBACK, 1)).check(Action.ROLLBACK, 2)


def test_a_challenger_that_is_promoted_or_replaced_is_one_no_more() -> None:
    standing = moved((Action.PROMOTE, 1), (Action.LOAD, 2), (Action.LOAD, 3))
    assert (standing.challenger, standing.state(2)) == (3, ModelState.ARCHIVED)
    after = standing.after(entry(4, Action.PROMOTE, 3))
    assert (after.champion, after.challenger, after.previous) == (3, None, 1)
    assert after.kept == [3, 1]


@pytest.mark.parametrize(
    ("action", "version", "reason"),
    [
        (Action.PROMOTE, 2, "version 2 is the champion already"),
        (Action.LOAD, 2, "version 2 is the champion already"),
        (Action.ROLLBACK, 3, "goes to the previous version, 1"),
        (Action.DELETE, 2, "it is the champion"),
        (Action.DELETE, 1, "it is the previous"),
        (Action.DELETE, 3, "the log of promotions names it"),
        (Action.PROMOTE, 9, "its number is never used again"),
    ],
)
def test_what_a_state_forbids_is_said(action: Action, version: int, reason: str) -> None:
    standing = moved((Action.PROMOTE, 1), (Action.LOAD, 3), (Action.LOAD, 4), (Action.PROMOTE, 2), (Action.DELETE, 9))
    with pytest.raises(NotInThisState, match=reason):
        standing.check(action, version)


@given(st.lists(st.tuples(st.sampled_from([Action.LOAD, Action.PROMOTE, Action.ROLLBACK, Action.DELETE]),
                          st.integers(1, 5)), max_size=30))  # fmt: skip
def test_whatever_is_tried_there_is_one_champion_and_nothing_that_is_used_is_deleted(
    tries: list[tuple[Action, int]],
) -> None:
    standing = moved((Action.PROMOTE, 1))
    for number, (action, version) in enumerate(tries, 2):
        try:
            standing = standing.after(entry(number, action, version))
        except NotInThisState:
            continue
        states = [standing.state(one) for one in range(1, 6)]
        assert states.count(ModelState.CHAMPION) == 1
        assert max(states.count(ModelState.CHALLENGER), states.count(ModelState.PREVIOUS)) <= 1
        assert not standing.deleted & (standing.named | set(standing.kept))

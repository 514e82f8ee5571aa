"""The audit sample: the same on every gateway, of the share asked for, and with a floor where events are few."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from service.errors import CommandError
from service.features.table import feature_spec_hash
from service.feedback.sampling import BANDS, AuditSample, read_key
from service.model.repository import Model, load
from tests.service.feedback.samples import JUMP, events_at

KEY = b"a secret of the tests"


@pytest.fixture(scope="module")
def model(bundled_repository: Path) -> Model:
    return load(bundled_repository, feature_spec_hash=feature_spec_hash())


@pytest.fixture(scope="module")
def sample(model: Model) -> AuditSample:
    return AuditSample.of(model.manifest, 0.01, KEY)


def as_checked(model: Model, count: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Return (locations [N], scores [N, 5]) as those that the model was checked on."""
    rng = np.random.default_rng(1)
    scan = model.manifest.reference["scan"]
    places = np.array(scan["key"]) // 11
    ids = np.array(model.manifest.reference["location_id"])
    share = np.array(scan["count"]) / np.sum(scan["count"])
    scores = np.where(rng.random((count, 5)) < 0.01, 0.99, 0.001).astype(np.float32)
    return ids[rng.choice(places, count, p=share)], scores


def test_the_same_events_are_drawn_in_any_order_in_any_cut_and_again(model: Model, sample: AuditSample) -> None:
    locations, scores = as_checked(model, 20_000)
    events = events_at(locations)
    drawn = events.event_id[sample.probability_if_drawn(events, scores, causal=False) > 0]
    assert 50 < len(drawn) < 500
    order = np.random.default_rng(2).permutation(len(events))
    shuffled = events.take(order)
    again = AuditSample.of(model.manifest, 0.01, KEY)  # another gateway
    found = set()
    for part in np.array_split(np.arange(len(events)), 17):
        piece = shuffled.take(part)
        found |= set(piece.event_id[again.probability_if_drawn(piece, scores[order][part], causal=False) > 0].tolist())
    assert found == set(drawn.tolist())
    other = AuditSample.of(model.manifest, 0.01, b"another secret of theirs")
    others = events.event_id[other.probability_if_drawn(events, scores, causal=False) > 0]
    assert len(found & set(others.tolist())) < len(found) / 5


def test_the_share_is_kept_and_each_event_is_drawn_as_often_as_its_probability_says(
    model: Model, sample: AuditSample
) -> None:
    locations, scores = as_checked(model, 200_000)
    events = events_at(locations)
    probability, drawn = sample.probabilities(events, scores, causal=True), sample.draws(events)
    assert 0.006 < (drawn < probability).mean() < 0.011
    rare = scores.max(axis=1) > 0.5
    for group in (rare, ~rare):
        wanted, got = probability[group].sum(), int((drawn < probability)[group].sum())
        assert abs(got - wanted) < 4 * np.sqrt(wanted)
    assert np.abs(np.histogram(drawn, 20, (0, 1))[0] / 10_000 - 1).max() < 0.05


def test_few_events_of_a_band_or_a_place_have_a_floor(sample: AuditSample) -> None:
    common, rare = sample.rates[0, JUMP, 0], sample.rates[0, JUMP, 2]
    assert (rare >= np.minimum(1, 2 * common)).all()
    assert common.min() >= 0.005
    assert common[-1] == common.max()  # unknown places are the rarest
    assert sample.rates.shape[2] == len(BANDS) + 1


def test_no_share_draws_nothing_and_all_of_it_everything(model: Model) -> None:
    locations, scores = as_checked(model, 1_000)
    for share in (0.0, 1.0):
        drawn = AuditSample.of(model.manifest, share).probability_if_drawn(events_at(locations), scores, causal=False)
        assert (drawn == share).all()


def test_a_key_is_a_secret_or_no_key(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("0123456789abcdef\n")
    assert read_key(tmp_path / "key") == b"0123456789abcdef"
    (tmp_path / "key").write_text("short")
    with pytest.raises(CommandError, match="has 5 bytes: write 16 or more"):
        read_key(tmp_path / "key")
    with pytest.raises(CommandError, match=r"cannot read the key .*--audit-key"):
        read_key(tmp_path / "none")

"""The encoding: where its pieces lie, and what they say of a value."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from training.network.encoding import CLIP, Encoding, Scales, learn_scales

N = 20_000


def table() -> NDArray[np.float32]:
    """Return [N, 5]: a constant, a flag, three values, a heavy tail, a heavy tail that is mostly 0."""
    rng = np.random.default_rng(0)
    tail, seldom = rng.lognormal(0, 2, N), np.where(rng.random(N) < 0.9, 0.0, rng.lognormal(0, 2, N))
    return np.stack([np.full(N, 3.0), rng.random(N) < 0.1, rng.integers(0, 3, N), tail, seldom], axis=1).astype("f4")


def encoded(scales: Scales, values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return what an encoding that is not trained yet makes of ``values`` [N, F]."""
    encoding = Encoding(len(scales.mean), len(scales.column))
    encoding.set_scales(scales)
    found: NDArray[np.float32] = encoding(torch.from_numpy(values)).detach().numpy()
    return found


def test_only_what_has_more_than_two_values_is_cut_into_pieces() -> None:
    scales = learn_scales(table(), bins=8)
    assert np.bincount(scales.column, minlength=5)[:3].tolist() == [0, 0, 2]
    assert scales.scale[0] == 0.0
    assert len(learn_scales(table(), bins=0).column) == 0


@pytest.mark.parametrize("column", [3, 4])
def test_pieces_are_what_interpolation_between_quantiles_gives(column: int) -> None:
    values = table()
    scales = learn_scales(values, bins=8)
    of_column = np.flatnonzero(scales.column == column)
    own = values[:, column].astype(np.float64)
    usual = own[own != 0] if column == 4 else own
    edges = np.unique([*np.quantile(usual, np.linspace(0, 1, 9)), *([0.0] if column == 4 else [])])
    assert 4 <= len(of_column) <= 9
    kept = scales.low[of_column] / scales.scale[column] + scales.mean[column]
    assert all(np.abs(edges - edge).min() < 1e-5 for edge in kept), "pieces begin at quantiles"
    pieces = encoded(scales, values)[:, 5:][:, of_column]
    high = kept + 1 / (scales.slope[of_column] * scales.scale[column])
    for piece, low, end in zip(pieces.T, kept, high, strict=True):
        np.testing.assert_allclose(piece, np.interp(own, [low, end], [0, 1]), atol=2e-3)


def test_normalised_features_come_first_and_are_clipped() -> None:
    values = table()
    first = encoded(learn_scales(values, bins=4), values)[:, :5]
    expected = (values - values.mean(axis=0, dtype=np.float64)) / values.std(axis=0, dtype=np.float64).clip(1e-6)
    np.testing.assert_allclose(first[:, 1:], np.clip(expected, -CLIP, CLIP)[:, 1:], atol=1e-4)
    assert not first[:, 0].any(), "a constant feature says nothing"
    assert first.max() == CLIP


def test_far_out_is_far_out() -> None:
    far = np.array([[3.0, 1, 2, 1e6, 1e6], [3.0, 1, 2, 1e9, 1e9]], dtype=np.float32)
    one, other = encoded(learn_scales(table(), bins=4), far)
    np.testing.assert_array_equal(one, other)


def test_without_pieces_there_are_the_features_alone() -> None:
    values = table()
    assert encoded(learn_scales(values, bins=0), values).shape == (N, 5)

"""Samples: windows keep to their rows."""

from __future__ import annotations

import numpy as np

from training.samples.labelled_data import Material
from training.samples.samples import concatenate


def test_concatenated_windows_keep_to_their_rows(labelled: Material) -> None:
    parts = labelled.samples("test", labelled.reference("train"))
    both = concatenate(parts)
    rows = len(parts[0].labels)
    for number, part in enumerate(parts):
        first = len(parts[0].windows.start) * number
        mine = slice(first, first + len(part.windows.start))
        np.testing.assert_array_equal(both.windows.start[mine], part.windows.start + rows * number)
        np.testing.assert_array_equal(both.windows.length[mine], part.windows.length)
    of_row = both.windows.start[both.windows.window_of] + both.windows.offset_of
    np.testing.assert_array_equal(of_row, np.arange(len(both.labels)))

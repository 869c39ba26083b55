"""Gathers along rows of large arrays: indices from both ends, none beyond, of every integer dtype."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from autodiff import Value, ops


@pytest.mark.parametrize("dtype", [np.int8, np.int16, np.int32, np.int64])
def test_indices_of_any_width_name_their_places(dtype: Any) -> None:
    """Places are counted from the start of a block in integers that hold them, whatever the dtype of the indices."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((4000, 120)).astype(np.float32)
    places = rng.integers(-120, 120, (4000, 130)).astype(dtype)
    v = Value(x)
    y = ops.take_along_axis(v, places, axis=-1)
    y.backward(np.ones_like(y.data))

    assert np.array_equal(y.data, np.take_along_axis(x, places.astype(np.int64), axis=1))
    counts = [np.bincount(row % 120, minlength=120) for row in places.astype(np.int64)]
    assert np.array_equal(v.grad, counts)


@pytest.mark.parametrize("place", [500, -501])
@pytest.mark.parametrize("row", [0, 999])
def test_a_place_beyond_its_row_is_refused(row: int, place: int) -> None:
    """Also one that another row of the block would have."""
    x = np.ones((1000, 500), np.float32)
    places = np.zeros((1000, 500), np.int64)
    places[row, 3] = place

    with pytest.raises(Exception, match=f"index {place} is out of bounds for axis 1 with size 500"):
        ops.take_along_axis(x, places, axis=1)

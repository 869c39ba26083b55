"""Products of stacks of matrices, so cut that NumPy's BLAS computes each part on the thread that asks for it."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

__all__ = ["product"]

#: OpenBLAS computes products of so many multiplications on the calling thread. Of larger ones only one is computed at
#: a time, by all threads, which for matrices of 128 x 128 takes as long as one thread does alone.
ALONE = 1 << 18

#: The fewest rows for which that pays.
_FEW = 16


@cache
def _step(rows: int, most: int) -> int:
    """Return into parts of how many rows to cut: all if no number of at most `most` divides them."""
    return next((n for n in range(min(rows, most), _FEW - 1, -1) if rows % n == 0), rows)


def product(a: Any, b: Any, out: Any) -> Any:
    """Write ``a @ b`` into `out`, which has its shape, for stacks of matrices; parts run beside those of other threads."""
    rows = a.shape[-2]
    step = _step(rows, ALONE // max(1, a.shape[-1] * b.shape[-1]))
    if step == rows:
        return np.matmul(a, b, out)
    np.matmul(_cut(a, step), b[..., None, :, :], _cut(out, step))
    return out


def _cut(x: Any, step: int) -> Any:
    """Return the rows of matrices in parts, as another leading axis: a view."""
    parts, (along, across) = x.shape[-2] // step, x.strides[-2:]
    return np.lib.stride_tricks.as_strided(
        x, (*x.shape[:-2], parts, step, x.shape[-1]), (*x.strides[:-2], step * along, along, across)
    )

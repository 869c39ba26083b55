"""Central differences, for tests that must not trust any gradient rule."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

__all__ = ["central"]


def central(f: Callable[[Any], Any], x: Any, step: float = 1e-6) -> Any:
    """Return the gradient of a function of one raw float64 array that returns a number."""
    x = np.array(x, dtype=np.float64)
    found = np.zeros_like(x)
    for i in np.ndindex(x.shape):
        above, below = x.copy(), x.copy()
        above[i] += step
        below[i] -= step
        found[i] = (float(f(above)) - float(f(below))) / (2 * step)
    return found

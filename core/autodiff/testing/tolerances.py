"""How far two numbers may be apart: the one rule by which the whole kit compares.

With ε the machine epsilon of the dtype in which the less exact side was computed, a result passes if

    ``abs(actual - expected) <= atol + rtol * max(abs(expected))``

taken over the whole array, where ``rtol = atol`` is

- `rounding`, ε**(2/3), for two ways of computing one result: 4e-11 in float64, 2e-5 in float32, 1e-2 in float16;
  for derivatives of order n in a narrow dtype, n times that, since each differentiation adds its own errors;
- `differencing`, ε**(2/5), against central differences: 5e-7 in float64, 2e-3 in float32.

Central differences take a `step` of ε**(1/3), where truncation and rounding are about equal; what they leave
is ε**(2/3) times the third derivative, for which ε**(2/5) leaves a factor of ten thousand. So samples ought to
give results of the order of one. NaN passes nowhere; an infinity only where both sides have it, and in no
gradient.
"""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["differencing", "rounding", "step"]


def rounding(dtype: Any) -> float:
    """Return the tolerance between two ways of computing one result."""
    return float(_epsilon(dtype) ** (2 / 3))


def differencing(dtype: Any) -> float:
    """Return the tolerance between a derivative and central differences."""
    return float(_epsilon(dtype) ** (2 / 5))


def step(dtype: Any) -> float:
    """Return the step of central differences, relative to the number or to 1, whichever is larger."""
    return float(_epsilon(dtype) ** (1 / 3))


def _epsilon(dtype: Any) -> float:
    return float(np.finfo(dtype).eps) if np.dtype(dtype).kind in "fc" else 0.0

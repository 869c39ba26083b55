"""Loops of float32 that compute exponentials themselves: Numba vectorises what is arithmetic alone.

They are `loops` like the others, and tell like those whether all went well.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

__all__ = ["LOOPS"]

LOOPS: list[Callable[..., Any]] = []


def _listed(function: Callable[..., Any]) -> Callable[..., Any]:
    LOOPS.append(function)
    return function


_F = np.float32


def exp(x: Any) -> Any:
    """Return the exponential of a float32 up to 87, and 0 of one below -87: 2 to a whole number, times a polynomial.

    The coefficients are those of S. Moshier's Cephes library (expf), right to 5 units in the last place.
    """
    whole = np.floor(x * _F(1.44269504) + _F(0.5))
    r = x - whole * _F(0.693359375)
    r -= whole * _F(-2.12194440e-4)
    p = _F(1.9875691500e-4) * r + _F(1.3981999507e-3)
    p = p * r + _F(8.3334519073e-3)
    p = p * r + _F(4.1665795894e-2)
    p = p * r + _F(1.6666665459e-1)
    p = p * r + _F(5.0000001201e-1)
    p = p * r * r + r + _F(1)
    power = np.int32((np.int32(whole) + np.int32(127)) << np.int32(23)).view(np.float32)
    return p * power if x > _F(-87) else _F(0)


@_listed
def gelu(coefficients: Any, x: Any, high: Any, y: Any) -> bool:
    """Fill `y` with ``x / (1 + exp(-2 * x * polynomial(x * x)))``, of float32."""
    well = True
    for i in range(x.shape[0]):
        square = x[i] * x[i]
        p = coefficients[0]
        for c in coefficients[1:]:
            p = p * square + c
        e = exp(min(_F(2) * p * x[i], _F(40)))  # from 17 on the quotient is 1; more might overflow times x
        t = x[i] * (e / (_F(1) + e))
        y[i] = t
        well &= abs(t) <= high
    return well


@_listed
def gelu_rule(coefficients: Any, density: Any, x: Any, limit: Any, dx: Any) -> bool:
    """Multiply `dx` by the derivative, of size 1.2 at most; `density` is that of 0. Leave it if a number is too large.

    In its place, since Numba does not vectorise a loop that writes where it reads by another name.
    """
    well = True
    for i in range(x.shape[0]):
        well &= abs(x[i]) <= _F(1e18)
        well &= abs(dx[i]) <= limit
    if not well:
        return False
    for i in range(x.shape[0]):
        square = x[i] * x[i]
        p = coefficients[0]
        for c in coefficients[1:]:
            p = p * square + c
        e = exp(min(_F(2) * p * x[i], _F(40)))
        dx[i] *= e / (_F(1) + e) + density * x[i] * exp(_F(-0.5) * square)
    return True


@_listed
def softmax(x: Any, tops: Any, limit: Any, y: Any) -> bool:
    """Fill `y` with exponentials of `x`, less the largest of each row, over their sum: a row stays in the cache."""
    for i in range(x.shape[0]):
        if not -limit <= tops[i] <= limit:
            return False
        total = _F(0)
        for j in range(x.shape[1]):
            e = exp(x[i, j] - tops[i])
            y[i, j] = e
            total += e
        total = _F(1) / total
        for j in range(x.shape[1]):
            y[i, j] *= total
    return True


@_listed
def exponential_sums(x: Any, tops: Any, limit: Any, sums: Any) -> bool:
    """Fill `sums` with those of the exponentials of each row, less its largest number if that is finite."""
    well = True
    for i in range(x.shape[0]):
        well &= -limit <= tops[i] <= limit
        total = _F(0)
        for j in range(x.shape[1]):
            well &= x[i, j] <= limit
            total += exp(min(x[i, j] - tops[i], _F(1)))
        sums[i] = total
    return well


@_listed
def exponentials(x: Any, column: Any, factor: Any, limit: Any, y: Any) -> bool:
    """Fill `y` with ``exp(x - column) * factor``, where `x` is no more than `column` but for rounding."""
    well = True
    for i in range(x.shape[0]):
        well &= -limit <= column[i] <= limit and abs(factor[i]) <= limit
        for j in range(x.shape[1]):
            well &= x[i, j] <= limit
            y[i, j] = exp(min(x[i, j] - column[i], _F(1))) * factor[i]
    return well


@_listed
def attention_weights(scores: Any, high: Any, tops: Any, sums: Any) -> bool:
    """Exponentiate float32 scores, keys by queries, less the largest of each query; fill those and the sums."""
    well = True
    for n in range(scores.shape[0]):
        for j in range(scores.shape[2]):
            tops[n, j] = -high
            sums[n, j] = 0
        for i in range(scores.shape[1]):
            for j in range(scores.shape[2]):
                well &= scores[n, i, j] <= high
                tops[n, j] = max(tops[n, j], scores[n, i, j])
        for j in range(scores.shape[2]):
            well &= tops[n, j] > -high
    if not well:
        return False
    for n in range(scores.shape[0]):
        for i in range(scores.shape[1]):
            for j in range(scores.shape[2]):
                e = exp(scores[n, i, j] - tops[n, j])
                scores[n, i, j] = e
                sums[n, j] += e
    return True


@_listed
def attention_slopes(scores: Any, total: Any, slopes: Any, along: Any, scale: Any, limit: Any) -> bool:
    """Turn float32 scores into weights, and `slopes` into ``(slopes - along) * weights * scale``."""
    well = True
    for n in range(scores.shape[0]):
        for i in range(scores.shape[1]):
            for j in range(scores.shape[2]):
                well &= scores[n, i, j] <= limit
                well &= abs(slopes[n, i, j]) <= limit
        for j in range(scores.shape[2]):
            well &= total[n, j] > -limit
            well &= abs(along[n, j]) <= limit
    if not well:
        return False
    for n in range(scores.shape[0]):
        for i in range(scores.shape[1]):
            for j in range(scores.shape[2]):
                e = exp(min(scores[n, i, j] - total[n, j], _F(1)))
                scores[n, i, j] = e
                slopes[n, i, j] = (slopes[n, i, j] - along[n, j]) * e * scale
    return True

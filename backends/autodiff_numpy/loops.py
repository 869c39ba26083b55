"""Loops over rows that Numba compiles where it is installed: one pass over memory where NumPy's functions make ten.

Nothing depends on Numba: without it, and for whatever a loop reports as unusual, the kernels call NumPy. A loop knows
nothing of `numpy.errstate`, hence each returns whether all went well: no result is infinite or NaN that NumPy might
have warned of, and no place is beyond its row. It is imported, and compiles, when the first large array comes; what
it compiled stays in a cache on disk. ``AUTODIFF_NUMBA=0`` leaves it alone.
"""

from __future__ import annotations

import math
import os
import pickle
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache, partial
from typing import Any

import numpy as np

from autodiff_numpy import blocks, single

__all__ = ["bounds", "loop", "pays", "usable", "without"]

Function = Callable[..., Any]

#: Sums may be taken in any order, so that they are vectorised: in the same one at each run, on one processor.
_FREE = {"reassoc", "contract", "nsz"}

_PLAIN: dict[str, Function] = {function.__name__: function for function in single.LOOPS}


#: What else the compiler may do with the arithmetic of some loops.
_FREEDOM: dict[str, Any] = {}


def _row_loop(function: Function) -> Function:
    _PLAIN[function.__name__] = function
    return function


def _exact_loop(function: Function) -> Function:
    """List a loop whose results are those of NumPy's functions bit for bit: nothing is summed, each step is rounded."""
    _FREEDOM[function.__name__] = False
    return _row_loop(function)


def _ordered_loop(function: Function) -> Function:
    """List a loop in which sums are taken in the order that is written."""
    _FREEDOM[function.__name__] = {"contract"}
    return _row_loop(function)


@cache
def _compiler() -> Any:
    """Return Numba's decorator, or None if there is none that works here."""
    if os.environ.get("AUTODIFF_NUMBA") == "0":
        return None
    try:
        from numba import njit
    except Exception as exc:  # one that is not for this NumPy or Python says so in errors of several types
        if not (isinstance(exc, ModuleNotFoundError) and exc.name == "numba"):
            warnings.warn(
                f"Numba is installed but cannot be imported ({type(exc).__name__}: {exc}); NumPy does its work, more "
                f"slowly. Mend or uninstall it, or set AUTODIFF_NUMBA=0",
                RuntimeWarning,
                stacklevel=2,
            )
        return None
    return njit


@cache
def _inlined() -> Any:
    """Return `single.exp` as Numba takes it: a loop can call only what is compiled too."""
    return _compiler()(inline="always", fastmath=_FREE)(single.exp)


#: What Numba raises, before a loop begins, of a cache that is damaged, or on a disk that is full.
_LOST = (OSError, EOFError, pickle.UnpicklingError)


@cache
def _compiled(name: str) -> Function:
    compiler = partial(_compiler(), nogil=True, error_model="numpy", fastmath=_FREEDOM.get(name, _FREE))
    single.exp = _inlined()
    try:
        made: Function = compiler(cache=True)(_PLAIN[name])
    except RuntimeError:  # no folder that the cache could be written to
        made = compiler()(_PLAIN[name])
        return made

    def call(*args: Any) -> Any:
        nonlocal made
        try:
            return made(*args)
        except _LOST:
            made = compiler()(_PLAIN[name])
            return made(*args)

    return call


_switch = {"on": True}


def loop(name: str, size: int) -> Function:
    """Return the loop of this name if it pays for a block of so many elements, else a function that returns False."""
    return _compiled(name) if pays(size) else _refuse


def pays(size: int) -> bool:
    """Tell whether there are loops, and so many elements that it takes less time to call one than NumPy's functions."""
    return size >= blocks.COMPILED and usable()


def usable() -> bool:
    """Tell whether there are loops."""
    return _switch["on"] and _compiler() is not None


def _refuse(*args: Any) -> bool:
    return False


@cache
def bounds(dtype: Any) -> tuple[Any, Any, Any]:
    """Return three sizes: between two a product may be divided again; up to the third no difference overflows."""
    info = np.finfo(dtype)
    return info.smallest_normal / info.eps, info.max, info.max * info.eps / 8


@contextmanager
def without() -> Iterator[None]:
    """Let kernels call NumPy alone, as if there were no Numba. For tests."""
    before = _switch["on"]
    _switch["on"] = False
    try:
        yield
    finally:
        _switch["on"] = before


# Constants come as what the arrays are made of: Numba would widen what they meet to float64. `high` is the largest
# finite number.


# ---- elementwise ---------------------------------------------------------------------------------------------

# Rules, which passes run with warnings off, look for nothing unusual; and tanh has a result for whatever it is given.

#: Of Taylor's series of ``exp(r) - 1``, from the last that counts for ``abs(r) <= log(2) / 2`` on; without the first.
_TAYLOR = tuple(1 / math.factorial(n) for n in range(13, 1, -1))
_LOG2_E = 1 / math.log(2)
#: The logarithm of 2: a part with so few digits that small multiples of it are exact, and the rest.
_LN2, _LN2_REST = 0.6931471803691238, 1.9082149292705877e-10
#: A number is rounded to a whole one by adding this, whose last digit is that of ones; the last bits of the sum are
#: then the exponent of 2 to that power.
_ROUND = 1.5 * 2**52 + 1023


@_ordered_loop
def tanh(x: Any, y: Any) -> bool:
    """Fill `y`, of float64, with ``e / (e + 2)`` for ``e = exp(2 * x) - 1``: right to 2.6 units in the last place."""
    for i in range(len(x)):
        z = 2 * abs(x[i])
        if z > 40:  # not min(), which has a number for NaN
            z = 40.0
        rounded = z * _LOG2_E + _ROUND
        whole = rounded - _ROUND
        r = (z - whole * _LN2) - whole * _LN2_REST
        p = _TAYLOR[0]
        for c in _TAYLOR[1:]:
            p = p * r + c
        power = np.int64(np.float64(rounded).view(np.int64) << 52).view(np.float64)
        e = power * (p * r * r + r) + (power - 1)
        y[i] = math.copysign(e / (e + 2), x[i])
    return True


@_exact_loop
def tanh_rule(g: Any, y: Any, out: Any) -> bool:
    """Fill `out`, which is neither of the others, with ``g - g * y * y``."""
    for i in range(len(g)):
        out[i] = g[i] - g[i] * y[i] * y[i]
    return True


@_exact_loop
def tanh_rule_in_place(g: Any, y: Any) -> bool:
    """Fill `g`: a loop over the same array twice is not vectorised."""
    for i in range(len(g)):
        g[i] = g[i] - g[i] * y[i] * y[i]
    return True


@_exact_loop
def relu(x: Any, out: Any) -> bool:
    """Fill `out` with what is above 0, and NaN."""
    zero = x.dtype.type(0)
    for i in range(len(x)):
        out[i] = x[i] if not x[i] <= zero else zero
    return True


@_exact_loop
def relu_rule(g: Any, y: Any, out: Any) -> bool:
    """Fill `out`, which is neither of the others, with `g` where `y` is above 0."""
    zero = g.dtype.type(0)
    for i in range(len(g)):
        out[i] = g[i] if y[i] > zero else zero
    return True


@_exact_loop
def relu_rule_in_place(g: Any, y: Any) -> bool:
    """Fill `g`."""
    zero = g.dtype.type(0)
    for i in range(len(g)):
        g[i] = g[i] if y[i] > zero else zero
    return True


@_exact_loop
def add_product(total: Any, a: Any, b: Any) -> bool:
    """Add ``a * b`` to `total`."""
    for i in range(len(total)):
        total[i] += a[i] * b[i]
    return True


# ---- layer norm ----------------------------------------------------------------------------------------------


@_row_loop
def layer_norm(x: Any, weight: Any, bias: Any, share: Any, eps: Any, high: Any, y: Any) -> bool:
    """Fill `y`; `share` is 1 over the length of a row."""
    zero, one = x.dtype.type(0), x.dtype.type(1)
    well = True
    for i in range(x.shape[0]):
        mean = zero
        for j in range(x.shape[1]):
            mean += x[i, j]
        mean *= share
        variance = zero
        for j in range(x.shape[1]):
            c = x[i, j] - mean
            variance += c * c
        factor = one / np.sqrt(variance * share + eps)
        well &= variance <= high
        for j in range(x.shape[1]):
            t = (x[i, j] - mean) * factor * weight[j] + bias[j]
            y[i, j] = t
            well &= abs(t) <= high
    return well


@_row_loop
def layer_norm_rule(
    g: Any, x: Any, weight: Any, share: Any, eps: Any, high: Any, dx: Any, dweight: Any, dbias: Any
) -> bool:
    """Fill `dx`, and add to the gradients of weight and bias."""
    zero, one = x.dtype.type(0), x.dtype.type(1)
    well = True
    for i in range(x.shape[0]):
        mean = zero
        for j in range(x.shape[1]):
            mean += x[i, j]
        mean *= share
        variance, level, along = zero, zero, zero
        for j in range(x.shape[1]):
            c = x[i, j] - mean
            h = g[i, j] * weight[j]
            variance += c * c
            level += h
            along += h * c
        factor = one / np.sqrt(variance * share + eps)
        well &= variance <= high
        level *= share
        along *= factor * factor * share
        for j in range(x.shape[1]):
            c = x[i, j] - mean
            dweight[j] += g[i, j] * c * factor
            dbias[j] += g[i, j]
            t = (g[i, j] * weight[j] - level - c * along) * factor
            dx[i, j] = t
            well &= abs(t) <= high
    for j in range(x.shape[1]):
        well &= abs(dweight[j]) <= high and abs(dbias[j]) <= high
    return well


# ---- exponentials --------------------------------------------------------------------------------------------

# The exponentials themselves are NumPy's, which are vectorised.


@_row_loop
def shift(x: Any, column: Any, limit: Any, y: Any) -> bool:
    """Fill `y` with `x` less a number for each row, of a size below which no difference overflows."""
    for i in range(x.shape[0]):
        if not -limit <= column[i] <= limit:
            return False
        for j in range(x.shape[1]):
            y[i, j] = x[i, j] - column[i]
    return True


@_row_loop
def scale(column: Any, high: Any, y: Any) -> bool:
    """Multiply `y`, of numbers up to 1, by a number for each row; leave it as it is if one is infinite or NaN."""
    for i in range(y.shape[0]):
        if not abs(column[i]) <= high:
            return False
    for i in range(y.shape[0]):
        for j in range(y.shape[1]):
            y[i, j] *= column[i]
    return True


@_row_loop
def share_out(high: Any, y: Any) -> bool:
    """Divide each row, of positive numbers, by its sum."""
    for i in range(y.shape[0]):
        total = y[i, 0] - y[i, 0]
        for j in range(y.shape[1]):
            total += y[i, j]
        if not total <= high:
            return False
        total = y.dtype.type(1) / total
        for j in range(y.shape[1]):
            y[i, j] *= total
    return True


@_row_loop
def softmax_rule(g: Any, y: Any, high: Any, dx: Any) -> bool:
    """Fill `dx` with ``(g - sum(g * y)) * y``."""
    well = True
    for i in range(y.shape[0]):
        along = y.dtype.type(0)
        for j in range(y.shape[1]):
            along += g[i, j] * y[i, j]
        for j in range(y.shape[1]):
            t = (g[i, j] - along) * y[i, j]
            dx[i, j] = t
            well &= abs(t) <= high
    return well


# ---- running sums and products, products ---------------------------------------------------------------------


@_row_loop
def running_sum(x: Any, high: Any, y: Any) -> bool:
    """Fill `y` with the sums of what comes before each element, itself included."""
    well = True
    for i in range(x.shape[0]):
        total = x.dtype.type(0)
        for j in range(x.shape[1]):
            total += x[i, j]
            y[i, j] = total
        well &= abs(total) <= high
    return well


@_row_loop
def running_product(x: Any, high: Any, y: Any) -> bool:
    """Fill `y` with the products of what comes before each element, itself included."""
    well = True
    for i in range(x.shape[0]):
        total = x.dtype.type(1)
        for j in range(x.shape[1]):
            total *= x[i, j]
            y[i, j] = total
        well &= abs(total) <= high
    return well


@_row_loop
def running_product_rule(g: Any, x: Any, y: Any, low: Any, high: Any, dx: Any) -> bool:
    """Divide the sums of what comes after by `x`, where all of `y` is between `low` and `high` in size."""
    well = True
    for i in range(x.shape[0]):
        total = x.dtype.type(0)
        for j in range(x.shape[1] - 1, -1, -1):
            size = abs(y[i, j])
            if not low <= size <= high:
                return False
            p = g[i, j] * y[i, j]
            total += p
            t = total / x[i, j]
            well &= abs(p) <= high
            dx[i, j] = t
            well &= abs(t) <= high
    return well


@_row_loop
def product(x: Any, low: Any, high: Any, y: Any) -> bool:
    """Fill `y` with the product of each row, which is between `low` and `high` in size."""
    for i in range(x.shape[0]):
        total = x.dtype.type(1)
        for j in range(x.shape[1]):
            total *= x[i, j]
        if not low <= abs(total) <= high:
            return False
        y[i] = total
    return True


@_row_loop
def product_rule(g: Any, x: Any, low: Any, high: Any, dx: Any) -> bool:
    """Divide the product of each row, times its cotangent, by its elements."""
    well = True
    for i in range(x.shape[0]):
        total = x.dtype.type(1)
        for j in range(x.shape[1]):
            total *= x[i, j]
        if not low <= abs(total) <= high:
            return False
        total *= g[i]
        for j in range(x.shape[1]):
            t = total / x[i, j]
            dx[i, j] = t
            well &= abs(t) <= high
    return well


# ---- places --------------------------------------------------------------------------------------------------


@_row_loop
def take(x: Any, places: Any, y: Any) -> bool:
    """Fill `y` with the elements of each row at the places of that row."""
    width = x.shape[1]
    for i in range(places.shape[0]):
        for j in range(places.shape[1]):
            k = places[i, j]
            if k < 0:
                k += width
            if k < 0 or k >= width:
                return False
            y[i, j] = x[i, k]
    return True


@_row_loop
def add_at(g: Any, places: Any, high: Any, dx: Any) -> bool:
    """Fill `dx` with the sums of what has its place there, in the order of the places."""
    width = dx.shape[1]
    well = True
    for i in range(places.shape[0]):
        for j in range(width):
            dx[i, j] = 0
        for j in range(places.shape[1]):
            k = places[i, j]
            if k < 0:
                k += width
            if k < 0 or k >= width:
                return False
            dx[i, k] += g[i, j]
            well &= abs(g[i, j]) <= high
    return well


@_exact_loop
def add_rows(x: Any, places: Any, seen: Any, high: Any, y: Any) -> bool:
    """Add each row to the row of `y` that is its place, or write it there if that has not been `seen`."""
    well = True
    for i in range(x.shape[0]):
        k = places[i]
        if not seen[k]:
            seen[k] = True
            for j in range(x.shape[1]):
                y[k, j] = x[i, j]
            continue
        for j in range(x.shape[1]):
            t = y[k, j] + x[i, j]
            y[k, j] = t
            well &= abs(t) <= high
    return well

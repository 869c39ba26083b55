"""Special functions of mathematical physics and of information theory."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from autodiff.extend import Array, Sample, binary, elementwise, unary
from autodiff_ops.shapes import require_real

# Rational functions of the C library Cephes: x * T(x**2) / U(x**2) for |x| < 1, 1 - exp(-x**2) P(|x|) / Q(|x|) beyond.
_T = (9.60497373987051638749e0, 9.00260197203842689217e1, 2.23200534594684319226e3, 7.00332514112805075473e3,
      5.55923013010394962768e4)  # fmt: skip
_U = (1.0, 3.35617141647503099647e1, 5.21357949780152679795e2, 4.59432382970980127987e3, 2.26290000613890934246e4,
      4.92673942608635921086e4)  # fmt: skip
_P = (2.46196981473530512524e-10, 5.64189564831068821977e-1, 7.46321056442269912687e0, 4.86371970985681366614e1,
      1.96520832956077098242e2, 5.26445194995477358631e2, 9.34528527171957607540e2, 1.02755188689515710272e3,
      5.57535335369399327526e2)  # fmt: skip
_Q = (1.0, 1.32281951154744992508e1, 8.67072140885989742329e1, 3.54937778887819891062e2, 9.75708501743205489753e2,
      1.82390916687909736289e3, 2.24633760818710981792e3, 1.65666309194161350182e3,
      5.57535340817727675546e2)  # fmt: skip
# For single precision erf(x) = tanh(x * A(x**2)): half as many operations as a rational function, and tanh is fast
# and ends at 1. A is fitted to atanh(erf(x)) / x up to 4.2, for the least relative error of erf: 1e-7, by Lawson's
# algorithm. It grows from there on.
SINGLE = (1.41880914e-07, -5.66902763e-06, 8.76410666e-05, -6.19795632e-04, -1.91816967e-04, 1.02769049e-01,
          1.12837928e00)  # fmt: skip
_END = 4.2
_SLOPE = 2 / math.sqrt(math.pi)

#: So many elements at a time: what is computed on the way stays in the cache.
_BLOCK = 16384


def in_blocks(function: Callable[..., Any], *arrays: Any) -> Any:
    """Return ``function(*arrays)``, elementwise on NumPy arrays of one shape, computed block by block."""
    if arrays[0].size <= _BLOCK:
        return function(*arrays)
    import numpy as np

    from autodiff_numpy import blocks

    flat = [a.reshape(-1) for a in arrays]
    parts = [slice(i, i + _BLOCK) for i in range(0, flat[0].size, _BLOCK)]
    first = function(*[a[parts[0]] for a in flat])
    y = np.empty(flat[0].size, first.dtype)
    y[parts[0]] = first

    def work(part: slice) -> None:
        y[part] = function(*[a[part] for a in flat])

    blocks.in_blocks(work, parts[1:])
    return y.reshape(arrays[0].shape)


def _polynomial(x: Any, coefficients: Sequence[float]) -> Any:
    y: Any = coefficients[0]
    for c in coefficients[1:]:
        y = y * x + c
    return y


@elementwise(
    partials=(lambda x, xp: _SLOPE * xp.exp(-x * x),),
    c="erf(x)",
    c_partials=(f"(T){_SLOPE!r} * exp(-x * x)",),
    samples=[*unary(), *unary(-4.0, -0.9)],
    reference="scipy.special:erf",
)
def erf(xp: Any, x: Any) -> Any:
    """Error function, ``2 / sqrt(pi)`` times the integral of ``exp(-t**2)`` from 0 to `x`, for real `x`.

    The derivative is ``2 / sqrt(pi) * exp(-x**2)``. In float64 values are within 4e-16 of the true ones, relative
    to them, in float32 within 5e-7.

    References
    ----------
    S. Moshier, "Methods and Programs for Mathematical Functions" (1989); the Cephes library.

    Examples
    --------
    >>> import autodiff
    >>> round(autodiff.ops.erf(1.0).item(), 12)
    0.84270079295
    """
    require_real("erf", x.dtype, xp)
    if x.dtype not in (xp.float32, xp.float64):  # the range of half precision is too small for the coefficients
        return xp.astype(erf.function(xp, xp.astype(x, xp.float32)), x.dtype)
    if x.dtype == xp.float32:
        x = xp.clip(x, -_END, _END)
        return xp.tanh(x * _polynomial(x * x, SINGLE))
    # From 6 on the result is 1, also where the square or the exponential would overflow.
    size = xp.minimum(xp.abs(x), 6.0)
    z = size * size
    near = x * (_polynomial(z, _T) / _polynomial(z, _U))
    far = 1 - xp.exp(-z) * (_polynomial(size, _P) / _polynomial(size, _Q))
    return xp.where(size < 1, near, xp.sign(x) * far)


@erf.kernel("numpy")
def _erf_numpy(x: Any) -> Any:
    import numpy as np

    from autodiff_numpy import blocks

    require_real("erf", x.dtype, np)
    if x.dtype == np.float16:  # its range is too small for the coefficients
        return _erf_numpy(x.astype(np.float32)).astype(np.float16)
    if x.size < blocks.SEVERAL:
        dtype = np.result_type(x, np.float32 if x.dtype == np.float32 else np.float64)
        return np.array([math.erf(number) for number in x.reshape(-1).tolist()], dtype).reshape(x.shape)
    if x.dtype == np.float32:
        with np.errstate(over="ignore", under="ignore"):  # the powers of large and small numbers
            return blocks.by_elements(lambda out, x: tanh_of(SINGLE, x, np.multiply(x, x), out), x)
    return in_blocks(partial(erf.function, np), x)


def tanh_of(coefficients: Sequence[float], x: Any, square: Any, out: Any) -> Any:
    """Write ``tanh(x * polynomial(square))`` into `out`, for NumPy, and return it."""
    import numpy as np

    np.multiply(square, coefficients[0], out)
    for c in coefficients[1:-1]:
        out += c
        out *= square
    out += coefficients[-1]
    out *= x
    return np.tanh(out, out)


def _xlogy_partial_x1(x2: Any, xp: Any) -> Any:
    return math.log(x2) if type(x2) in (int, float) and x2 > 0 else xp.log(x2)


def _xlogy_partial_x2(x1: Any, x2: Any, xp: Any) -> Any:
    # Where x1 is 0 the function is, for every x2: so is the derivative, where the formula has 0 / 0.
    return x1 / xp.where((x1 == 0) & (x2 == 0), 1.0, x2)


@elementwise(
    partials=(_xlogy_partial_x1, _xlogy_partial_x2),
    c="x1 == 0 && !isnan(x2) ? 0 : x1 * log(x2)",
    c_partials=("log(x2)", "x1 == 0 && x2 == 0 ? 0 : x1 / x2"),
    reference="scipy.special:xlogy",
    samples=[
        *binary((-2.0, 2.0), (0.5, 2.0)),
        Sample((0.5, Array((3,), 0.5, 2.0))),
        Sample((Array((3,), 0.5, 1.5, "complex"), Array((3,), 0.5, 1.5, "complex"))),
    ],
)
def xlogy(xp: Any, x1: Any, x2: Any) -> Any:
    """``x1 * log(x2)``, and 0 where `x1` is 0, unless `x2` is NaN.

    The derivatives are ``log(x2)``, also at ``x1 = 0``, and ``x1 / x2``, which is 0 at ``x1 = 0``.

    Examples
    --------
    >>> import autodiff
    >>> autodiff.ops.xlogy(0.0, 0.0).item()
    0.0
    """
    if type(x2) in (int, float):  # a number takes the dtype of the array beside it
        x2 = xp.asarray(x2, dtype=x1.dtype)
    return x1 * xp.log(xp.where((x1 == 0) & ~xp.isnan(x2), 1.0, x2))

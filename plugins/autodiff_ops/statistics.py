"""Statistics made of other ops: order statistics, weighted averages, covariances, and what leaves NaN out."""

from __future__ import annotations

import math
from typing import Any

from autodiff.extend import ArgumentError, Array, Sample, broadcast_to, composite, sample
from autodiff_ops.conversion import astype
from autodiff_ops.diagonals import diagonal
from autodiff_ops.elementwise.arithmetic import abs as size
from autodiff_ops.elementwise.arithmetic import conj, multiply, square
from autodiff_ops.elementwise.comparison import isnan, where
from autodiff_ops.elementwise.exponential import sqrt
from autodiff_ops.elementwise.logical import logical_not
from autodiff_ops.linalg import matmul
from autodiff_ops.manipulation import expand_dims, matrix_transpose, permute_dims, reshape, stack
from autodiff_ops.reduction import max, mean, min, nanmean, prod, sum
from autodiff_ops.searching import all as all_of
from autodiff_ops.shapes import arrayed, is_complex, normal_axes, size_of
from autodiff_ops.sorting import sort

_AXES = [sample((2, 3)), sample((2, 3), axis=0), sample((2, 3, 4), axis=(2, 0), keepdims=True)]
_DISTINCT = [Sample(tuple(Array(a.shape, distinct=True) for a in s.inputs), s.attrs) for s in _AXES]


def _lanes(where: str, x: Any, axis: Any) -> tuple[Any, tuple[int, ...]]:
    """Return an array with the axes of a reduction as one, the last, and the shape with units in their place."""
    axes = normal_axes(where, axis, len(x.shape))
    kept = tuple(i for i in range(len(x.shape)) if i not in axes)
    length = size_of(x.shape[a] for a in axes)
    flat = reshape(permute_dims(x, axes=(*kept, *axes)), shape=(*(x.shape[i] for i in kept), length))
    return flat, tuple(1 if i in axes else n for i, n in enumerate(x.shape))


def _wide(x: Any) -> Any:
    """Return half precision as float32, in which its sums are taken; anything else as it is."""
    return astype(x, dtype="float32") if "float16" in str(x.dtype) else x


def _placed(y: Any, units: tuple[int, ...], keepdims: bool) -> Any:
    return reshape(y, shape=units) if keepdims else y


# ---- order -----------------------------------------------------------------------------------------------------

_METHODS = ("linear", "lower", "higher", "nearest", "midpoint")


def _between(ordered: Any, q: float, method: str) -> Any:
    """Return the quantile of elements that are in order along the last axis."""
    place = q * (ordered.shape[-1] - 1)
    low, high = math.floor(place), math.ceil(place)
    if method == "linear":
        share = place - low
    elif method == "midpoint":
        share = 0.5
    else:
        low = high = {"lower": low, "higher": high, "nearest": round(place)}[method]
        share = 0.0
    first, second = ordered[..., low], ordered[..., high]
    y = first if low == high else first + (second - first) * share
    return where(isnan(ordered[..., -1]), math.nan, y)  # NaN is sorted last, and spreads


@composite(
    samples=[
        *(Sample(s.inputs, {**s.attrs, "q": q}) for s, q in zip(_DISTINCT, (0.3, 0.5, 1.0), strict=True)),
        sample(Array((5,), distinct=True), q=(0.25, 0.75)),
        *(sample(Array((4,), distinct=True), q=0.4, method=m) for m in _METHODS),
    ]
)
def quantile(x: Any, *, q: Any, axis: Any = None, keepdims: bool = False, method: str = "linear") -> Any:
    """The element below which a share `q` of the others lies, along `axis`: an int, a tuple of ints, None for all.

    Parameters
    ----------
    x : array
        Real numbers; NaN spreads to the result.
    q : float or tuple of float
        From 0 to 1. Of several the results are stacked along a first axis.
    axis, keepdims
        As of `sum`.
    method : {"linear", "lower", "higher", "nearest", "midpoint"}
        What is between two elements: interpolation, one of them, or their mean.

    Raises
    ------
    ArgumentError
        `q` is not within 0 and 1, there is no element, or `method` is something else.

    Notes
    -----
    The gradient goes to the elements that the result is made of; among equal ones to those that `sort` takes
    for the first.

    Examples
    --------
    >>> import numpy as np
    >>> import autodiff
    >>> autodiff.ops.quantile(np.array([1.0, 2.0, 4.0]), q=0.75).item()
    3.0
    """
    x = arrayed(x)
    shares = q if isinstance(q, tuple | list) else (q,)
    if method not in _METHODS:
        raise ArgumentError(f"quantile: method is one of {', '.join(map(repr, _METHODS))}; it was given {method!r}")
    if not _all_within(shares):
        raise ArgumentError(f"quantile: q is a number from 0 to 1, or a tuple of them; it was given {q!r}")
    flat, units = _lanes("quantile", x, axis)
    if flat.shape[-1] == 0:
        raise ArgumentError(f"quantile: of no elements there is none; x has shape {tuple(x.shape)}, axis is {axis!r}")
    ordered = sort(flat)
    parts = [_placed(_between(ordered, s, method), units, keepdims) for s in shares]
    if not isinstance(q, tuple | list):
        return parts[0]
    return stack(*parts, axis=0)


def _all_within(shares: Any) -> bool:
    """Tell whether all are numbers from 0 to 1."""
    return not [s for s in shares if not isinstance(s, int | float) or not 0 <= s <= 1]


@composite(samples=[*_DISTINCT, sample(Array((4,), distinct=True)), sample(Array((5,), distinct=True))])
def median(x: Any, *, axis: Any = None, keepdims: bool = False) -> Any:
    """The middle element along `axis`, or the mean of the two in the middle; NaN spreads.

    The gradient goes to the middle element, or by halves to two.

    Examples
    --------
    >>> from autodiff import Value, ops
    >>> x = Value([3.0, 1.0, 2.0, 10.0])
    >>> ops.median(x).backward()
    >>> x.grad
    array([0.5, 0. , 0.5, 0. ])
    """
    return quantile(x, q=0.5, axis=axis, keepdims=keepdims)


@composite(samples=_DISTINCT)
def ptp(x: Any, *, axis: Any = None, keepdims: bool = False) -> Any:
    """Peak to peak: the maximum less the minimum along `axis`; those that tie share the gradient.

    Examples
    --------
    >>> import numpy as np
    >>> import autodiff
    >>> autodiff.ops.ptp(np.array([3.0, 1.0, 2.0])).item()
    2.0
    """
    return max(x, axis=axis, keepdims=keepdims) - min(x, axis=axis, keepdims=keepdims)


# ---- averages ----------------------------------------------------------------------------------------------------


@composite(
    samples=[
        sample((3,), Array((3,), 0.5, 1.5)),
        sample((2, 3), Array((3,), 0.5, 1.5), axis=1),
        sample((2, 3), Array((2,), 0.5, 1.5), axis=0, keepdims=True),
        sample((2, 3), Array((2, 3), 0.5, 1.5)),
        sample((2, 3), Array((2, 3), 0.5, 1.5), axis=0),
    ]
)
def average(x: Any, weights: Any, *, axis: int | None = None, keepdims: bool = False) -> Any:
    """Weighted mean along `axis`, ``sum(x * weights) / sum(weights)``; weights of one dimension lie along it.

    Half precision is summed in float32.

    Examples
    --------
    >>> import numpy as np
    >>> import autodiff
    >>> autodiff.ops.average(np.array([1.0, 4.0]), np.array([2.0, 1.0])).item()
    2.0
    """
    x, weights = arrayed(x), arrayed(weights)
    half = _wide(x) is not x and _wide(weights) is not weights
    if weights.shape != x.shape:
        if axis is None or len(weights.shape) != 1 or weights.shape[0] != x.shape[axis]:
            raise ArgumentError(
                f"average: x has shape {tuple(x.shape)} and weights {tuple(weights.shape)}; expected the same, or one "
                f"dimension as long as `axis`, which is {axis!r}"
            )
        place = normal_axes("average", axis, len(x.shape))[0]
        weights = reshape(weights, shape=(-1, *(1,) * (len(x.shape) - 1 - place)))
        weights = broadcast_to(weights, shape=tuple(x.shape))
    products, weights = multiply(_wide(x), _wide(weights)), _wide(weights)
    y = sum(products, axis=axis, keepdims=keepdims) / sum(weights, axis=axis, keepdims=keepdims)
    return astype(y, dtype=x.dtype) if half else y


@composite(
    samples=[
        sample((2, 4)),
        sample((3, 2), rowvar=False),
        sample((5,), correction=0),
        Sample((Array((2, 3), kind="complex"),)),
    ]
)
def cov(x: Any, *, rowvar: bool = True, correction: float = 1) -> Any:
    """Covariances of variables, which are rows, or with ``rowvar=False`` columns; of one variable its variance.

    ``(x - mean(x)) @ (x - mean(x))^H / (n - correction)``, in float32 for half precision.

    Examples
    --------
    >>> import numpy as np
    >>> import autodiff
    >>> autodiff.ops.cov(np.array([[1.0, 2.0, 3.0], [3.0, 2.0, 1.0]]))
    array([[ 1., -1.],
           [-1.,  1.]])
    """
    x = arrayed(x)
    if len(x.shape) > 2:
        raise ArgumentError(f"cov takes one or two dimensions; x has shape {tuple(x.shape)}")
    if _wide(x) is not x:
        return astype(cov(_wide(x), rowvar=rowvar, correction=correction), dtype=x.dtype)
    x = reshape(x, shape=(1, -1)) if len(x.shape) < 2 else x if rowvar else matrix_transpose(x)
    apart = x - mean(x, axis=1, keepdims=True)
    there = matrix_transpose(apart)
    y = matmul(apart, conj(there) if is_complex(x) else there) / (x.shape[1] - correction)
    return y[0, 0] if x.shape[0] == 1 else y


@composite(samples=[sample((2, 4)), sample((4, 3), rowvar=False)])
def corrcoef(x: Any, *, rowvar: bool = True) -> Any:
    """Correlations of variables: `cov`, divided by the standard deviations of both.

    Examples
    --------
    >>> import numpy as np
    >>> import autodiff
    >>> autodiff.ops.corrcoef(np.array([[1.0, 2.0, 3.0], [3.0, 2.0, 1.0]])).round(3).tolist()
    [[1.0, -1.0], [-1.0, 1.0]]
    """
    x = arrayed(x)
    if _wide(x) is not x:
        return astype(corrcoef(_wide(x), rowvar=rowvar), dtype=x.dtype)
    y = cov(x, rowvar=rowvar)
    if len(y.shape) < 2:
        return y / y
    spread = sqrt(diagonal(y))
    return y / multiply(expand_dims(spread, axis=1), expand_dims(spread, axis=0))


# ---- without NaN -------------------------------------------------------------------------------------------------


def _extremum(over: Any, x: Any, axis: Any, keepdims: bool, worst: float) -> Any:
    x = arrayed(x)
    none = isnan(x)
    y = over(where(none, worst, x), axis=axis, keepdims=keepdims)
    return where(all_of(none, axis=axis, keepdims=keepdims), math.nan, y)


@composite(samples=_DISTINCT)
def nanmax(x: Any, *, axis: Any = None, keepdims: bool = False) -> Any:
    """Maximum along `axis` of what is not NaN, and NaN where nothing else is; ties share the gradient.

    Examples
    --------
    >>> import numpy as np
    >>> import autodiff
    >>> autodiff.ops.nanmax(np.array([1.0, np.nan, 2.0])).item()
    2.0
    """
    return _extremum(max, x, axis, keepdims, -math.inf)


@composite(samples=_DISTINCT)
def nanmin(x: Any, *, axis: Any = None, keepdims: bool = False) -> Any:
    """Minimum along `axis` of what is not NaN, and NaN where nothing else is; ties share the gradient.

    Examples
    --------
    >>> import numpy as np
    >>> import autodiff
    >>> autodiff.ops.nanmin(np.array([1.0, np.nan, 2.0])).item()
    1.0
    """
    return _extremum(min, x, axis, keepdims, math.inf)


@composite(samples=_AXES)
def nanprod(x: Any, *, axis: Any = None, keepdims: bool = False) -> Any:
    """Product along `axis` of what is not NaN; the gradient of an element that is NaN is 0.

    Examples
    --------
    >>> import numpy as np
    >>> import autodiff
    >>> autodiff.ops.nanprod(np.array([3.0, np.nan, 2.0])).item()
    6.0
    """
    x = arrayed(x)
    return prod(where(isnan(x), 1.0, x), axis=axis, keepdims=keepdims)


@composite(samples=[*_AXES, sample((5,), correction=1), Sample((Array((4,), kind="complex"),))])
def nanvar(x: Any, *, axis: Any = None, correction: float = 0.0, keepdims: bool = False) -> Any:
    """Variance along `axis` of what is not NaN: ``sum(|x - mean(x)|^2) / (n - correction)`` of the n others.

    Where n is not above the correction it is NaN.

    Half precision is summed in float32. The gradient of an element that is NaN is 0.

    Examples
    --------
    >>> import numpy as np
    >>> import autodiff
    >>> autodiff.ops.nanvar(np.array([1.0, np.nan, 3.0])).item()
    1.0
    """
    x = arrayed(x)
    if _wide(x) is not x:
        return astype(nanvar(_wide(x), axis=axis, correction=correction, keepdims=keepdims), dtype=x.dtype)
    none = isnan(x)
    # Of NaN the others' mean is taken off another number, lest NaN times 0 come back with the gradient.
    apart = where(none, 0.0, where(none, 0.0, x) - nanmean(x, axis=axis, keepdims=True))
    squares = square(size(apart))
    count = sum(astype(logical_not(none), dtype=squares.dtype), axis=axis, keepdims=keepdims)
    freedom = count - correction
    return sum(squares, axis=axis, keepdims=keepdims) / where(freedom > 0, freedom, math.nan)


@composite(samples=[*_AXES, sample((5,), correction=1)])
def nanstd(x: Any, *, axis: Any = None, correction: float = 0.0, keepdims: bool = False) -> Any:
    """Standard deviation along `axis` of what is not NaN: the square root of `nanvar`; its gradient is 0 where that is.

    Examples
    --------
    >>> import numpy as np
    >>> import autodiff
    >>> autodiff.ops.nanstd(np.array([1.0, np.nan, 3.0])).item()
    1.0
    """
    x = arrayed(x)
    if _wide(x) is not x:
        return astype(nanstd(_wide(x), axis=axis, correction=correction, keepdims=keepdims), dtype=x.dtype)
    spread = nanvar(x, axis=axis, correction=correction, keepdims=keepdims)
    flat = spread == 0
    return where(flat, 0.0, sqrt(where(flat, 1.0, spread)))

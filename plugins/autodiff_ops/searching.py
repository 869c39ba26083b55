"""Questions about arrays whose answers are indices, counts and truths: none is differentiable."""

from __future__ import annotations

from typing import Any

from autodiff.extend import Array, Sample, primitive, sample, shifted
from autodiff_ops.manipulation import reshape
from autodiff_ops.shapes import size_of

_ONE_AXIS = [
    Sample((Array((2, 3), distinct=True),), {"axis": axis, "keepdims": keepdims})
    for axis in (None, 0, -1)
    for keepdims in (False, True)
]
_TRUTHS = [
    Sample((Array((2, 3), kind="bool"),), {"axis": axis, "keepdims": keepdims})
    for axis in (None, 0, (-1, 0))
    for keepdims in (False, True)
]
_TRUTHS = [*_TRUTHS, sample((2, 3), axis=1), sample((0, 2), axis=0), sample(())]


def _argmax_batching(x: Any, axis: int | None, keepdims: bool) -> Any:
    if axis is not None:
        return argmax(x, axis=shifted(axis, len(x.shape) - 1), keepdims=keepdims)
    found = argmax(reshape(x, shape=(x.shape[0], size_of(x.shape[1:]))), axis=1)
    return reshape(found, shape=(-1, *(1,) * (len(x.shape) - 1))) if keepdims else found


@primitive(vjps=(None,), samples=_ONE_AXIS, method=True, batching=_argmax_batching)
def argmax(x: Any, *, axis: int | None = None, keepdims: bool = False) -> Any:
    """Index of the first largest element along `axis`, or for None in the flattened array; not differentiable.

    Examples
    --------
    >>> import numpy as np
    >>> import autodiff
    >>> autodiff.ops.argmax(np.array([1.0, 3.0, 2.0])).item()
    1
    """


def _argmin_batching(x: Any, axis: int | None, keepdims: bool) -> Any:
    if axis is not None:
        return argmin(x, axis=shifted(axis, len(x.shape) - 1), keepdims=keepdims)
    found = argmin(reshape(x, shape=(x.shape[0], size_of(x.shape[1:]))), axis=1)
    return reshape(found, shape=(-1, *(1,) * (len(x.shape) - 1))) if keepdims else found


@primitive(vjps=(None,), samples=_ONE_AXIS, method=True, batching=_argmin_batching)
def argmin(x: Any, *, axis: int | None = None, keepdims: bool = False) -> Any:
    """Index of the first smallest element along `axis`, or for None in the flattened array; not differentiable.

    Examples
    --------
    >>> import numpy as np
    >>> import autodiff
    >>> autodiff.ops.argmin(np.array([1.0, 3.0, 2.0])).item()
    0
    """


@primitive(vjps=(None,), samples=_TRUTHS, method=True, batching=("axis",))
def all(x: Any, *, axis: Any = None, keepdims: bool = False) -> Any:  # the array API's name
    """Whether all elements over `axis` are true, that is not 0: True for none at all; not differentiable.

    Examples
    --------
    >>> import numpy as np
    >>> import autodiff
    >>> autodiff.ops.all(np.array([True, False])).item()
    False
    """


@primitive(vjps=(None,), samples=_TRUTHS, method=True, batching=("axis",))
def any(x: Any, *, axis: Any = None, keepdims: bool = False) -> Any:  # the array API's name
    """Whether any element over `axis` is true, that is not 0: False for none at all; not differentiable.

    Examples
    --------
    >>> import numpy as np
    >>> import autodiff
    >>> autodiff.ops.any(np.array([True, False])).item()
    True
    """


@primitive(vjps=(None,), samples=_TRUTHS, batching=("axis",))
def count_nonzero(xp: Any, x: Any, *, axis: Any = None, keepdims: bool = False) -> Any:
    """How many elements over `axis` are not 0; not differentiable.

    Examples
    --------
    >>> import numpy as np
    >>> import autodiff
    >>> autodiff.ops.count_nonzero(np.array([1.0, 0.0, 2.0])).item()
    2
    """
    # As an array: NumPy gives one of Python's numbers where there is a single one.
    return xp.asarray(xp.count_nonzero(x, axis=axis, keepdims=keepdims))

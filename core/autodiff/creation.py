"""What `autodiff.numpy` makes arrays with: from numbers alone, Values that need no gradient.

What is filled with Values, or joined from them, is differentiable like any other op of theirs; where a Value only
says how much is made, one that needs a gradient is refused, since it would be lost in silence.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from typing import Any

from autodiff.backend import Backend
from autodiff.batches import base_of, levels_of
from autodiff.broadcasting import broadcast_to
from autodiff.errors import ArgumentError, ArgumentTypeError, GradientTypeError, shown
from autodiff.refusals import spelled
from autodiff.registry import registry
from autodiff.standard import standard
from autodiff.value import Value, unwrap, wrap

__all__ = ["CREATION", "array", "asarray", "asarray_on", "creator", "from_dlpack", "joined"]

CREATION = (
    *("zeros", "ones", "full", "empty", "arange", "linspace", "geomspace", "eye", "identity", "tri"),
    *("bartlett", "blackman", "hamming", "hanning", "kaiser"),
    *("zeros_like", "ones_like", "full_like", "empty_like"),
)


@cache
def creator(name: str, backend: Backend | None = None) -> Callable[..., Any]:
    """Return NumPy's creation function `name`; it works on `backend`, else on that of its arguments."""

    def create(*args: Any, device: str | None = None, **kwargs: Any) -> Any:
        if name in _FILLED:
            made = _FILLED[name](partial(_create, name, backend), *args, **kwargs)
        else:
            made = _create(name, backend, *args, **kwargs)
        return made if device is None else made.to(device)

    create.__name__ = create.__qualname__ = name
    create.__doc__ = f"``numpy.{name}``: a Value that needs no gradient, unless it is filled from one that does."
    return spelled(create)


def _create(name: str, backend: Backend | None, *args: Any, **kwargs: Any) -> Value:
    for i, arg in enumerate([*args, *kwargs.values()]):
        if type(arg) is Value and arg.requires_grad and not (i == 0 and name.endswith("_like")):
            raise GradientTypeError(
                f"{name} was given a Value that needs a gradient, {shown(arg)}, for something that has none. Pass its "
                f".item() or .detach()."
            )
    raw = [unwrap(a) for a in args]
    like = next((found for a in raw if (found := registry.backend_of(type(a)))), None)
    own = base_of(backend or like or registry.backend())
    if name.endswith("_like") and levels_of(raw[0]):  # an array like that of one example of a batch
        name, kwargs = name.removesuffix("_like"), {"dtype": raw[0].dtype, **_given(kwargs)}
        raw[0] = raw[0].shape
    made = getattr(own.xp, name)(*raw, **{key: unwrap(arg) for key, arg in kwargs.items()})
    made_by = registry.backend_of(type(made))
    if made_by is None or registry.kind(made.dtype, made_by) == "other":
        raise ArgumentTypeError(f"there are no Values of dtype {made.dtype}; expected numbers")
    return wrap(made, None)


def _given(kwargs: dict[str, Any]) -> dict[str, Any]:
    return {key: arg for key, arg in kwargs.items() if arg is not None}


def _full(create: Callable[..., Any], shape: Any, fill_value: Any, dtype: Any = None, **rest: Any) -> Any:
    if type(fill_value) is not Value:
        return create(shape, fill_value, dtype=dtype, **rest)
    filled = fill_value if dtype is None else fill_value.astype(dtype)
    return broadcast_to(filled, shape=tuple(shape) if isinstance(shape, list | tuple) else (shape,))


def _full_like(create: Callable[..., Any], x: Any, fill_value: Any, dtype: Any = None, **rest: Any) -> Any:
    if type(fill_value) is not Value:
        return create(x, fill_value, dtype=dtype, **rest)
    x = asarray(x)
    return broadcast_to(fill_value.astype(x.dtype if dtype is None else dtype), shape=x.shape)


def _linspace(
    create: Callable[..., Any], start: Any, stop: Any, num: int = 50, endpoint: bool = True, **rest: Any
) -> Any:
    ends = [end for end in (start, stop) if type(end) is Value and end.requires_grad]
    if not ends:
        return create(start, stop, num, endpoint=endpoint, **rest)
    dtype = rest.pop("dtype", None)
    if rest:
        raise GradientTypeError(f"linspace({next(iter(rest))}=...) is not supported for Values; leave it out")
    own: Any = registry.backend_of(type(unwrap(ends[0])))
    ndim = max(len(end.shape) if hasattr(end, "shape") else 0 for end in (start, stop))
    steps = wrap(own.xp.linspace(0.0, 1.0, num, endpoint=endpoint, dtype=own.real(unwrap(ends[0])).dtype), None)
    steps = standard.reshape(steps, shape=(num,) + (1,) * ndim)
    made = start * (1.0 - steps) + stop * steps
    return made if dtype is None else made.astype(dtype)


#: What may be filled with Values: each is handed the plain creation function first.
_FILLED: dict[str, Callable[..., Any]] = {"full": _full, "full_like": _full_like, "linspace": _linspace}


@spelled
def asarray(obj: Any, dtype: Any = None, *, device: str | None = None, copy: bool | None = None) -> Value:
    """``numpy.asarray``: a Value as it is, lists with Values in them joined, anything else without a gradient."""
    made = _asarray(None, obj, dtype, copy)
    return made if device is None else made.to(device)


def _asarray(backend: Backend | None, obj: Any, dtype: Any = None, copy: bool | None = None) -> Value:
    whole = joined(obj)
    if whole is not obj:
        obj, copy = whole, False
    if type(obj) is Value:
        obj = obj if dtype is None else obj.astype(dtype)
        return standard.positive(obj) if copy else obj  # type: ignore[no-any-return]  # an op of a Value gives a Value
    if backend is not None and registry.backend_of(type(obj)) is None:
        return wrap(backend.asarray(obj, dtype=dtype), None)
    data, own = registry.asarray(obj, dtype=dtype)
    return wrap(own.fresh(data) if copy else data, None)


def asarray_on(backend: Backend) -> Callable[..., Any]:
    """Return `asarray` for rules: numbers and lists become arrays of `backend`."""

    def asarray(obj: Any, dtype: Any = None, *, copy: bool | None = None) -> Value:
        return _asarray(backend, obj, dtype, copy)

    return spelled(asarray)


@spelled
def array(object: Any, dtype: Any = None, *, copy: bool | None = True) -> Value:  # NumPy's name of the argument
    """``numpy.array``: as `asarray`, and a copy."""
    return asarray(object, dtype, copy=copy)  # type: ignore[no-any-return]  # it is decorated


@spelled
def from_dlpack(x: Any, /, *, device: str | None = None, copy: bool | None = None) -> Value:
    """``numpy.from_dlpack``: a Value without a gradient in the memory of another library's array, on host or device.

    Parameters
    ----------
    x : object with ``__dlpack__`` and ``__dlpack_device__``
        An array of PyTorch, JAX, NumPy, CuPy or any other library that has DLPack.
    device : str, optional
        Where the Value shall be, as `Value.to` takes it; where `x` is by default.
    copy : bool, optional
        True makes a copy, and with False it is an error if one is needed.

    Raises
    ------
    ArgumentTypeError
        `x` has no DLPack, its device is that of no backend, or its library refuses, as PyTorch does where a tensor
        needs a gradient.
    BackendUnavailableError
        The backend of its device cannot run here.
    BufferError
        What the protocol has for it: the dtype is none of DLPack's, or it would take a copy that ``copy=False`` forbids.

    Examples
    --------
    >>> import numpy as np
    >>> import autodiff.numpy as anp
    >>> a = np.array([1.0, 2.0])
    >>> v = anp.from_dlpack(a)
    >>> a[0] = 5.0
    >>> v.data
    array([5., 2.])
    """
    if not (hasattr(x, "__dlpack__") and hasattr(x, "__dlpack_device__")):
        raise ArgumentTypeError(f"from_dlpack was given a {type(x).__name__}, which has no __dlpack__")
    kind = int(x.__dlpack_device__()[0])
    own = next((b for b in registry.load().backends.values() if kind in b.dlpack_kinds), None)
    if own is None:
        raise ArgumentTypeError(
            f"from_dlpack was given an array on a device of DLPack's kind {kind}; no backend has such"
        )
    shared = own.require().from_dlpack(x, copy=False if copy is False else None)
    value: Value = wrap(own.fresh(shared) if copy else shared, None)
    if registry.kind(value.dtype, own) == "other":
        raise ArgumentTypeError(f"there are no Values of dtype {value.dtype}; expected numbers")
    moved = value if device is None else value.to(device)
    if copy is False and unwrap(moved) is not unwrap(value):
        raise ArgumentError(f"from_dlpack(copy=False) was asked for {device!r}, and the array is elsewhere")
    return moved


def joined(obj: Any) -> Any:
    """Return a list with Values in it as one Value; anything else as it is."""
    first = _first_value(obj)
    return obj if first is None or first is obj else _joined(obj, first)


def _first_value(obj: Any) -> Value | None:
    if isinstance(obj, list | tuple):
        return next((found for item in obj if (found := _first_value(item)) is not None), None)
    return obj if type(obj) is Value else None


def _joined(obj: Any, first: Value) -> Any:
    """Stack nested lists; Python's numbers take the dtype of what they meet, as everywhere."""
    if isinstance(obj, list | tuple):
        return registry.op("autodiff_ops.stack")(*[_joined(item, first) for item in obj])
    if type(obj) is Value or hasattr(obj, "shape"):
        return obj
    own: Any = registry.backend_of(type(unwrap(first)))
    return standard.add(own.zeros((), first.dtype, type(unwrap(first))), obj)

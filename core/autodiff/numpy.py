"""NumPy's and the array API standard's names and signatures, over the registered ops.

``import autodiff.numpy as anp`` reads like NumPy: ``anp.sum(v, 0)``, ``anp.concatenate([v, w])``. It is also
what ``np.sum(v)`` and ``np.add(v, w)`` arrive at, what ``v.__array_namespace__()`` returns, and what rules
are handed as ``xp`` in a pass that is itself recorded.

Functions of arrays return a raw array where no argument is a Value. Creation functions return Values that
need no gradient. What has no op is an error that lists the nearest names.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from functools import cache
from types import ModuleType
from typing import Any, NoReturn

from autodiff.backend import Backend
from autodiff.batches import base_of, levels_of, refuse_to_read
from autodiff.broadcasting import broadcast_to as _broadcast_to
from autodiff.composed import array_of, shape_of
from autodiff.creation import CREATION, array, asarray, asarray_on, creator, from_dlpack
from autodiff.errors import ArgumentError, ArgumentTypeError, UnknownOpError, nearest, unknown_name
from autodiff.leaving import refuse_losing
from autodiff.partial_reductions import partial_mean, partial_reduction
from autodiff.refusals import spelled
from autodiff.registry import registry
from autodiff.spellings import FUNCTIONS, refuse_options
from autodiff.standard import standard
from autodiff.value import Value
from autodiff.value import unwrap as _unwrap
from autodiff.value import wrap as _wrap

# ---- functions whose signature is not the op's ---------------------------------------------------------------


@spelled
def sum(  # NumPy's name
    a: Any,
    axis: Any = None,
    dtype: Any = None,
    out: Any = None,
    keepdims: bool = False,
    initial: Any = None,
    where: Any = None,
) -> Any:
    """``numpy.sum``."""
    refuse_options("sum", out=out)
    a = a if dtype is None else standard.astype(a, dtype=dtype)
    if where is None and initial is None:
        return standard.sum(a, axis=axis, keepdims=keepdims)
    return partial_reduction("sum", standard.sum, a, where, initial, axis=axis, keepdims=keepdims)


@spelled
def mean(
    a: Any, axis: Any = None, dtype: Any = None, out: Any = None, keepdims: bool = False, *, where: Any = None
) -> Any:
    """``numpy.mean``."""
    refuse_options("mean", out=out)
    a = a if dtype is None else standard.astype(a, dtype=dtype)
    if where is None:
        return standard.mean(a, axis=axis, keepdims=keepdims)
    return partial_mean(a, where, axis=axis, keepdims=keepdims)


@spelled
def max(  # NumPy's name
    a: Any, axis: Any = None, out: Any = None, keepdims: bool = False, initial: Any = None, where: Any = None
) -> Any:
    """``numpy.max``."""
    refuse_options("max", out=out)
    if where is None and initial is None:
        return standard.max(a, axis=axis, keepdims=keepdims)
    return partial_reduction("max", standard.max, a, where, initial, axis=axis, keepdims=keepdims)


amax = max


@spelled
def reshape(a: Any, shape: Any, order: str = "C", *, copy: bool | None = None) -> Any:
    """``numpy.reshape``, in C or Fortran order."""
    if order == "F":
        # The last index runs fastest in what is turned round.
        turned = standard.reshape(
            transpose(array_of(a)), shape=shape[::-1] if isinstance(shape, tuple | list) else shape
        )
        return transpose(turned)
    if order != "C":
        raise ArgumentError(f"reshape(order={order!r}) is not supported for Values; only 'C' and 'F'")
    return standard.reshape(a, shape=shape)


@spelled
def permute_dims(a: Any, axes: Any = None) -> Any:
    """``numpy.transpose``: the axes reversed, or in the order given."""
    return standard.permute_dims(a, axes=tuple(range(a.ndim - 1, -1, -1)) if axes is None else tuple(axes))


transpose = permute_dims


@spelled
def broadcast_to(x: Any, shape: Any) -> Any:
    """``numpy.broadcast_to``."""
    return _broadcast_to(x, shape=tuple(shape) if isinstance(shape, list | tuple) else (shape,))


@spelled
def concat(arrays: Any, axis: Any = 0, out: Any = None, **rest: Any) -> Any:
    """``numpy.concatenate``."""
    refuse_options("concat", out=out, **rest)
    return registry.op("autodiff_ops.concat")(*arrays, axis=axis)


concatenate = concat


@spelled
def split(x: Any, indices_or_sections: Any, axis: int = 0) -> list[Any]:
    """``numpy.split``: a list of parts."""
    sections = indices_or_sections
    if not isinstance(sections, int):
        sections = tuple(int(s) for s in sections)
    return list(registry.op("autodiff_ops.split")(x, sections=sections, axis=axis))


@spelled
def astype(x: Any, dtype: Any, /, *, copy: bool = True, device: str | None = None) -> Any:
    """``numpy.astype``."""
    y = standard.astype(x, dtype=dtype)
    return y if device is None else standard.to(y, device=device)


# ---- what is told of arrays, and what makes them -----------------------------------------------------------------


@cache
def _about(function: str, own: Backend | None = None) -> Callable[..., Any]:
    """Return a function of a backend, the arrays' or the default one, that is handed raw arrays and dtypes."""

    def call(*args: Any, **kwargs: Any) -> Any:
        raw = [_unwrap(a) for a in args]
        backend = next((registry.backend_of(type(a)) for a in raw if registry.backend_of(type(a))), None)
        if backend is not None and backend.base is not None:
            if function in _OF_BATCHES:
                return _OF_BATCHES[function](raw[0], backend)
            # Of a batch the dtype is known, and no number.
            raw = [(a.dtype if function in _OF_DTYPES else refuse_to_read(a)) if levels_of(a) else a for a in raw]
        return getattr(base_of(own or backend or registry.backend()).xp, function)(
            *raw, **{k: _unwrap(v) for k, v in kwargs.items()}
        )

    call.__name__ = call.__qualname__ = function
    call.__doc__ = f"``numpy.{function}``: about arrays and dtypes, hence without a gradient."
    return spelled(call)


_OF_DTYPES = ("isdtype", "result_type", "can_cast", "finfo", "iinfo")
_OF_BATCHES: dict[str, Callable[[Any, Any], Any]] = {
    "shape": lambda a, own: a.shape,
    "ndim": lambda a, own: a.ndim,
    "size": lambda a, own: a.size,
    "iscomplexobj": lambda a, own: own.kind(a.dtype) == "complex",
    "isrealobj": lambda a, own: own.kind(a.dtype) != "complex",
}
_ABOUT = (
    *("isdtype", "result_type", "can_cast", "finfo", "iinfo", "shape", "ndim", "size", "iscomplexobj", "isrealobj"),
    *("isclose", "allclose", "array_equal", "array_equiv", "iscomplex", "isreal"),
    *("nonzero", "flatnonzero", "argwhere", "shares_memory", "may_share_memory"),
    *("isin", "digitize", "lexsort", "gcd", "lcm", "isscalar", "broadcast_shapes", "promote_types", "issubdtype"),
    *("unravel_index", "ravel_multi_index", "tril_indices", "triu_indices", "diag_indices", "indices", "ix_"),
)


# ---- every other name ------------------------------------------------------------------------------------------

#: NumPy's namespaces, imported when somebody asks for them.
_SPACES = ("linalg", "fft")


@cache
def _functions() -> dict[str, Callable[..., Any]]:
    """Return the functions that are not written out here: what is rare is imported when it is first needed."""
    from autodiff import arranging, concatenators, numerical

    return {**FUNCTIONS, **arranging.FUNCTIONS, **numerical.FUNCTIONS, **concatenators.FUNCTIONS}


#: NumPy's other spellings.
ALIASES = {
    "absolute": "abs",
    "power": "pow",
    "true_divide": "divide",
    "mod": "remainder",
    "conjugate": "conj",
    "invert": "bitwise_invert",
    "bitwise_not": "bitwise_invert",
    "left_shift": "bitwise_left_shift",
    "right_shift": "bitwise_right_shift",
    "fix": "trunc",
    "degrees": "rad2deg",
    "radians": "deg2rad",
    **{f"arc{name}": f"a{name}" for name in ("sin", "cos", "tan", "tan2", "sinh", "cosh", "tanh")},
}
_PLUGINS = ("autodiff_ops", "autodiff_activations")


def _standard_op(name: str) -> Any:
    name = ALIASES.get(name, name)
    ops = registry.load().ops
    return next((ops[f"{plugin}.{name}"] for plugin in _PLUGINS if f"{plugin}.{name}" in ops), None)


def __getattr__(name: str) -> Any:
    if name.startswith("__"):
        raise AttributeError(name)
    if name in CREATION:
        return creator(name)
    if name in _ABOUT:
        return _about(name)
    if name in _SPACES:
        return importlib.import_module(f"autodiff.{name}")
    if name in _functions():
        return _functions()[name]
    op = _standard_op(name)
    if op is not None:
        return op
    found = _constant(name, registry.backend())
    if found is _ABSENT:
        raise unknown_name("autodiff.numpy", name, _names())
    return found


def _constant(name: str, backend: Backend) -> Any:
    """Return a dtype or a constant of the backend's library: float32, pi, newaxis."""
    found = getattr(backend.xp, name, _ABSENT)
    return _ABSENT if isinstance(found, ModuleType) or (callable(found) and not isinstance(found, type)) else found


_ABSENT = object()


def has(name: str) -> bool:
    """Tell whether there is a function of this name."""
    return name in _names()


def _names() -> list[str]:
    own = [name for name in globals() if _own(name) is not None]
    found = [op.name for op in registry.load().ops.values() if op.plugin in _PLUGINS]
    return [*own, *_functions(), *_SPACES, *ALIASES, *CREATION, *_ABOUT, *found]


def __dir__() -> list[str]:
    return sorted({*_names()})


class _Recorded:
    """`autodiff.numpy` as rules of a recorded pass see it: what they create lives on the backend of their arrays."""

    def __init__(self, backend: Backend, raw: bool = False) -> None:
        self._backend = backend
        self._raw = raw

    def __getattr__(self, name: str) -> Any:
        if name in CREATION or name == "asarray":
            made = creator(name, self._backend) if name in CREATION else asarray_on(base_of(self._backend))
            found = _raw(made) if self._raw else made
        elif name in _ABOUT:
            found = _about(name, self._backend)
        elif name in _SPACES:
            found = __getattr__(name)
        elif _own(name) is not None:
            found = _own(name)
        elif _standard_op(name) is None and name not in _functions():
            found = _constant(name, self._backend)  # never the default backend's, whose dtypes are others
            if found is _ABSENT:
                raise unknown_name("autodiff.numpy", name, _names())
        else:
            found = __getattr__(name)
        setattr(self, name, found)
        return found


_recorded: dict[str, _Recorded] = {}
registry.listeners.append(_recorded.clear)  # another op, or backend, may have taken a name


def recorded_xp(backend: Backend) -> Any:
    """Return the namespace that a rule is handed as ``xp`` in a pass that is itself recorded."""
    found = _recorded.get(backend.name)  # once: another thread may empty the dict in between
    if found is None:
        found = _recorded[backend.name] = _Recorded(base_of(backend))
    return found


_batched: dict[str, _Recorded] = {}


def batched_xp(backend: Backend) -> Any:
    """Return the namespace of batches of arrays of `backend`: ops as in a recorded pass, but what it makes is raw."""
    found = _batched.get(backend.name)
    if found is None:
        found = _batched[backend.name] = _Recorded(backend, raw=True)
    return found


def _raw(make: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function that makes raw arrays, of raw ones, of one that makes Values."""

    def made(*args: Any, **kwargs: Any) -> Any:
        return _unwrap(make(*[_wrap(a, None) if levels_of(a) else a for a in args], **kwargs))

    return made


# ---- NumPy's protocols -----------------------------------------------------------------------------------------

_REDUCTIONS = {
    "add": "sum",
    "multiply": "prod",
    "maximum": "max",
    "minimum": "min",
    "logical_and": "all",
    "logical_or": "any",
}
_RUNNING = {"add": "cumsum", "multiply": "cumprod"}
#: SciPy's ufuncs that are ops under another name.
_SCIPY = {"expit": "sigmoid", "log_expit": "log_sigmoid"}


def _called(ufunc: Any) -> str:
    """Return how a message calls a ufunc, which may be NumPy's or anybody's."""
    name = ufunc.__name__
    return f"numpy.{name}" if getattr(sys.modules["numpy"], name, None) is ufunc else f"the ufunc {name!r}"


def array_ufunc(ufunc: Any, method: str, inputs: Any, kwargs: Any) -> Any:
    """Answer ``np.tanh(v)`` and ``ndarray * v``."""
    name = _SCIPY.get(ufunc.__name__, ufunc.__name__)
    written = kwargs.get("out") or (inputs[:1] if method == "at" else ())
    if written and not any(isinstance(array, Value) for array in written):
        return _write(ufunc, method, inputs, written, kwargs)
    if method in ("__call__", "outer"):
        op = _standard_op(name) or _functions().get(name) or (_about(name) if name in _ABOUT else None)
        if op is None:
            _no_op(_called(ufunc), name)
        if kwargs:
            _refuse(_called(ufunc), kwargs)
        if method == "outer":
            first, second = inputs
            inputs = (reshape(first, shape_of(first) + (1,) * len(shape_of(second))), second)
        return op(*inputs)
    if method == "reduce" and name in _REDUCTIONS:
        return _own(_REDUCTIONS[name])(*inputs, **{"axis": 0, **kwargs})
    if method == "accumulate" and name in _RUNNING:
        return _own(_RUNNING[name])(*inputs, **{"axis": 0, **kwargs})
    raise UnknownOpError(f"numpy.{name}.{method}() has no op for Values; call the function instead of its method")


def _write(ufunc: Any, method: str, inputs: Any, written: Any, kwargs: Any) -> Any:
    """Do ``array += v`` for Values that need no gradient: their numbers are written into the array, as everybody sees.

    Raises
    ------
    GradientTypeError
        One needs a gradient, which an array cannot carry.
    BackendMismatchError
        One is on another backend than the array.
    """
    values = [x for x in inputs if type(x) is Value]
    for value in values:
        refuse_losing(
            value,
            f"numpy.{ufunc.__name__} into an array, as `array += value` or out=array,",
            "`array = array + value` gives a Value; `array += value.data` writes the numbers.",
        )
    raw = [_unwrap(x) for x in inputs]
    for x in (*raw, *written):
        if levels_of(x):
            refuse_to_read(x)
    registry.common_backend([*written, *map(_unwrap, values)], f"numpy.{ufunc.__name__}")
    return (ufunc if method == "__call__" else getattr(ufunc, method))(*raw, **kwargs)


def array_function(function: Any, args: Any, kwargs: Any) -> Any:
    """Answer ``np.sum(v, axis=0)`` and ``np.concatenate([v, w])``."""
    name = function.__name__
    if name == "put_along_axis":
        raise ArgumentTypeError(
            "numpy.put_along_axis writes into its argument, and a Value is not written into; "
            "autodiff.numpy.put_along_axis returns a copy"
        )
    space = __getattr__(function.__module__[6:]) if function.__module__[6:] in _SPACES else None
    found = getattr(space, name) if space is not None and name in space.__all__ else _own(name)
    if found is None:
        try:
            found = __getattr__(name)
        except UnknownOpError:
            _no_op(f"{function.__module__}.{name}", name)
    return found(*args, **kwargs)


_INTERNAL = ("has", "recorded_xp", "batched_xp", "array_ufunc", "array_function", "namespace")


def _own(name: str) -> Any:
    """Return the function of this name that is written out here; not what the module imports or has for itself."""
    found = _functions().get(name) or globals().get(name)
    internal = name.startswith("_") or name in _INTERNAL
    made_elsewhere = name in _functions() or found in (array, asarray, from_dlpack)
    written = made_elsewhere or getattr(found, "__module__", None) == __name__
    return found if written and not internal else None


def __array_namespace_info__() -> Any:  # noqa: N807  # the standard's name
    """Return what the array API standard lets one ask of a namespace: that of the default backend's library."""
    return registry.backend().xp.__array_namespace_info__()


def namespace() -> Any:
    """Return this module, for ``Value.__array_namespace__``."""
    return sys.modules[__name__]


def _no_op(called: str, name: str) -> NoReturn:
    raise UnknownOpError(
        f"{called} was given a Value and has no op.{nearest(name, _names())} For a result without a gradient pass "
        f"value.data; to add the op, see 'Writing an op' in the documentation."
    )


def _refuse(called: str, kwargs: dict[str, Any]) -> NoReturn:
    raise ArgumentTypeError(f"{called}({next(iter(kwargs))}=...) is not supported for Values; leave it out")

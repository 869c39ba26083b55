"""Arrays with a batch: what `vmap` hands to a function in the place of the arrays of its single examples.

- `Batched`: looks like the array of one example, and holds those of all, with the batch as first axis.
- `BatchBackend`: the backend of such arrays. Its kernel of an op computes for the whole batch: by the batching
  rule of the op, by what the op declares of itself (it is elementwise, it has a gufunc signature), or else by a
  loop over the examples, which is right for every op.

Batches nest: the array inside may be batched itself, by a `vmap` around this one. Each has a level, the number
that the graph's counter had when its `vmap` began, hence a higher one than that of any `vmap` around it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NoReturn

from autodiff.arguments import is_index
from autodiff.backend import Backend
from autodiff.errors import ArgumentError, ArgumentTypeError, shown
from autodiff.handles import Handle, unwrap, wrap
from autodiff.registry import PYTHON_SCALARS, registry
from autodiff.standard import standard

__all__ = [
    "LEVEL_KERNELS",
    "BatchBackend",
    "Batched",
    "Each",
    "InBatch",
    "base_of",
    "batch",
    "by_loop",
    "each_in",
    "example",
    "innermost",
    "joined",
    "level_in",
    "levels_of",
    "shifted",
    "size_in",
]

#: NumPy's protocols, handed over by `autodiff/__init__` as they work on Values too.
numpy_protocols: Any = None

#: Kernels of the ops that enter and leave a level, by id: they decide for themselves which level is meant.
LEVEL_KERNELS: dict[str, Callable[..., Any]] = {}


class Batched:
    """An array of one example to look at, with those of the whole batch inside, as the first axis of `array`.

    There is a subclass for each array library, made by its `BatchBackend`.
    """

    __slots__ = ("array", "level")
    __autodiff_backend__: BatchBackend

    def __init__(self, array: Any, level: int) -> None:
        self.array = array
        self.level = level

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of one example."""
        return tuple(self.array.shape[1:])

    @property
    def dtype(self) -> Any:
        """The dtype of the library."""
        return self.array.dtype

    @property
    def ndim(self) -> int:
        """Number of dimensions of one example."""
        return len(self.array.shape) - 1

    @property
    def size(self) -> int:
        """Number of elements of one example."""
        n = 1
        for length in self.shape:
            n *= length
        return n

    @property
    def device(self) -> Any:
        """Where the data lives."""
        return self.array.device

    def __len__(self) -> int:
        if not self.shape:
            raise ArgumentTypeError("an array of shape () has no length and cannot be iterated over")
        return self.shape[0]

    def __iter__(self) -> Iterator[Any]:
        return (self[i] for i in range(len(self)))

    def __getitem__(self, index: Any) -> Any:
        return standard.getitem(self, index=index if isinstance(index, tuple) else (index,))

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        refuse_to_read(self)

    def __bool__(self) -> bool:
        return bool(refuse_to_read(self))

    def __dlpack__(self, **options: Any) -> Any:
        refuse_to_read(self)

    def __dlpack_device__(self) -> Any:
        return self.array.__dlpack_device__()

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        return numpy_protocols.array_ufunc(ufunc, method, inputs, kwargs)

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
        return numpy_protocols.array_function(function, args, kwargs)

    def __getattr__(self, name: str) -> Any:
        # Whatever else a Value has: methods are ops.
        if name.startswith("_"):
            raise AttributeError(name)
        found = getattr(wrap(self, None), name)
        return _raw(found) if callable(found) else unwrap(found)

    def __repr__(self) -> str:
        return f"<batch of {self.array.shape[0]}: {self.array!r:.80}>"


def _raw(method: Callable[..., Any]) -> Callable[..., Any]:
    """Return a method of a Value as one of an array: it returns arrays, unless there is a Value among its arguments."""

    def call(*args: Any, **attrs: Any) -> Any:
        y = method(*args, **attrs)
        if any(isinstance(arg, Handle) for arg in args):
            return y
        return tuple([unwrap(part) for part in y]) if type(y) is tuple else unwrap(y)

    return call


def _operator(name: str) -> Callable[..., Any]:
    def operate(array: Any, *others: Any) -> Any:
        return _raw(getattr(wrap(array, None), name))(*others)

    return operate


_BOTH_WAYS = ("add", "sub", "mul", "truediv", "floordiv", "mod", "divmod", "pow", "matmul", "and", "or", "xor")
for _name in (
    *(f"__{side}{name}__" for name in (*_BOTH_WAYS, "lshift", "rshift") for side in ("", "r")),
    *("__neg__", "__pos__", "__abs__", "__invert__", "__floor__", "__ceil__", "__trunc__", "__round__"),
    *("__eq__", "__ne__", "__lt__", "__le__", "__gt__", "__ge__"),
):
    setattr(Batched, _name, _operator(_name))


class InBatch:
    """Stands, in an attribute that a batching rule is handed, for an array with the batch as its first axis."""

    __slots__ = ("array",)

    def __init__(self, array: Any) -> None:
        self.array = array


class Each(tuple[Any, ...]):
    """What a kernel kept for its rules of each example, where it is no array that could be stacked."""

    __slots__ = ()
    level: int  # of a subclass for each level


def refuse_to_read(array: Batched) -> NoReturn:
    """Refuse to give out the numbers of one example where there are several."""
    raise ArgumentTypeError(
        f"Inside vmap an array of shape {array.shape} stands for those of {array.array.shape[0]} examples: its numbers "
        f"cannot be read, nor branched on. Choose by ops.where instead of `if`, or do this outside of vmap."
    )


class BatchBackend(Backend):
    """The backend of batches of arrays of another one, `base`, whose name it bears."""

    scalar_types = ()
    base: Backend

    def __init__(self, base: Backend) -> None:
        self.base = base
        self.name, self.has_streams = base.name, base.has_streams
        self.type: type[Batched] = type("Batched", (Batched,), {"__slots__": (), "__autodiff_backend__": self})
        #: What rules return, so that the pass looks at its levels before it takes it for a cotangent of its edge.
        self.pulled: type[Batched] = type("Pulled", (self.type,), {"__slots__": ()})

    def recognises(self, array_type: type) -> bool:
        return issubclass(array_type, self.type)

    @property
    def xp(self) -> Any:
        return registry.batched_xp(self.base)

    def unavailable(self) -> str | None:
        return self.base.unavailable()

    def asarray(self, obj: Any, *, dtype: Any = None, device: str | None = None) -> Any:
        if isinstance(obj, Batched):
            return obj if dtype is None or self.dtype(dtype) == obj.dtype else self.astype(obj, self.dtype(dtype))
        return self.base.asarray(obj, dtype=dtype, device=device)

    def to_numpy(self, array: Any) -> Any:
        return refuse_to_read(array) if isinstance(array, Batched) else self.base.to_numpy(array)

    def device(self, array: Any) -> str:
        return self.base.device(innermost(array))

    def stream(self, array: Any) -> Any:
        return self.base.stream(innermost(array))

    def to_device(self, array: Any, device: str | None) -> Any:
        return self._inside(array, lambda x, own: own.to_device(x, device))

    def kernel_for(self, op: Any, array_type: type) -> Callable[..., Any] | None:
        return LEVEL_KERNELS.get(op.id) or partial(run, op)

    def rule_types(self) -> tuple[type, ...]:
        return ()

    def kind(self, dtype: Any) -> str:
        return self.base.kind(dtype)

    def dtype(self, name: Any) -> Any:
        return self.base.dtype(name)

    def astype(self, array: Any, dtype: Any) -> Any:
        return self._inside(array, lambda x, own: own.astype(x, dtype))

    def real(self, array: Any) -> Any:
        return self._inside(array, lambda x, own: own.real(x))

    def ones(self, like: Any) -> Any:
        # The same for all examples, hence no batch.
        return self.base.beside(self.base.xp.ones(like.shape, dtype=like.dtype), innermost(like))

    def zeros(self, shape: tuple[int, ...], dtype: Any, array_type: type) -> Any:
        return self.base.xp.zeros(shape, dtype=dtype)

    def beside(self, array: Any, like: Any) -> Any:
        return self.base.beside(array, innermost(like))

    def box(self, scalar: Any) -> Any:
        return scalar

    def fresh(self, array: Any, *, alone: bool = False) -> Any:
        return array  # nobody can write into one

    def same_shape(self, a: Any, b: Any) -> bool:
        return self.base.same_shape(a, b)

    def fingerprint(self, array: Any) -> Any:
        return self.base.fingerprint(innermost(array))

    def has_nan(self, array: Any) -> bool:
        return self.base.has_nan(innermost(array))

    def silence(self) -> None:
        self.base.silence()

    def format(self, array: Any) -> str:
        return f"<batch of {array.array.shape[0]}> " + str(_own(array.array).format(array.array))

    def _inside(self, array: Any, change: Callable[[Any, Any], Any]) -> Any:
        if not isinstance(array, Batched):
            return change(array, self.base)
        return batch(change(array.array, _own(array.array)), array.level)


_backends: dict[str, BatchBackend] = {}
_lock = threading.Lock()


def _own(array: Any) -> Any:
    return registry.backend_of(type(array))


def base_of(backend: Any) -> Any:
    """Return the backend whose arrays are at the bottom of those of `backend`."""
    return backend if backend is None or backend.base is None else backend.base


def batch_backend(base: Backend) -> BatchBackend:
    """Return the backend of batches of the arrays of `base`: always the same one."""
    found = _backends.get(base.name)
    if found is None or found.base is not base:
        with _lock:  # two of them would not know each other's arrays
            found = _backends.get(base.name)
            if found is None or found.base is not base:
                found = _backends[base.name] = BatchBackend(base)
    return found


def batch(array: Any, level: int) -> Batched:
    """Return an array, whose first axis is the batch of `level`, as one of a single example."""
    return batch_backend(base_of(_own(array))).type(array, level)


def innermost(array: Any) -> Any:
    """Return the array of the library inside all batches."""
    while isinstance(array, Batched):
        array = array.array
    return array


def levels_of(array: Any) -> list[int]:
    """Return the levels of an array, from the outermost axis, which is the highest, inwards."""
    levels = []
    while isinstance(array, Batched):
        levels.append(array.level)
        array = array.array
    return levels


def level_in(obj: Any) -> int:
    """Return the highest level among the arrays in a nesting of tuples, lists and slices; 0 if there is none."""
    if isinstance(obj, Batched | Each):
        return obj.level
    if isinstance(obj, tuple | list):
        return max(map(level_in, obj), default=0)
    array = getattr(obj, "_array", None)  # of a Value
    return array.level if isinstance(array, Batched) else 0


def size_in(obj: Any, level: int) -> int | None:
    """Return the number of examples of `level`, or None if nothing in `obj` has it."""
    if isinstance(obj, Batched) and obj.level == level:
        return int(obj.array.shape[0])
    if isinstance(obj, Each):
        return len(obj) if obj.level == level else None
    if isinstance(obj, tuple | list):
        return next((n for n in (size_in(item, level) for item in obj) if n is not None), None)
    if isinstance(obj, Batched):
        return size_in(obj.array, level)
    array = getattr(obj, "_array", None)  # of a Value
    return None if array is None else size_in(array, level)


# ---- computing for a batch ---------------------------------------------------------------------------------------


def run(op: Any, *xs: Any, **attrs: Any) -> Any:
    """Compute `op` for all examples of the highest level among its arguments: the kernel of a `BatchBackend`."""
    level = max(level_in(xs), level_in(tuple(attrs.values())))
    size: Any = size_in(xs, level)
    if size is None:
        size = size_in(tuple(attrs.values()), level)
    batched = tuple([isinstance(x, Batched) and x.level == level for x in xs])
    inside = [x.array if own else x for x, own in zip(xs, batched, strict=True)]
    y = _by_rule(op, inside, batched, attrs, level, size)
    if y is NotImplemented:
        return by_loop(op, xs, attrs, level, size)
    return _as_batch(y, level)


def _as_batch(y: Any, level: int) -> Any:
    if type(y) in (tuple, list):
        return tuple([_as_batch(part, level) for part in y])
    return y if registry.backend_of(type(y)) is None else batch(y, level)


def _by_rule(op: Any, xs: list[Any], batched: tuple[bool, ...], attrs: dict[str, Any], level: int, size: int) -> Any:
    rule = op.batching
    named = level_in(tuple(attrs.values())) == level
    if named and not (callable(rule) and op.batching_names_batched):
        return NotImplemented
    if rule is None:
        if named or not (op.broadcasts or op.core_ndims) or any(getattr(a, "shape", ()) for a in attrs.values()):
            return NotImplemented
        aligned = _aligned(xs, batched, op.core_ndims)
        return NotImplemented if aligned is None else op.apply(*aligned, **attrs)
    if named:
        attrs = {name: _marked(attr, level) for name, attr in attrs.items()}
    if not op.batching_names_batched:
        xs = [x if own else repeated(x, size) for x, own in zip(xs, batched, strict=True)]
    if not callable(rule):
        n = next(len(x.shape) - own for x, own in zip(xs, batched, strict=True) if hasattr(x, "shape"))
        changed = {name: shifted(attrs[name], n) for name in rule}
        return op.apply(*xs, **{**attrs, **changed})
    named_xs = {op.variadic: tuple(xs)} if op.variadic else dict(zip(op.inputs, xs, strict=True))
    known = {**named_xs, **attrs, "batched": batched}
    return rule(*[known[name] for name in op.batching_names])


def _marked(attr: Any, level: int) -> Any:
    """Return an attribute with `InBatch` in the place of arrays of `level`."""
    if isinstance(attr, Batched):
        return InBatch(attr.array) if attr.level == level else attr
    return tuple([_marked(item, level) for item in attr]) if isinstance(attr, tuple | list) else attr


def repeated(x: Any, size: int) -> Any:
    """Return what is the same for all examples as a batch of `size`, without a copy; a number as it is."""
    if type(x) in PYTHON_SCALARS:
        return x
    return registry.op("autodiff.broadcast_to")(x, shape=(size, *x.shape))


def _aligned(xs: list[Any], batched: tuple[bool, ...], core: tuple[int, ...] | None) -> list[Any] | None:
    """Put unit axes behind the batch, so that what follows broadcasts as it does for one example."""
    ndims = [len(x.shape) - own if hasattr(x, "shape") else 0 for x, own in zip(xs, batched, strict=True)]
    if core is not None and any(n < c for n, c in zip(ndims, core, strict=True)):
        return None
    leading = [n - c for n, c in zip(ndims, core or (0,) * len(xs), strict=True)]
    most = max(leading)
    return [
        standard.reshape(x, shape=(x.shape[0], *(1,) * (most - n), *x.shape[1:])) if own and n < most else x
        for x, own, n in zip(xs, batched, leading, strict=True)
    ]


def shifted(axis: Any, ndim: Any) -> Any:
    """Return the axes of one example of `ndim` dimensions in a batch of them; None, which means all, as a tuple.

    Examples
    --------
    >>> from autodiff.batches import shifted
    >>> shifted(0, 2), shifted(-1, 2), shifted((1, 0), 2), shifted(None, 2)
    (1, -1, (2, 1), (1, 2))
    """
    if type(ndim) is not int:
        raise ArgumentTypeError(f"shifted() takes a number of dimensions second; it was given {shown(ndim)}")
    if axis is None:
        return tuple(range(1, ndim + 1))
    if isinstance(axis, tuple | list) and not any(isinstance(a, tuple | list) for a in axis):
        return tuple([shifted(a, ndim) for a in axis])
    if isinstance(axis, bool | tuple | list) or not is_index(axis) or not -ndim <= axis < ndim:
        raise ArgumentError(f"axis {shown(axis)} does not exist in {ndim} dimensions")
    return axis + 1 if axis >= 0 else axis


# ---- one example at a time ---------------------------------------------------------------------------------------


def by_loop(op: Any, xs: Any, attrs: dict[str, Any], level: int, size: int) -> Any:
    """Compute `op` for one example after the other."""
    results = [op.apply(*example(xs, level, i), **example(attrs, level, i)) for i in each_in(size)]
    if not op.residuals:
        return _joined_outputs(op, results, level, size)
    y = _joined_outputs(op, [result[0] for result in results], level, size)
    rest = zip(*[result[1:] for result in results], strict=True)
    return (y, *[joined(op, list(part), level, size, kept=True) for part in rest])


def _joined_outputs(op: Any, results: list[Any], level: int, size: int) -> Any:
    if type(results[0]) not in (tuple, list):
        return joined(op, results, level, size)
    return tuple([joined(op, list(part), level, size) for part in zip(*results, strict=True)])


def each_in(size: int) -> range:
    """Return the numbers of the examples; of an empty batch that of an example of zeros, which tells the shapes."""
    return range(max(size, 1))


def example(obj: Any, level: int, i: int) -> Any:
    """Return `obj`, any nesting of arrays, Values and anything else, as example `i` of `level` has it."""
    if isinstance(obj, Batched):
        if obj.level != level:
            return obj
        if not obj.array.shape[0]:
            return _own(obj.array).xp.zeros(obj.shape, dtype=obj.dtype)
        return standard.getitem(obj.array, index=(i,))
    if isinstance(obj, Each):
        return obj[i] if obj.level == level else obj
    if isinstance(obj, dict):
        return {key: example(item, level, i) for key, item in obj.items()}
    if type(obj) in (tuple, list):
        return type(obj)([example(item, level, i) for item in obj])
    return obj


def joined(op: Any, results: list[Any], level: int, size: int, kept: bool = False) -> Any:
    """Return the results of all examples as one array of `level`.

    Raises
    ------
    ArgumentError
        They have different shapes.
    """
    first = results[0]
    if kept and registry.backend_of(type(first)) is None:
        return type("Each", (Each,), {"level": level})(results[:size])
    if any(tuple(y.shape) != tuple(first.shape) for y in results):
        shapes = ", ".join(map(str, dict.fromkeys(tuple(y.shape) for y in results)))
        raise ArgumentError(f"vmap: {op.id!r} gives results of different shapes for the examples of a batch: {shapes}")
    return batch(registry.op("autodiff_ops.stack")(*results, axis=0)[:size, ...], level)

"""`Value`: the user's array, a handle on raw data and on the edge of the graph where its gradient flows.

Its operators are written out, a line each, over `standard`: a table of the standard ops that loading the
plugins fills. Whatever else has ``method=True`` is found by `Value.__getattr__`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from math import prod
from typing import Any

from autodiff import handles
from autodiff.calls import call
from autodiff.errors import (
    ArgumentError,
    ArgumentTypeError,
    GradientTypeError,
    GraphError,
    UnknownOpError,
    nearest,
    shown,
)
from autodiff.graph import Cell, Edge, Leaf, Node
from autodiff.handles import unwrap
from autodiff.hooks import WRITING, Hook, attach, watch
from autodiff.leaving import Leaving
from autodiff.modes import BATCH, NO_GRAD, RULE, mode
from autodiff.registry import registry
from autodiff.replacing import boxed, plain_index, refuse_leaving, refuse_narrowing, replacement, unboxed
from autodiff.standard import standard

__all__ = ["Value", "unwrap", "wrap"]

#: What `Value.backward`, an index inside `vmap` and NumPy's protocols call; `autodiff/__init__` hands them over, as they
#: work on Values.
run_backward: Any = None
spread_for: Any = None
numpy_protocols: Any = None


#: NumPy's methods that are functions of `autodiff.numpy` rather than ops, or take more than the op, as ``ddof=``.
_SPELLED = {
    **{name: name for name in ("ravel", "dot", "cumsum", "cumprod", "round", "trace", "diagonal", "conjugate", "copy")},
    **{name: name for name in ("nonzero", "searchsorted", "std", "var")},
    "flatten": "ravel",
}


class Value(Leaving):
    """An array, or a number, whose computations are recorded so that they can be differentiated.

    Parameters
    ----------
    data : number, nested list of numbers, array of any backend, or Value
        Floating and complex arrays are wrapped without a copy and need a gradient. Numbers and lists of
        numbers become the default floating type on the default backend. Integer and boolean arrays keep
        their dtype and need no gradient. Another Value gives a second handle on the same node.
    requires_grad : bool, optional
        Whether `backward` shall fill `grad`. By default, whether the dtype is floating or complex.
    dtype : dtype or str, optional
        Convert to this dtype first.
    backend : str, optional
        Where the data shall live; by default where it is, NumPy for numbers and lists.

    Raises
    ------
    ArgumentTypeError
        `data` holds no numbers: text, objects, rows of different lengths.
    GradientTypeError
        ``requires_grad=True`` for integers or booleans.

    Notes
    -----
    Values hash by identity and compare by element. Basic indexing gives copies in the graph, never writable
    views. ``v += w`` and ``v[i] = w`` re-bind the handle to a new node: what was recorded before stays valid.
    Under `no_grad` they change the numbers and the place in the graph stays. A copy of a handle shares the leaf
    and its gradient, not later changes of the numbers.

    Examples
    --------
    >>> from autodiff import Value
    >>> x = Value(3.0)
    >>> y = x * x + x
    >>> y.backward()
    >>> print(y.data, x.grad)
    12.0 7.0
    """

    __slots__ = ("__weakref__",)
    __pandas_priority__ = 5000  # above a DataFrame's: `series * value` is left to the Value, as `array * value` is
    __hash__ = object.__hash__  # by identity: `==` compares elements

    def __init_subclass__(cls) -> None:
        raise ArgumentTypeError(
            f"{cls.__qualname__!r} cannot derive from Value: ops tell Values by type. Hold one instead."
        )

    def __init__(
        self,
        data: Any,
        *,
        requires_grad: bool | None = None,
        dtype: Any = None,
        backend: str | None = None,
    ) -> None:
        if requires_grad is not None and not isinstance(requires_grad, int):
            raise ArgumentTypeError(
                f"Value(requires_grad=...) is True or False; given a {type(requires_grad).__name__}"
            )
        if type(data) is Value:
            data = _converted(data, dtype, backend)
            self._array = data._array
            self._edge = data._edge if requires_grad is not False else None
            self._cell = data._find_cell()
            if requires_grad and self._edge is None:
                self._edge = self._new_leaf()
            return
        self._array, own = registry.asarray(data, dtype=dtype, backend=backend)
        floating = registry.kind(self._array.dtype, own) in ("float", "complex")
        self._edge = self._new_leaf() if (floating if requires_grad is None else requires_grad) else None

    def _new_leaf(self) -> Leaf:
        data = self._array
        own: Any = registry.backend_of(type(data))
        if registry.kind(data.dtype, own) not in ("float", "complex"):
            raise GradientTypeError(
                f"Value(requires_grad=True) was given dtype {data.dtype}, and only floating and complex numbers have "
                f"gradients. Convert first: Value(x, dtype='float64')."
            )
        leaf = Leaf(data.shape, data.dtype, type(data))
        self._cell = leaf.own(Cell())
        return leaf

    # ---- what it is -------------------------------------------------------------------------------------

    @property
    def data(self) -> Any:
        """The raw array; assigning replaces the numbers of a leaf, and the leaf stays the leaf.

        Of an intermediate result it cannot be written to, where the library knows such arrays: the graph may
        need it. Writing into that of a leaf changes what graphs recorded before have saved of it.
        """
        if mode() & RULE:
            refuse_leaving(self, "data")
        array = self._array
        if array.shape == ():  # all others are what users see
            array = boxed(array)
        if type(self._edge) is Node:
            return self._backend().read_only(array)
        self._array = array  # kept, so that writing into it is seen
        return array

    @data.setter
    def data(self, new: Any) -> None:
        old = self._array
        if type(new) is type(old) and new.dtype is old.dtype and new.shape == old.shape != () and self.is_leaf:
            self._array = new  # as in each step of an optimiser, for each parameter
        else:
            self._replace("Value.data", new)

    def _replace(self, where: str, new: Any) -> None:
        """Put other numbers of the same shape into a Value that is no intermediate result."""
        if type(self._edge) is Node:
            raise GraphError(f"{where} of an intermediate result cannot be replaced; use .detach() for a free copy.")
        self._array = unboxed(replacement(where, self._array, unwrap(new)))

    @property
    def grad(self) -> Any:
        """The accumulated gradient: None before the first backward pass, then an array like `data`.

        It is a Value after ``backward(create_graph=True)``. Intermediate results have one after
        `retain_grad`.
        """
        cell = self._find_cell()
        return None if cell is None else cell.grad

    @grad.setter
    def grad(self, new: Any) -> None:
        cell = self._find_cell()
        if cell is None:
            if new is None:
                return
            raise GraphError("This Value has no gradient to assign: it needs none, or it is an intermediate result.")
        if new is not None:
            checked = boxed(replacement("Value.grad", self._array, unwrap(new)))
            new = new if type(new) is Value and new._edge is not None else checked
        with WRITING:  # before or after what another thread adds, but not while it does
            cell.grad = new

    def _find_cell(self) -> Cell | None:
        edge = self._edge
        leaf = edge.watch.leaf if type(edge) is Node and edge.watch is not None else edge
        return leaf.cell() if type(leaf) is Leaf else None

    @property
    def requires_grad(self) -> bool:
        """Whether a gradient flows to this Value; assigning freezes a parameter, or sets it free, from here on.

        What was recorded before stays as it was. A parameter that is set free again has no gradient yet.
        """
        return self._edge is not None

    @requires_grad.setter
    def requires_grad(self, wanted: bool) -> None:
        if not isinstance(wanted, bool):
            raise ArgumentTypeError(f"Value.requires_grad is True or False; given {shown(wanted)}")
        if type(self._edge) is Node:
            raise GraphError("Value.requires_grad of an intermediate result cannot be assigned; use .detach().")
        if wanted is not self.requires_grad:
            self._edge = self._new_leaf() if wanted else None

    @property
    def is_leaf(self) -> bool:
        """Whether this is an input of the graph rather than the result of a recorded op."""
        return type(self._edge) is not Node

    @property
    def shape(self) -> tuple[int, ...]:
        """Sizes of the dimensions; ``()`` for a number."""
        return self._array.shape  # type: ignore[no-any-return]  # arrays are Any: the core knows no array library

    @property
    def ndim(self) -> int:
        """Number of dimensions."""
        return len(self._array.shape)

    @property
    def size(self) -> int:
        """Number of elements."""
        return prod(self._array.shape)  # PyTorch's tensors have a method of that name

    @property
    def dtype(self) -> Any:
        """The backend's dtype."""
        return self._array.dtype

    @property
    def device(self) -> str:
        """Where the data lives, as `to` takes it."""
        return str(self._backend().device(self._array))

    @property
    def backend(self) -> str:
        """Name of the backend."""
        return str(self._backend().name)

    @property
    def T(self) -> Value:  # noqa: N802  # the array API's name
        """All axes reversed."""
        return self.transpose()  # type: ignore[no-any-return]  # ops are Any until they are loaded

    @property
    def mT(self) -> Value:  # noqa: N802  # the array API's name
        """The last two axes swapped."""
        n = self.ndim
        if n < 2:
            raise ArgumentError(f"Value.mT needs at least two dimensions; the shape is {self.shape}.")
        turned: Value = standard.permute_dims(self, axes=(*range(n - 2), n - 1, n - 2))
        return turned

    def __repr__(self) -> str:
        edge, own = self._edge, self._backend()
        origin = f", op={edge.plan.op.id!r}" if type(edge) is Node else ""
        needs = "" if edge is not None else ", requires_grad=False"
        return f"Value({own.format(self._array)}, dtype={self.dtype}, backend={own.name!r}{origin}{needs})"

    def __format__(self, spec: str) -> str:
        if not spec:
            return str(self)
        if self.size != 1:
            raise ArgumentTypeError(f"The format {spec!r} needs a single number; this Value has shape {self.shape}.")
        return format(self.item(), spec)

    # ---- other Values of the same numbers ----------------------------------------------------------------

    def detach(self) -> Value:
        """Return a Value on the same data that no gradient flows through."""
        return wrap(self._array, None)

    def astype(self, dtype: Any) -> Value:
        """Convert to another dtype; differentiable between floating types."""
        converted: Value = standard.astype(self, dtype=self._backend().dtype(dtype))
        return converted

    def to(self, device: str) -> Value:
        """Move to another backend or device, ``"numpy"``, ``"cupy"``, ``"cupy:1"``; differentiable."""
        moved: Value = standard.to(self, device=device)
        return moved

    def to_device(self, device: str, /, *, stream: Any = None) -> Value:
        """Do `to`, by the name of the array API standard; streams are those of the library."""
        if stream is not None:
            raise ArgumentTypeError("to_device(stream=...) is not supported: work runs on the library's current stream")
        return self.to(device)

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (self.data, self._edge is not None, unwrap(self.grad))

    def __deepcopy__(self, memo: dict[int, Any]) -> Value:
        own, grad = self._backend(), unwrap(self.grad)
        return _rebuild(own.fresh(self._array), self._edge is not None, None if grad is None else own.fresh(grad))

    def __copy__(self) -> Value:
        return Value(self)

    # ---- gradients --------------------------------------------------------------------------------------

    def backward(
        self,
        gradient: Any = None,
        *,
        inputs: Iterable[Value] | None = None,
        retain_graph: bool | None = None,
        create_graph: bool = False,
    ) -> None:
        """Add to the `grad` of each leaf the derivative of this Value with respect to it.

        All or nothing: after an error or an interrupt every `grad` is as it was.

        Parameters
        ----------
        gradient : array or Value, optional
            The cotangent to start from, of this Value's shape. A single real number needs none: it is 1.
        inputs : iterable of Value, optional
            Compute and accumulate for these alone, and visit only what lies between.
        retain_graph : bool, optional
            Keep what a second pass needs. By default, the value of `create_graph`.
        create_graph : bool
            Record the pass itself; the gradients are Values that can be differentiated again.

        Raises
        ------
        GraphError
            This Value needs no gradient, or an earlier pass freed the graph.
        ArgumentError
            No `gradient` for something that is not a single real number, or one of another shape.
        RuleError
            The rule of an op returned something that is no gradient; it is named.

        Notes
        -----
        For complex numbers the gradient is that of PyTorch: ``dL/d(re) + 1j * dL/d(im)`` for a real L, the
        direction of steepest ascent.

        Examples
        --------
        >>> from autodiff import Value
        >>> w = Value([1.0, 2.0])
        >>> (w * w).sum().backward()
        >>> w.grad
        array([2., 4.])
        """
        run_backward(self, gradient, inputs=inputs, retain_graph=retain_graph, create_graph=create_graph)

    def retain_grad(self) -> Value:
        """Ask for the `grad` of an intermediate result, before the backward pass; return the Value itself."""
        if self._edge is None:
            raise GraphError("This Value needs no gradient: there is none to retain.")
        if type(self._edge) is Node:
            with WRITING:
                watched = watch(self._edge)
                if watched.leaf is None:
                    watched.leaf = Leaf(self.shape, self.dtype, type(self._array))
                self._cell = watched.leaf.cell() or watched.leaf.own(Cell())
        return self

    def register_hook(self, hook: Callable[[Any], Any]) -> Hook:
        """Call ``hook(gradient)`` in each backward pass, once all uses of this Value have been added up.

        A hook that returns something replaces the gradient by it; it must not write into what it is given.
        The handle that is returned has ``remove()``.
        """
        if self._edge is None:
            raise GraphError("This Value needs no gradient: a hook on it would never run.")
        return attach(self._edge, hook)

    def zero_grad(self) -> None:
        """Forget the accumulated gradient: `grad` is None again."""
        cell = self._find_cell()
        if cell is not None:
            with WRITING:
                cell.grad = None

    # ---- in place -------------------------------------------------------------------------------------

    # fmt: off
    # A new node under the same name; with recording off, new numbers in the same leaf.
    def __iadd__(self, other: Any) -> Any: return self._in_place("+=", self + other)
    def __isub__(self, other: Any) -> Any: return self._in_place("-=", self - other)
    def __imul__(self, other: Any) -> Any: return self._in_place("*=", self * other)
    def __itruediv__(self, other: Any) -> Any: return self._in_place("/=", self / other)
    def __ipow__(self, other: Any, modulo: Any = None, /) -> Any: return self._in_place("**=", self ** other)
    def __imatmul__(self, other: Any) -> Any: return self._in_place("@=", self @ other)
    # fmt: on

    def _in_place(self, operator: str, result: Value) -> Value:
        if mode() & NO_GRAD and self._edge is not None:
            self._array = replacement(f"{operator} under no_grad: Value.data", self._array, result._array)
            return self
        return result

    def __getattr__(self, name: str) -> Any:
        # Reached only for what is not written out above.
        if not name.startswith("_"):
            if name in _SPELLED:
                return partial(getattr(numpy_protocols, _SPELLED[name]), self)
            op = registry.load().methods.get(name)
            if op is not None:
                return partial(op.method_call, self)
            known = [n for n in dir(self) if not n.startswith("_")]
            function = f" It is a function, autodiff.numpy.{name}(value)." if numpy_protocols.has(name) else ""
            raise UnknownOpError(f"A Value has no attribute {name!r}.{function or nearest(name, known)}")
        raise AttributeError(f"A Value has no attribute {name!r}.")

    def __dir__(self) -> list[str]:
        return sorted({*object.__dir__(self), *_SPELLED, *registry.load().methods})

    # ---- containers -------------------------------------------------------------------------------------

    def __len__(self) -> int:
        if not self.shape:
            raise ArgumentTypeError("A Value of shape () has no length and cannot be iterated over")
        return self.shape[0]

    def __iter__(self) -> Iterator[Value]:
        return (self[i] for i in range(len(self)))

    def __getitem__(self, index: Any) -> Value:
        value = spread_for(self, index) if mode() & BATCH else self
        return call(standard.getitem, (value,), {"index": plain_index(index)})  # type: ignore[no-any-return]  # ops are Any

    def __setitem__(self, index: Any, new: Any) -> None:
        if type(self._edge) is Leaf and not mode() & NO_GRAD:
            raise GraphError(
                "v[i] = ... on a leaf that needs a gradient would lose the leaf. Either work on a result, `w = v + 0`, "
                "or change the numbers of the parameter itself, `with autodiff.no_grad(): v[i] = ...`."
            )
        if type(new) is Value and new._edge is not None and self.dtype != new.dtype:
            refuse_narrowing(self._array, new._array)
        result = standard.setitem(spread_for(self, index), new, index=plain_index(index))
        if mode() & NO_GRAD and self._edge is not None:
            self._array = result._array
        else:
            self._array, self._edge = result._array, result._edge

    # ---- protocols --------------------------------------------------------------------------------------

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        return numpy_protocols.array_ufunc(ufunc, method, inputs, kwargs)

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
        return numpy_protocols.array_function(function, args, kwargs)

    def __array_namespace__(self, *, api_version: str | None = None) -> Any:
        return numpy_protocols.namespace()


handles.make_values_of(Value)
wrap: Callable[[Any, Edge | None], Value] = handles.wrap


def _converted(value: Value, dtype: Any, backend: str | None) -> Value:
    if backend is not None and backend != value.backend:
        value = value.to(backend)
    return value if dtype is None else value.astype(dtype)


def _rebuild(data: Any, requires_grad: bool, grad: Any) -> Value:
    """Make the detached copy that pickling and deepcopy promise."""
    value = wrap(data, None)
    if requires_grad:
        value._edge = value._new_leaf()
        value.grad = grad
    return value

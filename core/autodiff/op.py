"""`Op`: one operation, its kernel and its rules; calling it runs the kernel and records a `Node`.

`Op.__call__` serves every call. Those of one or two arrays without attributes, operators above all, it leaves to
the short paths of `calls` as soon as it has found the kernel.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NoReturn

from autodiff.arguments import admit, bring_numbers, convert
from autodiff.batch_rules import in_batch
from autodiff.calls import binary, unary
from autodiff.coverage import row
from autodiff.debugging import remember
from autodiff.errors import (
    ArgumentError,
    ArgumentTypeError,
    GradientTypeError,
    KernelError,
    RegistrationError,
    RuleError,
    nearest,
    shown,
)
from autodiff.graph import make_node
from autodiff.handles import Callee, unwrap, wrap
from autodiff.hooks import remember_stream
from autodiff.modes import DEBUG, FORWARD, NO_GRAD, REPLAY, mode
from autodiff.refusals import refuse
from autodiff.registry import PYTHON_SCALARS, registry
from autodiff.rule import MISSING, SEVERAL, Plan, select
from autodiff.value import Value

__all__ = ["REQUIRED", "Op"]

#: The default of an attribute that has none.
REQUIRED: Any = object()

_DIFFERENTIABLE = frozenset({"float", "complex"})


class Op(Callee):
    """One operation of arrays: immutable, callable, registered under ``plugin.name``.

    Made by the declarations `elementwise`, `linear`, `primitive`; not by hand.

    Attributes
    ----------
    id, name, plugin, module : str
        ``"autodiff_ops.tanh"``, ``"tanh"``, ``"autodiff_ops"``, ``"autodiff_ops.elementwise.exponential"``.
    kind : str
        The declaration that made it.
    inputs : tuple of str
        Names of the array inputs; `variadic` is the name of ``*xs`` if there is one.
    attrs : dict
        Keyword attributes and their defaults.
    vjps, joint_vjp, jvps, joint_jvp
        The rules.
    """

    __slots__ = ("__dict__", "__weakref__")

    def __init__(self, **fields: Any) -> None:
        self.id: str
        self.name: str
        self.plugin: str
        self.module: str
        self.kind: str
        self.inputs: tuple[str, ...]
        self.variadic: str | None
        self.attrs: dict[str, Any]
        self.residuals: tuple[str, ...]
        self.function: Callable[..., Any]
        self.takes_xp: bool
        self.method: bool
        self.broadcasts: bool  # its inputs broadcast against each other, wholly (elementwise)
        self.core_ndims: tuple[int, ...] | None  # or but for these last dimensions (a gufunc signature)
        self.multiplies: bool  # its rules are partial derivatives
        self.vjps: tuple[Any, ...]
        self.joint_vjp: Any
        self.jvps: tuple[Any, ...]
        self.joint_jvp: Any
        self.samples: tuple[Any, ...]
        self.reference: Any
        self.unsupported: tuple[Any, ...]
        self.c: str | None
        self.c_partials: tuple[str, ...]
        self.batching: Any  # a rule, or the attributes that name axes
        self.batching_names: tuple[str, ...]
        self.batching_names_batched: bool
        self.__dict__.update(fields)
        self.own_kernels: dict[str, Callable[..., Any]] = {}
        self._kernels: dict[Any, Any] = {}
        self.own_vjp_kernels: dict[str, Any] = {}
        self.replaces = False  # whether it took its id from another op
        self._plans: dict[tuple[int, int, bool], Plan] = {}
        self._short_plans = [None] * 4
        # An op of at most two inputs and no attributes: called through the short paths.
        self._short = not (self.attrs or self.residuals or self.variadic or self.joint_vjp) and len(self.inputs) < 3
        # What the short paths look up; empty for other ops, so that these find nothing there.
        self._quick = {}

    # ---- calling ----------------------------------------------------------------------------------------

    def __call__(self, /, *args: Any, **attrs: Any) -> Any:
        if not attrs and self._short and len(args) == len(self.inputs):
            # The short paths come back here only for what they do not know yet.
            if len(args) == 2:
                if self._key([unwrap(a) for a in args]) in self._quick:
                    return binary(self, *args)
            elif type(args[0]) is Value and type(args[0]._array) in self._quick:
                return unary(self, args[0])
        if len(args) != len(self.inputs) and (self.variadic is None or len(args) < len(self.inputs)):
            raise ArgumentTypeError(
                f"{self.id!r} takes {len(self.inputs)} arrays by position, {self.signature}; it was given {len(args)}. "
                f"Attributes are given by keyword."
            )
        if self.attrs or attrs:
            attrs = self._bind(attrs)
        xs: list[Any] = []
        edges: list[Any] = []
        raw = True
        for a in args:
            if type(a) is Value:
                xs.append(a._array)
                edges.append(a._edge)
                raw = False
            else:
                xs.append(admit(self, a))
                edges.append(None)
        kernel = self._kernels.get(self._key(xs))
        if kernel is None:
            kernel, xs = self._find_kernel(bring_numbers(args, xs))
        try:
            y = kernel(*xs, **attrs)
        except Exception as exc:
            refuse(self, exc, xs, attrs, args)
        if self._short:
            self._learn(xs, kernel, y)
        residuals: tuple[Any, ...] = ()
        if self.residuals:
            y, *rest = y
            residuals = tuple(rest)
        return y if raw else self._record(xs, edges, y, residuals, attrs)

    def apply(self, *xs: Any, **attrs: Any) -> Any:
        """Return what the kernel returns for raw arrays, residuals included; nothing is recorded."""
        attrs = self._bind(attrs) if self.attrs or attrs else attrs
        arrays = [admit(self, x) for x in xs]
        kernel = self._kernels.get(self._key(arrays))
        if kernel is None:
            kernel, arrays = self._find_kernel(arrays)
        try:
            return kernel(*arrays, **attrs)
        except Exception as exc:
            refuse(self, exc, arrays, attrs)

    def method_call(self, value: Value, /, *args: Any, **attrs: Any) -> Any:
        """Apply as a method of `value`: attributes may be given by position, in the order of the signature."""
        if not args and not attrs:
            return unary(self, value)  # which comes back for what is more
        others = len(self.inputs) - 1
        names = [*self.attrs][: len(args) - others] if len(args) > others else []
        if len(args) > others + len(names):
            raise ArgumentTypeError(f"Value.{self.name} takes {self.signature}; it was given {len(args)} arguments")
        twice = attrs.keys() & {*names}
        if twice:
            raise ArgumentTypeError(f"Value.{self.name} was given {min(twice)!r} twice; it takes {self.signature}")
        return self(value, *args[:others], **dict(zip(names, args[others:], strict=True)), **attrs)

    def _record(self, xs: Any, edges: Any, y: Any, residuals: Any, attrs: dict[str, Any]) -> Any:
        """Hand out the result of the kernel as Values, and leave a node behind if a gradient is to flow."""
        if type(y) is tuple or type(y) is list:
            return self._record_several(xs, edges, y, residuals, attrs)
        backend = registry.backend_of(type(y))
        if backend is None:
            self._refuse_result(y)
        plan = self._plan_for(edges)
        if plan is None or registry.kind(y.dtype, backend) not in _DIFFERENTIABLE:
            return wrap(y, None)
        if backend.base is not None:
            plan = in_batch(plan)
        saved = plan.collect(xs, y, residuals, attrs)
        if len(plan.wrt) != len(edges):
            edges = [edges[i] for i in plan.wrt]
        node = make_node(plan, tuple(edges), saved, y.shape, y.dtype, type(y))
        if backend.has_streams:
            remember_stream(node, backend.stream(y))
        if mode() & DEBUG:
            remember(node)
        return wrap(y, node)

    def _record_several(self, xs: Any, edges: Any, ys: Any, residuals: Any, attrs: dict[str, Any]) -> Any:
        """Do the same for a kernel with several results: one node, and an edge of its own for each of them."""
        backend = registry.backend_of(type(ys[0])) if ys else None
        if backend is None:
            self._refuse_result(*ys)
        plan = self._plan_for(edges)
        flows = [plan is not None and registry.kind(y.dtype, backend) in _DIFFERENTIABLE for y in ys]
        if plan is None or not any(flows):
            return tuple([wrap(y, None) for y in ys])
        if backend.base is not None:
            plan = in_batch(plan)
        saved = plan.collect(xs, tuple(ys), residuals, attrs)
        facts = tuple([(y.shape, y.dtype, type(y)) for y in ys])
        node = make_node(plan, tuple([edges[i] for i in plan.wrt]), saved, facts, SEVERAL, tuple)
        if backend.has_streams:
            remember_stream(node, backend.stream(ys[0]))
        if mode() & DEBUG:
            remember(node)
        return tuple(
            [wrap(y, select(node, i, y) if flow else None) for i, (y, flow) in enumerate(zip(ys, flows, strict=True))]
        )

    def _plan_for(self, edges: Any) -> Plan | None:
        """Return the plan for the inputs that have edges; None if nothing is to be recorded."""
        bits = mode()
        mask = 0
        if not bits & NO_GRAD:
            for i, edge in enumerate(edges):
                if edge is not None:
                    mask |= 1 << i
        if mask == 0:
            return None
        forward = bits & FORWARD != 0
        plan = self._plans.get((mask, len(edges), forward)) or self._plan(mask, len(edges), forward)
        return plan if plan.wrt else None

    def _plan(self, mask: int, count: int, forward: bool = False) -> Plan:
        key = (mask, count, forward)
        plan = self._plans.get(key)
        if plan is None:
            if self.joint_vjp is None:
                for i, rule in enumerate(self.vjps):
                    if mask >> i & 1 and rule is MISSING:
                        raise RuleError(
                            f"{self.id!r} has no gradient rule for {self.inputs[i]!r}, which needs a gradient. "
                            f"Detach that argument, or declare a rule (None says that it is not differentiable). {row(self)}"
                        )
            plan = self._plans[key] = Plan(self, mask, count, forward)
            # The short paths give a node all the edges that there are.
            if self._short and not forward and len(plan.wrt) == mask.bit_count():
                self._short_plans[mask] = plan
        return plan

    def _bind(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Complete the attributes by their defaults."""
        bound = {**self.attrs, **attrs}
        if len(bound) != len(self.attrs):
            unknown = next(name for name in attrs if name not in self.attrs)
            raise ArgumentTypeError(
                f"{self.id!r} has no attribute {unknown!r}.{nearest(unknown, self.attrs)} Its signature is {self.signature}."
            )
        for name, attr in bound.items():
            if attr is REQUIRED:
                raise ArgumentTypeError(f"{self.id!r} needs the attribute {name!r}: its signature is {self.signature}.")
            if type(attr) is Value:
                if attr.requires_grad:
                    raise GradientTypeError(
                        f"{self.id!r}: the attribute {name!r} is a Value that needs a gradient; attributes are never "
                        f"differentiable. Pass {name}.detach(), or its number."
                    )
                bound[name] = attr._array
        if "generator" in bound:
            replay = REPLAY.get()
            if replay is not None:
                bound["generator"] = replay(bound["generator"])
        return bound

    # ---- kernels ----------------------------------------------------------------------------------------

    def kernel(self, backend: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        """Declare, beside the op, a kernel for one backend; it takes what the generic one takes, but no ``xp``.

        Another package adds one through the hook ``register_kernels``.
        """

        def declare(function: Callable[..., Any]) -> Callable[..., Any]:
            if backend in self.own_kernels:
                raise RegistrationError(f"{self.id!r} declares two kernels for the backend {backend!r}")
            self.own_kernels[backend] = function
            self.forget_kernels()
            return function

        return declare

    def vjp_kernel(self, backend: str) -> Callable[[Any], Any]:
        """Declare a faster rule for one backend, for passes that are not themselves recorded.

        Decorates one function, or a tuple with one for each input, which name no more than the rules do.
        """

        def declare(rules: Any) -> Any:
            self.own_vjp_kernels[backend] = rules
            self.forget_kernels()
            return rules

        return declare

    def forget_kernels(self) -> None:
        """Look kernels up again: the registry has changed."""
        self._kernels.clear()
        self._quick.clear()
        self._plans.clear()
        self._short_plans = [None] * 4

    def kernel_on(self, backend: Any, array_type: type) -> Any:
        """Return the kernel for arrays of `array_type` of `backend`, best first.

        Raises
        ------
        KernelError
            There is none, not even a generic one.
        """
        if backend.base is not None:
            return backend.kernel_for(self, array_type)
        if array_type in backend.scalar_types and not self.replaces:
            found = backend.kernel_for(self, array_type)
            if found is not None:
                return found
        found = self.own_kernels.get(backend.name)
        if not self.replaces:
            found = registry.kernels.get((self.id, backend.name)) or found or backend.kernel_for(self, array_type)
        if found is not None:
            return found
        if self.takes_xp:
            return partial(self.function, backend.xp)
        found = getattr(backend.xp, self.name, None)
        if found is None:
            raise KernelError(
                f"{self.id!r} has no kernel for the backend {backend.name!r}: its library has no function "
                f"{self.name!r}, and the op declares no generic kernel. {row(self)}"
            )
        return found

    def kernel_for(self, array_type: type) -> Any:
        """Return the kernel for raw arrays that are all of this type, to be called with every attribute by keyword.

        What calls an op in a loop, and has checked its arguments, saves by it what a call does besides: completing
        attributes, naming the op in errors, recording. Ask again in each round: kernels may be registered meanwhile.

        Raises
        ------
        ArgumentTypeError
            No backend has arrays of this type.
        KernelError
            There is none, not even a generic one.

        Examples
        --------
        >>> import numpy as np
        >>> import autodiff
        >>> add = autodiff.ops.add.kernel_for(np.ndarray)
        >>> add(np.ones(2), np.ones(2))
        array([2., 2.])
        """
        kernel = self._kernels.get(array_type)
        if kernel is None:
            backend = registry.backend_of(array_type)
            if backend is None:
                raise ArgumentTypeError(
                    f"{self.id!r} has no kernel for {shown(array_type)}: no backend has such arrays"
                )
            kernel = self._kernels[array_type] = self.kernel_on(backend, array_type)
        return kernel

    def kernel_origins(self) -> str:
        """List the backends that have a kernel, and whose it is."""
        rows = []
        for name, backend in registry.load().backends.items():
            if (self.id, name) in registry.kernels:
                rows.append(f"{name} ({registry.kernel_origins[self.id, name]})")
            elif name in self.own_kernels:
                rows.append(f"{name} (its own)")
            elif backend.kernel_for(self, object) is not None and not self.replaces:
                rows.append(f"{name} (the backend's)")
            elif self.takes_xp:
                rows.append(f"{name} (generic)")
            elif backend.unavailable() is not None:
                rows.append(f"{name} (unknown: it cannot run here)")
            elif hasattr(backend.xp, self.name):
                rows.append(f"{name} (xp.{self.name})")
        return ", ".join(rows) or "none"

    def _key(self, xs: list[Any]) -> Any:
        """Return what a kernel is cached under: one type if all have it, else the types."""
        if len(xs) == 1:
            return type(xs[0])
        types = tuple(map(type, xs)) if self.variadic is None else frozenset(map(type, xs))
        if len(types) == 2 and self.variadic is None:
            t1, t2 = types
            return t1 if t1 is t2 else types
        return next(iter(types)) if len(types) == 1 else types

    def _find_kernel(self, xs: list[Any]) -> tuple[Any, list[Any]]:
        """Return the kernel and the arrays for it, lists and foreign arrays converted."""
        if not xs and self.variadic:
            raise ArgumentError(f"{self.id!r} needs at least one array: its signature is {self.signature}.")
        known = [x for x in xs if type(x) in PYTHON_SCALARS or registry.backend_of(type(x)) is not None]
        converted = len(known) != len(xs)
        backend = registry.common_backend(known, repr(self.id))
        arrays = len(known) > 0 and not all(type(x) in PYTHON_SCALARS for x in known)
        if converted or not arrays:
            kept = known if arrays else []
            xs = [x if any(x is k for k in kept) else convert(self, i, x, backend) for i, x in enumerate(xs)]
        types = {type(x) for x in xs if type(x) not in PYTHON_SCALARS}
        array_type = next((t for t in types if t not in backend.scalar_types), next(iter(types), float))
        kernel = self.kernel_on(backend, array_type)
        if complex in map(type, xs) and issubclass(array_type, float):
            # A scalar type that is Python's float (NumPy's float64): Python's complex numbers would do the arithmetic
            # themselves, and give one of their own.
            xs = [backend.asarray(x) if type(x) is complex else x for x in xs]
            converted = True
        if not converted and types:
            self._kernels[self._key(xs)] = kernel
        return kernel, xs

    def _learn(self, xs: list[Any], kernel: Any, y: Any) -> None:
        """Let the short paths call this kernel for arrays of these types, if it gives them one array to record."""
        backend = registry.backend_of(type(y))
        key = self._key(xs)
        if key not in self._kernels or backend is None or backend.base is not None or backend.has_streams:
            return
        if not self.differentiable or registry.kind(y.dtype, backend) in ("float", "complex"):
            # Not `kernel`: another thread may have registered a better one since this call found it.
            self._quick[key] = self._kernels.get(key, kernel)

    def _refuse_result(self, *outputs: Any) -> NoReturn:
        told = f"{shown(outputs[0])} of type {type(outputs[0]).__name__}" if outputs else "no output"
        raise KernelError(f"The kernel of {self.id!r} (plugin {self.plugin!r}) returned {told}; expected arrays")

    # ---- description ------------------------------------------------------------------------------------

    @property
    def differentiable(self) -> bool:
        """Whether any input has a rule."""
        return self.joint_vjp is not None or any(r is not None and r is not MISSING for r in self.vjps)

    @property
    def signature(self) -> str:
        """The call as one would write it: ``sum(x, *, axis=None, keepdims=False)``."""
        parts = [*self.inputs, *([f"*{self.variadic}"] if self.variadic else [])]
        if self.attrs and not self.variadic:
            parts.append("*")
        parts += [name if default is REQUIRED else f"{name}={default!r}" for name, default in self.attrs.items()]
        return f"{self.name}({', '.join(parts)})"

    def difference(self, other: Any) -> str:
        """Say in a few words how the declaration of `other` differs."""
        pairs = [(f, getattr(self, f), getattr(other, f, None)) for f in ("module", "kind", "signature")]
        told = [f"{name} {mine!r} against {theirs!r}" for name, mine, theirs in pairs if mine != theirs]
        return f" ({', '.join(told)})" if told else " (the same signature, another object)"

    def __repr__(self) -> str:
        return f"<op {self.id}: {self.signature}>"

    def __reduce__(self) -> tuple[Any, ...]:
        return _op_by_id, (self.id,)

    def __copy__(self) -> Op:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Op:
        return self


def _op_by_id(op_id: str) -> Any:
    return registry.op(op_id)

"""`Op`: one operation, its kernel and its rules; calling it runs the kernel and records a `Node`.

`Op._full` serves every call. It finds kernel and plan, and leaves both where the short paths of `calls` look for them
the next time.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NoReturn

from autodiff.arguments import admit, bring_numbers, convert
from autodiff.batch_rules import in_batch
from autodiff.calls import binary, call, unary
from autodiff.coverage import row
from autodiff.debugging import remember
from autodiff.errors import (
    ArgumentError,
    ArgumentTypeError,
    GradientTypeError,
    KernelError,
    RegistrationError,
    RuleError,
    shown,
)
from autodiff.graph import make_node
from autodiff.handles import REQUIRED, Callee, wrap
from autodiff.hooks import remember_stream
from autodiff.modes import DEBUG, FORWARD, NO_GRAD, REPLAY, mode
from autodiff.refusals import refuse, refuse_unknown
from autodiff.registry import PYTHON_SCALARS, registry
from autodiff.rule import MISSING, SEVERAL, Plan, Rules, select
from autodiff.value import Value

__all__ = ["REQUIRED", "Op"]

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
        self.invariants: Any
        self.unsupported: tuple[Any, ...]
        self.c: str | None
        self.c_partials: tuple[str, ...]
        self.batching: Any  # a rule, or the attributes that name axes
        self.batching_names: tuple[str, ...]
        self.batching_names_batched: bool
        self.__dict__.update(fields)
        self.own_kernels: dict[str, Callable[..., Any]] = {}
        self.own_vjp_kernels: dict[str, Any] = {}
        self.replaces = False  # whether it took its id from another op
        self._count = len(self.inputs) if self.variadic is None else -1
        self._defaults = self.attrs
        self._leaves_more = bool(self.residuals)
        # At most two inputs, and no attributes: called through the shortest paths.
        self._short = not (self.attrs or self.residuals or self.variadic or self.joint_vjp) and len(self.inputs) < 3
        self.forget_kernels()

    # ---- calling ----------------------------------------------------------------------------------------

    def __call__(self, /, *args: Any, **attrs: Any) -> Any:
        if attrs or not self._short or len(args) != self._count:
            return call(self, args, attrs)
        return unary(self, args[0]) if self._count == 1 else binary(self, args[0], args[1])

    def _full(self, args: tuple[Any, ...], attrs: dict[str, Any]) -> Any:
        """Apply where the short paths do not know how, and let them know if they may the next time."""
        if len(args) != len(self.inputs) and (self.variadic is None or len(args) < len(self.inputs)):
            raise ArgumentTypeError(
                f"{self.id!r} takes {len(self.inputs)} arrays by position, {self.signature}; it was given {len(args)}. "
                f"Attributes are given by keyword."
            )
        if self.attrs or attrs:
            attrs = self._bind(attrs)
        xs = [a._array if type(a) is Value else admit(self, a) for a in args]
        # In this order: see `forget_kernels`.
        tables = self._quick, self._known
        kernel = self._kernels.get(self._key(xs))
        if kernel is None:
            kernel, xs = self._find_kernel(bring_numbers(args, xs))
        try:
            y = kernel(*xs, **attrs)
        except Exception as exc:
            refuse(self, exc, xs, attrs, args)
        residuals: tuple[Any, ...] = ()
        if self.residuals:
            y, *rest = y
            residuals = tuple(rest)
        self._learn(tables, xs, kernel, y)
        return self._record(args, xs, y, residuals, attrs) if any(type(a) is Value for a in args) else y

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
            return unary(self, value) if self._short else call(self, (value,), {})
        others = len(self.inputs) - 1
        names = [*self.attrs][: len(args) - others] if len(args) > others else []
        if len(args) > others + len(names):
            raise ArgumentTypeError(f"Value.{self.name} takes {self.signature}; it was given {len(args)} arguments")
        twice = attrs.keys() & {*names}
        if twice:
            raise ArgumentTypeError(f"Value.{self.name} was given {min(twice)!r} twice; it takes {self.signature}")
        return self(value, *args[:others], **dict(zip(names, args[others:], strict=True)), **attrs)

    def _record(self, args: Any, xs: Any, y: Any, residuals: Any, attrs: dict[str, Any]) -> Any:
        """Hand out the result of the kernel as Values, and leave a node behind if a gradient is to flow."""
        edges = [a._edge if type(a) is Value else None for a in args]
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
        node = make_node(plan, tuple([edges[i] for i in plan.wrt]), saved, y.shape, y.dtype, type(y))
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
        plan = self._plan(mask, len(edges), bits & FORWARD != 0)
        return plan if plan.wrt else None

    def _plan(self, mask: int, count: int, forward: bool = False) -> Plan:
        # In this order: see `forget_kernels`.
        short, known, plans = self._short_plans, self._known_plans, self._plans
        key = mask, count, forward
        plan: Plan | None = plans.get(key)
        if plan is None:
            if self.joint_vjp is None:
                for i, rule in enumerate(self.vjps):
                    if mask >> i & 1 and rule is MISSING:
                        raise RuleError(
                            f"{self.id!r} has no gradient rule for {self.inputs[i]!r}, which needs a gradient. "
                            f"Detach that argument, or declare a rule (None says that it is not differentiable). {row(self)}"
                        )
            plan = plans[key] = Plan(self, mask, count, forward)
            # The short paths give a node all the edges that there are.
            if len(plan.wrt) == mask.bit_count():
                bits = FORWARD if forward else 0
                known[(mask | 1 << count) << 3 | bits] = plan
                if self._short:
                    short[mask << 3 | bits] = plan
        return plan

    def _bind(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Complete the attributes by their defaults."""
        bound = {**self.attrs, **attrs}
        if len(bound) != len(self.attrs):
            refuse_unknown(self, attrs)
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

    def vjp_kernel(self, backend: str, *, joint: Any = None) -> Callable[[Any], Any]:
        """Declare a faster rule for one backend, for passes that are not themselves recorded.

        Decorates one function, or a tuple with one for each input, which name no more than the rules do.
        A rule `joint` returns a tuple with a cotangent for each input, None for those that `needs`, a tuple of
        bools, says need none. It is used in their place where several inputs need a gradient and all that it
        names is kept anyway.
        """

        def declare(rules: Any) -> Any:
            listed = Rules(rules if isinstance(rules, tuple) else (rules,))
            listed.joint = joint
            self.own_vjp_kernels[backend] = listed
            self.forget_kernels()
            return rules

        return declare

    def forget_kernels(self) -> None:
        """Look kernels and rules up again: the registry has changed.

        The tables are replaced, not cleared. Whoever looks something up at this moment, in another thread, has taken
        hold of a table before asking the registry, and writes what may be out of date into the old one. He takes
        those that depend on another one first, and they are replaced last.
        """
        self._kernels: dict[Any, Any] = {}
        self._quick, self._known = {}, {}
        self._plans: dict[tuple[int, int, bool], Plan] = {}
        self._known_plans = {}
        self._short_plans = [None] * 32

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
        attributes, recording. What the kernel raises is handed to `refuse`. Ask again in each round: kernels may be
        registered meanwhile.

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
        kernels = self._kernels  # before the kernel is looked for: see `forget_kernels`
        kernel = kernels.get(array_type)
        if kernel is None:
            backend = registry.backend_of(array_type)
            if backend is None:
                raise ArgumentTypeError(
                    f"{self.id!r} has no kernel for {shown(array_type)}: no backend has such arrays"
                )
            kernel = kernels[array_type] = self.kernel_on(backend, array_type)
        return kernel

    def refuse(self, exc: Exception, *arrays: Any, **attrs: Any) -> NoReturn:
        """Raise what a kernel of `kernel_for` raised as a call does: naming the op, and what it was given."""
        refuse(self, exc, arrays, attrs)

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
        """Return what a kernel is cached under: the types of arrays, as the short paths look for it."""
        if self.variadic is not None:
            return frozenset(map(type, xs))
        types = tuple(map(type, xs))
        return types[0] if len(types) == 1 or (self._short and types[0] is types[1]) else types

    def _find_kernel(self, xs: list[Any]) -> tuple[Any, list[Any]]:
        """Return the kernel and the arrays for it, lists and foreign arrays converted."""
        kernels = self._kernels  # before the kernel is looked for: see `forget_kernels`
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
            kernels[self._key(xs)] = kernel
        return kernel, xs

    def _learn(self, tables: tuple[dict[Any, Any], ...], xs: list[Any], kernel: Any, y: Any) -> None:
        """Let the short paths call this kernel for arrays of these types, if it gives them one array to record."""
        backend = registry.backend_of(type(y))
        key = self._key(xs)
        if key not in self._kernels or backend is None or backend.base is not None or backend.has_streams:
            return
        if "generator" in self.attrs:
            return
        quick, known = tables
        known[key] = kernel
        # `unary` and `binary` do not ask whether the result can have a gradient.
        if self._short and (not self.differentiable or registry.kind(y.dtype, backend) in _DIFFERENTIABLE):
            quick[key] = kernel

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

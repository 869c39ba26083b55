"""How ops are declared: `elementwise`, `linear`, `primitive`, `composite`. One decorator on one function.

The function's signature is the op's: an optional ``xp`` first, array inputs by position (or ``*xs``),
attributes by keyword. A function with ``xp`` has a body, the generic kernel for every backend; without it the
kernel is the function of the same name in each backend's namespace.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from autodiff.batch_rules import check_batching
from autodiff.errors import RegistrationError, shown
from autodiff.handles import Callee, unwrap
from autodiff.op import Op
from autodiff.refusals import refuse, refuse_unknown
from autodiff.rule import MISSING, RESERVED, Rule
from autodiff.samples import Unsupported
from autodiff.signatures import core_ndims, is_variadic, listed, names_of, parameters_of, place_of, unsupported_by

__all__ = ["Composite", "composite", "elementwise", "linear", "primitive"]

Function = Callable[..., Any]


def elementwise(
    *,
    partials: Sequence[Any] | None = None,
    vjps: Sequence[Any] | Mapping[str, Any] | None = None,
    jvps: Sequence[Any] | Mapping[str, Any] | None = None,
    c: str | None = None,
    c_partials: Sequence[str] = (),
    batching: Any = None,
    samples: Sequence[Any] = (),
    reference: Any = None,
    unsupported: Sequence[Unsupported] = (),
    method: bool = False,
) -> Callable[[Function], Op]:
    """Declare an op that maps broadcast inputs element by element.

    The scheduler sums each cotangent back to the shape of its input.

    Parameters
    ----------
    partials : sequence
        For each input, its partial derivative: a number, None (not differentiable), or a function that
        names what it needs among the inputs, the output ``y``, the attributes and ``xp``. The vjp is
        ``g * conj(partial)`` and the jvp ``t * partial``.
    vjps, jvps : sequence or mapping, optional
        Rules in place of `partials`, where a product with a partial would be wrong (masks, infinities).
    c, c_partials : str, sequence of str
        The kernel and the partials as C expressions of the inputs' names, ``T`` standing for the dtype.
    samples : sequence of Sample
        Inputs on which the op is to be tested.
    reference : callable or str, optional
        The same function written independently, of NumPy arrays and the attributes, to test against; or where it
        is, ``"scipy.special:erf"``, imported by the tests alone, and only where it is installed.
    unsupported : sequence of Unsupported
        What is known not to work.
    batching : function or tuple of str, optional
        As for `primitive`; without it batches broadcast.
    method : bool
        Whether the op is a method of Value too.

    Raises
    ------
    RegistrationError
        The declaration cannot work; it says what is wrong with it.

    Examples
    --------
    >>> import numpy as np
    >>> from autodiff import Value
    >>> from autodiff.extend import elementwise
    >>> @elementwise(partials=(lambda x: 3 * x * x,))
    ... def cube(xp, x):
    ...     return x * x * x
    >>> v = Value(np.array([1.0, 2.0]))
    >>> cube(v).sum().backward()
    >>> v.grad
    array([ 3., 12.])
    """

    def declare(function: Function) -> Op:
        if partials is not None and (vjps is not None or jvps is not None):
            raise RegistrationError(f"{place_of(function)}: give partials, or vjps and jvps, not both")
        return _make(
            function,
            "elementwise",
            vjps=partials if partials is not None else vjps,
            jvps=partials if partials is not None else jvps,
            role="partial" if partials is not None else "vjp",
            batching=batching,
            samples=listed("samples", samples),
            reference=reference,
            unsupported=unsupported,
            method=method,
            broadcasts=True,
            c=c,
            c_partials=listed("c_partials", c_partials),
        )

    return declare


def linear(
    *,
    transpose: Any,
    signature: str | None = None,
    batching: Any = None,
    samples: Sequence[Any] = (),
    reference: Any = None,
    unsupported: Sequence[Unsupported] = (),
    method: bool = False,
) -> Callable[[Function], Op]:
    """Declare an op that is linear in its inputs together; its forward derivative is the op itself.

    Parameters
    ----------
    transpose : function, or sequence or mapping of them
        The transposed op: maps the cotangent ``g`` of the output to that of the input. One for each input;
        for ``*xs`` one joint function that returns a tuple.
    signature, batching, samples, reference, unsupported, method
        As for `primitive`.

    Examples
    --------
    >>> import numpy as np
    >>> from autodiff.extend import linear
    >>> @linear(transpose=lambda g, xp: xp.flip(g))
    ... def reverse(xp, x):
    ...     return xp.flip(x)
    """

    def declare(function: Function) -> Op:
        joint = callable(transpose) and is_variadic(function)
        return _make(
            function,
            "linear",
            vjps=None if joint else (transpose,) if callable(transpose) else transpose,
            joint_vjp=transpose if joint else None,
            role="vjp",
            signature=signature,
            batching=batching,
            samples=listed("samples", samples),
            reference=reference,
            unsupported=unsupported,
            method=method,
        )

    return declare


def primitive(
    *,
    vjps: Sequence[Any] | Mapping[str, Any] | None = None,
    vjp: Function | None = None,
    jvps: Sequence[Any] | Mapping[str, Any] | None = None,
    jvp: Function | None = None,
    residuals: Sequence[str] = (),
    signature: str | None = None,
    batching: Any = None,
    samples: Sequence[Any] = (),
    reference: Any = None,
    invariants: Function | None = None,
    unsupported: Sequence[Unsupported] = (),
    method: bool = False,
) -> Callable[[Function], Op]:
    """Declare an op by its gradient rules.

    Parameters
    ----------
    vjps, jvps : sequence or mapping
        One rule for each input, in order or by name; None for one that is not differentiable. An input
        without a rule raises as soon as it needs a gradient.
    vjp, jvp : function
        A joint rule for all inputs, which returns a tuple; it may name ``needs``, a tuple of bools.
    residuals : sequence of str
        Names of auxiliary results that the kernel returns after its output, for the rules alone: indices,
        masks, whatever does not itself depend on the inputs in a differentiable way.
    signature : str, optional
        A gufunc signature, ``"(m,k),(k,n)->(m,n)"``: the leading dimensions broadcast, and the scheduler sums
        cotangents over them.
    samples : sequence of Sample
        Inputs on which the op is to be tested.
    reference : callable or str, optional
        The same function written independently, of NumPy arrays and the attributes, to test against; or where it
        is, ``"scipy.special:erf"``, imported by the tests alone, and only where it is installed.
    invariants : callable, optional
        What of the outputs is determined, where libraries may return one or another of several right answers, as of
        eigenvectors, whose signs are free: a function of the outputs that returns arrays. Where results are compared
        with those of another backend or of the reference, these are compared.
    unsupported : sequence of Unsupported
        What is known not to work.
    batching : function or tuple of str, optional
        How to compute for a batch: a rule, or the names of the attributes that hold axes; else by a loop.
    method : bool
        Whether the op is a method of Value too.

    Raises
    ------
    RegistrationError
        The declaration cannot work; it says what is wrong with it.

    Notes
    -----
    The parameters of a rule are matched by name: ``g`` (the cotangent), ``y`` (the output), ``xp``, the op's
    inputs and attributes, residuals, and ``<input>_shape``, ``<input>_dtype``, ``<input>_device``. Exactly
    what the rules of the inputs that need a gradient name is kept from the forward pass.

    Examples
    --------
    >>> import numpy as np
    >>> from autodiff import Value
    >>> from autodiff.extend import primitive
    >>> def total_vjp(g, xp, x_shape):
    ...     return xp.broadcast_to(g, x_shape)
    >>> @primitive(vjps=(total_vjp,))
    ... def total(xp, x):
    ...     return xp.sum(x)
    >>> v = Value(np.ones((2, 2)))
    >>> total(v).backward()
    >>> v.grad
    array([[1., 1.],
           [1., 1.]])
    """

    def declare(function: Function) -> Op:
        if isinstance(residuals, str) or not all(isinstance(name, str) for name in listed("residuals", residuals)):
            raise RegistrationError(f"{place_of(function)}: residuals are names; they were given as {shown(residuals)}")
        if vjps is not None and vjp is not None:
            raise RegistrationError(f"{place_of(function)}: give vjps, one for each input, or a joint vjp, not both")
        return _make(
            function,
            "primitive",
            vjps=vjps,
            joint_vjp=vjp,
            jvps=jvps,
            joint_jvp=jvp,
            role="vjp",
            residuals=tuple(residuals),
            signature=signature,
            batching=batching,
            samples=listed("samples", samples),
            reference=reference,
            invariants=invariants,
            unsupported=unsupported,
            method=method,
        )

    return declare


class Composite(Callee):
    """A function of ops that is registered for its name; its gradient is that of its body."""

    kind = "composite"
    broadcasts = False
    residuals: tuple[str, ...] = ()
    differentiable = True
    replaces = False
    invariants = None
    _short = False

    def __init__(
        self, function: Function, samples: Sequence[Any], reference: Any, unsupported: Sequence[Any], method: bool
    ) -> None:
        self._count, self._defaults, self._quick, self._known = -1, {}, {}, {}  # hence always called in full
        self.function = function
        self.module, self.plugin, self.name, self.id = names_of(function)
        self.takes_xp, self.inputs, self.variadic, self.attrs = parameters_of(function)
        self.samples = listed("samples", samples)
        self.reference = _reference(self.id, reference)
        self.unsupported = unsupported_by(self.id, unsupported)
        self.method = method
        self.vjps: tuple[Any, ...] = ()
        self.jvps: tuple[Any, ...] = ()
        self.joint_vjp = self.joint_jvp = None
        self.own_kernels: dict[str, Any] = {}
        self.own_vjp_kernels: dict[str, Any] = {}
        functools.update_wrapper(self, function)

    def __call__(self, /, *args: Any, **attrs: Any) -> Any:
        return self._full(args, attrs)

    def _full(self, args: tuple[Any, ...], attrs: dict[str, Any]) -> Any:
        try:
            return self.function(*args, **attrs)
        except Exception as exc:
            refuse_unknown(self, attrs)
            refuse(self, exc, [unwrap(a) for a in args], attrs)

    method_call = Op.method_call
    signature = Op.signature
    difference = Op.difference
    __repr__ = Op.__repr__
    __reduce__ = Op.__reduce__

    def forget_kernels(self) -> None:
        """Do nothing: a composite has no kernels."""

    def kernel_origins(self) -> str:
        """A composite runs wherever the ops of its body do."""
        return "where the ops of its body run"


def composite(
    *,
    samples: Sequence[Any] = (),
    reference: Any = None,
    unsupported: Sequence[Unsupported] = (),
    method: bool = False,
) -> Callable[[Function], Composite]:
    """Declare a plain function of ops as an op, for its name; its gradient is its body's.

    Parameters
    ----------
    samples : sequence of Sample
        Inputs on which it is to be tested.
    reference, unsupported
        As for `primitive`.
    method : bool
        Whether it is a method of Value too.

    Examples
    --------
    >>> import autodiff
    >>> from autodiff.extend import composite
    >>> @composite()
    ... def softabs(x):
    ...     return autodiff.ops.sqrt(x * x + 1e-3)
    """

    def declare(function: Function) -> Composite:
        made = Composite(function, samples, reference, unsupported, method)
        if made.takes_xp:
            raise RegistrationError(f"{made.id!r}: a composite is written with ops and takes no xp")
        return made

    return declare


# ---- from a declaration to an Op --------------------------------------------------------------------------


def _make(
    function: Function,
    kind: str,
    *,
    vjps: Any,
    role: str,
    jvps: Any = None,
    joint_vjp: Function | None = None,
    joint_jvp: Function | None = None,
    residuals: tuple[str, ...] = (),
    signature: str | None = None,
    samples: Sequence[Any] = (),
    reference: Any = None,
    invariants: Any = None,
    unsupported: Sequence[Unsupported] = (),
    method: bool = False,
    broadcasts: bool = False,
    c: str | None = None,
    c_partials: tuple[str, ...] = (),
    batching: Any = None,
) -> Op:
    module, plugin, name, op_id = names_of(function)
    takes_xp, inputs, variadic, attrs = parameters_of(function)
    op = Op(
        id=op_id,
        name=name,
        plugin=plugin,
        module=module,
        kind=kind,
        function=function,
        takes_xp=takes_xp,
        inputs=inputs,
        variadic=variadic,
        attrs=attrs,
        residuals=residuals,
        joint_vjp=joint_vjp,
        method=method,
        broadcasts=broadcasts,
        core_ndims=core_ndims(op_id, signature, inputs),
        multiplies=role == "partial",
        samples=tuple(samples),
        reference=_reference(op_id, reference),
        invariants=_invariants(op_id, invariants),
        unsupported=unsupported_by(op_id, unsupported),
        c=c,
        c_partials=c_partials,
        batching=batching,
        batching_names=(),
        batching_names_batched=False,
    )
    taken = RESERVED & {*inputs, *attrs, *residuals, variadic or ""}
    if taken:
        raise RegistrationError(
            f"{op_id!r} has an argument called {min(taken)!r}; {', '.join(sorted(RESERVED))} are reserved for rules"
        )
    if residuals and not takes_xp:
        raise RegistrationError(f"{op_id!r} declares residuals, hence needs a kernel of its own: take xp and write it")
    op.joint_vjp = None if joint_vjp is None else Rule(op, joint_vjp, "joint vjp")
    op.vjps = _rules(op, vjps, role)
    op.joint_jvp = None if joint_jvp is None else Rule(op, joint_jvp, "joint jvp")
    # Of partials the forward rule is the product too; without forward rules it is derived from the vjps.
    op.jvps = () if jvps is None or role == "partial" else _rules(op, jvps, "jvp")
    if variadic and vjps is not None:
        raise RegistrationError(f"{op_id!r} takes *{variadic}: give one joint vjp, which returns a tuple")
    if c_partials and len(c_partials) != len(inputs):
        raise RegistrationError(f"{op_id!r} has {len(inputs)} inputs and {len(c_partials)} c_partials")
    _check_c_partials(op)
    check_batching(op)
    functools.update_wrapper(op, function)
    return op


def _invariants(op_id: str, invariants: Any) -> Any:
    if invariants is None or callable(invariants):
        return invariants
    raise RegistrationError(
        f"{op_id!r}: the invariants are a function of the outputs; they were given as {invariants!r:.80}"
    )


def _reference(op_id: str, reference: Any) -> Any:
    if reference is None or callable(reference) or (type(reference) is str and reference.count(":") == 1):
        return reference
    raise RegistrationError(
        f"{op_id!r}: the reference {reference!r:.80} is neither a function nor the place of one, 'module:function'"
    )


_NAMES = re.compile(r"\b[^\W\d]\w*")


def _check_c_partials(op: Op) -> None:
    """Refuse an expression that names what the rule of its input does not: the rule decides what is kept."""
    for i, expression in enumerate(op.c_partials):
        if not isinstance(expression, str):
            raise RegistrationError(f"{op.id!r}: c_partials are C expressions, as text; one is {shown(expression)}")
        rule = op.vjps[i]
        kept = rule.names(op) if isinstance(rule, Rule) else ()
        named = set(_NAMES.findall(expression))
        for name in (*op.inputs, "y", *op.attrs):
            if name not in kept and name in named:
                raise RegistrationError(
                    f"{op.id!r}: the C expression {expression!r} for {op.inputs[i]!r} names {name!r}, which the "
                    f"rule for that input does not: what is kept from the forward pass is decided there. It names "
                    f"{', '.join(sorted(kept)) or 'nothing'}."
                )


def _rules(op: Op, rules: Any, role: str) -> tuple[Any, ...]:
    """Return one entry for each input: a Rule, None (not differentiable) or MISSING."""
    if rules is None:
        return (MISSING,) * len(op.inputs)
    if isinstance(rules, Mapping):
        unknown = [name for name in rules if name not in op.inputs]
        if unknown:
            raise RegistrationError(f"{op.id!r} has a rule for {unknown[0]!r}, which is none of its inputs {op.inputs}")
        chosen = [rules.get(name, MISSING) for name in op.inputs]
    else:
        if not isinstance(rules, Sequence) or isinstance(rules, str | bytes):
            raise RegistrationError(
                f"{op.id!r}: rules are a sequence, one for each input, or a mapping by name; they were given as {shown(rules)}"
            )
        chosen = list(rules)
        if len(chosen) != len(op.inputs):
            raise RegistrationError(
                f"{op.id!r} has {len(op.inputs)} inputs {op.inputs} and {len(chosen)} rules; "
                f"give one for each, None where it is not differentiable"
            )
    return tuple(rule if rule is None or rule is MISSING else Rule(op, rule, role) for rule in chosen)

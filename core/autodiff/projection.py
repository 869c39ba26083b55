"""What a rule returned, checked and brought into the space of its input: shape, dtype, backend.

`project` is called by the backward pass for each cotangent that is not of its edge's shape, dtype and type
already. It sums what broadcasting repeated, takes the real part for a real input, casts between floating
types; anything else is a `RuleError` that names op, plugin, argument and both sides.
"""

from __future__ import annotations

from typing import Any, NoReturn

from autodiff.batches import base_of
from autodiff.broadcasting import sum_to
from autodiff.errors import RuleError
from autodiff.graph import Edge, Leaf, Node
from autodiff.levels import settle
from autodiff.registry import registry
from autodiff.rule import Plan
from autodiff.standard import standard
from autodiff.value import Value, unwrap

__all__ = ["project"]


def project(q: Any, edge: Edge, node: Node, position: int, recorded: int) -> Any:
    """Return the cotangent `q`, which the rule of `node` for input `position` returned, as one of `edge`.

    `recorded` is 0, or, in a pass that is itself recorded, the number at its start: a leaf with a higher one
    was made by the rule, which hence left the graph.

    Raises
    ------
    RuleError
        It is not a cotangent of that input.
    """
    plan = node.plan
    if (type(q) is Value) is not bool(recorded) or (recorded and type(q._edge) is Leaf and q._edge.seq > recorded):
        _no_value(q, plan, position, recorded)
    raw = unwrap(q)
    if (
        type(raw) is edge.type
        and raw.dtype is edge.dtype
        and raw.shape == edge.shape
        and type(raw) in registry.plain_types
    ):
        return q  # as most are in a recorded pass, where nobody has asked before
    backend = registry.backend_of(edge.type)
    own = registry.backend_of(type(raw))
    if own is not None and own.base is not None:
        q = settle(q, edge)
        raw = unwrap(q)
        own = registry.backend_of(type(raw))
    if base_of(own) is not base_of(backend) or backend is None or own is None:
        name = backend.name if backend is not None else edge.type.__name__
        _wrong(plan, position, f"{type(raw).__module__}.{type(raw).__qualname__}", f"an array of the backend {name!r}")
    if not backend.same_shape(raw.shape, edge.shape):
        if not _may_sum(node, position, raw.shape, edge.shape):
            _wrong(plan, position, f"shape {tuple(raw.shape)}", f"shape {tuple(edge.shape)}, that of the input")
        q = sum_to(q, shape=edge.shape)
    if raw.dtype != edge.dtype:
        q = _as_dtype(q, raw.dtype, edge.dtype, own, plan, position, recorded)
    return q


def _as_dtype(q: Any, given: Any, wanted: Any, backend: Any, plan: Plan, position: int, recorded: int) -> Any:
    given_kind, wanted_kind = registry.kind(given, backend), registry.kind(wanted, backend)
    if given_kind not in ("float", "complex"):
        _wrong(plan, position, f"dtype {given}", f"dtype {wanted}, that of the input")
    if given_kind == "complex" and wanted_kind == "float":
        q = standard.real(q) if recorded else backend.real(q)
    if q.dtype != wanted:
        q = standard.astype(q, dtype=wanted) if recorded else backend.astype(q, wanted)
    return q


def _may_sum(node: Node, position: int, given: tuple[int, ...], wanted: tuple[int, ...]) -> bool:
    """Tell whether `given` differs from `wanted` only by what broadcasting did to this input of the op."""
    op = node.plan.op
    if len(given) < len(wanted):
        return False
    if any(w not in (1, n) for n, w in zip(reversed(given), reversed(wanted), strict=False)):
        return False
    if op.broadcasts:
        return tuple(given) == tuple(node.shape)
    if op.core_ndims is None:
        return False
    core = min(op.core_ndims[position], len(wanted))
    return core == 0 or tuple(given[-core:]) == tuple(wanted[-core:])


def _no_value(q: Any, plan: Plan, position: int, recorded: int) -> NoReturn:
    if recorded:
        what = "a new leaf" if type(q) is Value else type(q).__qualname__
        raise RuleError(
            f"{_rule(plan, position)} returned {what} in a pass that is itself recorded: it left the graph, and a second "
            f"derivative through it would be a silent zero. Write it with ops of Values (xp is autodiff.numpy there), "
            f"without .data or NumPy conversions."
        )
    raise RuleError(
        f"{_rule(plan, position)} returned a Value in a pass that is not recorded: it uses a Value from outside, by "
        f"closure. Make that an input of the op, so that it gets a gradient too, or use its .data."
    )


def _wrong(plan: Plan, position: int, given: str, wanted: str) -> NoReturn:
    op = plan.op
    hint = ""
    if not op.broadcasts and op.core_ndims is None and "shape" in given:
        hint = " (only elementwise ops, and ops with a gufunc signature, are summed back to their input's shape)"
    raise RuleError(f"{_rule(plan, position)} returned {given}; expected {wanted}{hint}.")


def _rule(plan: Plan, position: int) -> str:
    op = plan.op
    argument = op.inputs[position] if position < len(op.inputs) else f"{op.variadic}[{position}]"
    return f"The gradient rule of {op.id!r} (plugin {op.plugin!r}) for argument {argument!r}"

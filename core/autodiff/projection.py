"""What a rule returned, checked and brought into the space of its input: shape, dtype, backend.

`project` is called by the backward pass for each cotangent that is not of its edge's shape, dtype and type
already. It sums what broadcasting repeated, takes the real part for a real input, casts between floating
types; anything else is a `RuleError` that names op, plugin, argument and both sides.
"""

from __future__ import annotations

from typing import Any, NoReturn

from autodiff.broadcasting import sum_to
from autodiff.errors import RuleError
from autodiff.graph import Edge
from autodiff.registry import registry
from autodiff.rule import Plan
from autodiff.standard import standard
from autodiff.value import Value, unwrap

__all__ = ["project"]


def project(q: Any, edge: Edge, plan: Plan, position: int, recorded: bool) -> Any:
    """Return the cotangent `q`, which the rule for input `position` returned, as one of `edge`.

    Raises
    ------
    RuleError
        It is not a cotangent of that input.
    """
    if (type(q) is Value) is not recorded:
        _no_value(q, plan, position, recorded)
    raw = unwrap(q)
    backend = registry.backend_of(edge.type)
    if registry.backend_of(type(raw)) is not backend or backend is None:
        name = backend.name if backend is not None else edge.type.__name__
        _wrong(plan, position, f"{type(raw).__module__}.{type(raw).__qualname__}", f"an array of the backend {name!r}")
    if not backend.same_shape(raw.shape, edge.shape):
        if not _may_sum(plan.op, position, raw.shape, edge.shape):
            _wrong(plan, position, f"shape {tuple(raw.shape)}", f"shape {tuple(edge.shape)}, that of the input")
        q = sum_to(q, shape=edge.shape)
    if raw.dtype != edge.dtype:
        q = _as_dtype(q, raw.dtype, edge.dtype, backend, plan, position, recorded)
    return q


def _as_dtype(q: Any, given: Any, wanted: Any, backend: Any, plan: Plan, position: int, recorded: bool) -> Any:
    given_kind, wanted_kind = registry.kind(given, backend), registry.kind(wanted, backend)
    if given_kind not in ("float", "complex"):
        _wrong(plan, position, f"dtype {given}", f"dtype {wanted}, that of the input")
    if given_kind == "complex" and wanted_kind == "float":
        q = standard.real(q) if recorded else backend.real(q)
    if q.dtype != wanted:
        q = standard.astype(q, dtype=wanted) if recorded else backend.astype(q, wanted)
    return q


def _may_sum(op: Any, position: int, given: tuple[int, ...], wanted: tuple[int, ...]) -> bool:
    """Tell whether `given` differs from `wanted` only by what broadcasting does to this input of `op`."""
    if len(given) < len(wanted):
        return False
    if any(w not in (1, n) for n, w in zip(reversed(given), reversed(wanted), strict=False)):
        return False
    if op.broadcasts:
        return True
    if op.core_ndims is None:
        return False
    core = min(op.core_ndims[position], len(wanted))
    return core == 0 or tuple(given[-core:]) == tuple(wanted[-core:])


def _no_value(q: Any, plan: Plan, position: int, recorded: bool) -> NoReturn:
    if recorded:
        raise RuleError(
            f"{_rule(plan, position)} returned {type(q).__qualname__}, not a Value, in a pass that is itself recorded: "
            f"it left the graph, and a second derivative through it would be a silent zero. Write it with ops of Values "
            f"(xp is autodiff.numpy there), without .data or NumPy conversions."
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

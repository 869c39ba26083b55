"""`row`: what there is of one op, kernel by kernel and rule by rule; errors end with it, so that they say where else it works.

It is read off the registry, hence also of ops of others. What of it was verified is the conformance kit's table,
`docs/coverage.md`.
"""

from __future__ import annotations

from typing import Any

from autodiff.rule import MISSING

__all__ = ["row"]


def row(op: Any) -> str:
    """Return one sentence: the backends with a kernel, the inputs with a gradient, and how forward mode works.

    Examples
    --------
    >>> import autodiff
    >>> from autodiff.coverage import row
    >>> row(autodiff.ops.sum).endswith("gradients for x; forward mode by the op itself, which is linear.")
    True
    """
    if op.kind == "composite":
        return "What there is: it is made of other ops, and runs and is differentiated where they are."
    return f"What there is: kernels for {op.kernel_origins()}; {_reverse(op)}; {_forward(op)}."


def _reverse(op: Any) -> str:
    if op.joint_vjp is not None:
        return "gradients for all inputs by one joint rule"
    rules = dict(zip(op.inputs, op.vjps, strict=False))
    parts = {
        "gradients for": [name for name, rule in rules.items() if rule not in (None, MISSING)],
        "no rule for": [name for name, rule in rules.items() if rule is MISSING],
        "not differentiable in": [name for name, rule in rules.items() if rule is None],
    }
    return ", ".join(f"{told} {' and '.join(names)}" for told, names in parts.items() if names)


def _forward(op: Any) -> str:
    if op.jvps or op.joint_jvp is not None:
        return "forward mode by rules of its own"
    if not op.differentiable:
        return "no forward mode"
    if op.multiplies:
        return "forward mode by the partial derivatives"
    return "forward mode " + (
        "by the op itself, which is linear" if op.kind == "linear" else "derived from the gradients"
    )

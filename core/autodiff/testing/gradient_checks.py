"""Checks of an op's derivatives: against differences, against each other, in every order and both modes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from autodiff.testing.case import Case
from autodiff.testing.drawing import draw_like
from autodiff.testing.dtypes import is_narrow, widened
from autodiff.testing.gradients import check_derivatives, check_tangents, derivatives
from autodiff.testing.spying import with_its_own_rules
from autodiff.testing.tolerances import rounding
from autodiff.transforms import jvp
from autodiff.value import Value

__all__ = [
    "check_backend_rule",
    "check_forward",
    "check_forward_second_order",
    "check_forward_third_order",
    "check_gradient",
    "check_gradient_flags",
    "check_gradient_types",
    "check_recorded",
    "check_second_order",
    "check_third_order",
]


def check_gradient_flags(case: Case) -> None:
    """Compare ``requires_grad`` of each output with whether a gradient can flow to it."""
    every = case.raw()
    values = [Value(x, requires_grad=i in case.floating) if case.is_array(x) else x for i, x in enumerate(every)]
    for n, y in enumerate(case.outputs_of(case.call(values))):
        flows = bool(case.differentiable) and case.cotangents[n] is not None
        if case.op.kind == "composite" and flows:
            continue  # its body decides
        case.report.same(f"requires_grad of output {n}, with all floating inputs requiring one", y.requires_grad, flows)


def check_backend_rule(case: Case) -> None:
    """Compare the rules that the backend has of its own for this op, in plain passes, with those of the op."""
    if not case.has_backend_rules:
        return
    theirs, ours = case.run(), replace(case, op=with_its_own_rules(case.op)).run()
    for i in case.differentiable:
        what = f"the gradient of {case.name(i)} by the backend's own rule against the rule of the op"
        case.report.close(what, theirs.grads[i], ours.grads[i], rounding(ours.grads[i].dtype), finite=True)


def check_gradient(case: Case) -> None:
    """Compare the vjp with central differences and complex steps, for random cotangents."""
    _check_vjp(case, 1)


def check_second_order(case: Case) -> None:
    """Compare the vjp of the vjp with central differences, for random cotangents."""
    _check_vjp(case, 2)


def check_third_order(case: Case) -> None:
    """Compare the third derivative, in a random direction, with central differences."""
    _check_vjp(case, 3)


def check_recorded(case: Case) -> None:
    """Compare the rule in a recorded pass with what a plain one runs: a backend may have a rule of its own there."""
    plain, recorded = case.run(), case.run(record=True)
    for i in case.differentiable:
        what = f"the gradient of {case.name(i)} in a recorded pass (create_graph) against a plain one"
        case.report.close(what, recorded.grads[i], plain.grads[i], rounding(plain.grads[i].dtype), finite=True)


def _check_vjp(case: Case, order: int) -> None:
    if is_narrow(case.dtype):
        _check_against_double(case, order, "rev")
        return
    xs = [case.arrays[i] for i in case.differentiable]
    names = [case.name(i) for i in case.differentiable]
    rng = np.random.default_rng(case.seed)
    check_derivatives(case.report, case.function, xs, names, case.backend, (order,), rng, lift=lambda x: x)


def _check_against_double(case: Case, order: int, mode: str) -> None:
    """Compare derivatives in a narrow dtype with those in double precision, which have been compared with differences."""
    if not case.differentiable or (order, mode) == (1, "rev"):  # that one is part of check_precision
        return
    wide = [widened(x) for x in case.arrays]
    ours, theirs = (
        derivatives(
            case.function_at(arrays), [arrays[i] for i in case.differentiable], case.backend, order, mode, case.seed
        )
        for arrays in (case.arrays, wide)
    )
    kind = {"rev": "the reverse-mode", "fwd": "the forward-mode"}[mode]
    for n, (narrow, double) in enumerate(zip(ours, theirs, strict=True)):
        told = f"{kind} derivative of order {order} in {case.dtype} against double precision (number {n})"
        case.report.close(told, narrow, double, order * rounding(case.dtype), finite=True)


def check_forward(case: Case) -> None:
    """Compare the jvp with central differences, and with the gradient: ``<c, J t> = <J^H c, t>`` for random c and t."""
    _check_jvp(case, 1)
    if not case.differentiable:
        return
    rng = np.random.default_rng(case.seed)
    tangents = [draw_like(case.arrays[i], rng) for i in case.differentiable]
    primals = [case.lay(case.arrays[i]) for i in case.differentiable]
    _, pushed = jvp(case.function, primals, [case.lay(t) for t in tangents])
    _check_one_tangent_each(case, primals, tangents, pushed)
    gradients = case.run().grads
    cotangents = [c for c in case.cotangents if c is not None]
    forward = [np.real(np.conj(widened(c)) * widened(case.numpy(t))) for c, t in zip(cotangents, pushed, strict=True)]
    reverse = [np.real(np.conj(widened(gradients[i])) * t) for i, t in zip(case.differentiable, tangents, strict=True)]
    scale = sum(np.abs(part).sum() for part in (*forward, *reverse)) or 1.0
    ours, theirs = [np.asarray(sum(part.sum() for part in parts) / scale) for parts in (forward, reverse)]
    what = "the forward derivative against the gradient, both multiplied with a random tangent and cotangent"
    involved = [np.dtype(x.dtype) for x in (*cotangents, *tangents)]
    case.report.close(what, ours, theirs, max(rounding(dtype) for dtype in involved), finite=True)
    for n, (c, t) in enumerate(zip(cotangents, pushed, strict=True)):
        told = f"shape and dtype of tangent {n}"
        case.report.same(told, (t.shape, str(case.numpy(t).dtype)), (c.shape, str(c.dtype)))


def _check_one_tangent_each(case: Case, primals: list[Any], tangents: list[Any], pushed: list[Any]) -> None:
    """Compare the sum of the jvps along one input, the others being constants, with the jvp along all: it is linear."""
    if len(primals) < 2:
        return

    def moved(k: int) -> Any:
        def function(x: Any) -> list[Any]:
            return case.function(*primals[:k], x, *primals[k + 1 :])

        return function

    parts = [jvp(moved(k), [x], [case.lay(t)])[1] for k, (x, t) in enumerate(zip(primals, tangents, strict=True))]
    for n, t in enumerate(pushed):
        alone = [widened(case.numpy(part[n])) for part in parts]
        together = case.numpy(t)
        size = 1 + max(float(np.abs(a).max(initial=0.0)) for a in alone)
        told = f"the sum of the tangents of output {n} for one moving input each, against that for all together"
        case.report.close(told, sum(alone) / size, widened(together) / size, rounding(together.dtype), finite=True)


def check_forward_second_order(case: Case) -> None:
    """Compare the jvp of the jvp with central differences."""
    _check_jvp(case, 2)


def check_forward_third_order(case: Case) -> None:
    """Compare the third derivative along three tangents with central differences."""
    _check_jvp(case, 3)


def _check_jvp(case: Case, order: int) -> None:
    if is_narrow(case.dtype):
        _check_against_double(case, order, "fwd")
        return
    xs = [case.arrays[i] for i in case.differentiable]
    rng = np.random.default_rng(case.seed)
    check_tangents(case.report, case.function, xs, case.backend, (order,), rng)


def check_gradient_types(case: Case) -> None:
    """Compare shape, dtype, backend and device of each gradient with those of its input."""
    run = case.run()
    for i in case.differentiable:
        grad, x, name = run.raw_grads[i], run.inputs[i], case.name(i)
        if grad is None:
            continue
        case.report.same(f"backend of the gradient of {name}", case.is_array(grad), True)
        if type(grad) in case.backend.scalar_types:
            case.report.fail(f"the gradient of {name}", expected="an array", actual=type(grad))
        where = [case.backend.device(array) for array in (grad, x)]
        case.report.same(f"device of the gradient of {name}", *where)
        case.report.same(f"shape of the gradient of {name}", tuple(grad.shape), tuple(x.shape))
        case.report.same(f"dtype of the gradient of {name}", str(grad.dtype), str(x.dtype))

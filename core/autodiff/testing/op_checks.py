"""The checks that make up `check_op`: one function each, which takes a `Case` and raises `ConformanceError`."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from itertools import combinations
from typing import Any

import numpy as np

from autodiff.registry import registry
from autodiff.testing.case import Case, Run
from autodiff.testing.drawing import LAYOUTS, draw_like, fingerprint, single
from autodiff.testing.gradients import check_derivatives
from autodiff.testing.tolerances import rounding
from autodiff.transforms import jvp, vjp
from autodiff.value import Value

__all__ = ["CHECKS"]

#: Up to so many differentiable inputs every subset of them is tried; beyond, each one alone.
_SUBSETS = 3


def check_value(case: Case) -> None:
    """Compare the op with its kernels, and a call on Values with a call on arrays; no NaN."""
    report, op, backend = case.report, case.op, case.backend
    result = case.call(case.raw())
    numbers = [case.numpy(y) for y in case.outputs_of(result)]
    for n, y in enumerate(numbers):
        if y.dtype.kind in "fc" and np.isnan(y).any():
            report.fail(f"output {n} has a NaN", expected="numbers", actual=y)
    for what, kernel in _kernels(case):
        attrs = {**op.attrs, **case.attrs()}
        y = kernel(*case.raw(), **attrs)
        if op.residuals:
            y = y[0]
        _close(case, f"the value against {what}", numbers, [case.numpy(part) for part in case.outputs_of(y)])
    _check_against_numpy(case, numbers)
    if isinstance(result, tuple | list):
        report.same("what holds several outputs, for arrays", type(result).__name__, "tuple")
    on_values = case.call([Value(x) if case.is_array(x) else x for x in case.raw()])
    again = [case.numpy(y) for y in case.outputs_of(on_values)]
    _close(case, "the value for Values against that for arrays", again, numbers)
    if isinstance(result, tuple):
        report.same("what holds several outputs, for Values", type(on_values).__name__, "tuple")
    for n, (y, v) in enumerate(zip(case.outputs_of(result), case.outputs_of(on_values), strict=True)):
        if not _known(y):
            report.fail(f"output {n} of a call on arrays", expected=f"an array of {backend.name!r}", actual=type(y))
        if type(v) is not Value:
            report.fail(f"output {n} of a call on Values", expected="a Value", actual=type(v))
        report.same(f"dtype of output {n}, for Values against arrays", str(v.dtype), str(y.dtype))


def _known(y: Any) -> bool:
    return registry.backend_of(type(y)) is not None


def _kernels(case: Case) -> list[tuple[str, Callable[..., Any]]]:
    """Return the kernel that the op would choose, and the generic one if there is one."""
    op, backend = case.op, case.backend
    if op.kind == "composite":
        return []
    types = [type(x) for x in case.raw() if case.is_array(x)]
    found = [("its kernel", op.kernel_on(backend, types[0]))] if types else []
    if op.takes_xp and backend.follows_standard:
        found.append(("the generic kernel", lambda *xs, **attrs: op.function(backend.xp, *xs, **attrs)))
    return found


def _check_against_numpy(case: Case, numbers: list[Any]) -> None:
    """Compare the values, and their dtypes, with NumPy's on the same numbers; random ops draw others."""
    if case.backend.name == "numpy" or "generator" in case.op.attrs:
        return
    references = [np.asarray(y) for y in case.outputs_of(case.op(*deepcopy(case.arrays), **case.attrs()))]
    _close(case, "the value against NumPy's", numbers, references)
    for n, (ours, theirs) in enumerate(zip(numbers, references, strict=True)):
        case.report.same(f"dtype of output {n}, against NumPy's", str(ours.dtype), str(theirs.dtype))


def check_gradient_flags(case: Case) -> None:
    """Compare ``requires_grad`` of each output with whether a gradient can flow to it."""
    every = case.raw()
    values = [Value(x, requires_grad=i in case.floating) if case.is_array(x) else x for i, x in enumerate(every)]
    for n, y in enumerate(case.outputs_of(case.call(values))):
        flows = bool(case.differentiable) and case.cotangents[n] is not None
        if case.op.kind == "composite" and flows:
            continue  # its body decides
        case.report.same(f"requires_grad of output {n}, with all floating inputs requiring one", y.requires_grad, flows)


def check_gradient(case: Case) -> None:
    """Compare the vjp with central differences, and for order two the vjp of the vjp, for random cotangents."""
    _check_gradient(case, 1)


def check_second_order(case: Case) -> None:
    """Compare the rule in a recorded pass with the rule in a plain one, then its own gradient with differences."""
    plain, recorded = case.run(), case.run(record=True)
    for i in case.differentiable:
        what = f"the gradient of {case.name(i)} in a recorded pass (create_graph) against a plain one"
        case.report.close(what, recorded.grads[i], plain.grads[i], rounding(plain.grads[i].dtype), finite=True)
    _check_gradient(case, 2)


def _check_gradient(case: Case, order: int) -> None:
    xs = [case.arrays[i] for i in case.differentiable]
    names = [case.name(i) for i in case.differentiable]
    rng = np.random.default_rng(case.seed)
    check_derivatives(case.report, case.function, xs, names, case.backend, order, rng, lift=lambda x: x)


def check_forward(case: Case) -> None:
    """Compare the forward derivative with the gradient: ``<c, J t> = <J^H c, t>`` for random c and t."""
    first_order_only = case.order == 1 and not (case.op.jvps or case.op.joint_jvp)  # nothing to derive it from
    if not case.differentiable or first_order_only:
        return
    rng = np.random.default_rng(case.seed)
    tangents = [draw_like(case.arrays[i], rng) for i in case.differentiable]
    primals = [case.lay(case.arrays[i]) for i in case.differentiable]
    _, pushed = jvp(lambda *xs: _on(case, case.arrays, xs), primals, [case.lay(t) for t in tangents])
    gradients = case.run().grads
    cotangents = [c for c in case.cotangents if c is not None]
    forward = [np.real(np.conj(c) * case.numpy(t)) for c, t in zip(cotangents, pushed, strict=True)]
    reverse = [np.real(np.conj(gradients[i]) * t) for i, t in zip(case.differentiable, tangents, strict=True)]
    scale = sum(np.abs(part).sum() for part in (*forward, *reverse)) or 1.0
    ours, theirs = [np.asarray(sum(part.sum() for part in parts) / scale) for parts in (forward, reverse)]
    what = "the forward derivative against the gradient, both multiplied with a random tangent and cotangent"
    involved = [np.dtype(x.dtype) for x in (*cotangents, *tangents)]
    case.report.close(what, ours, theirs, max(rounding(dtype) for dtype in involved), finite=True)
    for n, (c, t) in enumerate(zip(cotangents, pushed, strict=True)):
        case.report.same(
            f"shape and dtype of tangent {n}", (t.shape, str(case.numpy(t).dtype)), (c.shape, str(c.dtype))
        )


def check_gradient_types(case: Case) -> None:
    """Compare shape, dtype and backend of each gradient with those of its input."""
    run = case.run()
    for i in case.differentiable:
        grad, x, name = run.raw_grads[i], run.inputs[i], case.name(i)
        if grad is None:
            continue
        case.report.same(f"backend of the gradient of {name}", case.is_array(grad), True)
        if type(grad) in case.backend.scalar_types:
            case.report.fail(f"the gradient of {name}", expected="an array", actual=type(grad))
        case.report.same(f"shape of the gradient of {name}", tuple(grad.shape), tuple(x.shape))
        case.report.same(f"dtype of the gradient of {name}", str(grad.dtype), str(x.dtype))


def check_single_precision(case: Case) -> None:
    """Compare results and gradients of float32 inputs with float64 ones; they are float32 themselves."""
    narrow = [single(x) for x in case.arrays]
    wide = [x.astype(np.result_type(x, np.float64)) if i in case.floating else x for i, x in enumerate(narrow)]
    tolerance = rounding(np.float32)
    ours, theirs = case.run(case.raw(narrow)), case.run(case.raw(wide))
    _close(case, "the value in float32 against float64", ours.numbers, theirs.numbers, tolerance)
    # An op that is told a dtype follows that; an array of integers makes NumPy's results wide.
    if "dtype" not in case.op.attrs and not any(isinstance(x, np.ndarray) and x.dtype.kind in "iu" for x in narrow):
        for n, y in enumerate(ours.numbers):
            if y.dtype.kind in "fc":
                name = str(np.dtype(np.float32 if y.dtype.kind == "f" else np.complex64))
                case.report.same(f"dtype of output {n} for float32 inputs", str(y.dtype), name)
    for i in case.differentiable:
        what = f"the gradient of {case.name(i)} in float32"
        case.report.same(f"dtype of {what}", str(ours.grads[i].dtype), str(narrow[i].dtype))
        case.report.close(f"{what} against float64", ours.grads[i], theirs.grads[i], tolerance, finite=True)


def check_layouts(case: Case) -> None:
    """Compare results and gradients of inputs that are read-only, strided, reversed, in Fortran order, or scalars."""
    plain = case.run()
    for layout in LAYOUTS:
        run = case.run(layout=layout)
        _compare_runs(case, f"with inputs {layout}", run, plain)


def check_mutation(case: Case) -> None:
    """Compare inputs, attributes, outputs and cotangents before and after forward and backward passes."""
    for record in (False, True)[: case.order]:
        inputs = case.raw()
        before = fingerprint(inputs, case.backend)
        run = case.run(inputs, record=record)
        where = "a recorded backward pass" if record else "the forward or backward pass"
        if fingerprint(inputs, case.backend) != before:
            case.report.fail(f"{where} wrote into an input", expected=case.arrays, actual=inputs)
        if fingerprint(case.attributes, case.backend) != case.untouched:
            case.report.fail("a call wrote into an attribute", expected=case.sample.attrs, actual=case.attributes)
        if fingerprint(run.seeds, case.backend) != fingerprint(run.cotangents, case.backend):
            case.report.fail(f"{where} wrote into its cotangent", expected=run.cotangents, actual=run.seeds)
        if fingerprint([case.numpy(y) for y in run.outputs], case.backend) != fingerprint(run.numbers, case.backend):
            case.report.fail(f"{where} wrote into an output", expected=run.numbers, actual=run.outputs)


def check_repetition(case: Case) -> None:
    """Compare a second pass through a retained graph with the first: what a rule keeps stays as it was."""
    run = case.run(retain=True)
    for i in case.differentiable:
        run.values[i].zero_grad()
    for y, seed in zip([y for y in run.outputs if y.requires_grad], run.seeds, strict=True):
        y.backward(seed, retain_graph=True)
    for i in case.differentiable:
        again = case.gradient(run.values[i].grad, run.inputs[i])
        what = f"the gradient of {case.name(i)} in a second pass through the same graph against the first"
        case.report.close(what, again, run.grads[i], rounding(again.dtype), finite=True)


def check_aliasing(case: Case) -> None:
    """Write into each gradient, and see whether the seed, an input, an output or another gradient changes."""
    run = case.run()
    grads = {i: g for i, g in run.raw_grads.items() if g is not None}
    for i, grad in grads.items():
        rest = {
            **{f"the input {case.name(j)}": run.inputs[j] for j in case.floating},
            **{f"the seed {j}": seed for j, seed in enumerate(run.seeds)},
            **{f"output {j}": y.data for j, y in enumerate(run.outputs)},
            **{f"the gradient of {case.name(j)}": g for j, g in grads.items() if j != i},
        }
        before = {name: fingerprint(array, case.backend) for name, array in rest.items()}
        try:
            grad[...] = 77.0
        except (TypeError, ValueError) as exc:
            case.report.raised(f"the gradient of {case.name(i)} cannot be written to", exc)
        for name, array in rest.items():
            if fingerprint(array, case.backend) != before[name]:
                case.report.fail(f"the gradient of {case.name(i)} shares its memory with {name}")


def check_subsets(case: Case) -> None:
    """Compare gradients when only some inputs need one: the others stay None and change nothing."""
    full = case.run()
    wrt = case.differentiable
    sizes = range(1, len(wrt)) if len(wrt) <= _SUBSETS else (1,)
    for needs in (subset for size in sizes for subset in combinations(wrt, size)):
        run = case.run(needs=needs)
        for i, grad in run.raw_grads.items():
            if i not in needs and grad is not None:
                case.report.fail(f"{case.name(i)} needs no gradient and got one", expected=None, actual=grad)
        for i in needs:
            alone = ", ".join(case.name(j) for j in needs)
            what = f"the gradient of {case.name(i)} when only {alone} needs one"
            case.report.close(what, run.grads[i], full.grads[i], rounding(full.grads[i].dtype), finite=True)


def check_overlap(case: Case) -> None:
    """Compare two calls whose passes overlap with each of them alone: an op keeps no state."""
    if not case.differentiable:
        return
    draws = (case.arrays, case.others)
    alone = [case.run(case.raw(arrays)) for arrays in draws]
    picked = [[case.lay(arrays[i]) for i in case.differentiable] for arrays in draws]
    count = len(case.differentiable)

    def both(*xs: Any) -> tuple[list[Any], list[Any]]:
        return _on(case, draws[0], xs[:count]), _on(case, draws[1], xs[count:])

    outputs, pull = vjp(both, *picked[0], *picked[1])
    for k, what in enumerate(("the first", "the second")):
        expected = [y for y, c in zip(alone[k].numbers, case.cotangents, strict=True) if c is not None]
        actual = [case.numpy(y) for y in outputs[k]]
        _close(case, f"the value of {what} of two calls, against that call alone", actual, expected)
    seeds = [case.lay(c) for c in case.cotangents if c is not None]
    pulled = pull((seeds, seeds))
    for k, what in enumerate(("the first", "the second")):
        for i, g in zip(case.differentiable, pulled[k * count : (k + 1) * count], strict=True):
            told = f"the gradient of {case.name(i)} in {what} of two calls that overlap, against that call alone"
            case.report.close(told, case.numpy(g), alone[k].grads[i], rounding(case.numpy(g).dtype), finite=True)


def _on(case: Case, arrays: list[Any], xs: Any) -> list[Any]:
    """Call the op on `xs` in the place of the differentiable inputs among `arrays`."""
    inputs = case.raw(arrays)
    for i, x in zip(case.differentiable, xs, strict=True):
        inputs[i] = x
    return case.floating_outputs(inputs)


def _compare_runs(case: Case, how: str, run: Run, plain: Run) -> None:
    _close(case, f"the value {how} against plain ones", run.numbers, plain.numbers)
    for i in case.differentiable:
        what = f"the gradient of {case.name(i)} {how} against plain ones"
        case.report.close(what, run.grads[i], plain.grads[i], rounding(plain.grads[i].dtype), finite=True)


def _close(case: Case, what: str, actual: list[Any], expected: list[Any], tolerance: float | None = None) -> None:
    case.report.same(f"{what}: number of outputs", len(actual), len(expected))
    for n, (a, e) in enumerate(zip(actual, expected, strict=True)):
        which = f" (output {n})" if len(actual) > 1 else ""
        case.report.close(f"{what}{which}", a, e, rounding(e.dtype) if tolerance is None else tolerance)


#: In this order, so that the first to fail is the one that says most: writing into an array spoils other checks.
CHECKS: tuple[Callable[[Case], None], ...] = (
    check_value,
    check_gradient_flags,
    check_mutation,
    check_gradient,
    check_gradient_types,
    check_aliasing,
    check_repetition,
    check_overlap,
    check_subsets,
    check_layouts,
    check_single_precision,
    check_second_order,
    check_forward,
)

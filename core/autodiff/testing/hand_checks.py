"""Checks that an op keeps its hands clean: nothing written, nothing shared, nothing remembered, nothing for nobody."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import combinations
from typing import Any

import numpy as np

from autodiff.testing.case import Case, Run
from autodiff.testing.drawing import draw_like, fingerprint
from autodiff.testing.dtypes import dtypes_of, is_narrow
from autodiff.testing.gradients import derivatives
from autodiff.testing.spying import Spy
from autodiff.testing.tolerances import rounding
from autodiff.testing.value_checks import compare_runs, compare_values, run_if_possible
from autodiff.transforms import jvp, vjp
from autodiff.value import Value

__all__ = [
    "check_aliasing",
    "check_forward_memory",
    "check_forward_mutation",
    "check_memory",
    "check_mutation",
    "check_needs",
    "check_overlap",
    "check_recorded_memory",
    "check_recorded_mutation",
    "check_repetition",
    "check_same_input",
    "check_subsets",
]

#: So many calls with other attributes are made before a call is repeated.
_OTHERS = 12
#: Up to so many differentiable inputs every subset of them is tried; beyond, each one alone.
_SUBSETS = 3


def check_mutation(case: Case) -> None:
    """Compare inputs, attributes, outputs and cotangents before and after a forward and a backward pass."""
    _check_mutation(case, "the forward or backward pass", record=False)


def check_recorded_mutation(case: Case) -> None:
    """Compare the same when the backward pass is itself recorded."""
    _check_mutation(case, "a recorded backward pass", record=True)


def _check_mutation(case: Case, where: str, *, record: bool) -> None:
    inputs = case.raw()
    before = fingerprint(inputs, case.backend)
    run = case.run(inputs, record=record)
    if fingerprint(inputs, case.backend) != before:
        case.report.fail(f"{where} wrote into an input", expected=case.arrays, actual=inputs)
    if fingerprint(case.attributes, case.backend) != case.untouched:
        case.report.fail("a call wrote into an attribute", expected=case.sample.attrs, actual=case.attributes)
    if fingerprint(run.seeds, case.backend) != fingerprint(run.cotangents, case.backend):
        case.report.fail(f"{where} wrote into its cotangent", expected=run.cotangents, actual=run.seeds)
    if fingerprint([case.numpy(y) for y in run.outputs], case.backend) != fingerprint(run.numbers, case.backend):
        case.report.fail(f"{where} wrote into an output", expected=run.numbers, actual=run.outputs)


def check_forward_mutation(case: Case) -> None:
    """Compare inputs, tangents, outputs and attributes before and after a forward derivative."""
    if not case.differentiable:
        return
    rng = np.random.default_rng(case.seed)
    wrt = case.differentiable
    inputs = case.raw()
    tangents = [case.lay(draw_like(case.arrays[i], rng)) for i in wrt]
    before = fingerprint([inputs, tangents], case.backend)
    kept: list[Any] = []

    def function(*xs: Any) -> list[Any]:
        given = list(inputs)
        for i, x in zip(wrt, xs, strict=True):
            given[i] = x
        outputs = case.floating_outputs(given)
        kept[:] = [(y, case.numpy(y)) for y in outputs]
        return outputs

    jvp(function, [inputs[i] for i in wrt], tangents)
    if fingerprint([inputs, tangents], case.backend) != before:
        case.report.fail(
            "the forward derivative wrote into an input or a tangent", expected=before, actual=[inputs, tangents]
        )
    if any(fingerprint(case.numpy(y), case.backend) != fingerprint(number, case.backend) for y, number in kept):
        case.report.fail("the forward derivative wrote into an output", expected=[number for _, number in kept])
    if fingerprint(case.attributes, case.backend) != case.untouched:
        case.report.fail("a call wrote into an attribute", expected=case.sample.attrs, actual=case.attributes)


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
    if not case.backend.writable:
        return
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
    for i in case.differentiable:
        if not np.isfinite(alone[1].grads[i]).all():
            told = f"the gradient of {case.name(i)} is not finite for another draw of the inputs"
            case.report.fail(told, gradient=alone[1].grads[i], inputs=case.others)
    picked = [[case.lay(arrays[i]) for i in case.differentiable] for arrays in draws]
    count = len(case.differentiable)

    def both(*xs: Any) -> tuple[list[Any], list[Any]]:
        return case.function_at(draws[0])(*xs[:count]), case.function_at(draws[1])(*xs[count:])

    outputs, pull = vjp(both, *picked[0], *picked[1])
    for k, what in enumerate(("the first", "the second")):
        expected = [y for y, c in zip(alone[k].numbers, case.cotangents, strict=True) if c is not None]
        actual = [case.numpy(y) for y in outputs[k]]
        compare_values(case, f"the value of {what} of two calls, against that call alone", actual, expected)
    seeds = [case.lay(c) for c in case.cotangents if c is not None]
    pulled = pull((seeds, seeds))
    for k, what in enumerate(("the first", "the second")):
        for i, g in zip(case.differentiable, pulled[k * count : (k + 1) * count], strict=True):
            told = f"the gradient of {case.name(i)} in {what} of two calls that overlap, against that call alone"
            case.report.close(told, case.numpy(g), alone[k].grads[i], rounding(case.numpy(g).dtype), finite=True)


def check_memory(case: Case) -> None:
    """Compare passes after others, with other numbers and with attributes of other samples, with one before them."""
    _check_memory(case, record=False)


def check_recorded_memory(case: Case) -> None:
    """Compare the same in recorded passes, where a backend may not use its own rules."""
    _check_memory(case, record=True)


def _check_memory(case: Case, *, record: bool) -> None:
    # Rules of a backend may go another way in half precision.
    if not case.differentiable or (is_narrow(case.dtype) and (record or not case.has_backend_rules)):
        return
    wrt = case.differentiable
    # Where one rule computes the gradients of all inputs, those of one input alone are other code.
    joint = len(wrt) > 1 and (case.op.joint_vjp is not None or case.has_backend_rules)
    for needs in [wrt, *([i] for i in wrt if joint)]:

        def run(other: Case, arrays: list[Any], needs: list[int] = needs) -> Run:
            return other.run(other.raw(arrays), needs=needs, record=record)

        before = run(case, case.arrays)
        for how in _after_others(case, run):
            compare_runs(case, how + (" in a recorded pass" if record else ""), run(case, case.arrays), before)


def check_forward_memory(case: Case) -> None:
    """Compare tangents after others, with other numbers and with attributes of other samples, with those before them."""
    if not case.differentiable or is_narrow(case.dtype):
        return
    before = _tangents(case, case.arrays)
    for how in _after_others(case, _tangents):
        for n, (again, first) in enumerate(zip(_tangents(case, case.arrays), before, strict=True)):
            told = f"tangent {n} {how} against that before it"
            case.report.close(told, again, first, rounding(first.dtype), finite=True)


def _tangents(case: Case, arrays: list[Any]) -> list[Any]:
    """Push random tangents, the same each time, of all differentiable inputs."""
    xs = [arrays[i] for i in case.differentiable]
    return derivatives(case.function_at(arrays), xs, case.backend, 1, "fwd", case.seed)


def _after_others(case: Case, call: Callable[[Case, list[Any]], object]) -> Iterator[str]:
    """Make a call with other numbers, then one for each of the attributes of other samples; after each, say so."""
    call(case, case.others)
    yield "after a call with other numbers"
    attributes = {repr(dict(case.sample.attrs))}
    for sample in case.op.samples:
        written = repr(dict(sample.attrs))
        if written in attributes or len(attributes) > _OTHERS:
            continue
        attributes.add(written)
        # On inputs of the same shapes if the attributes go with them: a memory may know its calls by shapes alone.
        for attempt in (case.sample._replace(attrs=sample.attrs), sample):
            dtypes = dtypes_of(attempt)
            try:
                other = replace(case, sample=attempt, dtype=case.dtype if case.dtype in dtypes else dtypes[0])
                call(other, other.arrays)
            except Exception:  # whatever: the tests of that sample report it, or expect it (`Unsupported`)
                continue
            yield f"after a call with {written}"
            break


def check_same_input(case: Case) -> None:
    """Compare a call that is given one array, or one Value, twice with a call that is given copies."""
    pairs = [
        (i, j)
        for i, j in combinations(case.differentiable, 2)
        if (case.arrays[i].shape, case.arrays[i].dtype) == (case.arrays[j].shape, case.arrays[j].dtype)
    ]
    for i, j in pairs[:_SUBSETS]:
        arrays = list(case.arrays)
        arrays[j] = arrays[i]
        plain = run_if_possible(case, arrays)
        if plain is None:
            continue
        names = f"{case.name(i)} and {case.name(j)}"
        inputs = case.raw(arrays)
        inputs[j] = inputs[i]
        compare_runs(case, f"with one array as {names}", case.run(inputs), plain)
        value = Value(case.lay(arrays[i]), requires_grad=True)
        twice = case.raw(arrays)
        twice[i] = twice[j] = value
        outputs = case.outputs_of(case.call(twice))
        for y, seed in zip([y for y in outputs if y.requires_grad], plain.seeds, strict=True):
            y.backward(seed, retain_graph=True)
        expected = plain.grads[i] + plain.grads[j]
        told = f"the gradient of one Value given as {names}, against the sum of both gradients"
        case.report.close(told, case.gradient(value.grad, inputs[i]), expected, rounding(expected.dtype), finite=True)


def check_needs(case: Case) -> None:
    """Count calls of rules, and what is kept, when one input alone needs a gradient: the others cost nothing."""
    if case.op.kind == "composite" or case.has_invariants or len(case.differentiable) < 2:
        return
    spy = Spy(case.op, case.backend, type(case.raw()[case.differentiable[0]]))
    for i in case.differentiable:
        spy.called.clear()
        inputs = case.raw()
        values = [Value(x, requires_grad=j == i) if case.is_array(x) else x for j, x in enumerate(inputs)]
        outputs = case.outputs_of(spy.op(*values, **case.attrs()))
        starts = [(y, c) for y, c in zip(outputs, case.cotangents, strict=True) if c is not None and y.requires_grad]
        for j in case.differentiable:
            if j != i and case.op.joint_vjp is None and _keeps(starts[0][0], inputs[j]) and not spy.names(i, j):
                case.report.fail(
                    f"{case.name(j)} is kept, though only {case.name(i)} needs a gradient, whose rule does not name it"
                )
        for y, cotangent in starts:
            y.backward(case.lay(cotangent), retain_graph=True)
        for j in sorted(spy.called - {i}):
            case.report.fail(
                f"a gradient of {case.name(j)} was computed, though only {case.name(i)} needs one"
                + (
                    ""
                    if case.op.joint_vjp is None
                    else ": let the joint rule name `needs`, and return None where it is False"
                )
            )


def _keeps(output: Any, array: Any) -> bool:
    """Tell whether the node of an output saved this array."""
    saved = output._edge.saved
    return saved is array or (type(saved) is tuple and any(item is array for item in saved))

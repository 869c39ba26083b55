"""Checks of an op under `vmap`: a batch gives what its examples give one by one."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from autodiff.testing.case import Case, Run
from autodiff.testing.drawing import draw_like
from autodiff.testing.dtypes import widened
from autodiff.testing.tolerances import rounding
from autodiff.transforms import jvp, vjp
from autodiff.vectorizing import vmap

__all__ = ["check_batching"]


def check_batching(case: Case) -> None:
    """Compare values and gradients of a batch of two draws with those of each, for one input and for all together."""
    if "generator" in case.op.attrs or "device" in case.op.attrs:
        return  # a random op draws for each example; an op that moves has no one backend
    wrt = case.differentiable
    for chosen in dict.fromkeys([tuple(wrt), tuple(wrt[:1])]) if wrt else ():
        draws = [case.arrays, [case.others[i] if i in chosen else x for i, x in enumerate(case.arrays)]]
        batch = [case.lay(np.stack([draw[i] for draw in draws])) for i in chosen]
        alone = [case.run(case.raw(draw)) for draw in draws]
        names = " and ".join(case.name(i) for i in chosen)
        found = vmap(partial(_outputs, case, chosen))(*batch)
        expected = [[y for y in run.numbers if y.dtype.kind in "fc"] for run in alone]
        for n, y in enumerate(found):
            both = np.stack([e[n] for e in expected])
            told = f"output {n} of a batch of {names} (vmap) against its examples"
            case.report.close(told, case.numpy(y), both, rounding(both.dtype))
        pulled = vmap(partial(_gradients, case, chosen))(*batch)
        for i, g in zip(chosen, pulled, strict=True):
            both = np.stack([run.grads[i] for run in alone])
            told = f"the gradient of {case.name(i)} for a batch of {names} (vmap) against its examples"
            case.report.close(told, case.numpy(g), both, rounding(both.dtype), finite=True)
        _check_through(case, chosen, batch, alone, names)


def _check_through(case: Case, chosen: tuple[int, ...], batch: list[Any], alone: list[Run], names: str) -> None:
    """Compare the gradient of what `vmap` made with those of the examples, and the forward derivative with that."""
    whole = vmap(partial(_outputs, case, chosen))
    seeds = [np.stack([c, c]) for c in case.cotangents if c is not None]
    pulled = vjp(whole, *batch)[1]([case.lay(c) for c in seeds])
    expected = [np.stack([run.grads[i] for run in alone]) for i in chosen]
    for i, g, both in zip(chosen, pulled, expected, strict=True):
        told = f"the gradient of {case.name(i)} through a batch of {names} (the vjp of vmap) against its examples"
        case.report.close(told, case.numpy(g), both, rounding(both.dtype), finite=True)
    rng = np.random.default_rng(case.seed)
    tangents = [draw_like(both, rng) for both in expected]
    pushed = [case.numpy(t) for t in jvp(whole, batch, [case.lay(t) for t in tangents])[1]]
    forward = [np.real(np.conj(widened(c)) * widened(t)) for c, t in zip(seeds, pushed, strict=True)]
    reverse = [np.real(np.conj(widened(g)) * widened(t)) for g, t in zip(expected, tangents, strict=True)]
    scale = sum(np.abs(part).sum() for part in (*forward, *reverse)) or 1.0
    ours, theirs = [np.asarray(sum(part.sum() for part in parts) / scale) for parts in (forward, reverse)]
    told = f"the forward derivative through a batch of {names} (the jvp of vmap) against the gradients of its examples"
    case.report.close(told, ours, theirs, max(rounding(x.dtype) for x in (*seeds, *tangents)), finite=True)


def _outputs(case: Case, chosen: tuple[int, ...], *xs: Any) -> list[Any]:
    """Call the op on `xs` in the place of some inputs; only floating outputs."""
    inputs = case.raw()
    for i, x in zip(chosen, xs, strict=True):
        inputs[i] = x
    outputs = zip(case.outputs_of(case.call(inputs)), case.cotangents, strict=True)
    return [y for y, c in outputs if c is not None]


def _gradients(case: Case, chosen: tuple[int, ...], *xs: Any) -> list[Any]:
    _, pull = vjp(partial(_outputs, case, chosen), *xs)
    return list(pull([case.lay(c) for c in case.cotangents if c is not None]))

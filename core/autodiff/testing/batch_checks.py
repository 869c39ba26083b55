"""Checks of an op under `vmap`: a batch gives what its examples give one by one."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from autodiff.testing.case import Case, Run
from autodiff.testing.drawing import draw_like
from autodiff.testing.dtypes import widened
from autodiff.testing.tolerances import rounding
from autodiff.transforms import jvp, vjp
from autodiff.vectorizing import vmap

__all__ = ["check_batched_forward", "check_batching"]


class _Batch(NamedTuple):
    """Two draws of some inputs as one batch, and a run on each alone."""

    chosen: tuple[int, ...]
    arrays: list[Any]
    alone: list[Run]
    names: str

    def gradients(self) -> list[Any]:
        return [np.stack([run.grads[i] for run in self.alone]) for i in self.chosen]


def _batches(case: Case) -> Iterator[_Batch]:
    """Return batches of one input, and of all that are differentiable together."""
    if "generator" in case.op.attrs or "device" in case.op.attrs:
        return  # a random op draws for each example; an op that moves has no one backend
    wrt = case.differentiable
    for chosen in dict.fromkeys([tuple(wrt), tuple(wrt[:1])]) if wrt else ():
        draws = [case.arrays, [case.others[i] if i in chosen else x for i, x in enumerate(case.arrays)]]
        arrays = [case.lay(np.stack([draw[i] for draw in draws])) for i in chosen]
        alone = [case.run(case.raw(draw)) for draw in draws]
        yield _Batch(chosen, arrays, alone, " and ".join(case.name(i) for i in chosen))


def check_batching(case: Case) -> None:
    """Compare values and gradients of a batch of two draws with those of each, for one input and for all together."""
    for batch in _batches(case):
        names = batch.names
        found = vmap(partial(_outputs, case, batch.chosen))(*batch.arrays)
        expected = [[y for y in run.numbers if y.dtype.kind in "fc"] for run in batch.alone]
        for n, y in enumerate(found):
            both = np.stack([e[n] for e in expected])
            told = f"output {n} of a batch of {names} (vmap) against its examples"
            case.report.close(told, case.numpy(y), both, rounding(both.dtype))
        pulled = vmap(partial(_gradients, case, batch.chosen))(*batch.arrays)
        _compare(case, batch, pulled, f"for a batch of {names} (vmap)")
        through = vjp(vmap(partial(_outputs, case, batch.chosen)), *batch.arrays)[1](_seeds(case)[1])
        _compare(case, batch, through, f"through a batch of {names} (the vjp of vmap)")


def check_batched_forward(case: Case) -> None:
    """Compare forward derivatives of what `vmap` made with the gradients of its examples."""
    for batch in _batches(case):
        seeds, _ = _seeds(case)
        expected = batch.gradients()
        rng = np.random.default_rng(case.seed)
        tangents = [draw_like(both, rng) for both in expected]
        whole = vmap(partial(_outputs, case, batch.chosen))
        pushed = [case.numpy(t) for t in jvp(whole, batch.arrays, [case.lay(t) for t in tangents])[1]]
        forward = [np.real(np.conj(widened(c)) * widened(t)) for c, t in zip(seeds, pushed, strict=True)]
        reverse = [np.real(np.conj(widened(g)) * widened(t)) for g, t in zip(expected, tangents, strict=True)]
        scale = sum(np.abs(part).sum() for part in (*forward, *reverse)) or 1.0
        ours, theirs = [np.asarray(sum(part.sum() for part in parts) / scale) for parts in (forward, reverse)]
        told = (
            f"the forward derivative through a batch of {batch.names} (the jvp of vmap) against the gradients of its "
            f"examples"
        )
        case.report.close(told, ours, theirs, max(rounding(x.dtype) for x in (*seeds, *tangents)), finite=True)


def _compare(case: Case, batch: _Batch, gradients: Any, where: str) -> None:
    for i, g, both in zip(batch.chosen, gradients, batch.gradients(), strict=True):
        told = f"the gradient of {case.name(i)} {where} against its examples"
        case.report.close(told, case.numpy(g), both, rounding(both.dtype), finite=True)


def _seeds(case: Case) -> tuple[list[Any], list[Any]]:
    """Return the cotangents of a batch of two, as NumPy arrays and as the backend's."""
    seeds = [np.stack([c, c]) for c in case.cotangents if c is not None]
    return seeds, [case.lay(c) for c in seeds]


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

"""Checks of an op under `vmap`: a batch gives what its examples give one by one."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from autodiff.testing.case import Case
from autodiff.testing.tolerances import rounding
from autodiff.transforms import vjp
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

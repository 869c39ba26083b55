"""Every registered op gives for a batch what it gives for its examples one by one, and so do its gradients.

Each sample is drawn several times over, and every choice of inputs that are batched is tried. What `vmap` computes
is compared with a loop over the examples, which knows nothing of batches: values, gradients inside and through
`vmap`, directional derivatives, and second derivatives.
"""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest

from autodiff import Value, jvp, ops, vjp, vmap
from autodiff.testing.drawing import draw

SIZE = 3


class Batch:
    """One op on one sample, drawn for each example."""

    def __init__(self, op: Any, sample: Any, chosen: tuple[bool, ...], seed: int = 0) -> None:
        rng = np.random.default_rng(seed)
        self.op, self.sample, self.rng = op, sample, rng
        draws = [[draw(spec, rng) for spec in sample.inputs] for _ in range(SIZE)]
        self.chosen = tuple(own and isinstance(x, np.ndarray) for own, x in zip(chosen, draws[0], strict=True))
        self.xs = [np.stack([d[i] for d in draws]) if own else draws[0][i] for i, own in enumerate(self.chosen)]
        self.axes = tuple(0 if own else None for own in self.chosen)
        flows = [isinstance(x, np.ndarray) and x.dtype.kind in "fc" for x in self.xs]
        rules = op.vjps
        self.wrt = [
            i
            for i, flow in enumerate(flows)
            if flow and (op.joint_vjp is not None or not rules or rules[i] is not None)
        ]

    def function(self) -> Any:
        """Return the op as a function of its inputs; a random op has one generator for all examples."""
        attrs = dict(self.sample.attrs)
        if "generator" in self.op.attrs:
            attrs["generator"] = np.random.default_rng(7)
        return lambda *xs: _listed(self.op(*xs, **attrs))

    def example(self, i: int) -> list[Any]:
        """Return the inputs of one example."""
        return [x[i] if own else x for x, own in zip(self.xs, self.chosen, strict=True)]

    def floating(self) -> Any:
        """Return a function of the differentiable inputs alone, to the floating outputs."""
        f = self.function()

        def of(xs: list[Any], *every: Any) -> list[Any]:
            full = list(every)
            for i, x in zip(self.wrt, xs, strict=True):
                full[i] = x
            return [y for y in f(*full) if y.dtype.kind in "fc"]

        return of


def _listed(result: Any) -> list[Any]:
    return list(result) if isinstance(result, tuple | list) else [result]


def _numbers(y: Any) -> Any:
    return np.asarray(y.data if type(y) is Value else y)


def _compare(found: Any, wanted: Any) -> None:
    """Compare batches of arrays with lists of arrays."""
    assert len(found) == len(wanted[0])
    for k, batch in enumerate(found):
        stacked = np.stack([_numbers(w[k]) for w in wanted])
        assert _numbers(batch).shape == stacked.shape
        assert _numbers(batch).dtype == stacked.dtype
        np.testing.assert_allclose(_numbers(batch), stacked, rtol=1e-9, atol=1e-9)


def _cases(op: Any) -> list[Batch]:
    found = []
    for sample in op.samples:
        count = len(sample.inputs)
        choices = (
            product((True, False), repeat=count) if count < 4 else [(True,) * count, (True,) + (False,) * (count - 1)]
        )
        for chosen in choices:
            batch = Batch(op, sample, chosen)
            if any(batch.chosen):
                found.append(batch)
    return found


OPS = [op.id for op in ops]


@pytest.mark.parametrize("op_id", OPS)
def test_values(op_id: str) -> None:
    """Results have the numbers, shapes and dtypes of the loop."""
    for case in _cases(ops[op_id]):
        found = vmap(case.function(), case.axes)(*case.xs)
        f = case.function()
        _compare(found, [f(*case.example(i)) for i in range(SIZE)])


@pytest.mark.parametrize("op_id", OPS)
def test_values_in_a_batch_of_batches(op_id: str) -> None:
    """Each example is itself a batch, and the inputs that are not batched there are batched around it."""
    for case in _cases(ops[op_id]):
        if "generator" in case.op.attrs:
            continue  # the order in which examples draw is another one
        around = [
            0 if axis is None and isinstance(x, np.ndarray) else None
            for axis, x in zip(case.axes, case.xs, strict=True)
        ]
        xs = [
            np.stack([x, x[::-1] if x.ndim else x]) if out == 0 else x for x, out in zip(case.xs, around, strict=True)
        ]
        if "sorter" in case.sample.attrs or all(out is None for out in around):
            continue
        found = vmap(vmap(case.function(), case.axes), tuple(around))(*xs)
        f = case.function()
        for j in range(2):
            inner = [x[j] if out == 0 else x for x, out in zip(xs, around, strict=True)]
            wanted = [f(*[x[i] if a == 0 else x for x, a in zip(inner, case.axes, strict=True)]) for i in range(SIZE)]
            _compare([part[j] for part in found], wanted)


def _derivatives(case: Batch) -> None:
    axes = case.axes
    own = [axes[i] for i in case.wrt]
    xs = [case.xs[i] for i in case.wrt]
    first = case.floating()([case.example(0)[i] for i in case.wrt], *case.example(0))
    if not first or not case.wrt:
        return
    rng = case.rng
    cotangents = [_like(np.stack([_numbers(y)] * SIZE), rng) for y in first]
    tangents = [_like(np.stack([case.example(0)[i]] * SIZE), rng) for i in case.wrt]
    parts = [case.example(i) for i in range(SIZE)]
    at = [[part[i] for i in case.wrt] for part in parts]

    # Gradients for each example, of what is the same for all, too.
    def pulled(xs: Any, every: Any, cotangent: Any) -> Any:
        f = case.floating()
        return vjp(lambda xs: f(xs, *every), xs)[1](cotangent)[0]

    if "generator" in case.op.attrs:
        return  # the order in which examples draw is another one
    wanted = [pulled(at[i], parts[i], [c[i] for c in cotangents]) for i in range(SIZE)]
    found = vmap(pulled, (own, list(axes), 0))(xs, case.xs, cotangents)
    _compare(found, wanted)
    # Through vmap: summed over the examples where the argument is the same for all.
    f = case.floating()
    _, pull = vjp(lambda xs: vmap(lambda xs, every: f(xs, *every), (own, list(axes)))(xs, case.xs), xs)
    for k, (g, axis) in enumerate(zip(pull(cotangents)[0], own, strict=True)):
        each = np.stack([w[k] for w in wanted])
        np.testing.assert_allclose(_numbers(g), each if axis == 0 else each.sum(0), rtol=1e-9, atol=1e-9)

    def pushed(xs: Any, every: Any, tangent: Any) -> Any:
        return jvp(lambda xs: f(xs, *every), (xs,), (tangent,))[1]

    wanted = [pushed(at[i], parts[i], [t[i] for t in tangents]) for i in range(SIZE)]
    _compare(vmap(pushed, (own, list(axes), 0))(xs, case.xs, tangents), wanted)

    def curved(xs: Any, every: Any, cotangent: Any, tangent: Any) -> Any:
        return jvp(lambda xs: pulled(xs, every, cotangent), (xs,), (tangent,))[1]

    wanted = [curved(at[i], parts[i], [c[i] for c in cotangents], [t[i] for t in tangents]) for i in range(SIZE)]
    _compare(vmap(curved, (own, list(axes), 0, 0))(xs, case.xs, cotangents, tangents), wanted)


def _like(x: Any, rng: Any) -> Any:
    drawn = rng.standard_normal(x.shape) + (1j * rng.standard_normal(x.shape) if x.dtype.kind == "c" else 0)
    return drawn.astype(x.dtype)


@pytest.mark.parametrize("op_id", OPS)
def test_derivatives(op_id: str) -> None:
    """Gradients, directional derivatives and second derivatives are those of the loop."""
    for case in _cases(ops[op_id]):
        _derivatives(case)

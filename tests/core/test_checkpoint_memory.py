"""What checkpointed networks keep, in bytes: 64 blocks of a linear map and gelu."""

from __future__ import annotations

import gc
import tracemalloc
from typing import Any

import numpy as np
import pytest

from autodiff import Value, checkpoint, checkpoint_sequential, jvp, ops
from autodiff.errors import ArgumentError

BLOCKS = 64


def _network(batch: int, width: int) -> tuple[Any, list[Any], list[Value]]:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((batch, width)).astype(np.float32)
    # One weight for all blocks: it is no part of what a block keeps, and its gradient is no part of the peak.
    weight = Value((rng.standard_normal((width, width)) / width**0.5).astype(np.float32))
    bias = Value(np.zeros(width, np.float32))
    return x, [lambda x: ops.gelu(ops.linear(x, weight, bias))] * BLOCKS, [weight, bias]


def _composed(functions: list[Any]) -> Any:
    def run(x: Any) -> Any:
        for function in functions:
            x = function(x)
        return x

    return run


def _measured(network: Any, x: Any, parameters: list[Value]) -> tuple[float, float, list[Any]]:
    """Return what is kept after the forward pass, and the peak of both, in arrays, and the gradients."""
    gc.collect()
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        total = network(Value(x, requires_grad=False)).sum()
        kept = tracemalloc.get_traced_memory()[0] - before
        total.backward()
        peak = tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()
    gradients = [p.grad for p in parameters]
    for p in parameters:
        p.zero_grad()
    return kept / x.nbytes, peak / x.nbytes, gradients


@pytest.mark.parametrize(("batch", "width"), [(512, 128), pytest.param(256, 512, marks=pytest.mark.slow)])
def test_what_checkpoints_keep(batch: int, width: int) -> None:
    """A plain block keeps two arrays, one by itself in a checkpoint its input, and segments one for each of them."""
    x, blocks, parameters = _network(batch, width)
    kept, peak, gradients = _measured(_composed(blocks), x, parameters)
    assert kept == pytest.approx(2 * BLOCKS, abs=3)

    each, each_peak, found = _measured(_composed([checkpoint(block) for block in blocks]), x, parameters)
    assert each == pytest.approx(BLOCKS, abs=4)  # half, and no less: every input is kept
    assert each_peak < 0.6 * peak
    for one, other in zip(found, gradients, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-4)

    # Eight segments of eight blocks: seven inputs, and what the blocks of one segment keep.
    rooted, rooted_peak, found = _measured(checkpoint_sequential(blocks), x, parameters)
    assert rooted == pytest.approx(7 + 16, abs=3)
    assert rooted_peak <= 0.25 * peak
    for one, other in zip(found, gradients, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("count", [1, 2, 5, 7])
@pytest.mark.parametrize("segments", [None, 1, 2, 5])
def test_sequential_is_the_composition(count: int, segments: int | None) -> None:
    """In any number of segments."""
    w = Value(np.linspace(0.1, 0.9, 9).reshape(3, 3))
    functions = [lambda x, i=i: (x @ w + i).tanh() for i in range(count)]
    if segments is not None and segments > count:
        with pytest.raises(ArgumentError, match=f"{count} functions"):
            checkpoint_sequential(functions, segments)
        return
    calls: list[int] = []
    counted = [lambda x, f=f: (calls.append(1), f(x))[1] for f in functions]
    wanted, found = [], []
    for network, into in ((_composed(functions), wanted), (checkpoint_sequential(counted, segments), found)):
        x = Value(np.ones((2, 3)))
        network(x).sum().backward()
        into += [x.grad, w.grad]
        w.zero_grad()
    for one, other in zip(found, wanted, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12)
    runs = segments or {1: 1, 2: 2, 5: 3, 7: 3}[count]
    last = count - count * (runs - 1) // runs
    assert len(calls) == 2 * count - last


def test_nothing_to_checkpoint() -> None:
    """Is refused."""
    with pytest.raises(ArgumentError, match="0 functions"):
        checkpoint_sequential([])


def test_blocks_that_share_a_parameter_are_computed_again_once() -> None:
    """A block's pass ends at its inputs, also where one of them depends on another: on the parameter of them all."""
    w, calls = Value(np.full((3, 3), 0.3)), []

    def block(x: Any) -> Any:
        calls.append(1)
        return (x @ w).tanh()

    x = Value(np.ones((2, 3)))
    _composed([block] * 4)(x).sum().backward()
    wanted = [x.grad, w.grad]
    x.zero_grad()
    w.zero_grad()
    calls.clear()
    _composed([checkpoint(block)] * 4)(x).sum().backward()
    assert len(calls) == 8
    for one, other in zip([x.grad, w.grad], wanted, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12)
    calls.clear()
    _, tangent = jvp(_composed([checkpoint(block)] * 4), (np.ones((2, 3)),), (np.ones((2, 3)),))
    assert len(calls) == 8
    np.testing.assert_allclose(tangent, jvp(_composed([block] * 4), (np.ones((2, 3)),), (np.ones((2, 3)),))[1])

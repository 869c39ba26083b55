"""What checkpointed networks keep, in bytes: 64 blocks of a linear map and gelu."""

from __future__ import annotations

import gc
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

from autodiff import Value, checkpoint, checkpoint_sequential, grad, hvp, jacobian, jvp, ops, vmap
from autodiff.errors import ArgumentError, ArgumentTypeError, GraphError

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
    network(Value(x, requires_grad=False)).sum().backward()  # what threads keep as scratch for good is there, uncounted
    for p in parameters:
        p.zero_grad()
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
    """A plain block keeps two arrays, of checkpointed ones some their input, and segments one for each of them."""
    x, blocks, parameters = _network(batch, width)
    kept, peak, gradients = _measured(_composed(blocks), x, parameters)
    # Here as below the first block's input is the caller's; the rest is nodes.
    assert kept == pytest.approx(2 * BLOCKS - 1, abs=0.7)

    each, each_peak, found = _measured(_composed([checkpoint(block) for block in blocks]), x, parameters)
    assert each == pytest.approx(7, abs=0.7)  # the inputs of the blocks 1, 4, 9, 16, 25, 36 and 49
    # Of the last run of blocks all, and what one of them needs: three arrays where gelu's rule is a loop of Numba's.
    assert 7 + 14 + 2 <= each_peak <= 7 + 14 + 6.5
    assert each_peak <= 0.25 * peak
    for one, other in zip(found, gradients, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-4)

    every = _composed([checkpoint(block, recompute_inputs=False) for block in blocks])
    half, half_peak, found = _measured(every, x, parameters)
    assert half == pytest.approx(BLOCKS - 1, abs=0.7)  # half, and no less: every input is kept
    assert half_peak < 0.6 * peak
    for one, other in zip(found, gradients, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-4)

    # Eight segments of eight blocks: seven inputs, and what the blocks of one segment keep: an input is one of the seven.
    rooted, rooted_peak, found = _measured(checkpoint_sequential(blocks), x, parameters)
    assert rooted == pytest.approx(7 + 15, abs=0.7)
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


@pytest.mark.parametrize(("recompute_inputs", "more"), [(False, 0), (True, 2)])
def test_blocks_that_share_a_parameter_are_computed_again_once(recompute_inputs: bool, more: int) -> None:
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
    _composed([checkpoint(block, recompute_inputs=recompute_inputs)] * 4)(x).sum().backward()
    assert len(calls) == 8 + more
    for one, other in zip([x.grad, w.grad], wanted, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12)
    calls.clear()
    _, tangent = jvp(
        _composed([checkpoint(block, recompute_inputs=recompute_inputs)] * 4), (np.ones((2, 3)),), (np.ones((2, 3)),)
    )
    assert len(calls) == 8 + more
    np.testing.assert_allclose(tangent, jvp(_composed([block] * 4), (np.ones((2, 3)),), (np.ones((2, 3)),))[1])


def _blocks(count: int) -> list[Any]:
    w = Value(np.linspace(-0.4, 0.5, 9).reshape(3, 3))
    return [lambda x, i=i: ops.tanh(x @ w + i / count) for i in range(count)]


@pytest.mark.parametrize("count", [1, 2, 3, 5, 11, 30])
def test_inputs_that_are_let_go_of_come_back(count: int) -> None:
    """In passes backwards, twice over one graph, forwards, and of second order."""
    blocks = _blocks(count)
    plain, short = _composed(blocks), _composed([checkpoint(block) for block in blocks])
    x, v = np.linspace(0.1, 0.9, 6).reshape(2, 3), np.ones((2, 3))
    for transform in (
        lambda f: jvp(f, (x,), (v,))[1],
        lambda f: grad(lambda x: (f(x) ** 2).sum())(x),
        lambda f: hvp(lambda x: (f(x) ** 2).sum(), x, v),
        lambda f: jacobian(f, mode="reverse")(x),
        lambda f: vmap(grad(lambda x: (f(x) ** 2).sum()))(np.stack([x, 2 * x])),
    ):
        np.testing.assert_allclose(transform(short), transform(plain), rtol=1e-12, atol=1e-14)
    leaf = Value(x)
    y = short(leaf).sum()
    y.backward(retain_graph=True)
    once = leaf.grad.copy()
    y.backward()
    np.testing.assert_allclose(leaf.grad, 2 * once, rtol=1e-12)


def test_an_input_that_somebody_has_is_not_computed_again() -> None:
    """While the caller keeps what a block returned, its array is there."""
    calls: list[int] = []

    def block(x: Any) -> Any:
        calls.append(1)
        return ops.tanh(x)

    x, kept = Value(np.ones(4)), []
    y = x
    for _ in range(9):
        y = checkpoint(block)(y)
        kept.append(y)
    y.sum().backward()
    assert len(calls) == 9 + 9


def test_branches_of_checkpointed_calls() -> None:
    """A call that takes the results of two others, one of several results, waits for both."""
    first = checkpoint(lambda x: {"a": ops.sin(x), "b": [ops.cos(x), 3]})
    second = checkpoint(lambda d, x: (d["a"] * d["b"][0] + x, d["a"]))
    third = checkpoint(lambda pair, k=1.0: ops.exp(pair[0] * pair[1]) * k)

    def plain(f1: Any, f2: Any, f3: Any) -> Any:
        def run(x: Any) -> Any:
            for _ in range(3):
                x = f3(f2(f1(x), x), k=0.5)
            return x.sum()

        return run

    bare = plain(*(f.__wrapped__ for f in (first, second, third)))
    x = np.linspace(0.1, 0.8, 5)
    np.testing.assert_allclose(grad(plain(first, second, third))(x), grad(bare)(x), rtol=1e-12)
    np.testing.assert_allclose(hvp(plain(first, second, third), x, np.ones(5)), hvp(bare, x, np.ones(5)), rtol=1e-12)


def test_random_blocks_whose_inputs_are_let_go_of() -> None:
    """A generator is replayed for the inputs, too."""

    def run(wrap: Any) -> Any:
        generator = np.random.default_rng(3)
        x = y = Value(np.ones(50))
        for _ in range(7):
            y = wrap(lambda x: ops.dropout(ops.sin(x), p=0.3, generator=generator))(y)
        y.sum().backward()
        return x.grad

    np.testing.assert_array_equal(run(checkpoint), run(lambda f: f))


def test_passes_in_threads_over_blocks_whose_inputs_are_let_go_of() -> None:
    """Eight threads over one graph: each brings back what it needs."""
    short = _composed([checkpoint(block) for block in _blocks(20)])
    x = Value(np.linspace(0.1, 0.9, 6).reshape(2, 3))
    y = short(x).sum()
    y.backward(retain_graph=True)
    once = x.grad.copy()
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: y.backward(retain_graph=True), range(40)))
    np.testing.assert_allclose(x.grad, 41 * once, rtol=1e-10)


def test_an_array_that_is_dropped_while_another_is_computed_again() -> None:
    """One input is still there when the pass looks, and its last holder lets go of it before the pass can use it."""
    held: list[Any] = []

    def dropping(x: Any) -> Any:
        held.clear()
        return ops.tanh(x)

    sine, tanh = checkpoint(ops.sin), checkpoint(dropping)
    last = checkpoint(lambda a, b: ops.exp(a * b))
    x, w = Value(np.linspace(0.1, 0.8, 5)), Value(np.linspace(0.3, 0.9, 5))
    y = last(tanh(sine(sine(x))), kept := sine(sine(sine(w))))
    held.append(kept)
    del kept
    y.backward(np.ones(5))

    v, u = Value(x.data), Value(w.data)
    ops.exp(ops.tanh(ops.sin(ops.sin(v))) * ops.sin(ops.sin(ops.sin(u)))).backward(np.ones(5))
    np.testing.assert_allclose(x.grad, v.grad, rtol=1e-12)
    np.testing.assert_allclose(w.grad, u.grad, rtol=1e-12)


def test_a_result_whose_pass_is_over_is_told_of_as_ever() -> None:
    """There is nothing left to compute it again from; where its gradient is asked for, that is an error of ours."""
    block, x, w = checkpoint(ops.tanh), Value(np.linspace(0.1, 0.8, 4)), Value(np.ones(4))
    h = block(block(x))
    h.sum().backward()
    y = checkpoint(ops.multiply)(h, w)

    with pytest.raises(GraphError, match="an earlier backward pass freed"):
        y.sum().backward()


def test_a_function_that_changes_is_told_where_its_result_is_an_input() -> None:
    """Also if it was called again for the sake of another block."""
    shapes = iter([4, 4, 4, 4, 3, 4, 4, 4, 4])

    def block(x: Any) -> Any:
        return ops.tanh(x)[: next(shapes)]

    x = Value(np.ones(4))
    with pytest.raises(GraphError, match="must do the same"):
        _composed([checkpoint(block)] * 4)(x).sum().backward()
    with pytest.raises(ArgumentTypeError, match="recompute_inputs"):
        checkpoint(block, recompute_inputs=2)

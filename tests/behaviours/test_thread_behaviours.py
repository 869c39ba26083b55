"""Modes: in threads, and after exceptions."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

from autodiff import (
    Value,
    checkpoint,
    debug,
    enable_grad,
    grad,
    hessian,
    is_grad_enabled,
    jacobian,
    no_grad,
    value_and_grad,
    vjp,
    vmap,
)
from autodiff.modes import MODE


def _fail(*_: Any) -> Any:
    raise RuntimeError("inside")


@pytest.mark.parametrize("transform", [grad, value_and_grad, lambda f: lambda x: vjp(f, x)])
def test_41_exception_inside_a_transform(transform: Any) -> None:
    """After any number of failures, nested ones too, modes are what they were and transforms work."""
    before = MODE.get()
    for _ in range(3):
        with pytest.raises(RuntimeError, match="inside"):
            transform(grad(_fail))(1.0)
        with pytest.raises(RuntimeError, match="inside"), no_grad():
            transform(_fail)(1.0)
    assert MODE.get() == before
    assert type(grad(lambda x: x * x)(3.0)) is np.ndarray
    assert grad(grad(lambda x: x**3))(2.0) == 12.0


def test_41_exception_inside_a_rule_or_hook() -> None:
    """A failing hook in a pass that is recorded under no_grad leaves modes and NumPy's error state alone."""
    before = (MODE.get(), np.geterr())
    x = Value(1.0)
    y = x * x
    y.register_hook(_fail)
    with pytest.raises(RuntimeError, match="inside"), no_grad():
        y.backward(create_graph=True)
    assert (MODE.get(), np.geterr()) == before


def test_41_numpy_error_state_is_left_alone() -> None:
    """The pass silences floating-point warnings for itself only."""
    with np.errstate(all="raise"):
        x = Value(np.zeros(2))
        y = (x**0.5).sum()
        y.backward()
        assert x.grad.tolist() == [np.inf, np.inf]
        assert set(np.geterr().values()) == {"raise"}


def test_42_no_grad_of_one_thread_is_not_that_of_another() -> None:
    """While one thread is inside no_grad(), another records and differentiates."""
    inside, done = threading.Event(), threading.Event()
    states = []

    def without() -> None:
        with no_grad():
            inside.set()
            done.wait(10)
            states.append(is_grad_enabled())

    thread = threading.Thread(target=without)
    thread.start()
    inside.wait(10)
    x = Value(3.0)
    (x * x).backward()
    states.append(is_grad_enabled())
    done.set()
    thread.join()
    assert (x.grad, states) == (6.0, [True, False])


def test_42_two_threads_two_modes() -> None:
    """Threads that switch modes all the time never see each other's."""
    barrier = threading.Barrier(2)

    def run(switch: Any, wanted: bool) -> list[bool]:
        seen = []
        for _ in range(200):
            with switch():
                barrier.wait(10)
                seen.append((Value(1.0) * 2).requires_grad is wanted and is_grad_enabled() is wanted)
        return seen

    with ThreadPoolExecutor(2) as pool:
        results = [pool.submit(run, no_grad, False), pool.submit(run, enable_grad, True)]
        assert [all(r.result()) for r in results] == [True, True]


def test_42_one_switch_in_two_threads() -> None:
    """One no_grad() object may be entered by two threads at once."""
    switch = no_grad()
    inside = threading.Barrier(2)
    left = threading.Event()

    def enter(first: bool) -> bool:
        try:
            with switch:
                inside.wait(10)
                if not first:
                    left.wait(10)
        finally:
            left.set()
        return is_grad_enabled()

    with ThreadPoolExecutor(2) as pool:
        results = [pool.submit(enter, True), pool.submit(enter, False)]
        assert [r.result() for r in results] == [True, True]


def test_42_debug_is_per_thread_too() -> None:
    """So is debug()."""
    with debug(), ThreadPoolExecutor(1) as pool:
        assert MODE.get() != 0
        assert pool.submit(MODE.get).result() == 0


def test_42_backward_in_several_threads_adds_up() -> None:
    """Eight threads that accumulate into shared leaves, an array and a number, lose nothing: the sums are exact."""
    x, y = Value(np.zeros(4)), Value(0.0)
    share = 10_000 // 8
    barrier = threading.Barrier(8)

    def work(n: int) -> None:
        barrier.wait(10)
        for i in range(share):
            weight = float(n * share + i)  # whole numbers: their sums are exact in any order
            ((x * weight).sum() + y * weight * 2.0).backward()

    with ThreadPoolExecutor(8) as pool:
        for result in [pool.submit(work, n) for n in range(8)]:
            result.result()
    total = sum(range(8 * share))
    assert x.grad.tolist() == [float(total)] * 4
    assert y.grad == 2.0 * total


def test_42_one_node_asked_by_several_threads() -> None:
    """Hooks, retained gradients and new gradients that several threads ask one node for are all there."""
    for _ in range(50):
        x = Value(np.ones(3))
        y = x * 2.0
        seen: list[int] = []
        barrier = threading.Barrier(8)

        def ask(n: int, y: Value = y, seen: list[int] = seen, barrier: threading.Barrier = barrier) -> Value:
            barrier.wait(10)
            y.register_hook(lambda g: seen.append(n))
            return Value(y).retain_grad()

        with ThreadPoolExecutor(8) as pool:
            handles = [result.result() for result in [pool.submit(ask, n) for n in range(8)]]
        y.sum().backward()
        assert sorted(seen) == list(range(8))
        assert [handle.grad.tolist() for handle in handles] == [[1.0] * 3] * 8


def test_42_transforms_in_several_threads() -> None:
    """Gradients, Jacobians in batches and checkpoints of one function, computed at once, do not disturb each other."""
    w = np.linspace(0.1, 1.0, 9).reshape(3, 3)
    block = checkpoint(lambda x: (w @ x).tanh())

    def work(n: int) -> Any:
        x = np.arange(3.0) + n
        total = vmap(grad(lambda x: block(x).sum()))(np.stack([x, -x]))
        return jacobian(block)(x), hessian(lambda x: block(x).sum())(x), total

    wanted = [work(n) for n in range(8)]
    with ThreadPoolExecutor(8) as pool:
        for _ in range(5):
            for found, right in zip(pool.map(work, range(8)), wanted, strict=True):
                for one, other in zip(found, right, strict=True):
                    np.testing.assert_array_equal(one, other)


def test_42_reading_a_gradient_loses_none() -> None:
    """Reading the .grad of a number while other threads accumulate into it drops nothing."""
    x = Value(0.0)
    done = threading.Event()

    def read() -> None:
        while not done.is_set():
            x.grad  # reading is the point

    def accumulate() -> None:
        for _ in range(200):
            (x * 1.0).backward()

    reader = threading.Thread(target=read)
    reader.start()
    writers = [threading.Thread(target=accumulate) for _ in range(4)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    done.set()
    reader.join()
    assert x.grad == 800.0

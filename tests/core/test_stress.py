"""A million ops, interrupts at any moment, exceptions anywhere."""

from __future__ import annotations

import random
import signal
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from autodiff import AutodiffError, Value, is_grad_enabled
from autodiff.extend import primitive


def test_a_million_ops() -> None:
    """Forward, backward and del of a million ops, with no recursion."""
    x = Value(1.0)
    y = x
    for _ in range(1_000_000):
        y = y + 1.0
    assert y.item() == 1_000_001.0
    y.backward()
    assert x.grad == 1.0
    del y


def test_a_million_ops_dropped() -> None:
    """Dropping a million ops that nobody differentiated."""
    y = x = Value(1.0)
    for _ in range(1_000_000):
        y = y + 1.0
    del y
    assert x.grad is None


class Interrupted(BaseException):
    """Stands for Ctrl-C."""


@pytest.fixture
def alarm() -> Iterator[None]:
    """Let the interval timer raise `Interrupted` wherever the main thread is."""

    def ring(*_: Any) -> None:
        raise Interrupted

    before = signal.signal(signal.SIGALRM, ring)
    yield
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


def _problem() -> tuple[list[Value], Value]:
    weights = [Value(np.full(4, 1.0 + i / 50)) for i in range(50)]
    y: Any = weights[0]
    for w in weights:
        y = (y * w).tanh() + w
    return weights, y.sum()


def test_random_interrupts(alarm: None) -> None:
    """After each of 200 interrupts every .grad is as it was or completely committed, and every mode is as it was."""
    weights, loss = _problem()
    start = time.perf_counter()
    loss.backward()
    duration = time.perf_counter() - start
    wanted = [w.grad for w in weights]
    delays = random.Random(0)
    hits = untouched = rounds = 0
    while hits < 200 and rounds < 2000:
        rounds += 1
        weights, loss = _problem()
        errors = np.geterr()
        hit = False
        try:
            try:
                signal.setitimer(signal.ITIMER_REAL, delays.uniform(1e-6, duration))
                loss.backward()
            finally:
                signal.setitimer(signal.ITIMER_REAL, 0)
        except Interrupted:
            hit = True
        arrived = [w.grad is not None for w in weights]
        assert all(arrived) or not any(arrived), f"{sum(arrived)} of {len(arrived)} gradients were committed"
        if all(arrived):
            assert all((w.grad == g).all() for w, g in zip(weights, wanted, strict=True))
        assert (is_grad_enabled(), np.geterr()) == (True, errors)
        if hit and not any(arrived):
            untouched += 1
            # What is left is either the whole graph, or one that says why it cannot be used.
            try:
                loss.backward()
            except AutodiffError:
                assert not any(w.grad is not None for w in weights)
            else:
                assert all((w.grad == g).all() for w, g in zip(weights, wanted, strict=True))
        hits += hit
    assert hits >= 200
    assert untouched >= 20, f"only {untouched} of {hits} interrupts hit before the commit"


def test_interrupts_while_accumulating(alarm: None) -> None:
    """With gradients there already, they are all the old ones or all the new ones."""
    weights, loss = _problem()
    loss.backward()
    single = [w.grad.copy() for w in weights]
    times = 1
    delays = random.Random(1)
    for _ in range(100):
        y: Any = weights[0]
        for w in weights:
            y = (y * w).tanh() + w
        try:
            try:
                signal.setitimer(signal.ITIMER_REAL, delays.uniform(1e-6, 1e-3))
                y.sum().backward()
            finally:
                signal.setitimer(signal.ITIMER_REAL, 0)
        except Interrupted:
            pass
        times = round(float(weights[0].grad[0] / single[0][0]))
        for w, g in zip(weights, single, strict=True):
            np.testing.assert_allclose(w.grad, times * g, rtol=1e-9)


def _boom(*_: Any) -> Any:
    raise ZeroDivisionError("boom")


@pytest.mark.parametrize("where", ["rule", "hook", "leaf hook", "root hook", "last leaf hook"])
def test_exceptions_change_nothing(where: str) -> None:
    """A rule or a hook that raises leaves all gradients as they were; the graph is spent and says so."""

    @primitive(vjps=(lambda g: _boom(),))
    def failing(xp: Any, x: Any) -> Any:
        return x * 1.0

    a, b = Value(np.ones(2)), Value(np.ones(2))
    (a * b).sum().backward()
    before = [a.grad.copy(), b.grad.copy()]
    middle = a * b
    if where == "rule":
        middle = failing(middle)
    root = (middle * a * b).sum()
    hooked = {"hook": middle, "leaf hook": a, "root hook": root, "last leaf hook": b}.get(where)
    if hooked is not None:
        hooked.register_hook(_boom)
    with pytest.raises(ZeroDivisionError, match="boom"):
        root.backward()
    assert [a.grad.tolist(), b.grad.tolist()] == [g.tolist() for g in before]
    with pytest.raises(AutodiffError, match="backward pass"):
        root.backward()


@pytest.mark.parametrize("where", ["rule", "hook"])
def test_a_failure_names_the_op(where: str) -> None:
    """The exception keeps its type and carries a note that says where the pass was."""

    @primitive(vjps=(lambda g: _boom() if where == "rule" else g,))
    def culprit(xp: Any, x: Any) -> Any:
        return x * 1.0

    y = culprit(Value(np.ones(2)))
    if where == "hook":
        y.register_hook(_boom)
    with pytest.raises(ZeroDivisionError) as caught:
        y.sum().backward()
    assert any("culprit" in note for note in caught.value.__notes__)


def test_a_failure_with_retain_graph_can_be_repeated() -> None:
    """With retain_graph=True a failed pass may be tried again."""
    x = Value(2.0)
    y = x * x
    hook = y.register_hook(_boom)
    with pytest.raises(ZeroDivisionError):
        y.backward(retain_graph=True)
    hook.remove()
    y.backward()
    assert x.grad == 4.0


def test_a_failure_spends_the_path_only() -> None:
    """A pass for some inputs that fails leaves the rest of the graph alone."""
    x, w = Value(1.0), Value(2.0)
    left, right = x * 2, w * 3
    left.register_hook(_boom)
    with pytest.raises(ZeroDivisionError):
        (left + right).backward(inputs=[x])
    right.backward()
    assert w.grad == 3.0


def test_a_failing_leaf_hook_is_named_by_the_next_error() -> None:
    """The next error names the cause, also where that was a hook on a leaf."""
    x = Value(1.0)
    y = x * x
    x.register_hook(_boom)
    with pytest.raises(ZeroDivisionError):
        y.backward()
    with pytest.raises(AutodiffError, match="boom"):
        y.backward()

"""no_grad, enable_grad and debug."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import numpy as np
import pytest

from autodiff import Value, debug, enable_grad, grad, is_grad_enabled, no_grad, ops
from autodiff.errors import GraphError, RuleError
from autodiff.extend import primitive


def test_context_managers_nest() -> None:
    """Each restores what was there before."""
    states = []
    with no_grad():
        states.append(is_grad_enabled())
        with enable_grad():
            states.append(is_grad_enabled())
            with no_grad():
                states.append(is_grad_enabled())
            states.append(is_grad_enabled())
        states.append(is_grad_enabled())
    assert [*states, is_grad_enabled()] == [False, True, False, True, False, True]


def test_one_switch_may_be_entered_again() -> None:
    """Also while it is inside itself, and after it."""
    switch = no_grad()
    with switch, enable_grad(), switch:
        assert not is_grad_enabled()
    with switch:
        assert not is_grad_enabled()
    assert is_grad_enabled()


@pytest.mark.parametrize("decorate", [no_grad, no_grad()])
def test_decorators(decorate: Any) -> None:
    """@no_grad and @no_grad() keep name and docstring, work recursively and restore."""

    @decorate
    def f(n: int) -> list[bool]:
        """Say whether ops record."""
        return [is_grad_enabled(), *(f(n - 1) if n else [])]

    assert (f(3), is_grad_enabled(), f.__name__, f.__doc__) == ([False] * 4, True, "f", "Say whether ops record.")
    with no_grad():
        assert enable_grad(is_grad_enabled)() is True


@pytest.mark.parametrize("switch", [no_grad, enable_grad, debug])
def test_restored_after_an_exception(switch: Any) -> None:
    """However the block ends."""
    before = is_grad_enabled()
    with pytest.raises(KeyboardInterrupt), switch():
        raise KeyboardInterrupt
    with pytest.raises(ZeroDivisionError):
        switch()(lambda: 1 / 0)()
    assert is_grad_enabled() == before


def test_results_of_no_grad_are_constants() -> None:
    """Nothing that was computed inside has a history, and methods and indexing neither."""
    x = Value(np.ones(3))
    with no_grad():
        results = [x * 2, 2 * x, -x, x.tanh(), x.sum(), x[0], x[[0]], x.reshape(3, 1), x @ x, x.astype("float32")]
    assert [r.requires_grad for r in results] == [False] * len(results)


def test_tasks_do_not_share_modes() -> None:
    """Two asyncio tasks that switch in turns keep their own mode."""

    async def work(switch: Any, wanted: bool) -> bool:
        with switch():
            states = []
            for _ in range(5):
                await asyncio.sleep(0)
                states.append(is_grad_enabled() is wanted)
        return all(states)

    async def both() -> list[bool]:
        return await asyncio.gather(work(no_grad, False), work(enable_grad, True))

    assert asyncio.run(both()) == [True, True]


def test_decorated_generator() -> None:
    """A decorated generator runs in its mode, or is refused."""

    @no_grad()
    def states() -> Any:
        yield is_grad_enabled()

    with contextlib.suppress(TypeError):
        assert list(states()) == [False]


def test_decorated_coroutine() -> None:
    """So does a coroutine."""

    @no_grad()
    async def state() -> bool:
        return is_grad_enabled()

    assert asyncio.run(state()) is False


def test_debug_reports_nan() -> None:
    """A NaN that a rule makes from finite numbers names the op and the line that called it."""
    with debug():
        x = Value(np.array([0.0, 1.0]))
        y = x.sqrt() * x.detach()
        root = ((x * 0.0).sqrt() * 0.0).sum()
        with pytest.raises(RuleError, match="NaN") as caught:
            root.backward()
    assert "sqrt" in str(caught.value)
    assert any("test_modes_and_debug.py" in note for note in caught.value.__notes__)
    assert (x.grad, y.shape) == (None, (2,))


def test_debug_changes_no_result() -> None:
    """A pass under debug gives the same gradients, recorded ones and several outputs included."""
    from autodiff import grad, ops

    def f(x: Any) -> Any:
        left, right = ops.split(x.softmax(), sections=(1,))
        return (left * right.sum() + x[[0, 0]].max()).sum()

    at = np.array([0.3, -0.2, 0.9])
    wanted = [grad(f)(at), grad(lambda v: grad(f)(v).sum())(at)]
    with debug():
        found = [grad(f)(at), grad(lambda v: grad(f)(v).sum())(at)]
    assert [g.tolist() for g in found] == [g.tolist() for g in wanted]


def test_debug_where_an_input_is_not_asked_for() -> None:
    """A pass for some inputs leaves rules out, and debug mode watches the others."""
    w = Value([2.0, 3.0])
    with debug():
        first = grad(lambda x: (x * w).sum())(np.ones(2))
        second = grad(lambda x: (w * x).sum())(np.ones(2))
        third = grad(lambda x: ops.where(np.array([True, False]), x, w).sum())(np.ones(2))

    assert first.tolist() == second.tolist() == [2.0, 3.0]
    assert third.tolist() == [1.0, 0.0]


def test_debug_sees_a_changed_output() -> None:
    """An output that a rule reads and that was changed is reported too."""
    with debug():
        y = Value(np.ones(3)).tanh()
        y._array[0] = 5.0
        with pytest.raises(GraphError, match="tanh"):
            y.sum().backward()


def test_without_debug_nothing_is_checked() -> None:
    """The same change goes unnoticed where debug is off: the check is not paid for."""

    @primitive(vjps=(lambda g, x: g * x,))
    def half_square(xp: Any, x: Any) -> Any:
        return x * x / 2

    x = Value(np.ones(2))
    y = half_square(x).sum()
    x.data[0] = 7.0
    y.backward()
    assert x.grad.tolist() == [7.0, 1.0]

"""What is registered by one thread while another looks it up: the next call finds the new one.

Each test makes the two meet by a hook inside the lookup, so that nothing depends on the scheduler.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from autodiff import Value
from autodiff.extend import Backend, elementwise, primitive
from autodiff.registry import registry


@pytest.fixture(autouse=True)
def _scope() -> Iterator[None]:
    with registry.scoped():
        yield


def in_a_thread(function: Callable[[], Any]) -> None:
    """Run something to its end in another thread."""
    thread = threading.Thread(target=function)
    thread.start()
    thread.join()


def meanwhile(monkeypatch: pytest.MonkeyPatch, method: str, action: Callable[[], Any]) -> list[str]:
    """Run `action` in another thread when the NumPy backend's `method` is next called; return a list of when it was."""
    numpy = type(registry.backends["numpy"])
    plain = getattr(numpy, method)
    done: list[str] = []

    def hooked(self: Any, *args: Any) -> Any:
        found = plain(self, *args)
        if not done:
            done.append(method)
            in_a_thread(action)
        return found

    monkeypatch.setattr(numpy, method, hooked)
    return done


def twice() -> Any:
    """Return an op that is called through the shortest path."""

    @elementwise(partials=(lambda x: 2.0,))
    def twice(xp: Any, x: Any) -> Any:
        return 2.0 * x

    return twice


def scaled() -> Any:
    """Return an op with an attribute."""

    @primitive(vjps=(lambda g, by: by * g,))
    def scaled(xp: Any, x: Any, *, by: float = 2.0) -> Any:
        return by * x

    return scaled


@pytest.mark.parametrize("make", [twice, scaled])
def test_a_kernel_registered_during_the_lookup_runs_from_the_next_call_on(
    make: Callable[[], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The call that was under way may still run the old kernel, and leaves it nowhere."""
    op = make()
    registry.register_op(op)
    done = meanwhile(
        monkeypatch, "kernel_for", lambda: registry.register_kernel(op, "numpy", lambda x, **attrs: x + 41.0)
    )
    x = Value(np.ones(2))

    first = op(x).data.tolist()

    assert (done, first) == (["kernel_for"], [2.0, 2.0])
    assert [op(x).data.tolist() for _ in range(3)] == [[42.0, 42.0]] * 3
    assert op.kernel_for(np.ndarray)(np.ones(1)).tolist() == [42.0]


@pytest.mark.parametrize("make", [twice, scaled])
def test_a_kernel_registered_while_the_old_one_runs(make: Callable[[], Any]) -> None:
    """The short paths are not told of the old one when it returns."""
    op = make()
    registry.register_op(op)

    def old(x: Any, **attrs: Any) -> Any:
        in_a_thread(lambda: registry.register_kernel(op, "numpy", lambda x, **attrs: x + 41.0, override=True))
        return 2.0 * x

    registry.register_kernel(op, "numpy", old)
    x = Value(np.ones(2))

    assert op(x).data.tolist() == [2.0, 2.0]
    assert [op(x).data.tolist() for _ in range(3)] == [[42.0, 42.0]] * 3


@pytest.mark.parametrize("make", [twice, scaled])
def test_a_kernel_registered_while_one_is_asked_for_by_type(
    make: Callable[[], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """`Op.kernel_for` leaves no old kernel either."""
    op = make()
    registry.register_op(op)
    meanwhile(monkeypatch, "kernel_for", lambda: registry.register_kernel(op, "numpy", lambda x, **attrs: x + 41.0))

    assert op.kernel_for(np.ndarray)(np.ones(1)).tolist() == [2.0]
    assert op.kernel_for(np.ndarray)(np.ones(1)).tolist() == [42.0]
    assert op(np.ones(1)).tolist() == [42.0]


@pytest.mark.parametrize("make", [twice, scaled])
def test_a_rule_declared_while_a_plan_is_made(make: Callable[[], Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """A graph that was under way keeps the old rule; those that are recorded later have the new one."""
    op = make()
    registry.register_op(op)
    done = meanwhile(monkeypatch, "vjp_kernel_for", lambda: op.vjp_kernel("numpy")(lambda g: 5.0 * g))

    def gradient() -> Any:
        x = Value(np.ones(1))
        op(x).backward()
        return x.grad.tolist()

    first = gradient()

    assert (done, first) == (["vjp_kernel_for"], [2.0])
    assert [gradient() for _ in range(3)] == [[5.0]] * 3


def test_a_backend_registered_while_the_others_are_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """A type that nobody knew a moment ago is not remembered as nobody's."""

    class Drawer:
        """An array of a library of its own."""

    class Drawers(type(registry.backends["numpy"])):  # type: ignore[misc]  # a class that only the registry knows
        name = "drawers"

        def recognises(self, array_type: type) -> bool:
            return array_type is Drawer

    backend: Backend = Drawers()
    done = meanwhile(monkeypatch, "recognises", lambda: registry.register_backend(backend))

    first = registry.backend_of(Drawer)

    assert (done, first) == (["recognises"], None)
    assert registry.backend_of(Drawer) is backend

"""Wrong calls of everything public end in a documented error or in a right result."""

from __future__ import annotations

import zlib
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st

import autodiff
from autodiff import Value
from autodiff import registry as core_registry
from autodiff.registry import registry
from malformed.faults import FAULTS, Call
from malformed.outcomes import attempt
from malformed.surface import TARGETS, missing

#: So many wrong calls for each function and class of fault, where all are run: more than 10,000 together.
_EACH = 2


def test_everything_public_has_a_right_call() -> None:
    """Nothing public is left out, and what faults are planted in is right."""
    assert missing() == []
    assert 2 * len(TARGETS) * len(FAULTS) > 10_000
    for name, target in TARGETS.items():
        assert attempt(target.make(), writes=True, allowed=target.allowed) == "", name


def _check(name: str, fault: str, count: int) -> None:
    target = TARGETS[name]

    @seed(zlib.crc32(f"{name} {fault}".encode()))
    # The first example is always the simplest: the first of all options.
    @settings(max_examples=count + 1, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(st.data())
    def run(data: Any) -> None:
        def choose(options: Any) -> Any:
            return options[data.draw(st.integers(0, len(options) - 1))]

        call = FAULTS[fault](target.make(), choose)
        told = attempt(call, writes=target.writes, allowed=target.allowed)
        assert told == "", f"{name} with wrong {fault} {told}"

    run()


@pytest.mark.parametrize(("number", "name"), list(enumerate(TARGETS)), ids=list(TARGETS))
def test_a_wrong_call_ends_well(number: int, name: str) -> None:
    """Each function is called wrongly, once, in a way that changes from one function to the next."""
    _check(name, list(FAULTS)[number % len(FAULTS)], 1)


@pytest.mark.slow
@pytest.mark.parametrize("name", list(TARGETS))
def test_every_kind_of_wrong_call_ends_well(name: str) -> None:
    """Each function is called wrongly in each way, several times."""
    for fault in FAULTS:
        _check(name, fault, _EACH)


# ---- the harness itself: it sees what it is there for -----------------------------------------------------------------


@pytest.mark.parametrize(
    "error", [AttributeError, KeyError, AssertionError, RecursionError, IndexError, UnboundLocalError]
)
def test_an_internal_error_is_seen(error: type[Exception], monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the core lets out that is none of its own errors is reported."""
    monkeypatch.setattr(registry, "asarray", _in_the_core(error))
    assert error.__name__ in attempt(Call(Value, [1.0], {}), writes=False)


def _in_the_core(error: type[Exception]) -> Any:
    code = compile("def asarray(*args, **kwargs):\n    raise error('from inside')\n", core_registry.__file__, "exec")
    space: dict[str, Any] = {"error": error}
    exec(code, space)
    return space["asarray"]


def test_a_changed_argument_is_seen() -> None:
    """Arrays and gradients of arguments are compared before and after."""

    def writes(x: Any) -> None:
        x *= 2

    def gives_a_gradient(v: Value) -> None:
        (v * v).sum().backward()
        raise autodiff.AutodiffError("a failure that has left something behind")

    assert "changes its arguments" in attempt(Call(writes, [np.ones(2)], {}), writes=False)
    assert attempt(Call(writes, [np.ones(2)], {}), writes=True) == ""
    assert "changes its arguments" in attempt(Call(gives_a_gradient, [Value([1.0])], {}), writes=True)


def test_changed_state_and_silence_are_seen() -> None:
    """A mode that stays on, and an error that says nothing."""

    def leaves_a_mode() -> None:
        autodiff.no_grad().__enter__()

    def says_nothing() -> None:
        raise autodiff.AutodiffError("no")

    before = autodiff.modes.MODE.get()
    assert "changes state" in attempt(Call(leaves_a_mode, [], {}), writes=False)
    autodiff.modes.MODE.set(before)
    assert "says too little" in attempt(Call(says_nothing, [], {}), writes=False)


def test_a_hang_is_seen() -> None:
    """A call that does not end is ended."""

    def forever() -> None:
        while True:
            pass

    assert "hangs" in attempt(Call(forever, [], {}), writes=False, seconds=0.2)

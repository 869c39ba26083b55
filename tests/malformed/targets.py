"""`target` notes how something public is called rightly; what the right calls are made with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from autodiff import Value
from malformed.faults import Call

__all__ = ["TARGETS", "K", "Keywords", "Target", "matrix", "same", "square", "target", "vector"]


@dataclass(frozen=True)
class Target:
    """A public function: how it is called rightly, whether it changes its arguments, what else it may raise."""

    make: Callable[[], Call]
    writes: bool = False
    allowed: tuple[type[BaseException], ...] = ()


TARGETS: dict[str, Target] = {}


def target(name: str, function: Any, make: Callable[[], tuple[Any, ...]], writes: bool = False, *allowed: Any) -> None:
    """Add a target; `make` returns positional arguments, and a dict of keywords at the end if there are any."""

    def call() -> Call:
        *args, last = (*make(), None)
        if args and type(args[-1]) is Keywords:
            *args, last = args
        return Call(function, list(args), dict(last or {}))

    TARGETS[name] = Target(call, writes, allowed)


class Keywords(dict[str, Any]):
    """The keywords of a call."""


K = Keywords


def matrix() -> Value:
    return Value(np.array([[0.5, 1.5, 0.25], [0.75, 0.125, 1.25]]))


def vector() -> Value:
    return Value(np.array([0.5, 1.5, 0.25]))


def square(x: Any) -> Any:
    return (x * x).sum()


def same(x: Any) -> Any:
    return x * 2.0

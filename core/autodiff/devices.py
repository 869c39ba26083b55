"""A pass runs where its arrays are: the current device follows the cotangent, where a library has such a thing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from autodiff.registry import registry
from autodiff.value import Value

__all__ = ["Follow", "following"]


class Follow:
    """Makes the device of what it is called with the current one: an array, a Value, or several of them."""

    __slots__ = ("_switches",)

    def __init__(self, switches: list[Any]) -> None:
        self._switches = switches

    def __call__(self, g: Any) -> None:
        if type(g) is tuple or type(g) is list:
            g = next((part for part in g if part is not None), None)
        array = g._array if type(g) is Value else g
        for switch in self._switches:
            switch(array)


@contextmanager
def following() -> Iterator[Follow | None]:
    """Give a `Follow`, or None where no library has a current device to switch; restore the device at the end."""
    found = [backend.switch() for backend in registry.backends.values()]
    switches = [switch for switch in found if switch is not None]
    try:
        yield Follow(switches) if switches else None
    finally:
        for switch in switches:
            switch.restore()

"""A pass runs where its arrays are: the current device follows the cotangent, where a library has such a thing."""

from __future__ import annotations

from typing import Any

from autodiff.registry import registry
from autodiff.value import Value

__all__ = ["Follow", "following"]


class Follow:
    """Makes the device of what it is called with the current one: an array, a Value, or several of them."""

    __slots__ = ("_switches",)

    def __init__(self, switches: list[Any]) -> None:
        self._switches = switches

    def __enter__(self) -> Follow | None:
        return self if self._switches else None

    def __exit__(self, *exc_info: object) -> None:
        for switch in self._switches:
            switch.restore()

    def __call__(self, g: Any) -> None:
        if type(g) is tuple or type(g) is list:
            g = next((part for part in g if part is not None), None)
        array = g._array if type(g) is Value else g
        for switch in self._switches:
            switch(array)


def following() -> Follow:
    """Return a context for a pass: it gives a `Follow`, or None where no library has a current device to switch.

    At its end the device is what it was.
    """
    found = [backend.switch() for backend in registry.backends.values()]
    return Follow([switch for switch in found if switch is not None])

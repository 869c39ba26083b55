"""A pass runs where its forward pass ran: on the device of the cotangent and the stream of the node.

Only for libraries that have a current device, or a current stream.
"""

from __future__ import annotations

from typing import Any

from autodiff.batches import innermost
from autodiff.graph import Node
from autodiff.registry import registry
from autodiff.rule import SELECT
from autodiff.value import Value

__all__ = ["Follow", "following"]


class Follow:
    """Makes the device of what it is called with the current one, and the stream of the node, if there is one.

    It is called with an array, a Value, or several of them.
    """

    __slots__ = ("_switches",)

    def __init__(self, switches: list[Any]) -> None:
        self._switches = switches

    def __enter__(self) -> Follow | None:
        return self if self._switches else None

    def __exit__(self, *exc_info: object) -> None:
        for switch in self._switches:
            switch.restore()

    def __call__(self, g: Any, node: Node | None = None) -> None:
        if type(g) is tuple or type(g) is list:
            g = next((part for part in g if part is not None), None)
        array = innermost(g._array if type(g) is Value else g)
        source = node.edge1 if node is not None and node.plan is SELECT else node  # one of its outputs
        stream = None if source is None or source.watch is None else source.watch.stream
        for switch in self._switches:
            switch(array, stream, keep=node is None)


def following() -> Follow:
    """Return a context for a pass: it gives a `Follow`, or None where no library has a current device to switch.

    At its end the device is what it was.
    """
    found = [backend.switch() for backend in registry.backends.values()]
    return Follow([switch for switch in found if switch is not None])

"""Every registered op as an attribute of `ops`, under its short name; under its id as an item.

>>> import numpy as np
>>> import autodiff
>>> autodiff.ops.tanh(np.zeros(2))
array([0., 0.])
>>> autodiff.ops["autodiff_ops.tanh"]
<op autodiff_ops.tanh: tanh(x)>
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from autodiff.registry import registry

__all__ = ["Ops", "ops"]


class Ops:
    """The namespace of all registered ops."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return registry.op(name)

    def __getitem__(self, name: str) -> Any:
        return registry.op(name)

    def __iter__(self) -> Iterator[Any]:
        return iter(list(registry.load().ops.values()))

    def __len__(self) -> int:
        return len(registry.load().ops)

    def __contains__(self, name: object) -> bool:
        return name in registry.load().ops or bool(registry.names.get(str(name)))

    def __dir__(self) -> list[str]:
        return sorted(name for name, ops in registry.load().names.items() if ops)

    def __repr__(self) -> str:
        return f"<autodiff.ops: {len(self)} ops>"


ops = Ops()

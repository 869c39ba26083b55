"""Which ops on which backends a name on the command line means."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Any, NamedTuple

from autodiff import plugins
from autodiff.plugins import normal_name
from autodiff.registry import registry
from autodiff.testing import DTYPES

__all__ = ["Selection", "SelectionError", "named_backends", "named_dtypes", "named_plugin"]


class SelectionError(ValueError):
    """A name on the command line means nothing."""


class Selection(NamedTuple):
    """What a plugin brings: ops, backends, and kernels for ops of others."""

    ops: tuple[Any, ...]
    backends: tuple[Any, ...]
    kernels: tuple[tuple[Any, str], ...]

    def pairs(self, backends: list[Any]) -> list[tuple[Any, Any]]:
        """Return each op with each backend that it is to be tested on: one's own everywhere, others' on one's own."""
        own = [(op, backend) for op in self.ops for backend in backends]
        foreign = [(op, backend) for backend in self.backends for op in registry.ops.values() if backend in backends]
        kernels = [(op, backend) for op, name in self.kernels for backend in backends if backend.name == name]
        return list(dict.fromkeys([*own, *foreign, *kernels]))


def named_plugin(name: str) -> Selection:
    """Return what the plugin of this name brings: the name of its module, its entry point or its distribution.

    Raises
    ------
    SelectionError
        There is none, or it brought nothing.
    """
    registry.load()
    found = [record for record in plugins.records if record.is_called(name)]
    brought = {what for record in found for what in record.brought}
    ops = [op for op in registry.ops.values() if op.id in brought or normal_name(op.plugin) == normal_name(name)]
    backends = [backend for backend in registry.backends.values() if f"backend {backend.name}" in brought]
    kernels = [
        (registry.ops[op_id], backend)
        for op_id, backend in registry.kernels
        if op_id in registry.ops and f"kernel of {op_id} for {backend}" in brought
    ]
    if ops or backends or kernels:
        return Selection(tuple(ops), tuple(backends), tuple(kernels))
    for record in found:
        raise SelectionError(
            f"the plugin {name!r} ({record.origin}) brings nothing to test: {record.cause or record.status}"
        )
    known = sorted({record.module.partition(":")[0] for record in plugins.records})
    close = _close(name, [*known, *(n for record in plugins.records for n in (record.name, record.distribution))])
    raise SelectionError(
        f"no plugin is called {name!r}.{close} Installed are {', '.join(known)}; `autodiff plugins` lists them."
    )


def named_backends(names: str | None) -> list[Any]:
    """Return the backends of these names, separated by commas; without names all.

    Raises
    ------
    SelectionError
        There is no such backend.
    """
    registry.load()
    chosen = list(registry.backends) if names is None else _split(names)
    for name in chosen:
        if name not in registry.backends:
            known = ", ".join(registry.backends)
            raise SelectionError(f"no backend is called {name!r}.{_close(name, registry.backends)} There are {known}.")
    return [registry.backends[name] for name in dict.fromkeys(chosen)]


def named_dtypes(names: str | None) -> list[str] | None:
    """Return these dtypes, or None for all.

    Raises
    ------
    SelectionError
        There is no such dtype.
    """
    if names is None:
        return None
    for name in _split(names):
        if name not in DTYPES:
            raise SelectionError(f"no dtype is called {name!r}.{_close(name, DTYPES)} There are {', '.join(DTYPES)}.")
    return _split(names)


def _split(names: str) -> list[str]:
    return [name.strip() for name in names.split(",") if name.strip()]


def _close(name: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(name, sorted({*known}), n=2, cutoff=0.5)
    return f" Did you mean {' or '.join(map(repr, close))}?" if close else ""

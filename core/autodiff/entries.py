"""Entry points of installed distributions, found as `importlib.metadata` does, whose import takes longer than all of it.

- `entries`: those of one group.
- `Entry`: one of them, and whose it is.

Only the files are read that installers write into the folders of `sys.path`. Where there may be distributions in other
places, in a zip file, in an egg, or wherever a finder of somebody else looks, `importlib.metadata` is asked.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable
from functools import reduce
from importlib import import_module
from importlib.machinery import PathFinder
from typing import Any

__all__ = ["Entry", "described", "entries"]

_ENDINGS = (".dist-info", ".egg-info")

#: What one name may be spelt with in place of another: see PEP 503.
_SEPARATORS = re.compile("[-_.]+")


class Entry:
    """An entry point, with name and version of its distribution, both empty where it has none."""

    __slots__ = ("distribution", "name", "value", "version")

    def __init__(self, name: str, value: str, distribution: str, version: str) -> None:
        self.name = name
        self.value = value
        self.distribution = distribution
        self.version = version

    def load(self) -> Any:
        """Import what it names, ``module`` or ``module:object``, perhaps with extras in brackets behind."""
        module, _, names = self.value.partition("[")[0].partition(":")
        return reduce(getattr, filter(None, names.strip().split(".")), import_module(module.strip()))


def entries(group: str) -> list[Entry]:
    """Return the entry points of `group`; of distributions of one name the first on the path counts."""
    if any(finder is not PathFinder and hasattr(finder, "find_distributions") for finder in sys.meta_path):
        return _by_metadata(group)
    found: list[Entry] = []
    seen: set[str] = set()
    for folder in map(os.fsdecode, sys.path):  # paths of pathlib may be among them
        try:
            names = os.listdir(folder or ".")
        except NotADirectoryError:
            return _by_metadata(group)
        except OSError:  # there is none
            continue
        if folder.lower().endswith(".egg"):
            return _by_metadata(group)
        for name in names:
            if name.lower().endswith(_ENDINGS):
                distribution = _SEPARATORS.sub("_", name.rpartition(".")[0].partition("-")[0]).lower()
                if distribution not in seen:
                    seen.add(distribution)
                    found += _read(os.path.join(folder, name), group)
    return found


def described(points: Iterable[Any]) -> list[Entry]:
    """Return entry points of `importlib.metadata` as entries."""
    points = list(points)
    # Reading them parses a file, hence once for each distribution.
    dists = {id(point.dist): point.dist for point in points}
    origins = {key: (dist.metadata["Name"] or "", dist.version) if dist else ("", "") for key, dist in dists.items()}
    return [Entry(point.name, point.value, *origins[id(point.dist)]) for point in points]


def _by_metadata(group: str) -> list[Entry]:
    from importlib.metadata import entry_points

    return described(entry_points(group=group))


def _read(info: str, group: str) -> list[Entry]:
    """Return the entry points of `group` that the folder of metadata `info` lists."""
    lines = _lines(info, "entry_points.txt")
    header = f"[{group}]"
    if header not in lines:
        return []
    found = []
    section = ""
    for line in lines:
        if line.startswith("[") and line.endswith("]"):
            section = line
        elif section == header and line and not line.startswith("#"):
            name, _, value = line.partition("=")
            found.append((name.strip(), value.strip()))
    origin = _origin(info)
    return [Entry(name, value, *origin) for name, value in found]


def _origin(info: str) -> tuple[str, str]:
    """Return name and version of the distribution whose metadata are in the folder `info`."""
    headers: dict[str, str] = {}
    for line in _lines(info, "METADATA") or _lines(info, "PKG-INFO"):
        if not line:  # a text follows
            break
        key, _, value = line.partition(":")
        headers.setdefault(key.lower(), value.strip())
    return headers.get("name", ""), headers.get("version", "")


def _lines(folder: str, name: str) -> list[str]:
    """Return the lines of a file without spaces around them; none if it cannot be read."""
    try:
        with open(os.path.join(folder, name), encoding="utf-8", errors="replace") as file:
            return [line.strip() for line in file]
    except OSError:
        return []

"""What became of each mutant, written as it comes, so that a run which was cut short goes on where it was.

A file of lines of JSON. What is known of a fault holds as long as its function is the same; each line says of which
commit it is.
"""

from __future__ import annotations

import functools
import json
import subprocess
from pathlib import Path
from typing import Any

__all__ = ["Ledger", "commit"]


class Ledger:
    """The results in a file, by the keys of the mutants; the last line of a key counts."""

    def __init__(self, path: Path, *, fresh: bool = False) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.known: dict[str, dict[str, Any]] = {}
        if path.exists() and not fresh:
            for line in path.read_text().splitlines():
                result = json.loads(line)
                self.known[result["key"]] = result
        self.path = path
        if fresh:
            path.unlink(missing_ok=True)

    def outcome(self, mutant: Any) -> str:
        """Return what became of it, or nothing."""
        return str(self.known.get(mutant.key, {}).get("outcome", ""))

    def note(self, mutant: Any, part: str, outcome: str, told: str, seconds: float) -> None:
        """Write a result."""
        result = {
            "key": mutant.key,
            "part": part,
            "where": mutant.where,
            "kind": mutant.kind,
            "mutant": str(mutant),
            "outcome": outcome,
            "told": told,
            "seconds": round(seconds, 2),
            "commit": commit(),
        }
        self.known[mutant.key] = result
        with self.path.open("a") as file:
            file.write(f"{json.dumps(result)}\n")


@functools.cache
def commit() -> str:
    """Return the commit of the sources, marked where they differ from it."""
    command = ["git", "describe", "--always", "--abbrev=10", "--dirty=+changes", "--exclude=*"]
    found = subprocess.run(command, cwd=Path(__file__).parent, capture_output=True, text=True, check=False)
    return found.stdout.strip() or "unknown"

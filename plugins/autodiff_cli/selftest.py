"""``autodiff selftest``: run the conformance kit on a backend, as it is installed here, and print a report.

The report is Markdown, to be pasted into an issue; progress goes to stderr.
"""

from __future__ import annotations

import platform
import sys
import time
from collections.abc import Iterable, Sequence
from typing import Any

import autodiff
from autodiff.errors import AutodiffError
from autodiff.registry import registry
from autodiff.testing import ConformanceError, check_backend, check_op
from autodiff.testing.derived import one_of_each_kind
from autodiff_cli.errors import CannotRunError
from autodiff_cli.tables import load_plugins

__all__ = ["run"]

#: So many lines of a failure are in the report.
_LINES = 40


def run(*, backend: str, names: Sequence[str], full: bool, dtypes: Sequence[str]) -> int:
    """Check the interface of a backend and ops on it; print the report, return 1 if anything failed.

    Raises
    ------
    CannotRunError
        The backend cannot run here, or there is no such op.
    """
    load_plugins()
    try:
        own = registry.backend(backend)
        ops = [registry.op(name) for name in names] or sorted(registry.ops.values(), key=lambda op: op.id)
    except AutodiffError as exc:
        raise CannotRunError(str(exc)) from exc
    start = time.perf_counter()
    failures = dict(_failures(own.name, ops, full, list(dtypes) or None))
    seconds = time.perf_counter() - start
    what = "all samples" if full else "one sample of each kind of numbers and range"
    facts = {"autodiff": autodiff.__version__, "Python": platform.python_version(), "on": platform.platform()}
    print(f"## autodiff selftest: {own.name}\n")
    for name, fact in {**facts, **own.facts()}.items():
        print(f"- {name}: {fact}")
    print(f"- {len(ops)} ops on {what}, dtypes: {', '.join(dtypes) or 'all'}; {seconds:.0f} s")
    print(f"\n**{len(failures)} failed**" if failures else "\n**all passed**")
    for name, text in failures.items():
        print(f"\n<details><summary>{name}</summary>\n\n```\n{text}\n```\n\n</details>")
    return int(bool(failures))


def _failures(backend: str, ops: Iterable[Any], full: bool, dtypes: list[str] | None) -> Iterable[tuple[str, str]]:
    """Yield what fails, and how; a terminal is shown where the run is."""
    try:
        check_backend(backend, ops=())
    except ConformanceError as exc:
        yield "the backend's interface", str(exc)
    for n, op in enumerate(listed := list(ops), start=1):
        if sys.stderr.isatty():
            print(f"\r{n}/{len(listed)} {op.id:<60.60}", end="", file=sys.stderr, flush=True)
        samples = None if full else one_of_each_kind(op)
        try:
            check_op(op, samples, backend=backend, dtypes=dtypes)
        except ConformanceError as exc:
            yield op.id, "\n".join(str(exc).splitlines()[:_LINES])
        except Exception as exc:  # a driver's error, say: the others may still run
            yield op.id, f"{type(exc).__name__}: {exc}"
    if sys.stderr.isatty():
        print("\r" + " " * 75 + "\r", end="", file=sys.stderr, flush=True)

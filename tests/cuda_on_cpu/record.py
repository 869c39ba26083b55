"""A plugin of pytest that writes each outcome down at once, so that a long run may be broken off and gone on with.

``CUDA_ON_CPU_RECORD`` names the file, a line of JSON for each test. What has passed there is not run again.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

__all__ = ["outcomes"]


def outcomes(path: Path) -> dict[str, str]:
    """Return the last outcome of each test that a file tells of: ``passed``, ``failed``, ``error`` or ``skipped``."""
    lines = path.read_text().splitlines() if path.exists() else []
    return {record["test"]: record["outcome"] for record in map(json.loads, lines)}


def _path() -> Path:
    return Path(os.environ["CUDA_ON_CPU_RECORD"])


class _Writer:
    """Writes what came of each test."""

    def pytest_runtest_logreport(self, report: Any) -> None:
        if report.when != "call" and report.passed:
            return
        outcome = "error" if report.failed and report.when != "call" else report.outcome
        line = {"test": report.nodeid, "outcome": outcome, "seconds": round(report.duration, 2)}
        with _path().open("a") as file:
            file.write(json.dumps(line) + "\n")


def pytest_configure(config: Any) -> None:
    """Write, unless this is a worker of pytest-xdist: it reports to the process that started it, and that one writes."""
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(_Writer())


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: Any, items: list[Any]) -> None:
    """Leave out what has passed."""
    known = outcomes(_path())
    done = [item for item in items if known.get(item.nodeid) == "passed"]
    if done:
        config.hook.pytest_deselected(items=done)
        items[:] = [item for item in items if known.get(item.nodeid) != "passed"]

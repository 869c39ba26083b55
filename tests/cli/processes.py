"""Running the command in a process of its own, and plugins that are installed for one such process."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

#: With warnings as errors: a command shows none.
COMMAND = (sys.executable, "-W", "error", "-m", "autodiff_cli")


def environment(path: Path | None = None, **variables: str) -> dict[str, str]:
    """Return an environment of 80 columns and no terminal, with `path` before everything that is installed."""
    found = {name: text for name, text in os.environ.items() if not name.startswith(("AUTODIFF_", "FORCE_", "TTY_"))}
    found.pop("COLUMNS", None)
    before = [str(path)] if path else []
    found["PYTHONPATH"] = os.pathsep.join([*before, *filter(None, [os.environ.get("PYTHONPATH")])])
    return found | variables


def command(*args: Any, path: Path | None = None, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run the command to its end."""
    return subprocess.run(
        [*COMMAND, *map(str, args)],
        capture_output=True,
        text=True,
        timeout=60,
        env=environment(path, **variables),
        check=False,
    )


def install(path: Path, name: str, version: str, points: dict[str, str], **modules: str) -> None:
    """Lay out an installed distribution in the folder `path`: its entry points, and the source of its modules."""
    info = path / f"{name.replace('-', '_')}-{version}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    lines = [f"{point} = {module}" for point, module in points.items()]
    (info / "entry_points.txt").write_text("\n".join(["[autodiff]", *lines, ""]))
    for module, source in modules.items():
        (path / f"{module}.py").write_text(source)

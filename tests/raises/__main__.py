"""Run the tests, and fail if a ``raise`` of ours was not reached: ``PYTHONPATH=tests python -m raises [pytest's options]``."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path

from raises.hook import ROOT, VARIABLE, sites


def main(arguments: list[str] | None = None) -> int:
    """Run pytest with what is not known here, then list what was not reached."""
    parser = argparse.ArgumentParser("raises", description=__doc__)
    parser.add_argument("--notes", type=Path, default=Path("build/raises.txt"), help="where places are noted")
    parser.add_argument("--keep", action="store_true", help="count what earlier runs have noted")
    options, rest = parser.parse_known_args(arguments)
    notes = options.notes.absolute()
    notes.parent.mkdir(parents=True, exist_ok=True)
    if not options.keep:
        notes.unlink(missing_ok=True)
    path = os.pathsep.join([str(Path(__file__).parent / "site"), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, VARIABLE: str(notes), "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"}
    code = subprocess.run([sys.executable, "-m", "pytest", *rest], cwd=ROOT, env=environment, check=False).returncode
    reached = set(notes.read_text().split()) if notes.exists() else set()
    known = sites()
    missed = {place: text for place, text in known.items() if place not in reached}
    for place, text in missed.items():
        print(f"no test reaches {place}: {text:.150}")
    print(f"{len(known) - len(missed)} of {len(known)} raise statements are reached")
    return code or int(bool(missed))


if __name__ == "__main__":
    sys.exit(main())

"""Run the tests, and tell which ``raise`` of ours none of them reaches: ``PYTHONPATH=tests python -m raises [of pytest]``.

It fails if one is not reached that `unreached.txt` does not list, or one is that it lists.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path

from raises.hook import ROOT, VARIABLE, sites

LISTED = Path(__file__).parent / "unreached.txt"


def main(arguments: list[str] | None = None) -> int:
    """Run pytest with the options that are not known here, then compare what was reached with the list."""
    parser = argparse.ArgumentParser("raises", description=__doc__)
    parser.add_argument("--notes", type=Path, default=Path("build/raises.txt"), help="where what is reached is noted")
    parser.add_argument("--keep", action="store_true", help="count what earlier runs have noted")
    parser.add_argument("--report", action="store_true", help="run nothing")
    options, rest = parser.parse_known_args(arguments)
    notes = options.notes.absolute()
    notes.parent.mkdir(parents=True, exist_ok=True)
    if not (options.keep or options.report):
        notes.unlink(missing_ok=True)
    path = os.pathsep.join([str(Path(__file__).parent / "site"), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, VARIABLE: str(notes), "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-m", "pytest", *rest]
    code = 0 if options.report else subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode
    told = compare(notes.read_text().split() if notes.exists() else [], listed())
    print("\n".join(told))
    return code or int(len(told) > 1)


def listed() -> list[str]:
    """Return the keys of those that no test reaches, as far as is known."""
    return [line.split()[0] for line in LISTED.read_text().splitlines() if line and not line.startswith("#")]


def compare(reached: list[str], listed: list[str]) -> list[str]:
    """Return what is not as it is listed, a line each, and the score."""
    known = sites()
    missed = [f"no test reaches {told:.200} [{key}]" for key, told in known.items() if key not in {*reached, *listed}]
    mended = [f"{key} is listed, and is reached: take it off" for key in listed if key in reached]
    gone = [f"{key} is listed, and is not there any more: take it off" for key in listed if key not in known]
    count = len(known.keys() & set(reached))
    return [*missed, *mended, *gone, f"{count} of {len(known)} raise statements are reached, {len(listed)} are listed"]


if __name__ == "__main__":
    sys.exit(main())

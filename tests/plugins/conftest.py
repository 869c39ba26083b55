"""Fake distributions on an import path of their own, and fresh interpreters that meet them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

#: Runs the script in its first argument, and prints what it left in ``result`` and the warnings that it caused.
RUNNER = """
import json, sys, warnings
namespace = {"__name__": "__main__", "result": None}
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    exec(sys.argv[1], namespace)
print(json.dumps({"result": namespace["result"], "warnings": [str(w.message) for w in caught]}))
"""

#: A whole plugin: one op, which doubles, under a name to be filled in.
DOUBLE = """
from autodiff.extend import elementwise, hookimpl, unary

@elementwise(partials=(2,), samples=unary())
def {name}(xp, x):
    return 2 * x

@hookimpl
def register_ops(register):
    register({name})
"""


@dataclass
class Answer:
    """What a script left in ``result``, and the texts of the warnings that it caused."""

    result: Any
    warnings: list[str]


class Site:
    """A folder of fake distributions, each with the metadata that an installer would write."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def add(self, distribution: str, source: str, *, module: str | None = None, entry: str | None = None) -> None:
        """Install a distribution of one module, which its entry point names; `module` may be dotted."""
        module = module or distribution.replace("-", "_")
        file = self.path.joinpath(*module.split(".")).with_suffix(".py")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(textwrap.dedent(source))
        info = self.path / f"{distribution.replace('-', '_')}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[autodiff]\n{entry or module} = {module}\n")

    def double(self, distribution: str, name: str, **where: str) -> None:
        """Install a plugin with one op of this name."""
        self.add(distribution, DOUBLE.format(name=name), **where)

    def run(self, script: str, **environment: str) -> Answer:
        """Run `script` in a fresh interpreter that sees these distributions beside those installed."""
        env = {name: value for name, value in os.environ.items() if not name.startswith("AUTODIFF_")}
        env["PYTHONPATH"] = os.pathsep.join(filter(None, [str(self.path), env.get("PYTHONPATH")]))
        done = subprocess.run(
            [sys.executable, "-c", RUNNER, textwrap.dedent(script)],
            capture_output=True,
            text=True,
            env=env | environment,
            cwd=self.path,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return Answer(**json.loads(done.stdout.splitlines()[-1]))


@pytest.fixture
def site(tmp_path: Path) -> Site:
    """Return an empty folder for fake distributions."""
    return Site(tmp_path)

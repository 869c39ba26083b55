"""Compiles the core's hot modules by mypyc, where a build asks for it: ``HATCH_BUILD_HOOKS_ENABLE=1 pip install .``.

The sources are those of the ordinary build, and stay in the wheel beside the compiled modules, which Python prefers.
An editable installation is never compiled: its sources are there to be changed.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

#: What every call of an op and every step of a backward pass goes through; `docs/design.md` says what stays out.
MODULES = ("backward", "calls", "graph", "handles", "operators", "rule", "slots")

_SETUP = """
import sys
from mypyc.build import mypycify
from setuptools import setup

extensions = mypycify(["--ignore-missing-imports", *sys.argv[1:]], debug_level="0", group_name="autodiff")
setup(name="autodiff", packages=[], ext_modules=extensions, script_args=["build_ext", "--build-lib", "built"])
"""


class CompilingHook(BuildHookInterface[Any]):
    """Puts extension modules beside the sources that they are made of."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile, and add what came of it to the wheel."""
        if version == "editable":
            return
        # Where the compiler fails, `finalize` is not called: the folder then goes with the process.
        self.folder = TemporaryDirectory(prefix="autodiff-build-")
        folder = Path(self.folder.name)
        shutil.copytree(Path(self.root, "core", "autodiff"), folder / "autodiff")
        command = [sys.executable, "-c", _SETUP, *(f"autodiff/{name}.py" for name in MODULES)]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(
                f"Compiling the core failed. It needs a C compiler and Python's headers; without "
                f"HATCH_BUILD_HOOKS_ENABLE the build needs neither.\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
            )
        built = folder / "built"
        for path in (p for p in built.rglob("*") if p.is_file()):
            build_data["force_include"][str(path)] = path.relative_to(built).as_posix()
        build_data["infer_tag"] = True
        build_data["pure_python"] = False

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        """Remove the folder of the compiler."""
        if version != "editable":
            self.folder.cleanup()

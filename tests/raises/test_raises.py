"""The tool that tells which ``raise`` is reached: it sees those that are, in other processes too, and no others."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import autodiff
from raises.__main__ import compare, listed
from raises.hook import ROOT, VARIABLE, sites

pytestmark = pytest.mark.skipif(autodiff.COMPILED, reason="what is compiled is not changed when it is imported")


def test_every_listed_statement_is_there() -> None:
    """The list has no statement that is gone, and none twice."""
    keys = listed()
    assert [key for key in keys if key not in sites()] == []
    assert len(keys) == len({*keys})


def test_a_statement_is_noted_when_it_is_reached(tmp_path: Path) -> None:
    """One is, the others of the file are not; a process that another one starts notes its own."""
    script = """
import subprocess, sys, autodiff
try:
    autodiff.Value(1.0, requires_grad="yes")
except autodiff.AutodiffError:
    pass
if "again" not in sys.argv:
    subprocess.run([sys.executable, "-c", "import autodiff; autodiff.no_grad()(3)"], stderr=subprocess.DEVNULL)
"""
    notes = tmp_path / "notes"
    environment = {**os.environ, VARIABLE: str(notes), "PYTHONPATH": str(ROOT / "tests" / "raises" / "site")}
    subprocess.run([sys.executable, "-c", script], env=environment, check=True)
    reached = [sites()[key] for key in notes.read_text().split()]
    assert any("core/autodiff/value.py" in told and "requires_grad" in told for told in reached)
    assert any("core/autodiff/modes.py" in told and "decorate a function" in told for told in reached)
    assert len(reached) < 6


def test_what_is_not_as_listed_is_told() -> None:
    """A statement that nothing reaches, one that is reached though it is listed, and one that is gone."""
    first, second, *rest = sites()
    told = compare([second, *rest], [second, "core/autodiff/gone.py:0:0"])
    assert [line.split(" ")[0] for line in told] == ["no", second, "core/autodiff/gone.py:0:0", str(len(rest) + 1)]
    assert len(compare([second, *rest], [first])) == 1

"""The notebooks are in the repository without outputs; `pytest --nbmake docs/notebooks` runs them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
NOTEBOOKS = sorted((ROOT / "docs" / "notebooks").glob("*.ipynb"))


def cells(path: Path) -> list[Any]:
    """Return the cells of a notebook."""
    found: list[Any] = json.loads(path.read_text())["cells"]
    return found


def test_there_are_notebooks() -> None:
    """The folder was found."""
    assert "autodiff_scaler.ipynb" in [path.name for path in NOTEBOOKS]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_outputs_are_stripped(path: Path) -> None:
    """Results are made where the notebook runs: in git they would be stale, large, and in every diff."""
    code = [cell for cell in cells(path) if cell["cell_type"] == "code"]

    assert [cell["id"] for cell in code if cell["outputs"] or cell["execution_count"] is not None] == []


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_links_lead_somewhere(path: Path) -> None:
    """Pages that the prose refers to exist."""
    import re

    text = "".join("".join(cell["source"]) for cell in cells(path) if cell["cell_type"] == "markdown")
    links = [link for link in re.findall(r"\]\(([^)#]+)", text) if "://" not in link]

    assert links
    assert [link for link in links if not (path.parent / link).exists()] == []

"""The comparison with other libraries: its workloads agree, and the pictures show what the tables say."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from asv_bench import arrays, hessians, idioms, plots

ROOT = Path(__file__).parents[2]
ROWS = {**hessians.ROWS, **idioms.ROWS}
CASES = [(row, library) for row, found in ROWS.items() for library in found.runs if library != "autodiff"]


@pytest.mark.parametrize("row", ROWS)
def test_workload_runs(row: str) -> None:
    """autodiff has each workload, and its gradients are finite and not all zero."""
    chosen = ROWS[row]
    results = chosen.runs["autodiff"](chosen.data(np.random.default_rng(0)))()

    for result in results:
        assert np.isfinite(result).all()
        assert np.any(result)


@pytest.mark.parametrize(("row", "library"), CASES)
def test_libraries_agree(row: str, library: str) -> None:
    """Each library that is installed computes the same, written in its own way."""
    if importlib.util.find_spec(library.removesuffix(".jit")) is None:
        pytest.skip(f"{library} is not installed")
    if library == "jax.jit":
        importlib.import_module("jax").config.update("jax_enable_x64", True)
    chosen = ROWS[row]
    data = chosen.data(np.random.default_rng(0))

    ours, theirs = chosen.runs["autodiff"](data)(), chosen.runs[library](data)()

    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(np.asarray(b), np.asarray(a), rtol=1e-7, atol=1e-9)


def test_process_that_ends_is_told() -> None:
    """Whoever measures in a process of its own hears that it is gone, and not that '' is no number."""
    command = [sys.executable, "-c", "import sys; sys.stdin.readline(); sys.exit(3)"]
    with (
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as worker,
        pytest.raises(RuntimeError, match="seconds ended with code 3"),
    ):
        arrays._ask(worker, "seconds")


TABLE = """
| row | workload | autodiff | peer | peer's | ratio | quartiles | must | |
| --- | --- | --- | --- | --- | --- | --- | --- | --- |
| S1 | 600 scalars, `y = x` | 1.13 ms | torch | 3.25 ms | 0.35 | 0.34 to 0.36 | 0.45 | met |
| S1 | 600 scalars, `y = x` | 1.13 ms | jax.jit | 0.11 ms | 9.00 | 8.00 to 10.00 |  | slower |
| L3 | a perceptron | 2.90 ms | torch | 2.66 ms | 1.09 | 1.07 to 1.13 | 0.50 | **missed** |
| L5 | geometric mean | | torch | | 2.44 | | 1.00 | **missed** |
"""


def test_bars_are_what_the_table_says(tmp_path: Path) -> None:
    """Each line with a ratio is a bar, losses like wins; rows with several peers and those with one are two pictures."""
    page = tmp_path / "figures.md"
    page.write_text(TABLE)

    assert plots.bars(TABLE) == [
        ("S1", "600 scalars, y = x", "torch", 0.35, 0.34, 0.36),
        ("S1", "600 scalars, y = x", "jax.jit", 9.0, 8.0, 10.0),
        ("L3", "a perceptron", "torch", 1.09, 1.07, 1.13),
    ]
    assert [path.name for path in plots.main(page, tmp_path)] == ["peers.png", "torch.png"]
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in tmp_path.glob("*.png"))


def test_the_first_line_of_a_row_counts() -> None:
    """The newest figures stand first on the page."""
    again = TABLE.splitlines()[3].replace("0.35 | 0.34 to 0.36", "0.40 | 0.39 to 0.41")

    (first, *_) = plots.bars(TABLE + again)

    assert (first.row, first.ratio) == ("S1", 0.35)


def test_the_documentation_has_bars() -> None:
    """The tables of the page have the form that is read."""
    assert len(plots.bars((ROOT / "docs" / "benchmarks.md").read_text())) > 40


def test_pictures_of_the_documentation_are_drawn_from_its_tables(tmp_path: Path) -> None:
    """Whoever changes a table draws its picture again: ``python -m asv_bench.plots docs/benchmarks.md docs/images``."""
    from PIL import Image  # matplotlib needs it

    for drawn in plots.main(ROOT / "docs" / "benchmarks.md", tmp_path):
        with Image.open(drawn) as new, Image.open(ROOT / "docs" / "images" / drawn.name) as kept:
            assert kept.info.get("Description") == new.info["Description"], drawn.name

"""`autodiff bench`: what it measures, saves and compares, and what it refuses."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from autodiff.extend import elementwise, unary
from autodiff.registry import registry
from autodiff_cli import bench, main
from autodiff_cli.bench import Timing


@pytest.fixture
def quick(capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Run the command with few rounds and return what it prints."""

    def run(*args: str) -> str:
        assert main(["bench", "--rounds", "3", *args]) == 0
        return capsys.readouterr().out

    return run


def refusal(capsys: pytest.CaptureFixture[str], *args: str) -> str:
    """Return what the command says as it ends with code 2."""
    assert main(["bench", *args]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    return printed.err


def test_every_op_of_a_plugin_at_every_size(quick: Any, tmp_path: Path) -> None:
    """A stranger's plugin is benchmarked like ours: one line for each op and size."""

    @elementwise(partials=(lambda x: 2 * x,), samples=unary())
    def doubled_square(xp: Any, x: Any) -> Any:
        """Square."""
        return x * x

    with registry.scoped():
        registry.register_op(doubled_square, origin="strange-ops 0.5")
        table = quick("--plugin", doubled_square.plugin, "--size", "1", "--size", "1000", "--save", str(tmp_path / "f"))

    rows = [line for line in table.splitlines() if "doubled_square" in line]
    saved = json.loads((tmp_path / "f").read_text())["results"]
    assert [entry["size"] for entry in saved] == [1, 1000]
    assert len(rows) == 2
    for entry in saved:
        assert 0 < entry["forward"]["median"] < 1
        assert 0 < entry["backward"]["median"] < 1
    assert saved[1]["allocated"] > saved[0]["allocated"] + 8000


def test_comparison_with_a_saved_run(quick: Any, tmp_path: Path) -> None:
    """The exact figures of the same code are the same; what a file lacks is new."""
    path = tmp_path / "figures.json"
    quick("--op", "tanh", "--size", "100", "--save", str(path))

    table = quick("--op", "tanh", "--op", "exp", "--size", "100", "--compare", str(path))

    tanh, exp = (
        next(line for line in table.splitlines() if f"autodiff_ops.{name} " in line) for name in ("tanh", "exp")
    )
    assert tanh.split()[-2:] == ["=", "="]
    assert exp.split()[-1] == "new"


def test_comparison_shows_what_grew(quick: Any, tmp_path: Path) -> None:
    """Twice the bytecodes of the saved run are shown as such, and so is half the time."""
    path = tmp_path / "figures.json"
    quick("--op", "tanh", "--size", "100", "--save", str(path))
    saved = json.loads(path.read_text())
    (entry,) = saved["results"]
    entry["bytecodes"] /= 2
    entry["forward"] = {name: 1000 * seconds for name, seconds in entry["forward"].items()}
    path.write_text(json.dumps(saved))

    table = quick("--op", "tanh", "--size", "100", "--compare", str(path))

    row = next(line for line in table.splitlines() if "autodiff_ops.tanh" in line).split()
    assert row[-2] == "2.00"
    assert row[-4] == "0.00"


@pytest.mark.parametrize(("more", "shown"), [(0, "="), (500, "="), (-500, "="), (20_000, "0.")])
def test_small_objects_are_no_difference_in_bytes(more: int, shown: str, quick: Any, tmp_path: Path) -> None:
    """Python takes them from its lists of free ones now, and from new memory then."""
    path = tmp_path / "figures.json"
    quick("--op", "tanh", "--size", "1", "--save", str(path))
    before = next(iter(bench._read(path).values()))

    *_, ratio = bench._ratios(before, replace(before, allocated=before.allocated + more))

    assert ratio.plain.startswith(shown)


def test_op_without_gradient_has_no_backward(quick: Any) -> None:
    """A comparison is timed forward alone."""
    table = quick("--op", "less", "--size", "100", "--dtype", "float32")

    row = next(line for line in table.splitlines() if "autodiff_ops.less" in line).split()
    assert len(row) == 7  # op, elements, time and unit, bytecodes, bytes and unit


def test_op_that_cannot_run_is_reported_and_the_rest_measured(capsys: pytest.CaptureFixture[str]) -> None:
    """One op without samples costs one line on the error stream."""

    @elementwise(partials=(lambda x: 2 * x,))
    def unsampled(xp: Any, x: Any) -> Any:
        """Square."""
        return x * x

    with registry.scoped():
        registry.register_op(unsampled)
        assert main(["bench", "--op", unsampled.id, "--op", "tanh", "--size", "1", "--rounds", "3"]) == 0
    printed = capsys.readouterr()

    assert "autodiff_ops.tanh" in printed.out
    assert f"not measured: {unsampled.id} on numpy: {unsampled.id!r} has 0 samples" in printed.err


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["--plugin", "nobody"], "No plugin 'nobody' brought any op; those that did are"),
        (["--op", "tahn"], "There is no op 'tahn'. Did you mean 'tan'"),
        (["--plugin", "activations", "--op", "matmul"], "'autodiff_ops.matmul' is no op of the plugin 'activations'"),
        (["--backend", "numpi"], "'numpi'"),
        (["--compare", "nothing.json"], "cannot read 'nothing.json': No such file"),
        (["--compare", "other.json"], "'other.json' was not written by `autodiff bench --save`"),
        (["--save", "nowhere/f.json"], "'nowhere' is no folder"),
    ],
)
def test_what_cannot_be_done_is_said(
    args: list[str], said: str, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wrong names and files end with code 2 and the reason, before anything is measured."""
    monkeypatch.chdir(tmp_path)
    Path("other.json").write_text('{"results": [{}]}')

    assert said in refusal(capsys, *args)


@pytest.mark.parametrize(
    ("now", "then", "ratio"),
    [
        (Timing(1.0, 2.0, 3.0), Timing(2.5, 4.0, 5.0), 1.0),
        (Timing(5.5, 6.0, 7.0), Timing(1.0, 2.0, 3.0), 3.0),
        (Timing(1.0, 2.0, 3.0), Timing(5.5, 6.0, 7.0), 1 / 3),
    ],
)
def test_times_differ_where_their_quartiles_do(now: Timing, then: Timing, ratio: float) -> None:
    """Overlapping quartiles are no difference."""
    assert ratio == pytest.approx(now.over(then))


@pytest.mark.parametrize(("number", "text"), [(999, "999 B"), (1000, "1 kB"), (2_500_000, "2.5 MB")])
def test_bytes_are_written_in_units(number: int, text: str) -> None:
    """Three digits and a unit."""
    assert text == bench._bytes(number)

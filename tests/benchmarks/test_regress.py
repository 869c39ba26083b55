"""`asv_bench.regress`: planted slowdowns are caught, an unchanged source passes, and the rules are those it states."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from asv_bench import regress
from asv_bench.planting import PLANTS, plant
from asv_bench.regress import LIMIT, ROOT, Verdict, compare, export

COUNTS = {"bytecodes": 1000, "allocations": 100, "allocated": 10_000}


@pytest.fixture
def base(tmp_path: Path) -> Path:
    """Copy the sources of this checkout as they are."""
    return export(str(ROOT), tmp_path / "base")


@pytest.mark.parametrize("kind", PLANTS)
def test_planted_slowdown_is_caught(kind: str, base: Path, tmp_path: Path) -> None:
    """Bytecodes, an array or objects too many in the path of every operator make their row fail."""
    row, statement = PLANTS[kind]
    head = export(str(ROOT), tmp_path / "head")
    plant(head, statement)

    (verdict,) = compare(base, head, rows=[row])

    assert verdict.slower, verdict
    assert {"bytecode": "bytecodes", "temporary array": "allocated", "allocation": "allocations"}[kind] in verdict.text


def test_unchanged_source_passes(base: Path, tmp_path: Path) -> None:
    """The exact figures of two copies are the same, and no clock is trusted at one look."""
    head = export(str(ROOT), tmp_path / "head")

    verdicts = compare(base, head, rows=["scalars", "perceptron", "autodiff_ops.matmul", "hvp"])

    assert [verdict for verdict in verdicts if verdict.slower] == []


def test_row_that_fails_at_head_is_told(base: Path, tmp_path: Path) -> None:
    """What cannot be run any more is no pass."""
    head = export(str(ROOT), tmp_path / "head")
    plant(head, "raise RuntimeError('planted')")

    (verdict,) = compare(base, head, rows=["scalars"])

    assert verdict.slower
    assert "cannot be run: RuntimeError: planted" in verdict.text


class Stand:
    """Stands for a worker: its counts, and the seconds of its turns."""

    def __init__(self, counts: dict[str, int], seconds: float) -> None:
        self.rows, self._counts, self._seconds = ["scalars"], counts, seconds

    def ask(self, what: str, row: str) -> Any:
        return self._counts if what == "count" else self._seconds

    def close(self) -> None:
        pass


@pytest.mark.parametrize(
    ("grown", "seconds", "slower"),
    [
        ({}, 1.0, False),
        ({"bytecodes": 1050}, 1.0, False),  # within the limit
        ({"bytecodes": 1200}, 1.0, True),
        ({"allocations": 120}, 1.0, True),
        ({"allocated": 12_000}, 1.0, True),
        ({"bytecodes": 1200}, 0.7, False),  # more bytecodes, and faster for it
        ({}, 1.5, True),  # nothing to be seen but by the clock
        ({"bytecodes": 500}, 1.0, False),
    ],
)
def test_exact_figures_decide(
    grown: dict[str, int], seconds: float, slower: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A figure that grew fails a row unless its time fell; a time that rose fails it alone."""
    stands = {"base": Stand(COUNTS, 1.0), "head": Stand(COUNTS | grown, seconds)}
    monkeypatch.setattr(regress, "Worker", lambda tree: stands[tree.name])

    (verdict,) = compare(Path("base"), Path("head"))

    assert slower == verdict.slower


def test_more_work_is_not_forgiven_at_one_look(monkeypatch: pytest.MonkeyPatch) -> None:
    """A head that seems faster once, as on a processor that others keep busy, is looked at again."""
    made: list[str] = []

    class Lucky(Stand):
        def __init__(self, tree: Path) -> None:
            lucky = tree.name == "head" and "head" not in made
            super().__init__(COUNTS | ({"bytecodes": 1200} if tree.name == "head" else {}), 0.7 if lucky else 1.0)
            made.append(tree.name)

    monkeypatch.setattr(regress, "Worker", Lucky)

    (verdict,) = compare(Path("base"), Path("head"))

    assert verdict.slower
    assert verdict.text.endswith("time 1.00 (1.00 to 1.00), at a second look")


def test_row_that_fails_at_the_second_look_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """A row that looked slower and then cannot be timed is no pass, and every process is ended."""
    closed: list[str] = []

    class Failing(Stand):
        def __init__(self, tree: Path) -> None:
            super().__init__(COUNTS, 1.5 if tree.name == "head" else 1.0)
            self.name = tree.name

        def ask(self, what: str, row: str) -> Any:
            return "RuntimeError: planted" if what == "time" and closed else super().ask(what, row)

        def close(self) -> None:
            closed.append(self.name)

    monkeypatch.setattr(regress, "Worker", Failing)

    (verdict,) = compare(Path("base"), Path("head"))

    assert verdict.slower
    assert verdict.text == "cannot be timed: RuntimeError: planted, at a second look"
    assert sorted(closed) == ["base", "base", "head", "head"]


def test_worker_that_fails_to_start_leaves_no_other_running(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first process ends when the second cannot be started."""
    closed: list[str] = []

    class Starting(Stand):
        def __init__(self, tree: Path) -> None:
            super().__init__(COUNTS, 1.0)
            if tree.name == "head":
                raise SystemExit("the process that measures ended with code 1")

        def close(self) -> None:
            closed.append("base")

    monkeypatch.setattr(regress, "Worker", Starting)

    with pytest.raises(SystemExit, match="ended with code 1"):
        compare(Path("base"), Path("head"))

    assert closed == ["base"]


def test_small_figures_may_grow_a_little() -> None:
    """One small object more is no regression of an op that made three."""
    old = {"bytecodes": 50, "allocations": 3, "allocated": 300}

    assert regress._grown(old, {"bytecodes": 60, "allocations": 5, "allocated": 500}, LIMIT) == ""
    assert "bytecodes 50 -> 90 (1.80)" in regress._grown(old, old | {"bytecodes": 90}, LIMIT)


def test_report_says_what_is_slower(capsys: pytest.CaptureFixture[str]) -> None:
    """The rows that failed come last, and are named again."""
    assert regress.report([Verdict("a", True, "time 2.00"), Verdict("b", False, "time 1.00")])
    assert capsys.readouterr().out.splitlines()[-2:] == ["SLOWER a  time 2.00", "1 slower: a"]

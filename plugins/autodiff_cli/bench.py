"""`autodiff bench`: how long each op takes, forward and backward, and what it allocates; saved, and compared.

The ops, and the arrays that they are timed on, are those of `autodiff.testing.asv`: samples of the ops, scaled up.
"""

from __future__ import annotations

import json
import platform
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import quantiles
from time import perf_counter
from typing import Any

import numpy as np
from rich import box
from rich.console import Console
from rich.progress import track
from rich.table import Table
from rich.text import Text

import autodiff
from autodiff.errors import AutodiffError
from autodiff.registry import registry
from autodiff.testing.asv import OpCase, ops_of_plugin
from autodiff.testing.metrics import count
from autodiff_cli.errors import CannotRunError
from autodiff_cli.tables import load_plugins

__all__ = ["SIZES", "run"]

SIZES = (1, 10_000)

#: Fewer bytes more or less are no difference: calls of one source were seen to differ by some small objects, which
#: Python takes from its lists of free ones now, and from new memory then.
SMALL = 512

#: The least time for which a turn runs, in seconds: what is shorter is repeated.
TURN = 0.002


@dataclass(frozen=True)
class Timing:
    """The quartiles of the seconds that one call took."""

    low: float
    median: float
    high: float

    def over(self, other: Timing) -> float:
        """Return how many times as long as another this is; exactly 1 where their quartiles overlap."""
        overlap = self.low <= other.high and other.low <= self.high
        return 1.0 if overlap else self.median / other.median


@dataclass(frozen=True)
class Result:
    """What was measured of one op on one backend at one size."""

    op: str
    backend: str
    dtype: str
    size: int
    elements: int
    forward: Timing
    backward: Timing | None
    bytecodes: int
    allocated: int

    @property
    def key(self) -> tuple[Any, ...]:
        """What makes two results comparable."""
        return self.op, self.backend, self.dtype, self.size, self.elements


def run(
    *,
    plugin: str | None,
    ops: Sequence[str],
    backends: Sequence[str],
    sizes: Sequence[int],
    dtype: str,
    rounds: int,
    save: Path | None,
    compare: Path | None,
) -> int:
    """Measure, print a table, save it and compare it with an earlier one; return the exit code.

    Raises
    ------
    CannotRunError
        There is no such plugin, op or backend, or a file cannot be read or written.
    """
    load_plugins()
    earlier = None if compare is None else _read(compare)
    chosen = _ops(plugin, ops)
    places = _backends(backends)
    if save is not None and not save.parent.is_dir():  # said now, and not after minutes of measuring
        raise CannotRunError(f"{str(save.parent)!r} is no folder: --save takes the path of a file in one that exists")
    trials = [(op, backend, size) for op in chosen for backend in places for size in sizes]
    results, refused = [], []
    console = Console(stderr=True)
    for op, backend, size in track(
        trials, "Measuring", console=console, transient=True, disable=not console.is_terminal
    ):
        try:
            case = OpCase.of_size(op, size, backend=backend, dtype=dtype)
        except AutodiffError as exc:
            refused.append(f"{op} on {backend}: {exc}")
            continue
        results.append(_measure(case, size, dtype, rounds))
    _show(results, earlier)
    for reason in dict.fromkeys(refused):
        console.print(f"not measured: {reason}", markup=False, highlight=False, soft_wrap=True)
    if save is not None:
        _write(save, results)
    return 0


def _ops(plugin: str | None, names: Sequence[str]) -> list[str]:
    try:
        of_plugin = ops_of_plugin(plugin)
        chosen = [registry.op(name).id for name in names]
    except AutodiffError as exc:
        raise CannotRunError(str(exc)) from None
    strangers = [op for op in chosen if op not in of_plugin]
    if strangers:
        raise CannotRunError(f"{strangers[0]!r} is no op of the plugin {plugin!r}")
    return chosen or of_plugin


def _backends(names: Sequence[str]) -> list[str]:
    if not names:
        return [name for name, backend in registry.backends.items() if backend.unavailable() is None]
    try:
        return [registry.backend(name).name for name in names]
    except AutodiffError as exc:
        raise CannotRunError(str(exc)) from None


def _measure(case: OpCase, size: int, dtype: str, rounds: int) -> Result:
    def both() -> None:
        case.forward()
        case.backward()

    counts = count(both)
    wait = case.backend.synchronize
    return Result(
        op=case.op.id,
        backend=case.backend.name,
        dtype=dtype,
        size=size,
        elements=case.elements,
        forward=_time(case.forward, wait, rounds),
        backward=_time(case.backward, wait, rounds) if case.differentiable else None,
        bytecodes=counts.bytecodes,
        allocated=counts.allocated,
    )


def _time(call: Callable[[], Any], wait: Callable[[], None], rounds: int) -> Timing:
    def turn(number: int) -> float:
        start = perf_counter()
        for _ in range(number):
            call()
        wait()
        return perf_counter() - start

    with np.errstate(all="ignore"):  # large products overflow; that is no matter of speed
        turn(1)
        number = max(1, round(TURN / max(turn(1), 1e-9)))
        low, median, high = quantiles([turn(number) / number for _ in range(rounds)], n=4)
    return Timing(low, median, high)


# ---- files ----------------------------------------------------------------------------------------------------------


def _write(path: Path, results: list[Result]) -> None:
    written = {
        "autodiff": autodiff.__version__,
        "numpy": np.__version__,
        "python": platform.python_version(),
        "machine": f"{platform.system()} {platform.machine()} {platform.node()}",
        "results": [asdict(result) for result in results],
    }
    try:
        path.write_text(json.dumps(written, indent=1) + "\n")
    except OSError as exc:
        raise CannotRunError(f"cannot write {str(path)!r}: {exc.strerror}") from exc


def _read(path: Path) -> dict[tuple[Any, ...], Result]:
    """Return saved results by their keys."""
    try:
        entries = json.loads(path.read_text())["results"]
        results = [
            Result(**{**entry, "forward": Timing(**entry["forward"]), "backward": _timing(entry["backward"])})
            for entry in entries
        ]
    except OSError as exc:
        raise CannotRunError(f"cannot read {str(path)!r}: {exc.strerror}") from exc
    except (ValueError, KeyError, TypeError) as exc:
        raise CannotRunError(f"{str(path)!r} was not written by `autodiff bench --save`: {exc}") from exc
    return {result.key: result for result in results}


def _timing(entry: dict[str, float] | None) -> Timing | None:
    return None if entry is None else Timing(**entry)


# ---- the table ------------------------------------------------------------------------------------------------------


def _show(results: list[Result], earlier: dict[tuple[Any, ...], Result] | None) -> None:
    several = len({(result.backend, result.dtype) for result in results}) > 1
    table = Table(box=box.SIMPLE_HEAD, title="Seconds of one call: the median", title_justify="left")
    table.add_column("op", no_wrap=True)
    if several:
        table.add_column("backend", no_wrap=True)
    headings = ["elements", "forward", "backward", "bytecodes", "allocated"]
    if earlier is not None:
        headings += ["forward", "backward", "bytecodes", "allocated"]
    for i, heading in enumerate(headings):
        table.add_column(heading if i < 5 else f"{heading}, x", justify="right", no_wrap=True)
    for result in results:
        row = [Text(result.op), *([Text(result.backend)] if several else [])]
        row += [Text(f"{result.elements:,}"), Text(_seconds(result.forward)), Text(_seconds(result.backward))]
        row += [Text(f"{result.bytecodes:,}"), Text(_bytes(result.allocated))]
        if earlier is not None:
            row += _ratios(result, earlier.get(result.key))
        table.add_row(*row)
    console = Console(highlight=False)
    least = 100 if earlier is None else 170  # nothing is cut: lines may rather be longer than the terminal's
    wide = Console(highlight=False, width=max(console.width, least))
    wide.print(table, crop=False)
    if earlier is not None:
        wide.print(
            "x: times what it was; = within the spread. Bytecodes are exact, bytes to a few small objects, times are not."
        )


def _ratios(result: Result, before: Result | None) -> Iterator[Text]:
    if before is None:
        return iter([Text("new"), *[Text("")] * 3])
    times = [(result.forward, before.forward), (result.backward, before.backward)]
    ratios = [now.over(then) if now and then else None for now, then in times]
    ratios.append(result.bytecodes / max(before.bytecodes, 1))
    same = abs(result.allocated - before.allocated) < SMALL
    ratios.append(1.0 if same else result.allocated / max(before.allocated, 1))
    return map(_ratio, ratios)


def _ratio(ratio: float | None) -> Text:
    if ratio is None:
        return Text("")
    if abs(ratio - 1) < 0.005:
        return Text("=", "dim")
    return Text(f"{ratio:.2f}", "bold red" if ratio > 1.05 else "green" if ratio < 0.95 else "")


def _seconds(timing: Timing | None) -> str:
    if timing is None:
        return ""
    for unit, factor in (("s", 1.0), ("ms", 1e3)):
        if timing.median * factor >= 1:
            return f"{timing.median * factor:.3g} {unit}"
    return f"{timing.median * 1e6:.3g} us"


def _bytes(number: int) -> str:
    for unit, factor in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if number >= factor:
            return f"{number / factor:.3g} {unit}"
    return f"{number} B"

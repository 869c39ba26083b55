"""Plant faults and count what is caught: ``PYTHONPATH=tests python -m sabotage [--sample N] [--only rules|scheduler]``."""

from __future__ import annotations

import argparse
import gc
import hashlib
import os
import sys
import time
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from rich.console import Console  # after the number of threads is set, before NumPy is imported
from rich.progress import track

from autodiff.registry import registry
from autodiff.testing import check_op
from sabotage import checks, report, scheduler
from sabotage.ledger import Ledger
from sabotage.rules import rule_mutants
from sabotage.sources import functions
from sabotage.trials import trials

#: A mutant that takes longer hangs: all that an op has to pass takes seconds, all the scheduler's tests ten.
_SECONDS = {"rules": 60, "scheduler": 180}
_ORIGINAL = 600
_OPEN = ("survived", "unplanted", "unreached", "rounding", "error")


def main(arguments: list[str] | None = None) -> int:
    """Run, print and write the score; return 0 only if no fault survived."""
    parser = argparse.ArgumentParser("sabotage", description=__doc__)
    parser.add_argument("--only", choices=["rules", "scheduler"], help="plant in these alone")
    parser.add_argument("--match", default="", help="plant where the name of the op or function contains this")
    parser.add_argument("--kind", default="", help="plant faults of this kind alone")
    parser.add_argument("--sample", type=int, default=0, help="so many of them, picked at random")
    parser.add_argument("--seed", type=int, default=0, help="of the sample, and of the order")
    parser.add_argument("--fresh", action="store_true", help="forget what an earlier run found")
    parser.add_argument("--retry", action="store_true", help="plant those that survived an earlier run again")
    parser.add_argument("--report", action="store_true", help="plant nothing: report what is known")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--out", type=Path, default=Path("build/sabotage"), help="where results and report go")
    parser.add_argument("--page", type=Path, help="write the report to this file, too")
    options = parser.parse_args(arguments)
    warnings.simplefilter("ignore")
    console = Console(width=None if sys.stdout.isatty() else 140)
    ledger = Ledger(options.out / "results.jsonl", fresh=options.fresh)
    mutants = []
    for part in ("rules", "scheduler"):
        if options.only in (None, part):
            run = partial(_run, part, options, console, ledger)
            mutants += scheduler.within_pytest(run) if part == "scheduler" and not options.report else run()
    results = [ledger.known[m.key] for m in mutants if m.key in ledger.known]
    report.show(results, len(mutants), console)
    report.write(results, len(mutants), options.out, options.page)
    console.print(f"report: {options.out}")
    return int(not results or len(results) < len(mutants) or any(r["outcome"] in _OPEN for r in results))


def _run(part: str, options: Any, console: Console, ledger: Ledger) -> list[Any]:
    """Plant what is not known yet, compare what survives, and return all mutants that were chosen."""
    mutants = rule_mutants() if part == "rules" else scheduler.scheduler_mutants()
    mutants = [m for m in mutants if options.match in m.where and options.kind in m.kind]
    # In a random order, but for those of one op, so that what a run has done that is cut short is a sample of ops.
    mutants.sort(key=lambda m: _draw(m, options.seed))
    if options.sample:
        size = options.sample if options.only else options.sample * (3 if part == "rules" else 1) // 4
        mutants = mutants[:size]
    if options.report:
        return mutants
    again = (*_OPEN, "") if options.retry else ("",)
    chosen = [m for m in mutants if ledger.outcome(m) in again]
    if chosen:
        _warm()
    began = time.monotonic()
    shown = {"console": console, "disable": not console.is_terminal, "total": len(chosen), "description": part}
    for mutant, (outcome, told), seconds in track(_tried(part, chosen, options.processes), **shown):
        ledger.note(mutant, part, outcome, told, seconds)
    console.print(f"{part}: {len(chosen)} mutants in {time.monotonic() - began:.0f} s")
    return mutants


def _tried(part: str, chosen: list[Any], processes: int) -> Iterator[tuple[Any, Any, float]]:
    """Yield each mutant and what became of it: the gradients of the original are computed once for those of the same ops."""
    alike: dict[tuple[str, ...], list[Any]] = defaultdict(list)
    for mutant in chosen:
        alike[tuple(mutant.ops)].append(mutant)

    def original(op_ids: tuple[str, ...]) -> Any:
        return scheduler.programs() if part == "scheduler" else checks.before(list(op_ids))

    check = scheduler.check_scheduler if part == "scheduler" else checks.check_rule
    for op_ids, found, _ in trials(list(alike), original, seconds=_ORIGINAL, processes=1):
        if not isinstance(found, dict):
            raise RuntimeError(f"the gradients of {op_ids} could not be computed: {found}")
        work = partial(_checked, check, found)
        yield from trials(alike[op_ids], work, seconds=_SECONDS[part], processes=processes)


def _checked(check: Callable[..., Any], found: Any, mutant: Any) -> Any:
    return check(mutant, found)


def _warm() -> None:
    """Do once what each forked process would do again: C expressions are compiled, functions are found."""
    for op in registry.load().ops.values():
        if getattr(op, "c", None) is not None:
            check_op(op, dtypes=["float64", "float32"], order=1)
    functions.cache_clear()
    functions()
    gc.collect()
    gc.freeze()  # the collector would write into each object, and its page would be copied


def _draw(mutant: Any, seed: int) -> bytes:
    """Return the same for the same fault as long as its function is the same, whatever changes elsewhere."""
    return hashlib.blake2b(f"{seed} {mutant.where} {mutant.kind} {mutant.before} {mutant.after}".encode()).digest()


if __name__ == "__main__":
    sys.exit(main())

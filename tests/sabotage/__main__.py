"""Plant faults and count what is caught: ``PYTHONPATH=tests python -m sabotage [--sample N] [--only rules|scheduler]``."""

from __future__ import annotations

import argparse
import hashlib
import os
import sys
import time
import warnings
from functools import partial
from pathlib import Path
from typing import Any

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from rich.console import Console  # after the number of threads is set, before NumPy is imported
from rich.progress import track

from sabotage import report
from sabotage.checks import SURVIVED, check_rule, compare
from sabotage.rules import rule_mutants
from sabotage.scheduler import check_scheduler, compare_programs, scheduler_mutants, within_pytest
from sabotage.trials import trials

#: A mutant that takes longer hangs: an op's check takes a tenth of a second, all the scheduler's tests ten.
_SECONDS = {"rules": 60, "scheduler": 180}
_COMPARING = 900


def main(arguments: list[str] | None = None) -> int:
    """Run, print and write the score; return 0 only if no fault survived."""
    parser = argparse.ArgumentParser("sabotage", description=__doc__)
    parser.add_argument("--only", choices=["rules", "scheduler"], help="plant in these alone")
    parser.add_argument("--match", default="", help="plant where the name of the op or function contains this")
    parser.add_argument("--kind", default="", help="plant faults of this kind alone")
    parser.add_argument("--sample", type=int, default=0, help="so many of them, picked at random")
    parser.add_argument("--seed", type=int, default=0, help="of the sample")
    parser.add_argument("--no-comparison", action="store_true", help="count survivors that may be equivalent as such")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--out", type=Path, default=Path("build/sabotage"), help="where the report goes")
    options = parser.parse_args(arguments)
    warnings.simplefilter("ignore")
    console = Console(width=None if sys.stdout.isatty() else 140)
    results: list[dict[str, Any]] = []
    for part in ("rules", "scheduler"):
        if options.only in (None, part):
            run = partial(_run, part, options, console)
            results += run() if part == "rules" else within_pytest(run)
    report.show(results, console)
    report.write(results, options.out)
    console.print(f"report: {options.out}")
    return int(not results or any(r["outcome"] not in (*report.CAUGHT, "equivalent") for r in results))


def _run(part: str, options: Any, console: Console) -> list[dict[str, Any]]:
    mutants = rule_mutants() if part == "rules" else scheduler_mutants()
    mutants = [m for m in mutants if options.match in m.where and options.kind in m.kind]
    if options.sample:
        size = options.sample if options.only else options.sample * (3 if part == "rules" else 1) // 4
        mutants = sorted(mutants, key=lambda m: _draw(m, options.seed))[:size]
    check, again = (check_rule, compare) if part == "rules" else (check_scheduler, compare_programs)
    began = time.monotonic()
    shown = {"console": console, "disable": not console.is_terminal}
    results, survivors = [], []
    options.out.mkdir(parents=True, exist_ok=True)
    log = (options.out / f"{part}.log").open("w", buffering=1)  # what is known if the run is cut short
    first = trials(mutants, check, seconds=_SECONDS[part], processes=options.processes)
    for mutant, (outcome, told), seconds in track(first, part, len(mutants), **shown):
        if outcome in (SURVIVED[0], "unplanted"):
            survivors.append(mutant)
            print("survives the tests:", mutant, file=log)
        else:
            results.append(_result(mutant, outcome, told, seconds))
            print(f"{outcome}: {mutant}", file=log)
    if options.no_comparison:
        results += [_result(m, "survived", "not compared", 0.0) for m in survivors]
        survivors = []
    second = trials(survivors, again, seconds=_COMPARING, processes=options.processes)
    for mutant, (outcome, told), seconds in track(second, "survivors", len(survivors), **shown):
        # A comparison that ends otherwise has found a difference too.
        results.append(_result(mutant, outcome if outcome == "equivalent" else "survived", told, seconds))
        print(f"{results[-1]['outcome']}: {mutant} ({told})", file=log)
    log.close()
    console.print(f"{part}: {len(mutants)} mutants in {time.monotonic() - began:.0f} s")
    return sorted(results, key=lambda r: r["mutant"])


def _draw(mutant: Any, seed: int) -> bytes:
    """Return the same for the same fault as long as its function is the same, whatever changes elsewhere."""
    return hashlib.blake2b(f"{seed} {mutant.where} {mutant.kind} {mutant.before} {mutant.after}".encode()).digest()


def _result(mutant: Any, outcome: str, told: str, seconds: float) -> dict[str, Any]:
    return {
        "where": mutant.where,
        "kind": mutant.kind,
        "mutant": str(mutant),
        "outcome": outcome,
        "told": told,
        "seconds": round(seconds, 2),
    }


if __name__ == "__main__":
    sys.exit(main())

"""Compare a commit with the one it was based on, and fail if it is slower: ``python -m asv_bench.regress``.

On a machine that does other things too, times say little and exact figures much. What decides, row by row:

- A row that runs more than `LIMIT` times the bytecodes, allocations or allocated bytes of before fails; unless its
  time is clearly lower, twice, since a faster way may well take more bytecodes.
- A row whose exact figures are as before fails if its time is clearly higher, twice: compiled code has no bytecodes.

Time is compared by turns, base and head one after the other; clear is what even the better quarter of the ratios of
neighbouring turns shows. The rows are small workloads, and every registered op, forward and backward.
Both commits are measured by the benchmarks of this checkout.

``--self-test`` plants slowdowns into copies of the source, and reports how often each is caught.
"""

from __future__ import annotations

import argparse
import gc
import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from functools import partial
from pathlib import Path
from statistics import quantiles
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any, NamedTuple

__all__ = ["LIMIT", "Verdict", "compare"]

ROOT = Path(__file__).parents[1]
SOURCES = ("core", "backends", "plugins")

#: What measures is taken from this checkout, also for a commit that has none of it.
MEASURING = ("asv.py", "metrics.py", "scaling.py")

#: How much an exact figure may grow: 1.1 is 10 %.
LIMIT = 1.1

#: Even the worse quarter of the ratios of times must be below this for a row to count as faster.
FASTER = 0.95

#: What a figure must grow by at least, that of a tiny op too: some bytecodes, and one small object.
LEAST = {"bytecodes": 25, "allocations": 3, "allocated": 256}

#: How many turns each has, and how many for each of the many ops at first.
ROUNDS, FEW = 15, 7


# ---- one tree, in a process of its own ------------------------------------------------------------------------------


def _rows() -> dict[str, Callable[[], Callable[[], Any]]]:
    """Return, by name, what sets a row up and returns the call that is measured."""
    from autodiff.testing.asv import OpCase, ops_of_plugin

    from .benchmarks import Autodiff, derivatives, inputs, overhead, relu_chain, tanh_chain, training

    def chain(workload: Any, size: int | None) -> Callable[[], Any]:
        return partial(Autodiff().run, workload, *inputs(size))

    def benchmark(cls: Any, method: str, *params: Any) -> Callable[[], Any]:
        made = cls()
        made.setup("numpy", *params)
        return partial(getattr(made, method), "numpy", *params)

    def op(name: str) -> Callable[[], Any]:
        case = OpCase.of_size(name, 10_000)

        def both() -> None:
            case.forward()
            case.backward()

        return both

    rows = {
        "scalars": partial(chain, relu_chain(90), None),
        "vectors": partial(chain, tanh_chain(90), 10),
        "arrays of 10,000": partial(chain, tanh_chain(60), 10_000),
        "additions, backward": partial(benchmark, overhead.Adds, "time_backward"),
        "perceptron": partial(benchmark, training.Perceptron, "time_step", "4-16-3, batch 8"),
        "SGD": partial(benchmark, training.Optimiser, "time_step", "SGD", "100 of 10"),
        "Adam": partial(benchmark, training.Optimiser, "time_step", "Adam", "100 of 10"),
        "jvp": partial(benchmark, derivatives.Transform, "time_jvp", 8),
        "hvp": partial(benchmark, derivatives.Transform, "time_hvp", 8),
        "jacobian": partial(benchmark, derivatives.Jacobian, "time_jacobian", 4, "reverse"),
        "checkpoint": partial(benchmark, derivatives.Checkpoint, "time_both", 10, "checkpointed"),
    }
    return rows | {name: partial(op, name) for name in ops_of_plugin()}


def serve() -> None:
    """Answer each line of the standard input, ``["count", row]`` or ``["time", row]``, by a line of JSON."""
    warnings.simplefilter("ignore")
    if hasattr(os, "sched_setaffinity"):  # both on one processor, since they take turns: another may be slower
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a plugin prints goes elsewhere
    rows = _rows()
    from autodiff.testing.metrics import collecting, count

    # What is there already is not to be looked through again before each turn.
    gc.collect()
    gc.freeze()
    ready: dict[str, Callable[[], Any]] = {}
    print(json.dumps(list(rows)), file=answers, flush=True)
    for line in sys.stdin:
        what, name = json.loads(line)
        try:
            if name not in ready:
                ready[name] = rows[name]()
            if what == "count":
                answer: Any = count(ready[name])._asdict()
            else:
                with collecting(on=False):
                    answer = _best(ready[name])
        except Exception as exc:  # the answer for this row, which `compare` reports; the others can be measured
            answer = f"{type(exc).__name__}: {exc}"
        print(json.dumps(answer), file=answers, flush=True)


def _best(call: Callable[[], Any]) -> float:
    """Return the seconds of the best of some calls: for 5 ms, and at least three."""
    times: list[float] = []
    while len(times) < 3 or sum(times) < 0.005:
        start = perf_counter()
        call()
        times.append(perf_counter() - start)
    return min(times)


class Worker:
    """A process that measures one tree."""

    def __init__(self, tree: Path) -> None:
        path = os.pathsep.join([*(str(tree / folder) for folder in SOURCES), str(ROOT)])
        environment = {**os.environ, "PYTHONPATH": path, "PYTHONHASHSEED": "0", "PYTHONDONTWRITEBYTECODE": ""}
        # One thread: what is compared is our code, and threads that wait for each other are the noisiest there is.
        environment |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        command = [sys.executable, "-m", "asv_bench.regress", "--serve"]
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, env=environment, cwd=tree)
        self.rows: list[str] = self._read()

    def ask(self, what: str, row: str) -> Any:
        """Return a dict of counts, or seconds, or the text of an error."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps([what, row]) + "\n")
        self._process.stdin.flush()
        return self._read()

    def _read(self) -> Any:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit(f"the process that measures ended with code {self._process.wait()}")
        return json.loads(line)

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.communicate()


@contextmanager
def _workers(*trees: Path) -> Iterator[list[Worker]]:
    with ExitStack() as stack:  # one that fails does not leave the others running
        yield [stack.enter_context(closing(Worker(tree))) for tree in trees]


# ---- the comparison -------------------------------------------------------------------------------------------------


class Verdict(NamedTuple):
    """What became of one row; it failed if `slower`."""

    row: str
    slower: bool
    text: str


def compare(base: Path, head: Path, limit: float = LIMIT, rows: list[str] | None = None) -> list[Verdict]:
    """Compare two trees of sources, row by row; return what is worth telling.

    Parameters
    ----------
    base, head : Path
        Folders with ``core``, ``backends`` and ``plugins``.
    limit : float
        How much an exact figure may grow.
    rows : list of str, optional
        Which rows; all by default.
    """
    verdicts = []
    suspects: dict[str, str] = {}  # what to look at again, and which exact figures grew
    with _workers(base, head) as (before, after):
        ops = [row for row in after.rows if "." in row]
        for row in rows or [row for row in after.rows if row in before.rows]:
            old, new = before.ask("count", row), after.ask("count", row)
            if isinstance(old, str) or isinstance(new, str):
                # A row that the base cannot run tells nothing; one that the head cannot run any more does.
                broken = isinstance(new, str) and not isinstance(old, str)
                verdicts.append(Verdict(row, broken, f"cannot be run: {new if broken else old}"))
                continue
            grown = _grown(old, new, limit)
            ratios = _turns(before, after, row, ROUNDS if grown or row not in ops else FEW)
            if isinstance(ratios, str):
                verdicts.append(Verdict(row, True, f"cannot be timed: {ratios}"))
                continue
            low, middle, high = ratios
            timed = f"time {middle:.2f} ({low:.2f} to {high:.2f})"
            if grown and high > FASTER:
                verdicts.append(Verdict(row, True, f"{grown}; {timed}"))
            elif grown or low > limit:
                suspects[row] = grown
            elif row not in ops:  # there are too many ops to tell of each
                verdicts.append(Verdict(row, False, timed))
    if suspects:  # again, in new processes and with the memory laid out anew
        with _workers(head, base) as (after, before):
            for row, grown in suspects.items():
                ratios = _turns(before, after, row, ROUNDS)
                if isinstance(ratios, str):
                    verdicts.append(Verdict(row, True, f"cannot be timed: {ratios}, at a second look"))
                    continue
                low, middle, high = ratios
                timed = f"time {middle:.2f} ({low:.2f} to {high:.2f}), at a second look"
                slower = high > FASTER if grown else low > limit
                verdicts.append(Verdict(row, slower, f"{grown}; {timed}" if grown else timed))
    return verdicts


def _grown(old: dict[str, int], new: dict[str, int], limit: float) -> str:
    """Say which exact figures grew by more than is allowed."""
    found = [
        f"{name} {old[name]:,} -> {new[name]:,} ({new[name] / max(old[name], 1):.2f})"
        for name, least in LEAST.items()
        if new[name] > limit * old[name] and new[name] >= old[name] + least
    ]
    return ", ".join(found)


def _turns(before: Worker, after: Worker, row: str, rounds: int) -> Any:
    """Return the quartiles of the ratios of neighbouring turns, or the text of an error."""
    ratios = []
    for i in range(rounds):
        pair = [(after, before), (before, after)][i % 2]
        times = {worker: worker.ask("time", row) for worker in pair}
        if errors := [time for time in times.values() if isinstance(time, str)]:
            return errors[0]
        ratios.append(times[after] / times[before])
    return quantiles(ratios, n=4)


# ---- trees of sources -----------------------------------------------------------------------------------------------


def git(*args: str) -> str:
    """Return what a git command prints."""
    return subprocess.run(["git", *args], cwd=ROOT, check=True, capture_output=True, text=True).stdout.strip()


def merge_base() -> str:
    """Return the commit where HEAD left the main branch, or the one before HEAD if it did not."""
    branches = git("branch", "--all", "--format=%(refname:short)").split()
    main = next((name for name in ("origin/main", "main") if name in branches), "HEAD")
    base, head = git("merge-base", "HEAD", main), git("rev-parse", "HEAD")
    return git("rev-parse", "HEAD~1") if base == head else base


def export(revision: str, folder: Path) -> Path:
    """Write the sources of a commit, or of a folder that is named instead, to `folder`."""
    given = Path(revision)
    if given.is_dir():
        for source in SOURCES:
            shutil.copytree(given / source, folder / source, ignore=shutil.ignore_patterns("__pycache__"))
    else:
        archive = subprocess.run(["git", "archive", revision, *SOURCES], cwd=ROOT, check=True, capture_output=True)
        with tarfile.open(fileobj=io.BytesIO(archive.stdout)) as files:
            files.extractall(folder, filter="data")
    for name in MEASURING:
        shutil.copy(ROOT / "core" / "autodiff" / "testing" / name, folder / "core" / "autodiff" / "testing" / name)
    return folder


def report(verdicts: list[Verdict]) -> bool:
    """Print what is worth telling, and return whether a row is slower."""
    width = max((len(verdict.row) for verdict in verdicts), default=0)
    for verdict in sorted(verdicts, key=lambda v: v.slower):
        print(f"{'SLOWER' if verdict.slower else 'ok':7}{verdict.row:{width}}  {verdict.text}")
    slower = [verdict.row for verdict in verdicts if verdict.slower]
    print(f"{len(slower)} slower: {', '.join(slower)}" if slower else "nothing is slower")
    return bool(slower)


def main() -> int:
    """Compare two commits, and return 1 if the second is slower."""
    parser = argparse.ArgumentParser(prog="python -m asv_bench.regress", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--base", metavar="COMMIT", help="a commit or a folder; by default where HEAD left main")
    parser.add_argument("--head", default="HEAD", metavar="COMMIT", help="a commit or a folder; by default HEAD")
    parser.add_argument("--limit", type=float, default=LIMIT, help="how much a figure may grow; %(default)s by default")
    parser.add_argument(
        "--self-test", type=int, metavar="N", help="plant slowdowns, N times each, and count the catches"
    )
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.serve:
        serve()
        return 0
    if args.self_test:
        from .planting import self_test

        return self_test(args.self_test, args.limit)
    base = args.base or merge_base()
    print(f"base {base}, head {args.head if Path(args.head).is_dir() else git('rev-parse', args.head)}", flush=True)
    with TemporaryDirectory() as folder:
        trees = [export(revision, Path(folder) / name) for revision, name in ((base, "base"), (args.head, "head"))]
        return int(report(compare(*trees, limit=args.limit)))


if __name__ == "__main__":
    sys.exit(main())

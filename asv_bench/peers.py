"""Compare autodiff with its peers, side by side: ``python -m asv_bench.peers [--rounds N] [ROW ...]``.

An absolute time means nothing on a shared machine, a ratio does. autodiff and the peer run turn by turn, after
a warm-up and after their gradients were found equal; what counts is the median of the ratios of neighbouring
turns. Rows whose arrays are so large that the heap matters run each turn in a process of its own: in one process
either would work in the heap that the other left. Prints the machine, the versions and a table in Markdown.
`docs/benchmarks.md` explains the rows.
"""

from __future__ import annotations

import argparse
import gc
import os
import platform
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from statistics import median, quantiles
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any

# Set, they make NumPy choose old kernels: they halve the speed of its matmul. It reads them when it is imported.
os.environ.pop("OPENBLAS_CORETYPE", None)
os.environ.pop("OPENBLAS_L2_SIZE", None)

import numpy as np

from autodiff.testing.metrics import collecting

from . import arrays, hessians, idioms
from .benchmarks import Workload, inputs, long_chain, relu_chain, tanh_chain
from .libraries import THREADS, available

_HEADER = "| row | workload | autodiff | peer | peer's | ratio | quartiles | must | |\n|" + " --- |" * 9


#: What each library writes in its own way.
_WRITTEN = {**hessians.ROWS, **idioms.ROWS}


@dataclass(frozen=True)
class Row:
    """A workload, and at which ratio to which peer it counts as good enough."""

    text: str
    workload: Workload
    size: int | None
    number: int  # runs in a turn: enough for some 20 ms
    peers: tuple[str, ...]
    must: dict[str, float] = field(default_factory=dict)
    apart: dict[str, str] | None = None  # the environment of the process that each turn has of its own


_TAPES = ("autograd", "mygrad")
_LARGER = Row(
    "the same, 10,000 elements, 60 ops",
    tanh_chain(60),
    10_000,
    20,
    ("torch", "jax.jit", *_TAPES),
    {"torch": 0.6},
)
# glibc returns the top of the heap whenever 128 KiB of it are free, and faults it in again: here once a run.
_KEEPING = {"MALLOC_TRIM_THRESHOLD_": "1000000000", "MALLOC_TOP_PAD_": "100000000"}
ROWS = {
    "S1": Row(
        "600-node scalar graph, `y = relu(y*b + a)`",
        relu_chain(600),
        None,
        15,
        ("torch", "micrograd", *_TAPES),
        {"torch": 0.45},
    ),
    "S2": Row(
        "`y = tanh(y*b + a)`, 10 elements, 600 ops",
        tanh_chain(600),
        10,
        15,
        ("torch", "jax.jit", *_TAPES),
        {"torch": 0.65},
    ),
    "S3": _LARGER,
    "S3a": replace(_LARGER, text="as S3, each turn in a process of its own", apart={}),
    "S3k": replace(_LARGER, text="as S3a, with a heap that gives nothing back to the system", apart=_KEEPING),
    "S4": Row("200,000-node chain of scalars, then freed", long_chain(200_000), None, 1, ("torch",), {"torch": 0.6}),
}


def seconds(call: Callable[[], Any], number: int) -> float:
    """Return how long `number` calls take, the garbage collector on, as it is for users."""
    gc.collect()
    start = perf_counter()
    for _ in range(number):
        call()
    return perf_counter() - start


def best(call: Callable[[], Any]) -> float:
    """Return how long the best of some calls takes; libraries with threads take far longer where a processor is busy."""
    gc.collect()
    times: list[float] = []
    while len(times) < 5 or sum(times) < 0.02:
        start = perf_counter()
        call()
        times.append(perf_counter() - start)
    return min(times)


def in_process(libraries: dict[str, Any], row: str, library: str) -> float:
    """Take a turn here: return how long one run of a row takes."""
    workload, number, data = ROWS[row].workload, ROWS[row].number, inputs(ROWS[row].size)
    return seconds(lambda: libraries[library].run(workload, *data), number) / number


def apart(row: str, library: str) -> float:
    """Take a turn in a new process, which warms up first."""
    command = [sys.executable, "-m", "asv_bench.peers", "--turn", row, library]
    environment = {**os.environ, **(ROWS[row].apart or {})}
    return float(subprocess.run(command, check=True, capture_output=True, env=environment).stdout)


def turns(ours: Callable[[], float], theirs: Callable[[], float], rounds: int) -> list[tuple[float, float]]:
    """Measure turn by turn, after a warm-up of each; every other round in the other order."""
    ours(), theirs()
    pairs = []
    for i in range(rounds):
        if i % 2:
            b, a = theirs(), ours()
        else:
            a, b = ours(), theirs()
        pairs.append((a, b))
    return pairs


def spread(values: list[float]) -> tuple[float, float]:
    """Return the first and the third quartile."""
    low, _, high = quantiles(values, n=4)
    return low, high


def line(
    row: str, text: str, ours: str, peer: str, theirs: str, values: list[float], must: float | None, digits: int = 2
) -> str:
    """Return a line of the table; ratios below 1 are wins."""
    middle, (low, high) = median(values), spread(values)
    if must is None:
        verdict = "faster" if middle < 1 else "slower"
    else:
        verdict = "met" if middle <= must else "**missed**"
    wanted = "" if must is None else f"{must:.{digits}f}"
    figures = f"{middle:.{digits}f} | {low:.{digits}f} to {high:.{digits}f} | {wanted} | {verdict}"
    return f"| {row} | {text} | {ours} | {peer} | {theirs} | {figures} |"


def compare(name: str, row: Row, libraries: dict[str, Any], rounds: int) -> Iterator[str]:
    """Measure one row against each peer that is installed."""
    data = inputs(row.size)
    ours = libraries["autodiff"]
    expected = [np.asarray(g) for g in ours.run(row.workload, *data)]
    turn = partial(in_process, libraries) if row.apart is None else apart
    for peer in row.peers:
        if peer not in libraries:
            continue
        theirs = libraries[peer]
        for a, b in zip(expected, theirs.run(row.workload, *data), strict=True):
            np.testing.assert_allclose(np.asarray(b), a, rtol=1e-9, err_msg=f"{name}: gradients of {peer}")
        pairs = turns(lambda: turn(name, "autodiff"), lambda peer=peer: turn(name, peer), rounds)
        own, other = (f"{1e3 * median(times):.2f} ms" for times in zip(*pairs, strict=True))
        yield line(name, row.text, own, peer, other, [a / b for a, b in pairs], row.must.get(peer))


def idiomatic(name: str, libraries: dict[str, Any], rounds: int) -> Iterator[str]:
    """Measure a workload as each library would have one write it."""
    row = _WRITTEN[name]
    data = row.data(np.random.default_rng(0))
    for peer in [peer for peer in row.runs if peer != "autodiff" and peer in libraries]:
        ours, theirs = row.runs["autodiff"](data), row.runs[peer](data)
        for a, b in zip(ours(), theirs(), strict=True):
            np.testing.assert_allclose(np.asarray(b), np.asarray(a), rtol=1e-7, atol=1e-9, err_msg=f"{name}: {peer}")
        pairs = turns(partial(best, ours), partial(best, theirs), rounds)
        own, other = (f"{1e3 * median(times):.2f} ms" for times in zip(*pairs, strict=True))
        yield line(name, row.text, own, peer, other, [a / b for a, b in pairs], row.must.get(peer))


def large(name: str, libraries: dict[str, Any], rounds: int) -> Iterator[str]:
    """Measure a row of large arrays against PyTorch, part by part, and give the geometric mean of several."""
    if "torch" not in libraries:
        return
    ratios = []
    for i, row in enumerate(arrays.ROWS[name]):
        pairs = arrays.measure(name, i, turns, rounds)
        own, other = (f"{1e3 * median(times):.2f} ms" for times in zip(*pairs, strict=True))
        values = [a / b for a, b in pairs]
        ratios.append(median(values))
        yield line(name, row.text, own, "torch", other, values, arrays.MUST[name])
    if len(ratios) > 1:
        mean = float(np.exp(np.log(ratios).mean()))
        verdict = "met" if mean <= 1 else "**missed**"
        yield f"| {name} | geometric mean | | torch | | {mean:.2f} | | 1.00 | {verdict} |"


def held(libraries: dict[str, Any]) -> Iterator[str]:
    """Count M1: array bytes above the inputs at the peak of L1 to L4, over PyTorch's saved tensors and gradients."""
    if "torch" not in libraries:
        return
    for name in ("L1", "L2", "L3", "L4"):
        ours, theirs = arrays.count(name)
        ratio, must = ours / theirs, arrays.MUST["M1"]
        verdict = "met" if ratio <= must else "**missed**"
        sizes = f"{ours / 2**20:.1f} MiB | torch | {theirs / 2**20:.1f} MiB"
        yield f"| M1 | bytes of {name} | {sizes} | {ratio:.2f} | | {must:.2f} | {verdict} |"


def forwards(rounds: int) -> Iterator[str]:
    """Measure J1: a jvp of the network of L3, over its forward pass, which is recorded as that of the jvp is."""
    from .benchmarks.derivatives import Perceptron

    network = Perceptron()
    network.setup("numpy")
    calls = (("parameters", network.time_jvp_by_parameters, 2.5), ("the input", network.time_jvp_by_input, 2.5))
    for what, call, must in (*calls, ("both", network.time_jvp_by_both, None)):
        pairs = turns(
            partial(best, partial(call, "numpy")), partial(best, partial(network.time_forward, "numpy")), rounds
        )
        own, other = (f"{1e3 * median(times):.2f} ms" for times in zip(*pairs, strict=True))
        yield line(
            "J1", f"jvp of L3's network by {what}", own, "its forward pass", other, [a / b for a, b in pairs], must
        )


_FIRST_OP = """
import numpy
from time import perf_counter
start = perf_counter()
import autodiff
x = autodiff.Value(3.0)
(x * x).backward()
print(perf_counter() - start)
"""


def importing(rounds: int) -> Iterator[str]:
    """Measure S5: autodiff and a first op, in new processes that have imported NumPy.

    As where it is installed, there is bytecode: the first process, a warm-up, writes it.
    """
    with TemporaryDirectory() as folder:
        environment = {**os.environ, "PYTHONPYCACHEPREFIX": folder}
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        run = partial(subprocess.run, [sys.executable, "-c", _FIRST_OP], capture_output=True, env=environment)
        times = [1e3 * float(run(check=True).stdout) for _ in range(rounds + 1)]
    text = "`import autodiff`, a first op and its gradient, after `import numpy`, in ms"
    yield line("S5", text, "", "", "", times[1:], 60, 0)


def scaling(libraries: dict[str, Any], rounds: int) -> Iterator[str]:
    """Measure G1: the cost of an op among 10^6, over its cost among 10^3."""
    ours, data = libraries["autodiff"], inputs(None)

    def cost(nodes: int, number: int) -> float:
        workload = long_chain(nodes)
        return 1e6 * seconds(lambda: ours.run(workload, *data), number) / (nodes * number)

    for on, must in ((False, 1.3), (True, 2.2)):
        pairs = []
        for i in range(rounds + 1):
            with collecting(on=on):
                pairs.append((cost(1_000_000, 1), cost(1_000, 200)))
            if i == 0:  # the warm-up
                pairs.clear()
        own, other = (f"{median(times):.2f} us" for times in zip(*pairs, strict=True))
        text = f"an op of a chain of 10^6, collector {'on' if on else 'off'}"
        yield line("G1", text, own, "of 10^3", other, [a / b for a, b in pairs], must)
    with collecting(on=True):
        largest = cost(10_000_000, 1)
    yield f"| G1 | an op of a chain of 10^7, collector on, once | {largest:.2f} us | | | | | | |"


def machine(versions: dict[str, str]) -> str:
    """Return what the figures depend on, as a list in Markdown."""
    cpuinfo = Path("/proc/cpuinfo")
    models = [text for text in cpuinfo.read_text().splitlines() if "model name" in text] if cpuinfo.exists() else []
    model = models[0].partition(":")[2].strip() if models else platform.processor() or platform.machine()
    versions = {"numpy": np.__version__, **versions}
    blas = np.show_config(mode="dicts")["Build Dependencies"]["blas"]
    return "\n".join(
        [
            f"- {model}, {os.cpu_count()} cores, {platform.system()}; Python {platform.python_version()}",
            f"- {', '.join(f'{name} {text}' for name, text in versions.items())}",
            f"- NumPy's BLAS is {blas['name']} {blas['version']}",
            f"- {THREADS} threads; load before the start {os.getloadavg()[0]:.1f}",
        ]
    )


def main() -> None:
    """Measure the rows that were asked for, all by default."""
    parser = argparse.ArgumentParser(prog="python -m asv_bench.peers", description="Compare autodiff with its peers.")
    names = [*ROWS, *arrays.ROWS, *_WRITTEN, "J1", "M1", "S5", "G1"]
    parser.add_argument("rows", nargs="*", metavar="ROW", help=f"of {', '.join(names)}; all by default")
    parser.add_argument("--turn", nargs=2, metavar=("ROW", "LIBRARY"), help="print the seconds of one run, no table")
    parser.add_argument("--rounds", type=int, default=21, help="turns of each, at least 11; %(default)s by default")
    args = parser.parse_args()
    if args.rounds < 11 or set(args.rows) - {*names}:
        parser.error("at least 11 rounds, and rows that exist")
    if args.turn:
        libraries, _ = available(args.turn[1])
        print(min(in_process(libraries, *args.turn) for _ in range(5)))
        return
    libraries, versions = available()
    print(machine(versions), f"- {args.rounds} rounds\n\n{_HEADER}", sep="\n", flush=True)
    wanted = args.rows or names
    for name in wanted:
        if name == "S5":
            lines = importing(args.rounds)
        elif name == "G1":
            lines = scaling(libraries, args.rounds)
        elif name == "J1":
            lines = forwards(args.rounds)
        elif name == "M1":
            lines = held(libraries)
        elif name in _WRITTEN:
            lines = idiomatic(name, libraries, args.rounds)
        elif name in arrays.ROWS:
            lines = large(name, libraries, args.rounds)
        else:
            lines = compare(name, ROWS[name], libraries, args.rounds)
        for text in lines:
            print(text, flush=True)


if __name__ == "__main__":
    main()

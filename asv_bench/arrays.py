"""The rows of large arrays, L3 and L5, against PyTorch: ``python -m asv_bench.peers L3 L5``.

Each library works in a process of its own, which stays for the row: in one process either would work in the heap
that the other left, and the imports would cost more than the rows. The two take turns, as in all rows.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any

import numpy as np

from .libraries import THREADS

__all__ = ["ROWS", "measure"]

#: ``f(lib, *leaves, *indices)``; a library is the namespace that `_autodiff` or `_torch` makes.
Workload = Callable[..., Any]


@dataclass(frozen=True)
class Row:
    """A workload, the arrays that get gradients, and those that do not."""

    text: str
    workload: Workload
    shapes: tuple[tuple[int, ...], ...]
    indices: Callable[[np.random.Generator], tuple[Any, ...]] = lambda rng: ()

    def inputs(self) -> tuple[list[Any], list[Any]]:
        """Return arrays near 1, so that long products stay in range, or weights around 0; and the rest."""
        rng = np.random.default_rng(0)
        leaves = [rng.uniform(0.9, 1.1, shape).astype(np.float32) for shape in self.shapes]
        if len(leaves) > 3:
            leaves = [((x - 1) / 2).astype(np.float32) for x in leaves]
        return leaves, [np.asarray(x) for x in self.indices(rng)]


def _mlp(lib: Any, *arrays: Any) -> Any:
    *layers, x, labels = arrays
    for i in range(0, 6, 2):
        x = lib.linear(x, layers[i], layers[i + 1])
        x = lib.relu(x) if i < 4 else x
    return lib.cross_entropy(x, labels)


def _sizes(rng: np.random.Generator) -> tuple[Any, ...]:
    return rng.standard_normal((128, 784)).astype(np.float32), rng.integers(0, 10, 128)


def _of(name: str, axis: int) -> Workload:
    return lambda lib, x: getattr(lib, name)(x, axis)


_SQUARE = ((1000, 1000),)
_SIDES = ("rows", "columns")
ROWS: dict[str, list[Row]] = {
    "L3": [
        Row(
            "MLP 784-512-512-10, batch 128, relu, cross-entropy",
            _mlp,
            ((512, 784), (512,), (512, 512), (512,), (10, 512), (10,)),
            _sizes,
        )
    ],
    "L5": [
        *(
            Row(f"layer norm, {n} x 768", lambda lib, x, w, b: lib.layer_norm(x, w, b), ((n, 768), (768,), (768,)))
            for n in (4096, 512)
        ),
        Row("softmax, 4096 x 768", lambda lib, x: lib.softmax(x), ((4096, 768),)),
        Row(
            "cross-entropy, 4096 x 768",
            lambda lib, x, labels: lib.cross_entropy(x, labels),
            ((4096, 768),),
            lambda rng: (rng.integers(0, 768, 4096),),
        ),
        Row(
            "gather 8192 of 10,000 x 64, duplicates",
            lambda lib, x, i: x[i],
            ((10_000, 64),),
            lambda rng: (rng.integers(0, 10_000, 8192),),
        ),
        Row(
            "gather 4096 rows of 1000 x 1000, duplicates",
            lambda lib, x, i: x[i],
            _SQUARE,
            lambda rng: (rng.integers(0, 1000, 4096),),
        ),
        Row(
            "gather along the last axis, duplicates, 1000 x 1000",
            lambda lib, x, i: lib.gather(x, i),
            _SQUARE,
            lambda rng: (rng.integers(0, 1000, (1000, 1000)),),
        ),
        *(
            Row(f"{name} along axis {axis}, 1000 x 1000", _of(name, axis), _SQUARE)
            for name in ("sum", "mean", "max", "var", "prod", "logsumexp", "cumulative_sum", "cumulative_prod", "sort")
            for axis in (0, 1)
        ),
    ],
}


class _Autodiff:
    def __init__(self) -> None:
        import autodiff_nn as nn
        from autodiff import Value, ops

        for name in ("relu", "sum", "mean", "max", "var", "prod", "logsumexp", "softmax"):
            op = ops[f"autodiff_{'activations' if name in ('relu', 'softmax') else 'ops'}.{name}"]
            setattr(self, name, op if name == "relu" else lambda x, axis=-1, op=op: op(x, axis=axis))
        self.linear, self.layer_norm, self.cross_entropy = nn.linear, nn.layer_norm, nn.cross_entropy
        self.cumulative_sum = lambda x, axis: ops.cumulative_sum(x, axis=axis)
        self.cumulative_prod = lambda x, axis: ops.cumulative_prod(x, axis=axis)
        self.sort = lambda x, axis: ops.sort(x, axis=axis)
        self.gather = lambda x, i: ops.take_along_axis(x, i, axis=1)
        self.leaf: Any = Value
        self.array: Any = lambda x: x
        self.numpy: Any = np.asarray


class _Torch:
    def __init__(self) -> None:
        import torch
        from torch.nn import functional

        torch.set_num_threads(THREADS)
        self.relu, self.linear, self.cross_entropy = functional.relu, functional.linear, functional.cross_entropy
        self.layer_norm = lambda x, w, b: functional.layer_norm(x, w.shape, w, b)
        self.softmax = lambda x: functional.softmax(x, -1)
        self.sum, self.mean, self.max, self.prod = torch.sum, torch.mean, torch.amax, torch.prod
        self.var = lambda x, axis: torch.var(x, axis, correction=0)
        self.logsumexp, self.cumulative_sum, self.cumulative_prod = torch.logsumexp, torch.cumsum, torch.cumprod
        self.sort = lambda x, axis: torch.sort(x, dim=axis, stable=True).values
        self.gather = lambda x, i: torch.gather(x, 1, i)
        self.leaf: Any = lambda x: torch.tensor(x, requires_grad=True)
        self.array: Any = torch.from_numpy
        self.numpy: Any = lambda x: x.numpy()


_LIBRARIES: dict[str, Any] = {"autodiff": _Autodiff, "torch": _Torch}


def serve(row: Row, library: str, gradients: str) -> None:
    """Write the gradients to a file, then answer each line of the standard input with the seconds of the best of some runs.

    The best, since PyTorch's threads wait for each other: where another program has a processor, a run of 3 ms takes 64.
    """
    lib = _LIBRARIES[library]()
    arrays, indices = row.inputs()
    leaves, indices = [lib.leaf(x) for x in arrays], [lib.array(x) for x in indices]
    shape = tuple(row.workload(lib, *leaves, *indices).shape)
    seed = lib.array(np.asarray(np.random.default_rng(1).standard_normal(shape), np.float32))

    def run() -> None:
        for leaf in leaves:
            leaf.grad = None
        row.workload(lib, *leaves, *indices).backward(seed)

    run()
    np.savez(gradients, *(lib.numpy(leaf.grad) for leaf in leaves))
    start = perf_counter()
    run()
    number = max(3, int(0.03 / (perf_counter() - start)))
    print("ready", flush=True)
    for _ in sys.stdin:
        best = float("inf")
        for _ in range(number):
            start = perf_counter()
            run()
            best = min(best, perf_counter() - start)
        print(best, flush=True)


def measure(name: str, place: int, turns: Callable[..., Any], rounds: int) -> list[tuple[float, float]]:
    """Compare the gradients of one row, then return pairs of seconds: autodiff's and PyTorch's."""
    with TemporaryDirectory() as folder:
        files = [str(Path(folder) / f"{library}.npz") for library in _LIBRARIES]
        workers = [
            subprocess.Popen(
                [sys.executable, "-m", "asv_bench.arrays", name, str(place), library, file],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            for library, file in zip(_LIBRARIES, files, strict=True)
        ]
        try:
            for worker in workers:
                assert worker.stdout is not None
                if worker.stdout.readline() != "ready\n":
                    raise RuntimeError(f"{name}: {' '.join(map(str, worker.args))} failed")  # type: ignore[arg-type]  # Popen.args may be a path in typeshed; here it is our list
            ours, theirs = map(np.load, files)
            for key in ours.files:
                scale = float(np.abs(theirs[key]).max())
                np.testing.assert_allclose(ours[key], theirs[key], rtol=1e-3, atol=1e-4 * scale, err_msg=name)

            def turn(worker: subprocess.Popen[str]) -> float:
                assert worker.stdin is not None
                assert worker.stdout is not None
                worker.stdin.write("\n")
                worker.stdin.flush()
                return float(worker.stdout.readline())

            pairs: list[tuple[float, float]] = turns(lambda: turn(workers[0]), lambda: turn(workers[1]), rounds)
            return pairs
        finally:
            for worker in workers:
                worker.kill()
                worker.communicate()


if __name__ == "__main__":
    serve(ROWS[sys.argv[1]][int(sys.argv[2])], *sys.argv[3:])

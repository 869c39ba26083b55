"""The rows of large arrays, L1 to L5 and M1, against PyTorch: ``python -m asv_bench.peers L1 L2 L3 L4 L5 M1``.

Each library works in a process of its own, which stays for the row: in one process either would work in the heap
that the other left, and the imports would cost more than the rows. The two take turns, as in all rows.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter, process_time
from typing import Any

import numpy as np

from .benchmarks import tanh_chain
from .libraries import THREADS

__all__ = ["MUST", "ROWS", "count", "measure"]

#: The processor's time tells something on a busy machine too, with one thread each: threads that wait count as well.
_clock = process_time if os.environ.get("PEERS_CLOCK") == "process" else perf_counter

#: ``f(lib, *leaves, *indices)``; a library is the namespace that `_autodiff` or `_torch` makes.
Workload = Callable[..., Any]


@dataclass(frozen=True)
class Row:
    """A workload, the arrays that get gradients, and those that do not."""

    text: str
    workload: Workload
    shapes: tuple[tuple[int, ...], ...]
    indices: Callable[[np.random.Generator], tuple[Any, ...]] = lambda rng: ()
    dtype: str = "float32"

    def inputs(self) -> tuple[list[Any], list[Any]]:
        """Return arrays near 1, so that long products stay in range, or weights around 0; and the rest."""
        rng = np.random.default_rng(0)
        leaves = [rng.uniform(0.9, 1.1, shape).astype(self.dtype) for shape in self.shapes]
        if len(leaves) > 3:
            leaves = [((x - 1) / 2).astype(self.dtype) for x in leaves]
        return leaves, [np.asarray(x) for x in self.indices(rng)]


def _mlp(lib: Any, *arrays: Any) -> Any:
    *layers, x, labels = arrays
    for i in range(0, 6, 2):
        x = lib.linear(x, layers[i], layers[i + 1])
        x = lib.relu(x) if i < 4 else x
    return lib.cross_entropy(x, labels)


def _sizes(rng: np.random.Generator) -> tuple[Any, ...]:
    return rng.standard_normal((128, 784)).astype(np.float32), rng.integers(0, 10, 128)


_BATCH, _LENGTH, _WIDTH, _HEADS = 4, 128, 256, 4


def _transformer(lib: Any, *arrays: Any) -> Any:
    """Return what a block of a transformer makes of its input: attention and a network, each after a layer norm."""
    x, norm1, shift1, qkv, qkv_bias, out, out_bias, norm2, shift2, up, up_bias, down, down_bias = arrays
    parts = lib.linear(lib.layer_norm(x, norm1, shift1), qkv, qkv_bias)
    heads = parts.reshape((_BATCH, _LENGTH, 3, _HEADS, _WIDTH // _HEADS))
    q, k, v = (lib.swap(heads[:, :, i]) for i in range(3))
    mixed = lib.swap(lib.attention(q, k, v)).reshape((_BATCH, _LENGTH, _WIDTH))
    x = x + lib.linear(mixed, out, out_bias)
    hidden = lib.gelu(lib.linear(lib.layer_norm(x, norm2, shift2), up, up_bias))
    return x + lib.linear(hidden, down, down_bias)


_TRANSFORMER = (
    (_BATCH, _LENGTH, _WIDTH),
    *((_WIDTH,), (_WIDTH,), (3 * _WIDTH, _WIDTH), (3 * _WIDTH,), (_WIDTH, _WIDTH), (_WIDTH,)),
    *((_WIDTH,), (_WIDTH,), (4 * _WIDTH, _WIDTH), (4 * _WIDTH,), (_WIDTH, 4 * _WIDTH), (_WIDTH,)),
)


def _of(name: str, axis: int) -> Workload:
    return lambda lib, x: getattr(lib, name)(x, axis)


_SQUARE = ((1000, 1000),)
_SIDES = ("rows", "columns")
_MILLIONS = ((2_000_000,), (2_000_000,))

#: The ratio to PyTorch's time at which a row counts as good enough; L5 has one for each line.
MUST = {"L1": 1.0, "L2": 1.0, "L3": 0.5, "L4": 0.9, "L5": 3.0, "M1": 1.0}

ROWS: dict[str, list[Row]] = {
    "L1": [Row("`y = tanh(y*b + a)`, 2,000,000 elements, 24 ops, float64", tanh_chain(24), _MILLIONS, dtype="float64")],
    "L2": [Row("the same in float32", tanh_chain(24), _MILLIONS)],
    "L3": [
        Row(
            "MLP 784-512-512-10, batch 128, relu, cross-entropy",
            _mlp,
            ((512, 784), (512,), (512, 512), (512,), (10, 512), (10,)),
            _sizes,
        )
    ],
    "L4": [
        Row(
            f"transformer block, batch {_BATCH}, length {_LENGTH}, width {_WIDTH}, {_HEADS} heads, float32",
            _transformer,
            _TRANSFORMER,
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

        self.relu, self.tanh, self.gelu = ops.relu, ops.tanh, ops.gelu
        self.softmax = lambda x: ops.softmax(x, axis=-1)
        for name in ("sum", "mean", "max", "var", "prod", "logsumexp"):
            setattr(self, name, lambda x, axis=None, op=ops[f"autodiff_ops.{name}"]: op(x, axis=axis))
        self.swap = lambda x: ops.swapaxes(x, axis1=1, axis2=2)
        self.linear, self.layer_norm, self.cross_entropy = nn.linear, nn.layer_norm, nn.cross_entropy
        self.attention = nn.scaled_dot_product_attention
        self.cumulative_sum = lambda x, axis: ops.cumulative_sum(x, axis=axis)
        self.cumulative_prod = lambda x, axis: ops.cumulative_prod(x, axis=axis)
        self.sort = lambda x, axis: ops.sort(x, axis=axis)
        self.gather = lambda x, i: ops.take_along_axis(x, i, axis=1)
        self.leaf: Any = Value
        self.array: Any = lambda x: x
        self.numpy: Any = np.asarray

    def bytes(self, run: Callable[[], Any], leaves: list[Any]) -> int:
        """Return the most that a run holds at a time, as NumPy tells tracemalloc."""
        for leaf in leaves:
            leaf.grad = None
        tracemalloc.start()
        try:
            run()
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()


class _Torch:
    def __init__(self) -> None:
        import torch
        from torch.nn import functional

        torch.set_num_threads(THREADS)
        self._torch = torch
        self.relu, self.linear, self.cross_entropy = functional.relu, functional.linear, functional.cross_entropy
        self.tanh, self.gelu, self.attention = torch.tanh, functional.gelu, functional.scaled_dot_product_attention
        self.swap = lambda x: x.transpose(1, 2)
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

    def bytes(self, run: Callable[[], Any], leaves: list[Any]) -> int:
        """Return the size of the tensors that a run saves for the backward pass, inputs excepted, and of the gradients."""
        saved = {}

        def keep(tensor: Any) -> Any:
            storage = tensor.untyped_storage()
            saved[storage.data_ptr()] = storage.nbytes()
            return tensor

        with self._torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            run()
        for leaf in leaves:
            saved.pop(leaf.untyped_storage().data_ptr(), None)
        return sum(saved.values()) + sum(leaf.grad.untyped_storage().nbytes() for leaf in leaves)


_LIBRARIES: dict[str, Any] = {"autodiff": _Autodiff, "torch": _Torch}


def serve(row: Row, library: str, gradients: str) -> None:
    """Write the gradients to a file, then answer each line of the standard input: with bytes, or the seconds of a run.

    That is the best of some, since PyTorch's threads wait for each other: where another program has a processor, a
    run of 3 ms takes 64.
    """
    lib = _LIBRARIES[library]()
    arrays, indices = row.inputs()
    leaves, indices = [lib.leaf(x) for x in arrays], [lib.array(x) for x in indices]
    shape = tuple(row.workload(lib, *leaves, *indices).shape)
    seed = lib.array(np.asarray(np.random.default_rng(1).standard_normal(shape), row.dtype))

    def run() -> None:
        for leaf in leaves:
            leaf.grad = None
        row.workload(lib, *leaves, *indices).backward(seed)

    run()
    np.savez(gradients, *(lib.numpy(leaf.grad) for leaf in leaves))
    start = _clock()
    run()
    number = max(3, int(0.03 / (_clock() - start)))
    print("ready", flush=True)
    for line in sys.stdin:
        if line.strip() == "bytes":
            print(lib.bytes(run, leaves), flush=True)
            continue
        best = float("inf")
        for _ in range(number):
            start = _clock()
            run()
            best = min(best, _clock() - start)
        print(best, flush=True)


@contextmanager
def _workers(name: str, place: int) -> Iterator[list[Callable[[str], float]]]:
    """Start a process for each library, compare the gradients, and hand out how to ask each: what, and its answer."""
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
            for library, worker in zip(_LIBRARIES, workers, strict=True):
                assert worker.stdout is not None
                if worker.stdout.readline() != "ready\n":
                    raise RuntimeError(f"{name}: the process of {library} ended with code {worker.wait()}")
            ours, theirs = map(np.load, files)
            for key in ours.files:
                scale = float(np.abs(theirs[key]).max())
                np.testing.assert_allclose(ours[key], theirs[key], rtol=1e-3, atol=1e-4 * scale, err_msg=name)
            yield [partial(_ask, worker) for worker in workers]
        finally:
            for worker in workers:
                worker.kill()
                worker.communicate()


def _ask(worker: subprocess.Popen[str], what: str) -> float:
    assert worker.stdin is not None
    assert worker.stdout is not None
    worker.stdin.write(f"{what}\n")
    worker.stdin.flush()
    answer = worker.stdout.readline()
    if not answer:
        raise RuntimeError(f"the process that measures {what} ended with code {worker.wait()}")
    return float(answer)


def measure(name: str, place: int, turns: Callable[..., Any], rounds: int) -> list[tuple[float, float]]:
    """Compare the gradients of one row, then return pairs of seconds: autodiff's and PyTorch's."""
    with _workers(name, place) as (ours, theirs):
        pairs: list[tuple[float, float]] = turns(lambda: ours("seconds"), lambda: theirs("seconds"), rounds)
        return pairs


def count(name: str) -> tuple[float, float]:
    """Return bytes above the inputs: autodiff's at the peak, and PyTorch's saved tensors and gradients."""
    with _workers(name, 0) as (ours, theirs):
        return ours("bytes"), theirs("bytes")


if __name__ == "__main__":
    serve(ROWS[sys.argv[1]][int(sys.argv[2])], *sys.argv[3:])

"""Benchmarks of autodiff, run by asv from ``asv_bench/``; ``docs/benchmarks.md`` says how.

A benchmark is a class with a ``setup`` and methods called ``time_*``, ``timeraw_*``, ``track_*`` or ``peakmem_*``.
Most are subclasses of `autodiff.testing.asv.Benchmark`, which adds the backend, the warm-up and exact counts.
The first entry of a parameter is the smallest: the tests run each benchmark on it, so that none can rot.

This module holds what they share, the workloads above all: `asv_bench.peers` runs the same ones on other libraries.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from operator import methodcaller
from typing import Any

import numpy as np

__all__ = ["Autodiff", "Workload", "inputs", "long_chain", "relu_chain", "tanh_chain"]

#: ``f(lib, a, b)`` gives a result with one element; `lib` has what libraries spell in different ways.
Workload = Callable[..., Any]


def relu_chain(ops: int) -> Workload:
    """Return ``y = relu(y * b + a)``, repeated until there are `ops` ops; on `inputs` it never cuts a number off."""

    def chain(lib: Any, a: Any, b: Any) -> Any:
        relu, y = lib.relu, a
        for _ in range(ops // 3):
            y = relu(y * b + a)
        return y

    return chain


def tanh_chain(ops: int) -> Workload:
    """Return ``y = tanh(y * b + a)``, repeated until there are `ops` ops, and the sum of it."""

    def chain(lib: Any, a: Any, b: Any) -> Any:
        tanh, y = lib.tanh, a
        for _ in range(ops // 3):
            y = tanh(y * b + a)
        return lib.sum(y)

    return chain


def long_chain(ops: int) -> Workload:
    """Return ``y = y * b + a``, repeated until there are `ops` ops."""

    def chain(lib: Any, a: Any, b: Any) -> Any:
        y = a
        for _ in range(ops // 2):
            y = y * b + a
        return y

    return chain


class Autodiff:
    """What the workloads need of a library, and how it runs them forward and backward: autodiff's own."""

    def __init__(self, backend: str | None = None) -> None:
        from autodiff import Value

        self.leaf: Any = partial(Value, backend=backend)
        self.relu, self.tanh, self.sum = methodcaller("relu"), methodcaller("tanh"), methodcaller("sum")

    def run(self, workload: Workload, *inputs: Any) -> list[Any]:
        """Return the gradients of `workload` with respect to `inputs`; the graph is freed on the way out."""
        leaves = [self.leaf(x) for x in inputs]
        workload(self, *leaves).backward()
        return [leaf.grad for leaf in leaves]


def inputs(size: int | None) -> tuple[Any, Any]:
    """Return a and b: Python's numbers, or arrays of `size` elements, on which no chain overflows or underflows."""
    if size is None:
        return 0.5, 0.99
    rng = np.random.default_rng(0)
    return rng.uniform(0.1, 0.2, size), rng.uniform(0.9, 1.0, size)

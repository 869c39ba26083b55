"""Rows S1 to S4, steps of training and of optimisers under pytest-benchmark, on every backend that can run here.

``python -m pytest tests/benchmarks -o addopts= --benchmark-only`` runs them; by default they are left out. The figures
are for comparing one commit with another on a quiet machine, with ``--benchmark-autosave`` and
``--benchmark-compare``; `asv_bench.peers` compares with other libraries. Warm-up, and waiting for a device before the
clock is read, are those of `autodiff.testing.asv.Benchmark`, as under asv.
"""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest
from asv_bench.benchmarks import Autodiff, inputs, long_chain, relu_chain, tanh_chain
from asv_bench.benchmarks.training import Optimiser, Perceptron

from autodiff.registry import registry
from autodiff.testing import asv

CHAINS = {
    "S1-relu-of-600-scalars": (relu_chain(600), None),
    "S2-tanh-of-10-600-ops": (tanh_chain(600), 10),
    "S3-tanh-of-10000-60-ops": (tanh_chain(60), 10_000),
    "S4-200000-scalars": (long_chain(200_000), None),
}


class Chain(asv.Benchmark):
    """A chain forward and backward; the graph is freed."""

    params, param_names = (list(CHAINS),), ("row",)

    def setup(self, backend: str, row: str) -> None:
        self.workload, self.size = CHAINS[row]
        self.library = Autodiff(backend)
        self.inputs = [self.backend.asarray(x) for x in inputs(self.size)]

    def time_both(self, backend: str, row: str) -> None:
        self.gradients = self.library.run(self.workload, *self.inputs)


BACKENDS = sorted(registry.load().backends, key=lambda name: name != registry.default_backend)
SUITE = [
    (cls, method, params)
    for cls, method in ((Chain, "time_both"), (Perceptron, "time_step"), (Optimiser, "time_step"))
    for params in product(*cls.params[1:])
]


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(("cls", "method", "params"), SUITE, ids=["-".join((s[0].__name__, *s[2])) for s in SUITE])
def test_speed(cls: Any, method: str, params: tuple[str, ...], backend: str, benchmark: Any) -> None:
    """The benchmark runs on the backend, or says why it cannot; what comes of a chain are gradients of that backend."""
    case = cls()
    try:
        case.setup(backend, *params)
    except NotImplementedError as reason:
        pytest.skip(str(reason))

    benchmark(getattr(case, method), backend, *params)

    if cls is Chain:
        assert [g.shape for g in case.gradients] == [() if case.size is None else (case.size,)] * 2
        assert {registry.backend_of(type(g)).name for g in case.gradients} == {backend}

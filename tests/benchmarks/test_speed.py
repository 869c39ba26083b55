"""Rows S1 to S4 under pytest-benchmark: ``python -m pytest tests/benchmarks -o addopts= --benchmark-only``.

Left out by default. The figures are for comparing one commit with another on a quiet machine, with
``--benchmark-autosave`` and ``--benchmark-compare``; `asv_bench.peers` compares with other libraries.
"""

from __future__ import annotations

from typing import Any

import pytest
from asv_bench.benchmarks import Autodiff, inputs, long_chain, relu_chain, tanh_chain

CHAINS = {
    "S1-relu-of-600-scalars": (relu_chain(600), None),
    "S2-tanh-of-10-600-ops": (tanh_chain(600), 10),
    "S3-tanh-of-10000-60-ops": (tanh_chain(60), 10_000),
    "S4-200000-scalars": (long_chain(200_000), None),
}


@pytest.mark.parametrize("row", CHAINS)
def test_forward_and_backward(row: str, benchmark: Any) -> None:
    """A chain runs forward and backward, is freed, and its gradients have the shapes of its inputs."""
    workload, size = CHAINS[row]
    library, data = Autodiff(), inputs(size)

    gradients = benchmark(library.run, workload, *data)

    assert [() if size is None else (size,)] * 2 == [g.shape for g in gradients]

"""The peers that `asv_bench.peers` measures, each able to run the workloads of `asv_bench.benchmarks`.

Each is used as its documentation does: methods where it has them, float64, and every check that is on by default.
"""

from __future__ import annotations

import os
from importlib.metadata import version
from operator import methodcaller
from typing import Any

from .benchmarks import Autodiff, Workload

__all__ = ["THREADS", "available"]

#: As many for each; BLAS and autodiff have variables of their own, which `docs/benchmarks.md` names.
THREADS = int(os.environ.get("PEERS_THREADS", "2"))


class Torch:
    """PyTorch, eager, on the CPU."""

    def __init__(self) -> None:
        import torch

        torch.set_num_threads(THREADS)
        self._torch = torch
        self.relu, self.tanh, self.sum = methodcaller("relu"), methodcaller("tanh"), methodcaller("sum")

    def run(self, workload: Workload, *inputs: Any) -> list[Any]:
        torch = self._torch
        leaves = [
            torch.tensor(x, dtype=torch.float64, requires_grad=True)
            if isinstance(x, float)
            else torch.from_numpy(x).requires_grad_()
            for x in inputs
        ]
        workload(self, *leaves).backward()
        return [leaf.grad for leaf in leaves]


class Micrograd:
    """micrograd: Python's numbers alone."""

    def __init__(self) -> None:
        from micrograd.engine import Value

        self._leaf: Any = Value
        self.relu = methodcaller("relu")

    def run(self, workload: Workload, *inputs: Any) -> list[Any]:
        leaves = [self._leaf(x) for x in inputs]
        workload(self, *leaves).backward()
        return [leaf.grad for leaf in leaves]


class Mygrad:
    """MyGrad, its memory guard on as by default."""

    def __init__(self) -> None:
        import mygrad
        from mygrad.nnet.activations import relu

        self._leaf: Any = mygrad.tensor
        self.relu, self.tanh, self.sum = relu, mygrad.tanh, mygrad.sum

    def run(self, workload: Workload, *inputs: Any) -> list[Any]:
        leaves = [self._leaf(x) for x in inputs]
        workload(self, *leaves).backward()
        return [leaf.grad for leaf in leaves]


class Autograd:
    """HIPS autograd."""

    def __init__(self) -> None:
        import autograd
        import autograd.numpy as anp

        self._grad: Any = autograd.grad
        self.relu, self.tanh, self.sum = lambda x: anp.maximum(x, 0.0), anp.tanh, anp.sum

    def run(self, workload: Workload, *inputs: Any) -> list[Any]:
        return list(self._grad(lambda a, b: workload(self, a, b), (0, 1))(*inputs))


class Jax:
    """JAX, compiled; the compilation is not measured."""

    def __init__(self) -> None:
        import jax

        jax.config.update("jax_enable_x64", True)
        self._jax: Any = jax
        self._compiled: dict[Workload, Any] = {}
        self.relu, self.tanh, self.sum = jax.nn.relu, jax.numpy.tanh, jax.numpy.sum

    def run(self, workload: Workload, *inputs: Any) -> list[Any]:
        if workload not in self._compiled:
            gradient = self._jax.grad(lambda a, b: workload(self, a, b), (0, 1))
            self._compiled[workload] = self._jax.jit(gradient)
        return list(self._jax.block_until_ready(self._compiled[workload](*inputs)))


_LIBRARIES: dict[str, tuple[str, Any]] = {
    "autodiff": ("autodiff-toolkit", Autodiff),
    "torch": ("torch", Torch),
    "jax.jit": ("jax", Jax),
    "autograd": ("autograd", Autograd),
    "mygrad": ("mygrad", Mygrad),
    "micrograd": ("micrograd", Micrograd),
}


def available(*wanted: str) -> tuple[dict[str, Any], dict[str, str]]:
    """Return those of the libraries `wanted`, or of all, that are installed, and what to say of each one's version."""
    found: dict[str, Any] = {}
    versions: dict[str, str] = {}
    for name in wanted or _LIBRARIES:
        distribution, make = _LIBRARIES[name]
        try:
            found[name] = make()
            versions[name] = version(distribution)
        except ImportError:
            versions[name] = "not installed"
    return found, versions

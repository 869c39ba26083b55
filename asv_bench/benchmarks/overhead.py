"""What the engine itself costs: graphs of so many ops on so little data that the arithmetic hardly counts."""

import numpy as np

from autodiff import Value, ops
from autodiff.testing import asv

from . import Autodiff, inputs, relu_chain, tanh_chain

_CHAINS = {
    "relu of 600 scalars": (relu_chain(600), None),
    "tanh of 10 elements, 600 ops": (tanh_chain(600), 10),
    "tanh of 10000 elements, 60 ops": (tanh_chain(60), 10_000),
}


class Chain(asv.Benchmark):
    """Forward and backward through a chain of ops, the leaves made inside (rows S1 to S3)."""

    params = tuple(_CHAINS)
    param_names = ("chain",)

    def setup(self, backend, chain):
        self.workload, size = _CHAINS[chain]
        self.library = Autodiff(backend)
        self.inputs = inputs(size)

    def time_forward(self, backend, chain):
        self.workload(self.library, *map(self.library.leaf, self.inputs))

    def time_both(self, backend, chain):
        self.library.run(self.workload, *self.inputs)


class Adds(asv.Benchmark):
    """The loop of chainer#6263, whose backward pass tripled over six releases before anybody measured."""

    def setup(self, backend):
        self.x = h = Value(self.backend.asarray(np.array([1, 2], np.float32)))
        for _ in range(1000):
            h = h + 1
        self.h, self.seed = h, self.xp.ones_like(h.data)

    def time_forward(self, backend):
        h = self.x
        for _ in range(1000):
            h = h + 1

    def time_backward(self, backend):
        self.h.backward(self.seed, retain_graph=True)


class Single(asv.Benchmark):
    """One call of an op, and one backward pass through it."""

    params = (["add", "multiply", "tanh", "sum", "getitem", "matmul"], [1, 100])
    param_names = ("op", "size")

    def setup(self, backend, op, size):
        x = Value(self.backend.asarray(np.full((size, size), 0.5)))
        self.call = {
            "add": lambda: x + x,
            "multiply": lambda: x * x,
            "tanh": lambda: ops.tanh(x),
            "sum": lambda: x.sum(axis=0),
            "getitem": lambda: x[0],
            "matmul": lambda: x @ x,
        }[op]
        self.result = self.call()
        self.seed = self.xp.ones_like(self.result.data)

    def time_call(self, backend, op, size):
        self.call()

    def time_backward(self, backend, op, size):
        self.result.backward(self.seed, retain_graph=True)

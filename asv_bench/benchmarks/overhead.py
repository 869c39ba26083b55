"""What the engine itself costs: graphs of so many ops on so little data that the arithmetic hardly counts."""

import numpy as np

from autodiff import Value, ops

from . import Autodiff, inputs, relu_chain, tanh_chain


class Chain:
    """Forward and backward through a chain of ops, the leaves made inside (rows S1 to S3)."""

    params = ("relu of 600 scalars", "tanh of 10 elements, 600 ops", "tanh of 10000 elements, 60 ops")
    param_names = ("chain",)

    def setup(self, chain):
        self.workload, size = {
            "relu of 600 scalars": (relu_chain(600), None),
            "tanh of 10 elements, 600 ops": (tanh_chain(600), 10),
            "tanh of 10000 elements, 60 ops": (tanh_chain(60), 10_000),
        }[chain]
        self.library, self.inputs = Autodiff(), inputs(size)
        self.time_forward(chain)
        self.time_both(chain)

    def time_forward(self, chain):
        self.workload(self.library, *map(Value, self.inputs))

    def time_both(self, chain):
        self.library.run(self.workload, *self.inputs)


class Adds:
    """The loop of chainer#6263, whose backward pass tripled over six releases before anybody measured."""

    def setup(self):
        self.x = h = Value(np.array([1, 2], np.float32))
        for _ in range(1000):
            h = h + 1
        self.h, self.seed = h, np.ones(2, np.float32)
        self.time_backward()

    def time_forward(self):
        h = self.x
        for _ in range(1000):
            h = h + 1

    def time_backward(self):
        self.h.backward(self.seed, retain_graph=True)


class Single:
    """One call of an op, and one backward pass through it."""

    params = (["add", "multiply", "tanh", "sum", "getitem", "matmul"], [1, 100])
    param_names = ("op", "size")

    def setup(self, op, size):
        x = Value(np.full((size, size), 0.5))
        self.call = {
            "add": lambda: x + x,
            "multiply": lambda: x * x,
            "tanh": lambda: ops.tanh(x),
            "sum": lambda: x.sum(axis=0),
            "getitem": lambda: x[0],
            "matmul": lambda: x @ x,
        }[op]
        self.result = self.call()
        self.seed = np.ones(self.result.shape)
        self.time_backward(op, size)

    def time_call(self, op, size):
        self.call()

    def time_backward(self, op, size):
        self.result.backward(self.seed, retain_graph=True)

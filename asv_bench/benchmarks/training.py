"""Steps of training: a whole one of a perceptron, and the optimisers alone."""

from itertools import pairwise

import numpy as np

import autodiff_nn as nn
from autodiff import Value, ops
from autodiff.testing import asv

_OPTIMISERS = {
    "SGD": lambda parameters: nn.SGD(parameters, lr=0.01),
    "SGD with momentum": lambda parameters: nn.SGD(parameters, lr=0.01, momentum=0.9),
    "Adam": lambda parameters: nn.Adam(parameters, lr=0.001),
    "AdamW": lambda parameters: nn.AdamW(parameters, lr=0.001),
}


def _layers(backend, sizes):
    """Return weights and biases, float32."""
    rng = np.random.default_rng(0)
    arrays = [a for m, n in pairwise(sizes) for a in (rng.standard_normal((n, m)) / m**0.5, np.zeros(n))]
    return [Value(backend.asarray(a.astype(np.float32))) for a in arrays]


class Perceptron(asv.Benchmark):
    """A step with relu, cross-entropy and plain gradient descent; the largest is row L3."""

    params = ("4-16-3, batch 8", "784-512-512-10, batch 128")
    param_names = ("network",)

    def setup(self, backend, network):
        layers, batch = network.split(", batch ")
        sizes, batch = [int(n) for n in layers.split("-")], int(batch)
        self.parameters = _layers(self.backend, sizes)
        rng = np.random.default_rng(1)
        self.x = self.backend.asarray(rng.standard_normal((batch, sizes[0])).astype(np.float32))
        self.labels = self.backend.asarray(rng.integers(0, sizes[-1], batch))
        self.optimiser = nn.SGD(self.parameters, lr=0.01)

    def time_step(self, backend, network):
        h, last = self.x, len(self.parameters) - 2
        for i in range(0, last + 1, 2):
            h = nn.linear(h, *self.parameters[i : i + 2])
            h = ops.relu(h) if i < last else h
        self.optimiser.zero_grad()
        nn.cross_entropy(h, self.labels).backward()
        self.optimiser.step()


class Optimiser(asv.Benchmark):
    """A step of an optimiser alone: many small parameters, where its own code counts, and two large ones."""

    params = (list(_OPTIMISERS), ["100 of 10", "2 of 1000000"])
    param_names = ("optimiser", "parameters")

    def setup(self, backend, optimiser, parameters):
        count, size = map(int, parameters.split(" of "))
        values = [Value(self.backend.asarray(np.full(size, 0.5, np.float32))) for _ in range(count)]
        for value in values:
            value.grad = self.backend.asarray(np.full(size, 0.1, np.float32))
        self.optimiser = _OPTIMISERS[optimiser](values)

    def time_step(self, backend, optimiser, parameters):
        self.optimiser.step()

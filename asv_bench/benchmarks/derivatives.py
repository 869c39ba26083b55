"""The transforms: forward mode, second derivatives, Jacobians, recomputation."""

import numpy as np

import autodiff_nn as nn
from autodiff import Value, checkpoint, grad, hvp, jacobian, jvp, ops, vjp, vmap
from autodiff.testing import asv


def _network(x, weights):
    for w in weights:
        x = ops.tanh(x @ w)
    return x


class Transform(asv.Benchmark):
    """Each transform on a network of tanh layers of one width, and the plain gradient to compare with."""

    params = (8, 256)
    param_names = ("width",)

    def setup(self, backend, width):
        rng = np.random.default_rng(0)
        weights = [self.backend.asarray(rng.standard_normal((width, width)) / width**0.5) for _ in range(3)]
        self.x = self.backend.asarray(rng.standard_normal((width, width)))
        self.t = self.backend.asarray(rng.standard_normal((width, width)))
        self.function = lambda x: _network(x, weights)
        self.scalar = lambda x: _network(x, weights).sum()
        self.gradient = grad(self.scalar)

    def time_grad(self, backend, width):
        self.gradient(self.x)

    def time_jvp(self, backend, width):
        jvp(self.function, (self.x,), (self.t,))

    def time_hvp(self, backend, width):
        hvp(self.scalar, self.x, self.t)


class Perceptron(asv.Benchmark):
    """The network of row L3, 784-512-512-10 with a batch of 128: its forward pass, and jvps over that.

    Counted in products of matrices, a jvp by the parameters costs 2.4 forward passes, by the input 2.0, by both 3.0:
    of ``W x`` there are ``dW x`` and ``W dx``, and the input of the first layer is a constant for the parameters.
    """

    def setup(self, backend):
        rng = np.random.default_rng(0)
        shapes = ((512, 784), (512,), (512, 512), (512,), (10, 512), (10,))
        self.x, self.dx = (self.backend.asarray(rng.standard_normal((128, 784)).astype("float32")) for _ in range(2))
        self.labels = self.backend.asarray(rng.integers(0, 10, 128))
        self.p, self.dp = (
            [self.backend.asarray((rng.standard_normal(shape) / 30).astype("float32")) for shape in shapes]
            for _ in range(2)
        )

    def loss(self, x, p):
        for i in range(0, 6, 2):
            x = nn.linear(x, p[i], p[i + 1])
            x = ops.relu(x) if i < 4 else x
        return nn.cross_entropy(x, self.labels)

    def time_forward(self, backend):
        self.loss(self.x, self.p)

    def time_jvp_by_parameters(self, backend):
        jvp(lambda p: self.loss(self.x, p), (self.p,), (self.dp,))

    def time_jvp_by_input(self, backend):
        jvp(lambda x: self.loss(x, self.p), (self.x,), (self.dx,))

    def time_jvp_by_both(self, backend):
        jvp(self.loss, (self.x, self.p), (self.dx, self.dp))


class Jacobian(asv.Benchmark):
    """The Jacobian of a function of vectors, row by row or column by column."""

    params = ([4, 64], ["forward", "reverse"])
    param_names = ("size", "mode")

    def setup(self, backend, size, mode):
        w = self.backend.asarray(np.random.default_rng(0).standard_normal((size, size)))
        self.x = self.backend.asarray(np.linspace(-1.0, 1.0, size))
        self.jacobian = jacobian(lambda x: ops.tanh(w @ x), mode=mode)

    def time_jacobian(self, backend, size, mode):
        self.jacobian(self.x)


class JacobianOf100(asv.Benchmark):
    """The Jacobian of 100 outputs of a network: in one batched pass, by calls of one pull, in a vmap of gradients."""

    params = (["one pass", "row by row", "vmap of grad"],)
    param_names = ("how",)

    def setup(self, backend, how):
        rng = np.random.default_rng(0)
        first, second = (self.backend.asarray(rng.standard_normal((100, 100)) / 10) for _ in range(2))
        self.x = self.backend.asarray(rng.standard_normal(100))
        self.rows = self.backend.asarray(np.eye(100))
        f = self.f = lambda x: ops.tanh(second @ ops.tanh(first @ x))
        weighted = vmap(grad(lambda x, row: (f(x) * row).sum()), in_axes=(None, 0))
        whole = jacobian(f, mode="reverse")
        calls = {
            "one pass": lambda: whole(self.x),
            "row by row": self.row_by_row,
            "vmap of grad": lambda: weighted(self.x, self.rows),
        }
        self.call = calls[how]

    def row_by_row(self):
        _, pull = vjp(self.f, self.x)
        return [pull(self.rows[i])[0] for i in range(100)]

    def time_jacobian(self, backend, how):
        self.call()


class Checkpoint(asv.Benchmark):
    """A chain of blocks that are computed twice so as to keep less, beside the same blocks that are not."""

    params = ([10, 100_000], ["plain", "checkpointed"])
    param_names = ("size", "blocks")

    def setup(self, backend, size, blocks):
        def block(x):
            return ops.tanh(ops.sin(x) * 0.9 + x)

        self.x = self.backend.asarray(np.linspace(0.0, 1.0, size))
        self.block = checkpoint(block) if blocks == "checkpointed" else block

    def time_both(self, backend, size, blocks):
        x = y = Value(self.x)
        for _ in range(8):
            y = self.block(y)
        y.sum().backward()
        return x.grad

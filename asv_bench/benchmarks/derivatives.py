"""The transforms: forward mode, second derivatives, Jacobians, recomputation."""

import numpy as np

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

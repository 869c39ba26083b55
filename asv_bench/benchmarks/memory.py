"""What is kept between forward and backward (row M2), and the peak of a training step."""

from itertools import combinations, pairwise

import numpy as np

from autodiff import Value, ops
from autodiff.testing.metrics import kept_bytes

_SIZE = 256

_UNARY = {
    "tanh": ops.tanh,
    "exp": ops.exp,
    "sum": ops.sum,
    "max": ops.max,
    "softmax": ops.softmax,
    "getitem": lambda x: x[:, 1:],
}
_BINARY = {
    "add": ops.add,
    "multiply": ops.multiply,
    "divide": ops.divide,
    "pow": ops.pow,
    "matmul": ops.matmul,
    "where": lambda x, y: ops.where(np.eye(_SIZE, dtype=bool), x, y),
}


def _cases():
    """Return each op with each choice of the inputs that need a gradient: ``"multiply 1"``, ``"multiply 12"``."""
    names = [(name, "1") for name in _UNARY] + [(name, "12") for name in _BINARY]
    return {
        f"{name} {''.join(wrt)}": (name, wrt)
        for name, places in names
        for count in range(1, len(places) + 1)
        for wrt in combinations(places, count)
    }


class Kept:
    """Bytes of arrays, in units of one input, that the graph alone keeps alive: what the rules name."""

    params = tuple(_cases())
    param_names = ("op and inputs that need a gradient",)
    unit = "inputs"

    def setup(self, case):
        name, wrt = _cases()[case]
        op, count = (_UNARY[name], 1) if name in _UNARY else (_BINARY[name], 2)

        def forward():
            values = [Value(np.full((_SIZE, _SIZE), 0.5), requires_grad=str(i + 1) in wrt) for i in range(count)]
            return op(*values).sum()

        self.forward = forward

    def track_inputs(self, case):
        return kept_bytes(self.forward) / (8 * _SIZE * _SIZE)


class TrainingStep:
    """The peak memory of a step of an MLP, the process and NumPy included."""

    params = (64, 4096)
    param_names = ("batch",)

    def setup(self, batch):
        rng = np.random.default_rng(0)
        sizes = (256, 256, 256, 10)
        self.x = rng.standard_normal((batch, sizes[0]))
        self.weights = [rng.standard_normal(shape) / shape[0] ** 0.5 for shape in pairwise(sizes)]

    def peakmem_step(self, batch):
        weights = [Value(w) for w in self.weights]
        h = self.x
        for w in weights[:-1]:
            h = ops.relu(h @ w)
        loss = -ops.log_softmax(h @ weights[-1])[:, 0].mean()
        loss.backward()
        for w in weights:
            w.data -= 0.1 * w.grad

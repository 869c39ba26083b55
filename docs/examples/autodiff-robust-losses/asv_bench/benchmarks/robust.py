"""How long each op of this package takes, forward and backward, and what it allocates; and a fit by gradients."""

import autodiff_robust_losses
import numpy as np

import autodiff
from autodiff.testing import asv


class Forward(asv.OpForward):
    """A call of each op that this package registers, on each backend at three sizes."""

    plugin = "autodiff_robust_losses"


class Backward(asv.OpBackward):
    """A backward pass through such a call."""

    plugin = "autodiff_robust_losses"


class Fit(asv.Benchmark):
    """The gradient of a robust fit of a line, as the README has it."""

    params = (["huber", "pseudo_huber", "welsch", "tukey_biweight"], [100, 100_000])
    param_names = ("loss", "points")

    def setup(self, backend, loss, points):
        rng = np.random.default_rng(0)
        x = self.backend.asarray(np.linspace(0.0, 1.0, points))
        y = self.backend.asarray(rng.standard_normal(points))
        loss = getattr(autodiff_robust_losses, loss)
        self.gradient = autodiff.grad(lambda line: loss(y - line["slope"] * x - line["offset"]).mean())
        self.line = {name: self.backend.asarray(number) for name, number in (("slope", 3.0), ("offset", 1.0))}

    def time_gradient(self, backend, loss, points):
        self.gradient(self.line)

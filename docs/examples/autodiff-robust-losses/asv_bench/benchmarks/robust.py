"""How long the losses take, forward alone and with their gradient."""

import autodiff_robust_losses
import numpy as np

import autodiff


class Losses:
    """One loss of many residuals."""

    params = (["huber", "pseudo_huber", "welsch", "tukey_biweight"], [100, 100_000])
    param_names = ("op", "size")

    def setup(self, op, size):
        self.loss = getattr(autodiff_robust_losses, op)
        self.residuals = 3.0 * np.random.default_rng(0).standard_normal(size)
        self.gradient = autodiff.grad(lambda r: self.loss(r).mean())
        self.gradient(self.residuals)  # loads the plugins and touches the memory

    def time_forward(self, op, size):
        self.loss(self.residuals)

    def time_gradient(self, op, size):
        self.gradient(self.residuals)

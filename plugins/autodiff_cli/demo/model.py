"""A classifier whose parameters are Values and whose ops are registered ones, and Adam."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np

import autodiff
from autodiff import Value, no_grad
from autodiff_cli.demo.data import SIDE, Array, one_hot

__all__ = ["SIZES", "Adam", "Classifier"]

SIZES = (SIDE * SIDE, 256, 128, 10)


class Classifier:
    """A multi-layer perceptron.

    Parameters
    ----------
    activation : op
        What follows each layer but the last.
    generator : numpy.random.Generator
        Draws the initial weights (K. He et al., "Delving deep into rectifiers", ICCV 2015).
    backend : str
        Where the parameters live, and hence where everything is computed.
    """

    def __init__(self, activation: Any, generator: np.random.Generator, backend: str) -> None:
        self.activation = activation
        self.backend = backend
        self.parameters: dict[str, Value] = {}
        for i, (fan_in, fan_out) in enumerate(pairwise(SIZES)):
            weight = generator.normal(0.0, (2 / fan_in) ** 0.5, (fan_in, fan_out))
            self.parameters[f"layers.{i}.weight"] = Value(weight, backend=backend)
            self.parameters[f"layers.{i}.bias"] = Value(np.zeros(fan_out), backend=backend)

    def __call__(self, images: Array) -> Value:
        """Return the logarithm of the probability of each digit, a row for each image."""
        x = Value(images, requires_grad=False, backend=self.backend)
        layers = len(SIZES) - 1
        for i in range(layers):
            x = x @ self.parameters[f"layers.{i}.weight"] + self.parameters[f"layers.{i}.bias"]
            if i < layers - 1:
                x = self.activation(x)
        log_probabilities: Value = autodiff.ops["autodiff_activations.log_softmax"](x)
        return log_probabilities

    def loss(self, images: Array, labels: Array) -> Value:
        """Return the mean cross-entropy."""
        wanted = Value(one_hot(labels), requires_grad=False, backend=self.backend)
        loss: Value = -(self(images) * wanted).sum(axis=1).mean()
        return loss

    def predict(self, images: Array) -> Array:
        """Return the most probable digit for each image."""
        with no_grad():
            predicted: Array = self(images).numpy().argmax(axis=1)
        return predicted


class Adam:
    """Steps along the mean of recent gradients, scaled by their recent size.

    D. Kingma, J. Ba, "Adam: a method for stochastic optimization", ICLR 2015.
    """

    def __init__(self, parameters: dict[str, Value], *, decay: float = 0.9, square_decay: float = 0.999) -> None:
        self.parameters = parameters
        self.decay = decay
        self.square_decay = square_decay
        self.means: dict[str, Any] = dict.fromkeys(parameters, 0.0)
        self.squares: dict[str, Any] = dict.fromkeys(parameters, 0.0)
        self.steps = 0

    @no_grad()
    def step(self, rate: float) -> None:
        """Move each parameter against its gradient, and clear that."""
        self.steps += 1
        for name, parameter in self.parameters.items():
            g = parameter.grad
            self.means[name] = self.decay * self.means[name] + (1 - self.decay) * g
            self.squares[name] = self.square_decay * self.squares[name] + (1 - self.square_decay) * g * g
            mean = self.means[name] / (1 - self.decay**self.steps)
            square = self.squares[name] / (1 - self.square_decay**self.steps)
            self.parameters[name] -= rate * mean / (square**0.5 + 1e-8)
            parameter.zero_grad()

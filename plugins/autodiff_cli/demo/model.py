"""The classifier: a module of autodiff_nn, whose parameters are Values and whose ops are registered ones."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np

import autodiff_nn as nn
from autodiff import Value, no_grad
from autodiff_cli.demo.data import SIDE, Array

__all__ = ["SIZES", "Classifier"]

SIZES = (SIDE * SIDE, 256, 128, 10)


class Classifier(nn.Module):
    """A multi-layer perceptron.

    Parameters
    ----------
    activation : op
        What follows each layer but the last.
    generator : numpy.random.Generator
        Draws the initial weights.
    backend : str
        Where the parameters live, and hence where everything is computed.
    """

    def __init__(self, activation: Any, generator: np.random.Generator, backend: str) -> None:
        self.activation = activation
        self.backend = backend
        self.layers = [nn.Linear(*sizes, generator=generator, backend=backend) for sizes in pairwise(SIZES)]

    def forward(self, images: Array) -> Value:
        """Return a score for each digit, a row for each image."""
        x = self._there(images)
        for layer in self.layers[:-1]:
            x = self.activation(layer(x))
        scores: Value = self.layers[-1](x)
        return scores

    def loss(self, images: Array, labels: Array) -> Value:
        """Return the mean cross-entropy."""
        loss: Value = nn.cross_entropy(self(images), self._there(labels))
        return loss

    def predict(self, images: Array) -> Array:
        """Return the most probable digit for each image."""
        with no_grad():
            predicted: Array = self(images).numpy().argmax(axis=1)
        return predicted

    def _there(self, array: Array) -> Value:
        return Value(array, requires_grad=False, backend=self.backend)

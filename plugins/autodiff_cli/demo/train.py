"""Training, an epoch at a time, and the check of one gradient against finite differences."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

import autodiff_nn as nn
from autodiff import Value, no_grad
from autodiff_cli.demo.data import Digits, shifted
from autodiff_cli.demo.model import Classifier

__all__ = ["Epoch", "GradientCheck", "check_gradient", "train"]

BATCH = 32
RATE = 5e-3


@dataclass(frozen=True)
class Epoch:
    """What one pass over the training images came to."""

    number: int
    train_loss: float
    test_loss: float
    test_accuracy: float


@dataclass(frozen=True)
class GradientCheck:
    """One element of the gradient, computed twice."""

    element: str
    backward: float
    differences: float

    @property
    def error(self) -> float:
        """The difference of the two, relative to the larger."""
        return abs(self.backward - self.differences) / max(abs(self.backward), abs(self.differences))

    @property
    def agrees(self) -> bool:
        """Whether they are equal but for the error of finite differences."""
        return self.error < 1e-4


def train(classifier: Classifier, digits: Digits, *, epochs: int, generator: np.random.Generator) -> Iterator[Epoch]:
    """Train in place; yield after each epoch. The rate falls to 0 as half a cosine."""
    count = len(digits.train_images)
    optimizer = nn.Adam(classifier.parameters(), lr=RATE)
    schedule = nn.CosineAnnealingLR(optimizer, t_max=epochs * math.ceil(count / BATCH))
    for number in range(1, epochs + 1):
        order = generator.permutation(count)
        total = 0.0
        for start in range(0, count, BATCH):
            rows = order[start : start + BATCH]
            loss = classifier.loss(shifted(digits.train_images[rows], generator), digits.train_labels[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            total += loss.item() * len(rows)
        with no_grad():
            test_loss = classifier.loss(digits.test_images, digits.test_labels).item()
        right = classifier.predict(digits.test_images) == digits.test_labels
        yield Epoch(number, total / count, test_loss, float(right.mean()))


def check_gradient(classifier: Classifier, digits: Digits, *, step: float = 1e-6) -> GradientCheck:
    """Compare the largest element of the first weights' gradient with central differences, on one batch."""
    images, labels = digits.train_images[:BATCH], digits.train_labels[:BATCH]
    name, weight = next(classifier.named_parameters())
    classifier.loss(images, labels).backward()
    gradient = Value(weight.grad, requires_grad=False).numpy()
    classifier.zero_grad()
    place = np.unravel_index(np.abs(gradient).argmax(), gradient.shape)
    shift = np.zeros(gradient.shape)
    shift[place] = step
    nudge = Value(shift, requires_grad=False, backend=classifier.backend)
    before = weight.data
    with no_grad():
        try:
            weight.data = before + nudge.data
            above = classifier.loss(images, labels).item()
            weight.data = before - nudge.data
            below = classifier.loss(images, labels).item()
        finally:
            weight.data = before
    element = f"{name}[{', '.join(map(str, place))}]"
    return GradientCheck(element, float(gradient[place]), (above - below) / (2 * step))

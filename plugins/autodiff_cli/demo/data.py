"""Real data that need no network: the hand-written digits of UCI, as scikit-learn bundles them.

E. Alpaydin, C. Kaynak, "Optical Recognition of Handwritten Digits", UCI Machine Learning Repository (1998).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

__all__ = ["SIDE", "Digits", "load", "shifted"]

#: Images are this many pixels wide and high.
SIDE = 8

Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True)
class Digits:
    """Images as rows of 64 numbers from 0 to 1, and their labels from 0 to 9."""

    train_images: Array
    train_labels: Array
    test_images: Array
    test_labels: Array


def load() -> Digits:
    """Return the 1,797 digits, split 80/20 with the same share of each label: always the same split."""
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    images, labels = load_digits(return_X_y=True)
    parts = train_test_split(images / 16.0, labels, test_size=0.2, stratify=labels, random_state=0)
    return Digits(train_images=parts[0], test_images=parts[1], train_labels=parts[2], test_labels=parts[3])


def shifted(images: Array, generator: np.random.Generator, far: float = 0.5) -> Array:
    """Return the images moved at random by up to `far` pixels each way: there are few to train on."""
    moved = np.pad(images.reshape(-1, SIDE, SIDE), ((0, 0), (1, 1), (1, 1)))
    for axis in (1, 2):
        by = generator.uniform(-far, far, (len(images), 1, 1))
        neighbour = np.where(by > 0, np.roll(moved, 1, axis), np.roll(moved, -1, axis))
        moved = (1 - np.abs(by)) * moved + np.abs(by) * neighbour
    return moved[:, 1:-1, 1:-1].reshape(images.shape)

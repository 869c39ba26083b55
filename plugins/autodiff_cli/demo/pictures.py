"""The pictures of a run, as the bytes of PNG files. No window system is touched."""

from __future__ import annotations

from io import BytesIO
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from autodiff_cli.demo.data import SIDE, Array
from autodiff_cli.demo.train import Epoch

__all__ = ["curves", "predictions"]

#: Two colours that readers with any colour vision tell apart.
BLUE, ORANGE = "#0072b2", "#d55e00"

ROWS, COLUMNS = 4, 8


def curves(epochs: list[Epoch]) -> bytes:
    """Draw the losses, and the test accuracy below them, over the epochs."""
    numbers = [epoch.number for epoch in epochs]
    figure = Figure(figsize=(7, 6), layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(3, 2))
    # A single epoch is a point, and a line of one point is nothing.
    style = {"marker": "o", "markersize": 3} if len(epochs) < 20 else {}
    above.plot(numbers, [epoch.train_loss for epoch in epochs], color=BLUE, label="training (shifted images)", **style)
    above.plot(numbers, [epoch.test_loss for epoch in epochs], color=ORANGE, label="test", **style)
    above.set(yscale="log", ylabel="mean cross-entropy", title="autodiff demo: hand-written digits")
    above.legend(frameon=False)
    below.plot(numbers, [100 * epoch.test_accuracy for epoch in epochs], color=ORANGE, **style)
    below.set(xlabel="epoch", ylabel="test accuracy in %")
    below.xaxis.get_major_locator().set_params(integer=True)
    for axes in (above, below):
        axes.grid(alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
    return _png(figure)


def predictions(images: Array, labels: Array, predicted: Array) -> bytes:
    """Draw some images with label and prediction: the wrong ones first, then the first of the right ones."""
    wrong = np.flatnonzero(predicted != labels)
    shown = np.concatenate([wrong[: ROWS * COLUMNS // 2], np.flatnonzero(predicted == labels)])[: ROWS * COLUMNS]
    figure = Figure(figsize=(9, 6.2), layout="constrained")
    figure.suptitle(f"{len(wrong)} of {len(labels)} test images are read wrongly; the wrong ones come first")
    for axes, i in zip(figure.subplots(ROWS, COLUMNS).flat, shown, strict=False):
        right = predicted[i] == labels[i]
        axes.imshow(images[i].reshape(SIDE, SIDE), cmap="gray_r", vmin=0, vmax=1)
        axes.set_title(
            f"label {labels[i]}\nread as {predicted[i]}",
            fontsize=9,
            color="black" if right else ORANGE,
            fontweight="normal" if right else "bold",
        )
        axes.set(xticks=[], yticks=[])
        for spine in axes.spines.values():
            spine.set(color="0.8" if right else ORANGE, linewidth=1 if right else 2)
    return _png(figure)


def _png(figure: Any) -> bytes:
    FigureCanvasAgg(figure)
    buffer = BytesIO()
    figure.savefig(buffer, format="png", dpi=120)
    return buffer.getvalue()

"""What the losses are for: lines fitted through data of which a fifth is grossly wrong."""

import numpy as np
import pytest
from autodiff_robust_losses import huber, pseudo_huber, tukey_biweight, welsch

import autodiff

SLOPE, OFFSET = 3.0, 1.0


def data(outliers):
    """Return a hundred points near a line, of which the last `outliers` are far below it."""
    rng = np.random.default_rng(0)
    x = np.linspace(-1.0, 1.0, 100)
    y = SLOPE * x + OFFSET + 0.1 * rng.standard_normal(100)
    y[100 - outliers :] -= 20.0
    return x, y


def fit(loss, x, y, steps=500, rate=1.0):
    """Minimise the mean loss by gradient descent, from the line through the origin with slope 0."""

    def objective(p):
        return loss(y - p["slope"] * x - p["offset"]).mean()

    gradient = autodiff.grad(objective)
    p = {"slope": 0.0, "offset": 0.0}
    for _ in range(steps):
        g = gradient(p)
        p = {name: p[name] - rate * g[name] for name in p}
    return p


@pytest.mark.parametrize("loss", [welsch, tukey_biweight], ids=lambda op: op.name)
def test_bounded_losses_find_the_line_despite_gross_errors(loss):
    """With a fifth of the points wrong, the fit is as good as without them."""
    p = fit(loss, *data(outliers=20))
    assert p == {"slope": pytest.approx(SLOPE, abs=0.15), "offset": pytest.approx(OFFSET, abs=0.05)}


@pytest.mark.parametrize("loss", [huber, pseudo_huber], ids=lambda op: op.name)
def test_linear_losses_are_drawn_away_less_than_least_squares(loss):
    """With a few points wrong, the error of the offset is a small part of that of least squares."""
    x, y = data(outliers=5)
    robust = fit(loss, x, y)
    squares = fit(lambda r: r * r / 2, x, y)
    assert abs(robust["offset"] - OFFSET) < 0.15 * abs(squares["offset"] - OFFSET)


def test_without_outliers_all_agree_with_least_squares():
    """On clean data a robust fit is the least-squares fit, here from NumPy."""
    x, y = data(outliers=0)
    slope, offset = np.polyfit(x, y, 1)
    for loss in (huber, pseudo_huber, welsch, tukey_biweight):
        assert fit(loss, x, y) == {"slope": pytest.approx(slope, abs=1e-2), "offset": pytest.approx(offset, abs=1e-2)}

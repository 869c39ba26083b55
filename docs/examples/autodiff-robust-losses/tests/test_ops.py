"""The ops of this package, as one would use them; gradients, dtypes and the like are checked by autodiff's kit."""

import numpy as np
import pytest
from autodiff_robust_losses import bent_identity, huber, pseudo_huber, tukey_biweight, welsch

import autodiff

LOSSES = [huber, pseudo_huber, welsch, tukey_biweight]
OPS = [*LOSSES, bent_identity]


def by_name(op):
    return op.name


@pytest.mark.parametrize("op", OPS, ids=by_name)
def test_op_is_registered_under_this_package(op):
    """Installing the package is enough for autodiff to know its ops."""
    assert autodiff.ops[f"autodiff_robust_losses.{op.name}"] is op


@pytest.mark.parametrize("op", LOSSES, ids=by_name)
def test_small_residuals_count_as_in_least_squares(op):
    """Near 0 every loss is x**2 / 2, to the last digits, also where 1 + x**2 is 1."""
    x = np.array([-1e-9, 1e-12, 1e-5])
    np.testing.assert_allclose(op(x), x * x / 2, rtol=1e-9)


@pytest.mark.parametrize("op", LOSSES, ids=by_name)
def test_losses_are_even_and_grow_away_from_zero(op):
    """A residual counts by its size alone, and a larger one never counts less."""
    x = np.linspace(0.0, 20.0, 201)
    np.testing.assert_array_equal(op(-x), op(x))
    assert (np.diff(op(x)) >= 0).all()


@pytest.mark.parametrize("op", OPS, ids=by_name)
def test_huge_arguments_neither_overflow_nor_lose_their_gradient(op):
    """At 1e200, whose square is infinite, value and derivative are still those of the formula."""
    expected = {
        "huber": (1e200, 1.0),
        "pseudo_huber": (1e200, 1.0),
        "welsch": (2.985**2 / 2, 0.0),
        "tukey_biweight": (4.685**2 / 6, 0.0),
        "bent_identity": (1.5e200, 1.5),
    }
    with np.errstate(over="ignore"):
        value, gradient = autodiff.value_and_grad(op)(1e200)
    assert (pytest.approx(value), pytest.approx(gradient)) == expected[op.name]


@pytest.mark.parametrize("op", LOSSES, ids=by_name)
@pytest.mark.parametrize("delta", [0.0, -1.0, float("nan")])
def test_delta_must_be_positive(op, delta):
    """A size that is none is refused with the op, what it means and what was given."""
    with pytest.raises(ValueError, match=rf"{op.name}: delta .* positive .* given {delta!r}"):
        op(np.ones(2), delta=delta)


@pytest.mark.parametrize(("op", "name"), [(huber, "huber"), (pseudo_huber, "pseudo_huber")])
def test_values_agree_with_scipy(op, name):
    """SciPy has two of the losses: the values are the same."""
    special = pytest.importorskip("scipy.special")
    x = np.linspace(-5.0, 5.0, 41)
    np.testing.assert_allclose(op(x, delta=1.5), getattr(special, name)(1.5, x), rtol=1e-13)


def test_numpy_kernel_agrees_with_the_generic_one():
    """The kernel for NumPy computes the same, on arrays and numbers, and leaves its input alone."""
    x = np.linspace(-5.0, 5.0, 11)
    before = x.copy()
    np.testing.assert_allclose(welsch(x), welsch.function(np, x), rtol=1e-15)
    np.testing.assert_array_equal(x, before)
    assert welsch(np.float64(1.0)) == welsch(np.array([1.0]))[0]

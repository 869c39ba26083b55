"""Making arrays: from numbers alone, filled with Values, and joined from them; no gradient is lost in silence."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from autodiff import Value, grad
from autodiff import numpy as anp
from autodiff.errors import ArgumentTypeError, GradientTypeError, KernelError, UnknownBackendError
from autodiff.extend import primitive, sample
from autodiff.testing import check_grads, check_op

A, B = 0.7, np.array([1.5, -0.5])


@pytest.mark.parametrize(
    "f",
    [
        pytest.param(lambda a, b: anp.array([a, a * a, 2.0]), id="numbers and Values"),
        pytest.param(lambda a, b: anp.array([[a, 1], [b[0], b[1]]]), id="rows"),
        pytest.param(lambda a, b: anp.asarray((b, b * a)), id="a tuple of vectors"),
        pytest.param(lambda a, b: anp.array([[b], [[a, a]]]), id="vectors and lists"),
        pytest.param(lambda a, b: anp.array(b * a), id="one Value"),
        pytest.param(lambda a, b: anp.full((2, 3), a), id="full"),
        pytest.param(lambda a, b: anp.full((3, 2), b), id="full by a row"),
        pytest.param(lambda a, b: anp.full(4, fill_value=a), id="full by keyword"),
        pytest.param(lambda a, b: anp.full_like(b, a), id="full_like"),
        pytest.param(lambda a, b: np.full_like(b, a), id="numpy.full_like"),
        pytest.param(lambda a, b: np.linspace(a, 2.0, 5), id="linspace from"),
        pytest.param(lambda a, b: np.linspace(-1.0, a, num=4, endpoint=False), id="linspace to"),
        pytest.param(lambda a, b: anp.linspace(a, b, 3), id="linspace of vectors"),
    ],
)
def test_what_is_filled_or_joined_is_differentiable(f: Any) -> None:
    """Gradients agree with central differences, to the second order."""
    check_grads(lambda a, b: f(a * 1.0, b * 1.0), (A, B))


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(lambda xp, a, b: xp.array([[a, 1], [b[0], b[1]]]), id="array"),
        pytest.param(lambda xp, a, b: xp.linspace(a, b, 3), id="linspace of vectors"),
        pytest.param(lambda xp, a, b: xp.linspace(a, 3, 4, False), id="linspace without its end"),
        pytest.param(lambda xp, a, b: xp.full((2, 2), b, dtype=np.float32), id="full"),
        pytest.param(lambda xp, a, b: xp.full_like(np.ones(2, np.float32), a), id="full_like"),
    ],
)
def test_values_and_dtypes_are_numpys(make: Any) -> None:
    """The numbers are those of NumPy's function of the same name."""
    ours, theirs = make(anp, Value(A), Value(B)), make(np, A, B)
    np.testing.assert_allclose(ours.data, theirs, rtol=1e-15 if theirs.dtype == np.float64 else 1e-7)
    assert (ours.dtype, ours.shape) == (theirs.dtype, theirs.shape)


def test_numbers_take_the_dtype_of_the_values_that_they_join() -> None:
    """As everywhere: float32 and a Python number are float32."""
    single = Value(np.float32(1.0))
    assert anp.array([single, 2.0, 3]).dtype == np.float32
    assert anp.array([single, 2j]).dtype == np.complex64
    assert anp.array([single, np.float64(2.0)]).dtype == np.float64


def test_lists_without_values_are_constants() -> None:
    """A copy, with no gradient."""
    numbers = np.ones(2)
    copied = anp.array(numbers)
    numbers[0] = 7.0
    assert (copied.data.tolist(), copied.requires_grad) == ([1.0, 1.0], False)
    assert anp.array([[1, 2]]).shape == (1, 2)


def test_rows_of_different_lengths_are_refused() -> None:
    """The error names the op that joins, and both shapes."""
    with pytest.raises(KernelError, match=r"stack.*shape \(\).*shape \(2,\)"):
        anp.array([Value(1.0), [1.0, 2.0]])


@pytest.mark.parametrize("bad", ["text", None, {}])
def test_what_holds_no_number_is_refused(bad: Any) -> None:
    """Among Values, too."""
    with pytest.raises(ArgumentTypeError):
        anp.array([Value(1.0), bad])


@pytest.mark.parametrize("create", [anp.arange, lambda v: np.arange(0.0, v), lambda v: anp.eye(2, k=v)])
def test_a_gradient_that_would_be_lost_is_an_error(create: Any) -> None:
    """How many numbers are made is not differentiable."""
    with pytest.raises((GradientTypeError, ArgumentTypeError)):
        create(Value(2.0))
    assert anp.arange(Value(2.0).detach()).shape == (2,)


def test_likes_of_a_value_are_constants() -> None:
    """Of a Value that needs a gradient only its shape and dtype are read."""
    like = Value(np.ones((2, 1), np.float32))
    for made in (anp.zeros_like(like), np.ones_like(like), anp.full_like(like, 3)):
        assert (made.shape, made.dtype, made.requires_grad) == ((2, 1), np.float32, False)


def test_a_list_of_values_is_joined_by_what_the_error_says() -> None:
    """An op does not take lists of Values; NumPy's own array() cannot."""
    v = Value(2.0)
    with pytest.raises(ArgumentTypeError, match=r"autodiff\.numpy\.array\(values\)"):
        anp.mean([v, v])
    with pytest.raises(GradientTypeError, match=r"autodiff\.numpy\.array\(\[v, w\]\)"):
        np.array([v, v])
    assert grad(lambda v: anp.mean(anp.array([v, v * v])))(2.0) == 2.5


def test_a_rule_that_fills_an_array_stays_in_the_graph() -> None:
    """`xp.full` of a cotangent is differentiable in a pass that is itself recorded."""

    @primitive(vjps=(lambda g, x_shape, xp: xp.full(x_shape, g),), samples=[sample((3,))])
    def plain_sum(xp: Any, x: Any) -> Any:
        """Sum."""
        return xp.sum(x)

    check_op(plain_sum)
    assert grad(lambda x: grad(lambda y: plain_sum(y) ** 3)(x).sum())(np.ones(3)).tolist() == [54.0] * 3


def test_append_of_lists_with_values() -> None:
    """They are joined first, as `array` does; NumPy's own function cannot know of Values inside a list."""
    x = Value([2.0, 3.0])
    y = anp.append([x[0], 3.0], [x[1] * 2, x[0]])
    assert y.data.tolist() == [2, 3, 6, 2]
    y.sum().backward()
    assert x.grad.tolist() == [2, 2]


def test_a_device_is_where_it_is_made() -> None:
    """The array API standard's `device=`: what an array says of itself, or a backend."""
    v = Value([1.0, 2.0])
    for made in (
        anp.asarray([1.0], device=v.device),
        anp.zeros(3, device="cpu"),
        anp.full((2,), v.sum(), device="numpy"),
        anp.ones_like(v, device=None),
    ):
        assert (made.backend, made.device) == ("numpy", v.device)
    with pytest.raises(UnknownBackendError, match="'gpu'"):
        anp.zeros(3, device="gpu")


def test_what_the_standard_asks_of_a_namespace() -> None:
    """Libraries on the array API ask for dtypes, devices and capabilities, and move by `to_device`."""
    v = Value([1.0, 2.0], requires_grad=True)
    told = v.__array_namespace__().__array_namespace_info__()
    assert told.default_dtypes()["real floating"] == v.dtype
    assert v.device in told.devices()
    assert v.to_device(v.device).requires_grad
    with pytest.raises(ArgumentTypeError, match="stream"):
        v.to_device(v.device, stream=1)

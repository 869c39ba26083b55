"""Smooth activations: far out, near 0, in every precision, and agreement with PyTorch."""

from __future__ import annotations

import math
from functools import partial

import numpy as np
import pytest
from torch_oracle import compare

from autodiff import Value, grad, jvp, ops
from autodiff.errors import ArgumentError
from autodiff.registry import registry


@pytest.fixture(params=["numpy", "strict"])
def backend(request):
    """Return the name of a backend: NumPy's, and one that has the generic rules."""
    if request.param == "numpy":
        yield "numpy"
        return
    pytest.importorskip("array_api_strict")
    from strict_backend import StrictBackend

    with registry.scoped() as scoped:
        scoped.register_backend(StrictBackend())
        yield "strict"


X = np.concatenate([np.random.default_rng(0).normal(size=40) * 4, [0.0, 30.0, -30.0, 800.0, -800.0]])
SMOOTH = [
    ("sigmoid", "sigmoid", {}),
    ("log_sigmoid", "logsigmoid", {}),
    ("softplus", "softplus", {}),
    ("silu", "silu", {}),
    ("mish", "mish", {}),
    ("gelu", "gelu", {}),
    ("gelu", "gelu", {"approximate": "tanh"}),
    ("softsign", "softsign", {}),
    ("tanhshrink", "tanhshrink", {}),
]
EVERY = [
    *(("relu", {}), ("leaky_relu", {}), ("elu", {}), ("selu", {}), ("celu", {}), ("relu6", {})),
    *(("hard_tanh", {}), ("hard_sigmoid", {}), ("hard_swish", {})),
    *((name, attrs) for name, _, attrs in SMOOTH),
]


@pytest.mark.parametrize(("ours", "theirs", "attrs"), SMOOTH)
def test_as_pytorch(ours, theirs, attrs):
    """Values and gradients are PyTorch's."""
    torch = pytest.importorskip("torch")
    options = {"threshold": 700} if theirs == "softplus" else attrs  # its default, 20, costs digits
    compare(
        ops[f"autodiff_activations.{ours}"], lambda x: getattr(torch.nn.functional, theirs)(x, **options), X, **attrs
    )


@pytest.mark.parametrize(("name", "attrs"), EVERY)
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("recorded", [False, True], ids=["plain", "recorded"])
@pytest.mark.parametrize("repeat", [1, 2000], ids=["few", "many"])
def test_far_out_is_the_asymptote(name, attrs, dtype, recorded, repeat):
    """At 10,000 to both sides values and slopes are those in float64, in the input's dtype; a warning is an error."""
    points = [-1e4, -100.0, 0.0, 100.0, 1e4]
    op = ops[f"autodiff_activations.{name}"]
    exact = Value(np.array(points))
    wide = op(exact, **attrs)
    wide.sum().backward()
    x = Value(np.tile(np.array(points, dtype), repeat))
    y = op(x, **attrs)
    y.backward(np.ones(x.shape, dtype), create_graph=recorded)
    gradient = x.grad.data if recorded else x.grad
    near = {"rtol": 1e-3, "atol": 1e-3} if dtype == "float16" else {"rtol": 1e-6, "atol": 1e-6}
    np.testing.assert_allclose(y.data, np.tile(wide.data, repeat), **near)
    np.testing.assert_allclose(gradient, np.tile(exact.grad, repeat), **near)
    assert (str(y.dtype), str(gradient.dtype)) == (dtype, dtype)


def test_gelu_in_half_precision_keeps_its_digits():
    """Where 1 + erf(x) has none left in half precision, the result still is the rounded one."""
    x = np.linspace(-4.5, 4.5, 300).astype(np.float16)
    expected = np.array([n * math.erfc(-n / math.sqrt(2)) / 2 for n in x.tolist()])
    np.testing.assert_allclose(ops.gelu(x), expected, rtol=1e-3, atol=1e-6)


def test_mish_of_huge_numbers_has_the_slope_one():
    """What its second term has lost in precision is not multiplied by the number."""
    x = Value(np.array([1e4, 1e30, 1e300]))
    ops.mish(x).sum().backward()
    assert x.grad.tolist() == [1.0, 1.0, 1.0]


@pytest.mark.parametrize(("name", "attrs"), EVERY)
def test_single_precision_is_close_to_double(name, attrs):
    """Values and gradients in float32 are those of float64 to six digits."""
    op = ops[f"autodiff_activations.{name}"]
    x = np.random.default_rng(1).uniform(-9, 9, 6000).astype(np.float32)
    single, double = Value(x), Value(x.astype(float))
    pair = [op(v, **attrs) for v in (single, double)]
    for y in pair:
        y.backward(np.ones(y.shape, y.dtype))
    np.testing.assert_allclose(pair[0].data, pair[1].data, rtol=2e-6, atol=2e-6)
    np.testing.assert_allclose(single.grad, double.grad, rtol=4e-6, atol=4e-6)


@pytest.mark.parametrize(("name", "attrs"), EVERY)
def test_large_arrays_are_as_their_parts(name, attrs):
    """What is done block by block, or without branches, for large arrays is what is done for small ones."""
    op = ops[f"autodiff_activations.{name}"]
    data = np.random.default_rng(2).uniform(-9, 9, 20_000)
    seed = np.random.default_rng(3).normal(size=20_000)
    whole = Value(data)
    y = op(whole, **attrs)
    y.backward(seed)
    parts = [Value(part) for part in np.split(data, 100)]
    outputs = [op(part, **attrs) for part in parts]
    for output, part_seed in zip(outputs, np.split(seed, 100), strict=True):
        output.backward(part_seed)
    np.testing.assert_allclose(y.data, np.concatenate([o.data for o in outputs]), rtol=1e-14, atol=1e-15)
    np.testing.assert_allclose(whole.grad, np.concatenate([p.grad for p in parts]), rtol=1e-14, atol=1e-15)


@pytest.mark.parametrize("x", [-30.0, -300.0, -700.0])
def test_small_results_keep_their_digits(x):
    """Far to the left sigmoid and softplus are the exponential, relative to itself."""
    values = [float(op(x)) for op in (ops.sigmoid, ops.softplus, grad(ops.softplus))]
    np.testing.assert_allclose(values, [math.exp(x)] * 3, rtol=1e-12)


def test_log_sigmoid_is_symmetric_to_softplus():
    """It is minus the softplus of minus x, to the last digit."""
    assert ops.log_sigmoid(X).tolist() == (-ops.softplus(-X)).tolist()


@pytest.mark.parametrize("name", ["softplus", "silu", "mish", "gelu", "softsign"])
def test_the_second_derivative_at_zero_against_differences(name):
    """Zero is where formulas with signs and absolute values go wrong."""
    op, h = ops[f"autodiff_activations.{name}"], 1e-5
    first = grad(op)
    differences = (float(first(h)) - float(first(-h))) / (2 * h)
    assert math.isclose(float(grad(first)(0.0)), differences, abs_tol=1e-6)


def test_gelu_of_another_kind_is_refused():
    """The error says what was given and what there is."""
    with pytest.raises(ArgumentError, match="approximate was given 'erf'; expected 'none' or 'tanh'"):
        ops.gelu(X, approximate="erf")


INFINITE = {
    "sigmoid": ([0, 1], [0, 0]),
    "softplus": ([0, np.inf], [0, 1]),
    "log_sigmoid": ([-np.inf, 0], [1, 0]),
    "silu": ([0, np.inf], [0, 1]),
    "mish": ([0, np.inf], [0, 1]),
    "gelu": ([0, np.inf], [0, 1]),
    "hard_swish": ([0, np.inf], [0, 1]),
    "tanhshrink": ([-np.inf, np.inf], [1, 1]),
    "relu": ([0, np.inf], [0, 1]),
    "elu": ([-1, np.inf], [0, 1]),
    "celu": ([-1, np.inf], [0, 1]),
    "relu6": ([0, 6], [0, 0]),
    "hard_tanh": ([-1, 1], [0, 0]),
    "hard_sigmoid": ([0, 1], [0, 0]),
}
ENDS = [(name, attrs, *INFINITE[name]) for name, attrs in EVERY if name in INFINITE]


@pytest.mark.parametrize(("name", "attrs", "values", "slopes"), ENDS)
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("recorded", [False, True], ids=["plain", "recorded"])
@pytest.mark.parametrize("repeat", [1, 20_000], ids=["few", "many"])
def test_infinities(name, attrs, values, slopes, dtype, recorded, repeat):
    """Where the limit is finite it is the value, and the slope is that of the asymptote."""
    v = Value(np.tile(np.array([-np.inf, np.inf], dtype), repeat))
    y = ops[f"autodiff_activations.{name}"](v, **attrs)
    y.backward(np.ones(2 * repeat, dtype), create_graph=recorded)
    gradient = v.grad.data if recorded else v.grad
    np.testing.assert_array_equal(y.data, np.tile(values, repeat))
    np.testing.assert_array_equal(gradient, np.tile(slopes, repeat))


@pytest.mark.parametrize(("name", "attrs"), EVERY)
@pytest.mark.parametrize("x", [-np.inf, np.inf, -1e300, 1e300])
def test_derivatives_at_infinity_end(name, attrs, x, backend):
    """The first is the limit's, the second 0, forwards too: an asymptote is a line."""
    op = ops[f"autodiff_activations.{name}"]
    make = partial(registry.backend(backend).asarray, dtype="float64")

    def number(array):
        return float(registry.backend(backend).to_numpy(array))

    def slope(x):
        return grad(lambda x: op(x, **attrs))(x)

    with np.errstate(all="ignore"):  # of values, which may be too large, and of branches that are not taken
        first, second = number(slope(make(x))), number(grad(slope)(make(x)))
        tangent = number(jvp(lambda x: op(x, **attrs), [make(x)], [make(1.0)])[1])
        far = number(slope(make(math.copysign(1e3, x))))
    assert (first, second, tangent) == (pytest.approx(far, abs=2e-6), 0, first)

"""Every op has right gradients of complex numbers, by PyTorch's convention, or refuses them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from autodiff import Value, grad, ops, vjp
from autodiff.extend import ArgumentTypeError, Array
from autodiff.testing.drawing import draw

#: Eigenvectors have phases of their own (below they meet in functions that do not depend on them); casts round.
LEFT_OUT = {"eigh", "svd", "astype", "dropout"}

#: What is for real numbers alone. It refuses complex ones when it is called, before there is anything to differentiate.
REAL = {
    *("atan2", "cbrt", "ceil", "copysign", "erf", "floor", "fmod", "heaviside", "hypot", "logaddexp", "logaddexp2"),
    *("floor_divide", "nextafter", "remainder", "rfft", "trunc"),
    *("celu", "elu", "gelu", "hard_swish", "leaky_relu", "log_sigmoid", "mish", "prelu", "relu", "selu", "softplus"),
    *("softsign", "hard_sigmoid", "hard_tanh", "relu6", "cross_entropy_with_logits", "layer_norm"),
    *("attention", "scaled_dot_product_attention"),
}


def _drawn(spec: Any, rng: Any) -> Any:
    if isinstance(spec, tuple) and not isinstance(spec, Array) and all(type(n) is int for n in spec):
        spec = Array(spec)
    if isinstance(spec, Array) and spec.kind == "float":
        spec = spec._replace(kind="complex", distinct=False)
    return draw(spec, rng)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("op_id", [op.id for op in ops if op.name not in LEFT_OUT])
def test_gradients_of_complex_numbers(op_id: str) -> None:
    """Along random directions, with a random complex cotangent, against central differences."""
    op, rng = ops[op_id], np.random.default_rng(0)
    for sample in op.samples:
        xs = [_drawn(spec, rng) for spec in sample.inputs]
        rules = op.joint_vjp is not None or not op.vjps
        wrt = [
            i
            for i, x in enumerate(xs)
            if getattr(x, "dtype", None) == np.complex128 and (rules or op.vjps[i] is not None)
        ]

        def f(*zs: Any, xs: Any = xs, wrt: Any = wrt, attrs: Any = sample.attrs) -> list[Any]:
            full = list(xs)
            for i, z in zip(wrt, zs, strict=True):
                full[i] = z
            y = op(*full, **attrs)
            return list(y) if isinstance(y, tuple | list) else [y]

        at = [xs[i] for i in wrt]
        real = op.name in REAL and sample.attrs.get("approximate") != "tanh"  # gelu by tanh takes any number
        if real and any(getattr(x, "dtype", None) == np.complex128 for x in xs):
            with pytest.raises(ArgumentTypeError):
                op(*[Value(x) if getattr(x, "dtype", None) == np.complex128 else x for x in xs], **sample.attrs)
            continue
        if not wrt:
            continue
        ys = [np.asarray(y) for y in f(*at)]
        if any(y.dtype.kind not in "fc" for y in ys):
            continue
        cs = [
            rng.standard_normal(y.shape) + (1j * rng.standard_normal(y.shape) if y.dtype.kind == "c" else 0) for y in ys
        ]
        pulled = vjp(f, *at)[1](cs)
        vs = [rng.standard_normal(x.shape) + 1j * rng.standard_normal(x.shape) for x in at]
        h = 1e-6
        ends = [f(*[x + step * v for x, v in zip(at, vs, strict=True)]) for step in (h, -h)]
        slope = sum(np.sum(np.conj(c) * (a - b)).real for c, a, b in zip(cs, *ends, strict=True)) / (2 * h)
        found = sum(np.sum(np.conj(g) * v).real for g, v in zip(pulled, vs, strict=True))
        assert found == pytest.approx(slope, rel=1e-4, abs=1e-4)


@pytest.mark.parametrize("name", ["erf", "gelu", "softplus", "log_sigmoid", "mish"])
def test_many_complex_numbers_are_refused_as_one_is(name: str) -> None:
    """Large arrays have kernels of their own, and so have numbers."""
    for z in (1 + 1j, np.full(100_000, 1 + 1j)):
        with pytest.raises(ArgumentTypeError):
            getattr(ops, name)(z)


def test_a_number_has_the_sigmoid_of_an_array() -> None:
    """Also a complex one."""
    z = 0.3 + 0.7j
    wanted = 1 / (1 + np.exp(-z))
    assert ops.sigmoid(Value(z)).item() == pytest.approx(wanted)
    assert ops.sigmoid(np.array([z]))[0] == pytest.approx(wanted)


def _adjoint(x: Any) -> Any:
    return ops.matrix_transpose(ops.conj(x))


def _eigh_rebuilt(x: Any) -> Any:
    values, vectors = ops.eigh(x)
    return ops.matmul(vectors * ops.exp(0.3 * values), _adjoint(vectors))


def _eigh_projected(x: Any) -> Any:
    first = ops.eigh(x)[1][:, :1]
    return ops.matmul(first, _adjoint(first))


def _svd_rebuilt(x: Any) -> Any:
    u, s, vh = ops.svd(x)
    return ops.matmul(u * s**1.5, vh)


def _svd_left(x: Any) -> Any:
    first = ops.svd(x)[0][:, :1]
    return ops.matmul(first, _adjoint(first))


def _svd_right(x: Any) -> Any:
    first = ops.svd(x)[2][:1]
    return ops.matmul(_adjoint(first), first)


#: Functions of matrices that do not depend on the phases of their factors.
_GAUGE_FREE = {
    "eigenvalues": lambda x: ops.eigvalsh(x) ** 3,
    "eigh": _eigh_rebuilt,
    "eigenprojection": _eigh_projected,
    "singular values": lambda x: ops.svdvals(x) ** 3,
    "svd": _svd_rebuilt,
    "left projection": _svd_left,
    "right projection": _svd_right,
    "polar": lambda x: ops.matmul(ops.svd(x)[0], ops.svd(x)[2]),
    "q": lambda x: ops.qr(x)[0],
    "r": lambda x: ops.qr(x)[1],
    "cholesky": lambda x: ops.cholesky(x + 20 * np.eye(3)),
    "pinv": ops.pinv,
    "det": ops.det,
    "size of det": lambda x: ops.abs(ops.det(x)),
    "sign of det": lambda x: ops.slogdet(x)[0],
    "logarithm of det": lambda x: ops.slogdet(x)[1],
}
_SQUARE_ONLY = {"eigenvalues", "eigh", "eigenprojection", "cholesky"} | {n for n in _GAUGE_FREE if "det" in n}


@pytest.mark.parametrize(
    ("name", "shape"),
    [(n, s) for n in _GAUGE_FREE for s in ((3, 3), (4, 2), (2, 4)) if s == (3, 3) or n not in _SQUARE_ONLY],
)
def test_gradients_through_factors_of_complex_matrices(name: str, shape: tuple[int, int]) -> None:
    """Along random directions, against central differences, with a random complex cotangent."""
    rng = np.random.default_rng(1)
    x, v = (rng.standard_normal(shape) + 1j * rng.standard_normal(shape) for _ in range(2))
    like = _GAUGE_FREE[name](x)
    c = rng.standard_normal(like.shape) + 1j * rng.standard_normal(like.shape)

    def f(z: Any) -> Any:
        return ops.sum(ops.real(_GAUGE_FREE[name](z) * c))

    h = 1e-6
    slope = (f(x + h * v) - f(x - h * v)) / (2 * h)
    assert np.sum(np.conj(grad(f)(x)) * v).real == pytest.approx(float(slope), rel=1e-6)

"""Inverses, determinants and factors: singular and repeated values, functions of factors, errors, NumPy's names."""

from __future__ import annotations

import numpy as np
import pytest

from autodiff import Value, grad, hessian, ops
from autodiff.errors import ArgumentError, ArgumentTypeError
from autodiff.testing import check_grads

RNG = np.random.default_rng(0)
MATRIX = RNG.standard_normal((4, 4))
TALL = RNG.standard_normal((5, 3))
COMPLEX = RNG.standard_normal((3, 3)) + 1j * RNG.standard_normal((3, 3))
WEIGHTS = RNG.standard_normal((4, 4))


def _positive(x):
    return x @ ops.matrix_transpose(x) + np.eye(4)


_REAL = {
    "cholesky": lambda x: (ops.cholesky(_positive(x)) * WEIGHTS).sum(),
    "eigh": lambda x: sum((part * WEIGHTS[0] if part.ndim == 1 else part * WEIGHTS).sum() for part in ops.eigh(x)),
    "vectors alone": lambda x: (ops.eigh(x)[1] * WEIGHTS).sum(),
    "svd": lambda x: (ops.svd(x)[0] * WEIGHTS).sum() + (ops.svd(x)[2] * WEIGHTS).sum() + ops.svd(x)[1][0],
    "qr": lambda x: (ops.qr(x)[0] * WEIGHTS).sum() + (ops.qr(x)[1] * WEIGHTS).sum(),
    "slogdet": lambda x: ops.slogdet(x)[1] * 2.0,
    "lstsq": lambda x: (ops.pinv(x) @ WEIGHTS).sum(),
}


@pytest.mark.parametrize("name", _REAL)
def test_functions_of_factors(name):
    """Gradients to the second order, of functions of single parts too."""
    check_grads(_REAL[name], (MATRIX,), order=2)


#: Functions of complex factors that do not depend on the phases of their vectors.
_PHASELESS = {
    "cholesky": lambda z: ops.cholesky(z @ ops.conj(ops.matrix_transpose(z)) + np.eye(3)),
    "polar factor": lambda z: ops.svd(z)[0] @ ops.svd(z)[2],
    "projection": lambda z: ops.eigh(z)[1][:, :1] @ ops.conj(ops.matrix_transpose(ops.eigh(z)[1][:, :1])),
    "eigenvalues": ops.eigvalsh,
    "unitary": lambda z: ops.qr(z)[0],
    "sign of the determinant": lambda z: ops.slogdet(z)[0],
}


@pytest.mark.parametrize("name", _PHASELESS)
def test_functions_of_complex_factors(name):
    """Where the phase is fixed or drops out there is a gradient."""
    weight = np.random.default_rng(1).standard_normal((2, *np.shape(_PHASELESS[name](COMPLEX))))

    def f(z):
        y = _PHASELESS[name](z)
        return (ops.real(y) * weight[0] + ops.imag(y) * weight[1]).sum()

    check_grads(f, (COMPLEX,), order=1)


@pytest.mark.parametrize("rank", [0, 1, 2, 3])
def test_singular_matrices_have_a_determinant(rank):
    """The gradient is the matrix of cofactors: 0 from two missing ranks on."""
    x = RNG.standard_normal((3, rank)) @ RNG.standard_normal((rank, 3))
    if rank < 3:
        x[2] = x[0] + x[1] if rank == 2 else 0.0
        x[1] = x[1] if rank == 2 else x[0] * 2.0
    cofactors = [
        [(-1) ** (i + j) * np.linalg.det(np.delete(np.delete(x, i, 0), j, 1)) for j in range(3)] for i in range(3)
    ]

    np.testing.assert_allclose(grad(ops.det)(x), cofactors, atol=1e-12)


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_singular_matrices_have_second_derivatives_of_their_determinant(rank):
    """In each element the determinant is of degree one, so that differences of any step are exact."""
    x = np.array([[1.0, 2.0, 0.0, 1.0], [3.0, 1.0, -1.0, 2.0], [1.0, 1.0, 1.0, 0.0], [0.0, 0.0, 0.0, 0.0]])
    x[rank:] = x[0]
    units = np.eye(16).reshape(16, 4, 4)
    differences = [
        [np.linalg.det(x + e + f) - np.linalg.det(x + e) - np.linalg.det(x + f) + np.linalg.det(x) for f in units]
        for e in units
    ]

    assert np.linalg.det(x) == 0.0
    np.testing.assert_allclose(hessian(ops.det)(x).reshape(16, 16), differences, atol=1e-12)


def test_repeated_values_do_no_harm_to_functions_that_do_not_depend_on_the_basis():
    """Of the identity all eigenvalues and singular values are equal."""
    x = np.eye(3)

    np.testing.assert_allclose(grad(lambda x: ops.eigvalsh(x).sum())(x), x)
    np.testing.assert_allclose(grad(lambda x: ops.matrix_norm(x, ord="nuc"))(x), x)
    assert np.isfinite(grad(lambda x: ops.eigh(x)[1].sum())(x)).all()
    assert np.isfinite(grad(lambda x: ops.svd(x)[0].sum())(np.zeros((3, 2)))).all()


def test_only_the_hermitian_part_counts():
    """For the factors that are defined for Hermitian matrices alone."""
    skewed = MATRIX - MATRIX.T
    spd = MATRIX @ MATRIX.T + np.eye(4)

    np.testing.assert_allclose(ops.cholesky(spd + skewed), np.linalg.cholesky(spd))
    np.testing.assert_allclose(ops.eigvalsh(spd + skewed), np.linalg.eigvalsh(spd))


@pytest.mark.parametrize("name", ["inv", "det", "solve", "cholesky", "eigh", "slogdet", "matrix_power"])
def test_matrices_must_be_square(name):
    """The message has the shape."""
    others = (np.ones(2),) if name == "solve" else ()
    with pytest.raises(ArgumentError, match=r"\(2, 3\)"):
        ops[f"autodiff_ops.{name}"](np.ones((2, 3)), *others, **({"n": 2} if name == "matrix_power" else {}))


def test_singular_matrices_have_no_inverse():
    """NumPy's error names the op."""
    with pytest.raises(Exception, match=r"inv.*[Ss]ingular|[Ss]ingular.*inv"):
        ops.inv(Value(np.ones((2, 2))))


def test_orders_of_matrix_norms():
    """NumPy's numbers, and an error for others."""
    for order in ("fro", "nuc", 1, -1, 2, -2, np.inf, -np.inf):
        np.testing.assert_allclose(ops.matrix_norm(TALL, ord=order), np.linalg.norm(TALL, order))
        assert ops.matrix_norm(TALL, ord=order, keepdims=True).shape == (1, 1)
    with pytest.raises(ArgumentError, match="'max'"):
        ops.matrix_norm(TALL, ord="max")


@pytest.mark.parametrize("n", [-2, -1, 0, 1, 2, 5])
def test_powers(n):
    """Those of NumPy, 0 and negative ones included."""
    np.testing.assert_allclose(ops.matrix_power(MATRIX, n=n), np.linalg.matrix_power(MATRIX, n), rtol=1e-9)


@pytest.mark.parametrize(
    "x",
    [
        np.array([[1, 2], [3, 4]]),
        np.array([[np.inf, np.nan], [0.0, -np.inf]]),
        np.ones((3, 2, 2), np.float32),
        np.ones((2, 2), complex),
    ],
    ids=["integers", "infinite", "stack", "complex"],
)
def test_the_power_zero_is_the_identity(x):
    """Whatever the numbers are, in their dtype, and constant."""
    y = ops.matrix_power(x, n=0)
    expected = np.broadcast_to(np.eye(2), x.shape)

    assert (y.dtype, y.tolist()) == (x.dtype, expected.tolist())
    if x.dtype.kind != "i":
        v = Value(x)
        ops.matrix_power(v, n=0).backward(np.ones_like(x))
        assert not v.grad.any()


def test_a_power_that_is_no_whole_number():
    """The error says what was given."""
    with pytest.raises(ArgumentTypeError, match=r"matrix_power: n is a whole number; it was given 2\.0"):
        ops.matrix_power(MATRIX, n=2.0)


def test_empty_matrices():
    """An empty product is 1."""
    x = Value(np.zeros((0, 0)))
    ops.det(x).backward()

    assert (ops.det(x).item(), x.grad.shape) == (1.0, (0, 0))
    assert ops.inv(np.zeros((2, 0, 0))).shape == (2, 0, 0)


def test_a_batch_is_many_matrices():
    """Of solve either side is broadcast."""
    a, b = RNG.standard_normal((3, 2, 2)), RNG.standard_normal((2, 1))

    np.testing.assert_allclose(ops.solve(a, b), np.linalg.solve(a, b))
    check_grads(lambda a, b: ops.solve(a, b).sum(), (a, b), order=2)

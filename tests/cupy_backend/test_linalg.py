"""Linear algebra raises where it fails, as on NumPy; CuPy alone would return what is left of the attempt."""

from __future__ import annotations

import ctypes
import sys

import numpy as np
import pytest

import autodiff.numpy as anp
from autodiff import Value, ops

SINGULAR = [[1.0, 2.0], [2.0, 4.0]]
INDEFINITE = [[1.0, 2.0], [2.0, 1.0]]
GOOD = [[2.0, 0.5], [0.5, 1.0]]

FAILURES = {
    "inv": (ops.inv, SINGULAR, "Singular matrix"),
    "solve": (lambda a: ops.solve(a, a[..., :1]), SINGULAR, "Singular matrix"),
    "matrix_power": (lambda a: ops.matrix_power(a, n=-1), SINGULAR, "Singular matrix"),
    "cholesky": (ops.cholesky, INDEFINITE, "not positive definite"),
    "svd": (ops.svd, [[np.nan, 1.0], [1.0, 2.0]], "SVD did not converge"),
    "pinv": (ops.pinv, [[np.nan, 1.0], [1.0, 2.0]], "SVD did not converge"),
}


@pytest.mark.parametrize("dtype", ["float32", "float64", "complex64", "complex128"])
@pytest.mark.parametrize("batched", [False, True])
@pytest.mark.parametrize("name", FAILURES)
def test_what_fails_on_numpy_raises_here(cupy, name, batched, dtype):
    """One matrix that has no result is an error of NumPy's type, in NumPy's words, alone and among others."""
    function, matrix, words = FAILURES[name]
    numbers = np.array([GOOD, matrix] if batched else matrix, dtype)
    for array in (numbers, cupy.asarray(numbers)):
        with pytest.raises(np.linalg.LinAlgError, match=words) as caught:
            function(Value(array))
    op = "inv" if name == "matrix_power" else name
    assert f"'autodiff_ops.{op}' was given" in caught.value.__notes__[0]
    function(Value(cupy.asarray(np.array([GOOD, GOOD] if batched else GOOD, dtype))))


@pytest.mark.parametrize(
    ("name", "routine", "words"),
    [
        ("eigh", "xsyevd", "Eigenvalues did not converge"),
        ("eigvalsh", "xsyevd", "Eigenvalues did not converge"),
        ("svd", "dgesvd", "SVD did not converge"),
        ("svdvals", "dgesvd", "SVD did not converge"),
        ("qr", "dgeqrf", "QR"),
    ],
)
def test_what_cusolver_reports_is_raised(cupy, monkeypatch, name, routine, words):
    """No matrix is known that does not converge: the report of one is made up."""
    if "cuda_on_cpu.emulation" not in sys.modules:
        pytest.skip("only on the emulation can a report be made up")
    from cupy_backends.cuda.libs import cusolver

    run = getattr(cusolver, routine)

    def failing(*args):
        run(*args)
        ctypes.c_int.from_address(args[-1]).value = 7  # the last argument is where the report goes

    failing.__name__ = routine
    op, matrix = getattr(ops, name), cupy.asarray(GOOD)
    op(matrix)
    monkeypatch.setattr(cusolver, routine, failing)
    with pytest.raises(np.linalg.LinAlgError, match=f"{words}.*{routine}"):
        op(matrix)


def test_the_names_of_numpy_raise_too(cupy):
    """`numpy.linalg` arrives at the same ops, and catches its own exception."""
    with pytest.raises(anp.linalg.LinAlgError, match="Singular"):
        np.linalg.inv(Value(cupy.asarray(SINGULAR)))
    with pytest.raises(np.linalg.LinAlgError, match="positive definite"):
        np.linalg.cholesky(Value(cupy.asarray(INDEFINITE)))


def test_what_needs_no_inverse_is_no_failure(cupy):
    """A determinant of 0 is a result."""
    a = Value(cupy.asarray(SINGULAR))
    assert float(ops.det(a).data) == 0.0
    assert [float(part.data) for part in ops.slogdet(a)] == [0.0, -np.inf]


@pytest.mark.parametrize(("shape", "other"), [((2, 2, 2), (2, 2)), ((2, 2), (3, 2, 1)), ((2, 2, 2), (2,))])
def test_solutions_broadcast(cupy, shape, other):
    """CuPy's solve refuses batches that NumPy broadcasts."""
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal(shape), rng.standard_normal(other)
    given = [[Value(a), Value(b)], [Value(cupy.asarray(a)), Value(cupy.asarray(b))]]
    (expected, found) = (ops.solve(*pair) for pair in given)
    for y in (expected, found):
        (y * y).sum().backward()
    pairs = [(found, expected), *zip(given[1], given[0], strict=True)]
    for ours, theirs in pairs:
        np.testing.assert_allclose(ours.numpy(), theirs.numpy(), rtol=1e-10)
    for ours, theirs in pairs[1:]:
        np.testing.assert_allclose(ours.grad.get(), theirs.grad, rtol=1e-10)

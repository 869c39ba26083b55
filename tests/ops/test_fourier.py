"""Fourier transforms: round trips, energies, real inputs, the gradients of half spectra."""

from __future__ import annotations

import numpy as np
import pytest

from autodiff import Value, grad, ops
from autodiff.testing import check_grads

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("n", [1, 2, 5, 8])
@pytest.mark.parametrize("norm", ["backward", "ortho", "forward"])
def test_round_trips_have_the_identity_for_a_derivative(n, norm):
    """There and back again nothing changes, cotangents neither."""
    x, g = RNG.standard_normal((2, n))
    for there, back in ((ops.rfft, ops.irfft), (ops.fft, ops.ifft)):
        v = Value(x)
        y = ops.real(back(there(v, norm=norm), n=n, norm=norm))
        y.backward(g)

        np.testing.assert_allclose(y.data, x, atol=1e-12)
        np.testing.assert_allclose(v.grad, g, atol=1e-12)


def test_energy_is_kept():
    """Parseval: with the factor shared, the sum of squares and its gradient are those of the signal."""
    x = RNG.standard_normal(7)

    np.testing.assert_allclose(grad(lambda x: (abs(ops.fft(x, norm="ortho")) ** 2).sum())(x), 2 * x)


@pytest.mark.parametrize("n", [4, 5, 6, 9])
def test_half_spectra_count_their_inner_parts_twice(n):
    """Of rfft and irfft, cut and filled up, for even and odd lengths."""
    x = RNG.standard_normal(6)
    spectrum = RNG.standard_normal(4) + 1j * RNG.standard_normal(4)
    weight = RNG.standard_normal(n)

    check_grads(lambda x: (abs(ops.rfft(x, n=n)) ** 2).sum(), (x,), order=2)
    check_grads(lambda z: (ops.irfft(z, n=n) * weight).sum(), (spectrum,), order=1)


def test_single_precision_stays():
    """Real and complex, and half precision is computed in single."""
    x = np.ones(4, np.float32)

    assert ops.fft(x).dtype == np.complex64
    assert ops.irfft(ops.rfft(x)).dtype == np.float32
    assert ops.rfft(x.astype(np.float16)).dtype == np.complex64

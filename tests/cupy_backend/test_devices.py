"""Two devices: kernels and passes run where their arrays are, and nothing moves in silence."""

from __future__ import annotations

import numpy as np
import pytest

from autodiff import Value, hessian
from autodiff.errors import ArgumentTypeError, BackendMismatchError


@pytest.fixture
def pair(cupy):
    """Give one array on each of two devices."""
    if cupy.cuda.runtime.getDeviceCount() < 2:
        pytest.skip("needs two devices; the emulation has as many as CUDA_ON_CPU_DEVICES says")
    with cupy.cuda.Device(1):
        there = cupy.arange(3.0)
    return cupy.ones(3), there


def test_results_and_gradients_stay_where_their_inputs_are(cupy, pair):
    """Forward and backward pass run on the device of the arrays, and leave the current one alone."""
    here, there = (Value(a) for a in pair)
    y = (there * there).to("cupy:0") * here
    z = (y.to("cupy:1").tanh() * there).sum() + there.sum()
    z.backward()
    z2 = there.sum()
    z2.backward()
    expected = np.arange(3.0)
    t = np.tanh(expected**2)
    assert (there.device, y.device, z.device, here.grad.device.id, there.grad.device.id) == ("1", "0", "1", 0, 1)
    assert cupy.cuda.runtime.getDevice() == 0
    np.testing.assert_allclose(there.grad.get(), t + expected * (1 - t**2) * 2 * expected + 2, rtol=1e-12)


def test_mixing_devices_names_both(pair):
    """Arrays on two devices are refused, and the message says how to move one."""
    with pytest.raises(BackendMismatchError, match=r"'cupy:0'.*'cupy:1'.*\.to\('cupy:0'\)"):
        Value(pair[0]) * Value(pair[1])


@pytest.mark.parametrize("shape", [(), (0,), (2, 3)])
def test_what_moves_keeps_its_shape(cupy, pair, shape):
    """A single number, nothing, a transposed matrix: there and back, and so does the gradient."""
    x = Value(cupy.ones(shape))
    y = x.T.to("cupy:1")
    y.sum().backward()
    assert (y.shape, y.device, x.grad.shape, y.to("cupy:0").shape) == (shape[::-1], "1", shape, shape[::-1])


def test_there_and_back_from_numpy(pair):
    """A host array goes to a device by name, and its gradient comes back."""
    x = Value(np.ones(3))
    (x.to("cupy:1") * Value(pair[1])).sum().backward()
    assert (type(x.grad), x.grad.tolist()) == (np.ndarray, [0.0, 1.0, 2.0])


def test_second_derivatives_on_the_other_device(pair):
    """A Hessian is computed where its argument is."""
    h = hessian(lambda x: (x**3).sum())(pair[1])
    assert (h.device.id, h.get().tolist()) == (1, np.diag([0.0, 6.0, 12.0]).tolist())


def test_a_device_that_is_not_there(cupy):
    """The error says which devices there are."""
    with pytest.raises(ArgumentTypeError, match="devices 0 to"):
        Value(cupy.ones(2)).to("cupy:99")

"""Every registered op, those of other people's plugins too, on every backend at three sizes."""

from autodiff.testing import asv


class Forward(asv.OpForward):
    """A call of the op, recorded."""

    plugin = None


class Backward(asv.OpBackward):
    """A backward pass through one call of the op."""

    plugin = None

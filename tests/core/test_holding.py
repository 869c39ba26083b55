"""When memory runs out: the error stays what it is, and says which ops hold the most."""

from __future__ import annotations

import numpy as np
import pytest

from autodiff import Value
from autodiff.extend import elementwise


def full(message="cannot allocate"):
    """Return an op whose kernel, or whose rule, finds no memory."""

    def derivative(x):
        raise MemoryError(message)

    @elementwise(partials=(derivative,))
    def greedy(xp, x):
        if x.shape == (1,):
            raise MemoryError(message)
        return x + 1.0

    return greedy


def test_forward():
    """The graph of the arguments is told: each array once, the largest share first."""
    x = Value(np.ones(1024))
    y = x.exp() * x.tanh()
    with pytest.raises(MemoryError, match="cannot allocate") as caught:
        full()((y + y.sin())[0:1])
    (note, given) = caught.value.__notes__
    # The results of exp, of tanh, and of the product, which are saved once although exp and multiply share two.
    assert note.startswith("The graph holds 24 KiB for its backward pass: ")
    assert "greedy' was given x: shape (1,)" in given


def test_backward():
    """What the nodes hold that the pass has not reached is told, and no gradient has arrived."""
    x = Value(np.ones(1024))
    y = full()(x.exp()).sum()
    with pytest.raises(MemoryError) as caught:
        y.backward()
    assert "'autodiff_ops.exp' 8 KiB in 1 calls" in " ".join(caught.value.__notes__)
    assert x.grad is None


def test_other_errors_say_nothing_of_memory():
    """A shape that does not fit is no lack of memory."""
    with pytest.raises(ValueError, match="shape") as caught:
        Value(np.ones(3)) + Value(np.ones(4))
    assert not any("holds" in note for note in getattr(caught.value, "__notes__", []))

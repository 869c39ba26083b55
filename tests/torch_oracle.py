"""PyTorch as an oracle: another implementation's values and gradients, on the same inputs and cotangents."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from autodiff import Value

__all__ = ["compare"]


def compare(op: Any, name: str | Callable[..., Any], *xs: Any, tolerance: float = 1e-12, **attrs: Any) -> None:
    """Assert that value and gradients of ``op(*xs, **attrs)`` are those of a function of PyTorch.

    `name` is that function, or its name in `torch`. Differences are relative to the number, or to 1 if larger.
    """
    torch = pytest.importorskip("torch")
    theirs = getattr(torch, name) if isinstance(name, str) else name
    tensors = [torch.tensor(x, requires_grad=True) for x in xs]
    values = [Value(x) for x in xs]
    expected, actual = theirs(*tensors), op(*values, **attrs)
    rng = np.random.default_rng(7)
    g = rng.normal(size=actual.shape)
    if actual.dtype.kind == "c":
        g = g + 1j * rng.normal(size=actual.shape)
    g = g.astype(actual.dtype)
    expected.backward(torch.tensor(g))
    actual.backward(g)
    _close("value", actual.data, expected.detach().resolve_conj().numpy(), tolerance)
    again = [Value(x) for x in xs]
    op(*again, **attrs).backward(g, create_graph=True)  # here backends use the op's own rules
    for i, (x, tensor, plain, recorded) in enumerate(zip(xs, tensors, values, again, strict=True)):
        # Of what an output does not depend on, the gradient here is None and zeros there.
        zeros = np.zeros_like(x)
        grad = zeros if plain.grad is None else plain.grad
        grad_of_recorded = zeros if recorded.grad is None else recorded.grad.data
        _close(f"gradient {i}", grad, tensor.grad.resolve_conj().numpy(), tolerance)
        _close(f"gradient {i} of a recorded pass", grad_of_recorded, tensor.grad.resolve_conj().numpy(), tolerance)


def _close(what: str, actual: Any, expected: Any, tolerance: float) -> None:
    np.testing.assert_allclose(actual, expected, rtol=tolerance, atol=tolerance, strict=True, err_msg=what)

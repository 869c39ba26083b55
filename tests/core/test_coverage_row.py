"""The errors for what is missing of an op say what there is of it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from autodiff import Value, jvp, ops
from autodiff.coverage import row
from autodiff.errors import KernelError, RuleError
from autodiff.extend import elementwise, linear, primitive
from autodiff.registry import registry


def test_a_missing_kernel_prints_the_row() -> None:
    """Which backends have one, whose it is, and which derivatives there are."""

    @elementwise(vjps=(lambda g: g, None))
    def no_function_of_any_library(x1: Any, x2: Any) -> Any:
        """Nothing."""

    with registry.scoped():
        no_function_of_any_library.kernel("cupy")(lambda x1, x2: x1)
        registry.register_op(no_function_of_any_library)
        with pytest.raises(KernelError, match="no kernel for the backend 'numpy'") as caught:
            no_function_of_any_library(np.ones(2), np.ones(2))
    told = "kernels for cupy (its own); gradients for x1, not differentiable in x2; forward mode derived from the gradients."
    assert told in str(caught.value)


def test_a_missing_rule_prints_the_row() -> None:
    """Which inputs have one."""

    @primitive(vjps={"x2": lambda g: g})
    def half_done(xp: Any, x1: Any, x2: Any) -> Any:
        return x1 + x2

    with pytest.raises(RuleError, match="no gradient rule for 'x1'") as caught:
        half_done(Value([1.0]), 2.0)
    assert "gradients for x2, no rule for x1; forward mode" in str(caught.value)
    assert "numpy (generic)" in str(caught.value)


def test_a_missing_forward_rule_prints_the_row() -> None:
    """Where none can be derived."""

    def on_raw_arrays(g: Any, x: Any) -> Any:
        return 2 * (g.data if type(g) is Value else g) * (x.data if type(x) is Value else x)

    @primitive(vjps=(on_raw_arrays,))
    def square(xp: Any, x: Any) -> Any:
        return x * x

    with pytest.raises(RuleError, match="no forward rule") as caught:
        jvp(square, (np.ones(2),), (np.ones(2),))
    assert "gradients for x; forward mode derived from the gradients." in str(caught.value)


def test_rows_of_every_kind() -> None:
    """Each way to differentiate has its words."""
    flip = linear(transpose=lambda g, xp: xp.flip(g))(lambda xp, x: xp.flip(x))
    own = elementwise(vjps=(lambda g: g,), jvps=(lambda t: t,))(lambda xp, x: x)
    assert row(flip).endswith("gradients for x; forward mode by the op itself, which is linear.")
    assert row(own).endswith("forward mode by rules of its own.")
    assert row(ops.tanh).endswith("gradients for x; forward mode by the partial derivatives.")
    assert row(ops.argmax).endswith("not differentiable in x; no forward mode.")
    assert "by one joint rule" in row(ops.concat)
    assert all(row(op) for op in ops)

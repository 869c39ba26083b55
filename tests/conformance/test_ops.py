"""Every registered op passes the conformance kit."""

from __future__ import annotations

import pytest

from autodiff import ops
from autodiff.testing import check_op


@pytest.mark.parametrize("op_id", [op.id for op in ops])
def test_op_conforms(op_id):
    """The op does on NumPy what it promises, on each of its samples, in every dtype."""
    check_op(op_id)


@pytest.mark.parametrize("op_id", [op.id for op in ops])
def test_op_conforms_on_other_numbers(op_id):
    """And on another draw of them, where differences are exact enough to compare with."""
    check_op(op_id, seed=1, dtypes=["float64", "complex128"])

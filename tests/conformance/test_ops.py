"""Every registered op passes the conformance kit."""

from __future__ import annotations

import pytest

from autodiff import ops
from autodiff.testing import check_op


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("op_id", [op.id for op in ops])
def test_op_conforms(op_id, seed):
    """The op does on NumPy what it promises, on each of its samples."""
    check_op(op_id, seed=seed)

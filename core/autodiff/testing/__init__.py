"""The conformance kit: check ops and gradients, one's own and those of others.

- `check_op`: everything that an op promises, on its samples.
- `check_backend`: a backend, its interface and ops on it.
- `check_grads`: the gradients of any function against central differences.
- `op_tests`: what `check_op` does as tests for a test runner; ``pytest --autodiff-conformance=my_plugin`` runs them.
- `DTYPES`, `missing_dtype`: in which dtypes, and which of them a backend has not.
- `samples_of`: on what `check_op` tests an op: its own samples, and those that follow from them.
- `numeric_vjp`: the central differences alone.
- `ConformanceError`: what they raise.

It works with any test runner, or without one. It may use NumPy; nothing else of the core does.
"""

from autodiff.testing.backends import check_backend
from autodiff.testing.checks import Test, check_op, op_tests
from autodiff.testing.derived import samples_of
from autodiff.testing.differences import numeric_vjp
from autodiff.testing.dtypes import DTYPES, missing_dtype
from autodiff.testing.gradients import check_grads
from autodiff.testing.report import ConformanceError

__all__ = [
    "DTYPES",
    "ConformanceError",
    "Test",
    "check_backend",
    "check_grads",
    "check_op",
    "missing_dtype",
    "numeric_vjp",
    "op_tests",
    "samples_of",
]

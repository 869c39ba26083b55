"""The conformance kit: check ops and gradients, one's own and those of others.

- `check_op`: everything that an op promises, on its samples.
- `check_grads`: the gradients of any function against central differences.
- `numeric_vjp`: the central differences alone.
- `ConformanceError`: what they raise.

It works with any test runner, or without one. It may use NumPy; nothing else of the core does.
"""

from autodiff.testing.checks import check_op
from autodiff.testing.gradients import check_grads, numeric_vjp
from autodiff.testing.report import ConformanceError

__all__ = ["ConformanceError", "check_grads", "check_op", "numeric_vjp"]

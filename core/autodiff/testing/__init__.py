"""The conformance kit: check ops and gradients, one's own and those of others.

- `check_op`: everything that an op promises, on its samples.
- `check_grads`: the gradients of any function against central differences.
- `samples_of`: on what `check_op` tests an op: its own samples, and those that follow from them.
- `numeric_vjp`: the central differences alone.
- `ConformanceError`: what they raise.

It works with any test runner, or without one. It may use NumPy; nothing else of the core does.
"""

from autodiff.testing.checks import check_op
from autodiff.testing.derived import samples_of
from autodiff.testing.differences import numeric_vjp
from autodiff.testing.gradients import check_grads
from autodiff.testing.report import ConformanceError

__all__ = ["ConformanceError", "check_grads", "check_op", "numeric_vjp", "samples_of"]

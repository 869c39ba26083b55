"""Linear algebra that fails aloud: by default CuPy returns whatever a factorisation that failed has left behind.

To know whether one failed the host has to wait for the device. NumPy raises, and so do these kernels.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import cupy
import cupyx

__all__ = ["CHECKED"]

Kernel = Callable[..., Any]


def _checked(meaning: str, generic: Kernel, *xs: Any, **attrs: Any) -> Any:
    """Call the generic kernel, and say in NumPy's words what its libraries report."""
    try:
        with cupyx.errstate(linalg="raise"):
            return generic(*xs, **attrs)
    except cupy.linalg.LinAlgError as exc:
        if str(exc).startswith("Error reported by"):
            raise cupy.linalg.LinAlgError(f"{meaning}. {exc}") from exc
        raise


def _with_singular_values(generic: Kernel, x: Any, **attrs: Any) -> Any:
    """Raise for NaN as well, which may come back as NaN without a report."""
    y = _checked("SVD did not converge", generic, x, **attrs)
    if cupy.isnan(y[1] if isinstance(y, tuple) else y).any():
        raise cupy.linalg.LinAlgError("SVD did not converge. What came of it is NaN.")
    return y


#: Kernels whose first argument is the generic kernel.
CHECKED: dict[str, Kernel] = {
    "autodiff_ops.inv": partial(_checked, "Singular matrix"),
    "autodiff_ops.solve": partial(_checked, "Singular matrix"),
    "autodiff_ops.cholesky": partial(_checked, "Matrix is not positive definite"),
    "autodiff_ops.eigh": partial(_checked, "Eigenvalues did not converge"),
    "autodiff_ops.qr": partial(_checked, "QR factorisation failed"),
    "autodiff_ops.svd": _with_singular_values,
    "autodiff_ops.pinv": _with_singular_values,
}

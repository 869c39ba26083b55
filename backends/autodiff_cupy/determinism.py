"""`deterministic`: sums in a fixed order, at the price of a sort."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

__all__ = ["deterministic", "is_deterministic"]

_DETERMINISTIC: ContextVar[bool] = ContextVar("autodiff_cupy_deterministic", default=False)

#: Tell whether a `deterministic` block is running.
is_deterministic: Callable[[], bool] = _DETERMINISTIC.get


@contextmanager
def deterministic() -> Iterator[None]:
    """Add up numbers that belong to one place in a fixed order, inside the block and in passes run there.

    Otherwise `scatter_add`, the gradient of reading with repeated indices, adds by atomic operations, whose order
    and hence last digits change from run to run. The fixed order, that of the index, costs a sort.

    Examples
    --------
    >>> from autodiff_cupy import deterministic
    >>> with deterministic():
    ...     pass  # loss.backward()
    """
    token = _DETERMINISTIC.set(True)
    try:
        yield
    finally:
        _DETERMINISTIC.reset(token)

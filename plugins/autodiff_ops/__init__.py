"""The standard ops of autodiff, a plugin like anyone else's.

Each module declares ops of one kind; `register_ops` registers whatever they declare.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from autodiff.extend import hookimpl, ops_of
from autodiff_ops import (
    conversion,
    cumulative,
    determinants,
    diagonals,
    einstein,
    expansion,
    factors,
    fourier,
    indexing,
    linalg,
    manipulation,
    products,
    random,
    reduction,
    searching,
    sequences,
    solving,
    sorting,
    spread,
    statistics,
)
from autodiff_ops.elementwise import (
    arithmetic,
    comparison,
    conversions,
    exponential,
    logical,
    rounding,
    special,
    trigonometric,
)

_OPS = {
    op.name: op
    for op in ops_of(
        *(arithmetic, exponential, trigonometric, special, comparison, conversions, logical, rounding),
        *(reduction, spread, cumulative, searching, sorting),
        *(manipulation, expansion, diagonals, indexing),
        *(statistics, sequences),
        *(fourier, linalg, solving, factors, determinants, products, einstein, conversion, random),
    )
}


def __getattr__(name: str) -> Any:
    try:
        return _OPS[name]
    except KeyError:
        raise AttributeError(f"module {__name__!r} has no op {name!r}") from None


def __dir__() -> list[str]:
    return sorted([*globals(), *_OPS])


@hookimpl
def register_ops(register: Callable[..., None]) -> None:
    """Register the standard ops."""
    for op in _OPS.values():
        register(op)

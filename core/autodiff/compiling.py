"""What mypyc has to be told of a class, where it compiles the core, and what must be left to the interpreter.

The same sources run as they are or compiled: `docs/design.md` says which, and what differs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__all__ = ["mypyc_attr", "returns_its_argument"]

if TYPE_CHECKING:
    from mypy_extensions import mypyc_attr
else:  # which the compiler never comes to; the package is not needed where autodiff runs

    def mypyc_attr(**options):
        """Return a decorator that leaves a class as it is."""
        return lambda cls: cls


def returns_its_argument(function: Any) -> bool:
    """Tell whether `function` is ``lambda x: x``, the partial derivative of a product; read from its bytecode."""
    code = getattr(function, "__code__", None)
    return code is not None and code.co_code == _ARGUMENT.co_code and code.co_freevars == () == code.co_cellvars


_ARGUMENT = (lambda x: x).__code__

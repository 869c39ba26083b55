"""What mypyc has to be told of a class, where it compiles the core; plain Python takes no notice of it.

The same sources run as they are or compiled: `docs/design.md` says which, and what differs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

__all__ = ["mypyc_attr"]

if TYPE_CHECKING:
    from mypy_extensions import mypyc_attr
else:  # which the compiler never comes to; the package is not needed where autodiff runs

    def mypyc_attr(**options):
        """Return a decorator that leaves a class as it is."""
        return lambda cls: cls

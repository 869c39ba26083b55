"""What a failed check says: `ConformanceError`, and `Report`, which knows where one is and raises it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NoReturn

import numpy as np

from autodiff.errors import AutodiffError

__all__ = ["ConformanceError", "Report", "mismatch"]

_KINK = "the sample seems to lie at a kink: the differences to both sides do not agree"


class ConformanceError(AutodiffError, AssertionError):
    """An op, or a gradient, does not do what it promises.

    Example: ``check_op`` of an op whose rule is wrong by a factor of two.
    Fix: the message says which op on which sample, what was compared, both numbers, and the line of Python
    that repeats it.
    """

    #: Whether the point seems to lie at a kink, where no derivative is right.
    at_kink = False


class Report:
    """Where a check is: raises failures that say so.

    Parameters
    ----------
    subject : str
        What is checked: the first words of every message.
    facts : mapping of str to str
        What to say of the circumstances, a line each.
    reproduce : mapping of str to str
        What to do so that it happens again: a line of Python, a command.
    """

    def __init__(self, subject: str, facts: Mapping[str, str], reproduce: Mapping[str, str] | str = "") -> None:
        self.subject = subject
        self.facts = dict(facts)
        self.reproduce = {"reproduce": reproduce} if isinstance(reproduce, str) else dict(reproduce)

    def fail(self, what: str, cause: BaseException | None = None, *, at_kink: bool = False, **numbers: Any) -> NoReturn:
        """Raise `ConformanceError`; `numbers` are lines of their own."""
        lines = {name: _shown(number) for name, number in numbers.items()}
        if at_kink:
            lines["note"] = _KINK
        lines |= {**self.facts, **self.reproduce}
        width = max([len(name) for name in lines], default=0)
        text = "".join(f"\n  {name:<{width}}  {line}" for name, line in lines.items() if line)
        error = ConformanceError(f"{self.subject}: {what}{text}")
        error.at_kink = at_kink
        raise error from cause

    def raised(self, what: str, exc: BaseException) -> NoReturn:
        """Fail because of an exception where there should be none."""
        notes = "; ".join(getattr(exc, "__notes__", ()))
        self.fail(f"{what}: raised {type(exc).__name__}: {exc}{f' ({notes})' if notes else ''}", exc)

    def same(self, what: str, actual: Any, expected: Any) -> None:
        """Fail unless `actual` equals `expected`: facts, not arrays."""
        if actual != expected:
            self.fail(what, expected=expected, actual=actual)

    def close(self, what: str, actual: Any, expected: Any, tolerance: float, *, finite: bool = False) -> None:
        """Fail unless two NumPy arrays have one shape and agree within `tolerance`, which is relative and absolute."""
        wrong = mismatch(actual, expected, tolerance, tolerance, finite=finite)
        if wrong is not None:
            self.fail(what, **wrong)


def mismatch(actual: Any, expected: Any, rtol: float, atol: float, *, finite: bool = False) -> dict[str, Any] | None:
    """Return in words where two NumPy arrays differ most by the rule of `tolerances`, or None if they agree.

    NaN agrees with nothing, an infinity with itself unless `finite`.
    """
    actual, expected = np.asarray(actual), np.asarray(expected)
    if actual.shape != expected.shape:
        return {"expected": f"shape {expected.shape}", "actual": f"shape {actual.shape}"}
    if actual.size == 0:
        return None
    if {actual.dtype.kind, expected.dtype.kind} <= set("biu"):
        off = np.where(actual == expected, 0.0, np.inf)
        allowed = 0.0
    else:
        both_infinite = np.zeros(actual.shape, bool) if finite else np.isinf(actual) & (actual == expected)
        sizes = np.abs(expected[np.isfinite(expected)])
        allowed = atol + rtol * float(sizes.max(initial=0.0))
        with np.errstate(invalid="ignore"):
            off = np.abs(np.where(both_infinite, 0, actual) - np.where(both_infinite, 0, expected))
        off = np.where(np.isfinite(off), off, np.inf)
    if off.max() <= allowed:
        return None
    where = tuple(int(i) for i in np.unravel_index(np.argmax(off), off.shape))
    return {
        "expected": expected[where],
        "actual": actual[where],
        "at": f"element {where} of shape {actual.shape}, the worst of {int((off > allowed).sum())} that differ",
        "off by": f"{float(off[where]):.3g}, where {allowed:.3g} is allowed",
    }


def _shown(number: Any) -> str:
    return repr(number.item()) if isinstance(number, np.generic) else str(number)

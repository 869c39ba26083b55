"""What became of a call: `attempt` makes it, and says what is wrong with how it ended."""

from __future__ import annotations

import contextlib
import io
import signal
import threading
import warnings
from collections.abc import Iterator
from types import FrameType
from typing import Any

import numpy as np

from autodiff import AutodiffError, Value
from autodiff.modes import MODE
from autodiff.registry import registry
from malformed.faults import Call

__all__ = ["Hang", "attempt", "limited"]

#: Errors of Python and NumPy that are right as they are: nothing of ours could say more.
_BY_NAME = frozenset({"LinAlgError", "MissingPackageError", "MemoryError", "_ArrayMemoryError", "BufferError"})


class Hang(BaseException):
    """A call that does not end."""


@contextlib.contextmanager
def limited(seconds: float) -> Iterator[None]:
    """Raise `Hang` in a block that takes longer; in the main thread only, where signals arrive."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(signum: int, frame: FrameType | None) -> None:
        raise Hang(f"longer than {seconds} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def attempt(call: Call, *, writes: bool, allowed: tuple[type[BaseException], ...] = (), seconds: float = 20) -> str:
    """Make the call; return what is wrong with its outcome, or an empty text.

    `writes` tells that it may change its arguments when it succeeds; `allowed` are errors that it documents.
    """
    arguments = [*call.args, *call.kwargs.values()]
    before, known = _state(), _prints(arguments)
    failed: BaseException | None = None
    result: Any = None
    with (
        warnings.catch_warnings(),
        contextlib.redirect_stdout(io.StringIO()),
        contextlib.redirect_stderr(io.StringIO()),
    ):
        warnings.simplefilter("ignore")
        try:
            with limited(seconds), np.errstate(all="ignore"):
                result = call()
                _use(result)
        except Hang as exc:
            return f"hangs: {exc}"
        except (Exception, SystemExit) as exc:  # a command exits; whoever interrupts the tests is no outcome
            failed = exc
            told = _judged(exc, allowed)
            if told:
                return told
    if (after := _state()) != before:
        return f"changes state: {before} -> {after}"
    if (failed is not None or not writes) and _prints(arguments) != known:
        return "changes its arguments" + (f", and raises {failed!r:.100}" if failed is not None else "")
    return ""


def _judged(exc: BaseException, allowed: tuple[type[BaseException], ...]) -> str:
    if isinstance(exc, AutodiffError):
        return "" if len(str(exc)) > 15 else f"says too little: {exc!r}"
    if isinstance(exc, allowed) or type(exc).__name__ in _BY_NAME:
        return ""
    frames = []
    trace = exc.__traceback__
    while trace is not None:
        frames.append((trace.tb_frame.f_code.co_filename, trace.tb_lineno, trace.tb_frame.f_code.co_name))
        trace = trace.tb_next
    ours = [f for f in frames if any(f"/{part}/" in f[0] for part in _OURS)]
    if not ours or "/tests/" in frames[-1][0]:
        return ""  # raised by the caller's own function, by another library, or by Python for a call that fits no signature
    if isinstance(exc, TypeError) and any(f"{name}()" in str(exc) for name in _CALLERS) and "argument" in str(exc):
        return ""  # the caller's function was handed what it does not take
    return f"raises {type(exc).__name__}: {str(exc)[:150]} at {ours[-1:]} in {[f[2] for f in ours][:3]}"


#: What of a path says that a file is a part of autodiff; functions of callers in the right calls.
_OURS = (
    "autodiff",
    "autodiff_ops",
    "autodiff_activations",
    "autodiff_nn",
    "autodiff_cli",
    "autodiff_numpy",
    "autodiff_cupy",
)
_CALLERS = ("Opaque", ".forward", "square", "same", "<lambda>", "_kernel")


def _use(result: Any) -> None:
    """Look at a result: what is returned must be good for something."""
    for item in result if isinstance(result, tuple | list) else (result,):
        if type(item) is Value or isinstance(item, np.ndarray):
            repr(item)
            if item.dtype == object:
                raise AssertionError(f"an array of objects was returned: {item!r:.60}")


def _state() -> tuple[Any, ...]:
    tables = [registry.ops, registry.names, registry.methods, registry.kernels, registry.backends]
    kept = tuple(tuple(sorted(map(str, table))) for table in tables)
    own = sum(len(op.own_kernels) + len(op.own_vjp_kernels) for op in registry.ops.values())
    return MODE.get(), hash(kept), own, registry.default_backend, tuple(np.geterr().items())


def _prints(items: Any, depth: int = 0) -> Any:
    if depth > 3:
        return None
    if type(items) is Value:
        return id(items._edge), _prints(items.numpy(), depth + 1), _prints(items.grad, depth + 1)
    if isinstance(items, np.ndarray):
        return items.shape, str(items.dtype), None if items.dtype.hasobject else items.tobytes()
    if isinstance(items, list | tuple):
        return [_prints(item, depth + 1) for item in items[:5]]
    if isinstance(items, dict):
        return [(name, _prints(item, depth + 1)) for name, item in items.items()]
    if hasattr(items, "state_dict"):
        with contextlib.suppress(TypeError):  # it is a class
            return _prints(items.state_dict(), depth + 1)
    return None

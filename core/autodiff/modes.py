"""The modes of the engine: one word of bits in a `ContextVar`, so that threads and tasks do not share it.

- `no_grad`, `enable_grad`: whether ops record the graph.
- `debug`: whether the engine checks what it normally trusts (slow).
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from contextvars import ContextVar, Token
from typing import Any, Final, TypeVar, overload

from autodiff.errors import ArgumentTypeError, shown

__all__ = ["debug", "enable_grad", "is_grad_enabled", "no_grad"]

F = TypeVar("F", bound=Callable[..., Any])

# Zero is "record, trust everything". The lowest bits decide how an op is recorded: the hot path looks plans up by them.
NO_GRAD: Final = 1
DEBUG: Final = 2
FORWARD: Final = 4  # nodes keep what forward rules name, too
RECORDING: Final = NO_GRAD | DEBUG | FORWARD
TRANSFORM: Final = 8  # inside a function that is being differentiated: inner transforms must record
BATCH: Final = 16  # inside a function that `vmap` calls
RULE: Final = 32  # inside a pass that is itself recorded, but for hooks: numbers that leave the graph are lost to it

MODE: ContextVar[int] = ContextVar("autodiff_mode", default=0)
mode = MODE.get

#: What `checkpoint` puts between random ops and their generators: a function from one generator to another.
REPLAY: ContextVar[Callable[[Any], Any] | None] = ContextVar("autodiff_replay", default=None)

#: The levels of the `vmap` calls that the current context is inside of.
LEVELS: ContextVar[tuple[int, ...]] = ContextVar("autodiff_levels", default=())


class Switch:
    """Sets and clears bits of the mode word, as a context manager or as a decorator; restores them always."""

    __slots__ = ("_clear", "_set", "_tokens")

    def __init__(self, on: int = 0, off: int = 0) -> None:
        self._set = on
        self._clear = off
        self._tokens: list[Token[int]] = []  # of whoever is inside: several threads may be

    def __enter__(self) -> None:
        self._tokens.append(MODE.set((MODE.get() & ~self._clear) | self._set))

    def __exit__(self, *exc_info: object) -> None:
        # Others may enter and leave meanwhile: that moves a token down, never past where this loop has been.
        for token in reversed(self._tokens):
            try:
                MODE.reset(token)
            except ValueError:  # made in the context of another thread or task
                continue
            self._tokens.remove(token)
            return

    def __call__(self, function: F) -> F:
        if not callable(function):
            raise ArgumentTypeError(
                f"no_grad and its like decorate a function, or open a block; given {shown(function, 80)}"
            )
        # A switch of its own for every call, `again()`: two threads may be inside at once.
        again = functools.partial(Switch, self._set, self._clear)

        @functools.wraps(function)
        def plain(*args: Any, **kwargs: Any) -> Any:
            with again():
                return function(*args, **kwargs)

        @functools.wraps(function)
        async def coroutine(*args: Any, **kwargs: Any) -> Any:
            with again():
                return await function(*args, **kwargs)

        @functools.wraps(function)
        def generator(*args: Any, **kwargs: Any) -> Any:
            # On while the body runs, off while it waits at a yield.
            body = function(*args, **kwargs)
            step = functools.partial(next, body)
            while True:
                try:
                    with again():
                        item = step()
                except StopIteration as stop:
                    return stop.value
                try:
                    step = functools.partial(body.send, (yield item))
                except GeneratorExit:
                    with again():
                        body.close()
                    raise
                except BaseException as exc:  # handed on to the body, whatever it is
                    step = functools.partial(body.throw, exc)

        kinds = ((inspect.iscoroutinefunction, coroutine), (inspect.isgeneratorfunction, generator))
        return next((wrapper for is_kind, wrapper in kinds if is_kind(function)), plain)  # type: ignore[return-value]  # functools.wraps keeps the signature, mypy cannot see it


@overload
def no_grad() -> Switch: ...
@overload
def no_grad(function: F, /) -> F: ...
def no_grad(function: F | None = None, /) -> Switch | F:
    """Stop recording: inside, results need no gradient and assignments change data in place of the graph.

    Works as ``with no_grad():``, ``@no_grad()`` and ``@no_grad``; the mode belongs to the current context,
    so other threads keep theirs, and it is restored when the block ends, however it ends.

    Parameters
    ----------
    function : callable, optional
        The function to decorate.

    Examples
    --------
    >>> from autodiff import Value, no_grad
    >>> w = Value([1.0, 2.0])
    >>> with no_grad():
    ...     print((w * 3).requires_grad)
    False
    """
    switch = Switch(on=NO_GRAD)
    return switch if function is None else switch(function)


@overload
def enable_grad() -> Switch: ...
@overload
def enable_grad(function: F, /) -> F: ...
def enable_grad(function: F | None = None, /) -> Switch | F:
    """Record again inside a `no_grad` block.

    Parameters
    ----------
    function : callable, optional
        The function to decorate.

    Examples
    --------
    >>> from autodiff import Value, enable_grad, no_grad
    >>> w = Value([1.0, 2.0])
    >>> with no_grad(), enable_grad():
    ...     print((w * 3).requires_grad)
    True
    """
    switch = Switch(off=NO_GRAD)
    return switch if function is None else switch(function)


def debug() -> Switch:
    """Check what is normally trusted, at a price in speed.

    Inside, each op remembers the line that called it and a fingerprint of what its rules will read. The
    backward pass then reports, naming op and line: a NaN that a rule made from finite numbers, an array
    that changed between forward and backward, and a rule that wrote into its cotangent or its inputs.

    Examples
    --------
    >>> import numpy as np
    >>> from autodiff import Value, debug
    >>> x = Value(np.array([1.0, 2.0]))
    >>> with debug():
    ...     y = (x * x).sum()
    ...     x.data[0] = 5.0
    ...     y.backward()
    Traceback (most recent call last):
    ...
    autodiff.errors.GraphError: 'autodiff_ops.multiply': an array that its gradient needs ...
    """
    return Switch(on=DEBUG)


def is_grad_enabled() -> bool:
    """Tell whether ops record the graph in the current context.

    Examples
    --------
    >>> import autodiff
    >>> autodiff.is_grad_enabled()
    True
    """
    return not MODE.get() & NO_GRAD

"""Large arrays in blocks that fit into a processor's cache, on several threads: NumPy's loops do not hold the GIL.

How an array is cut depends on its shape alone, hence no result depends on the number of threads. Arrays below
`LARGE` never come here.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import copy_context
from functools import cache, wraps
from itertools import pairwise
from queue import SimpleQueue
from typing import Any

import numpy as np

__all__ = [
    "by_elements",
    "copied",
    "cut",
    "in_blocks",
    "in_parts",
    "is_large",
    "is_plain",
    "lanes",
    "rows",
    "threads",
    "tiny",
    "vanishing",
]

#: From so many elements on an array is worth the trouble.
LARGE = 131_072

#: From so many elements on, a loop that Numba has compiled takes less time than NumPy's functions.
COMPILED = 8192

#: From so many elements on two threads pay for a single pass that costs little: of half of them one makes it in the 100 us
#: that it takes to wake a second thread, and to be woken by it.
ONCE = 1 << 20

#: The most elements in a block: 1.5 MiB of float32. NumPy's calls on smaller ones are so short that two threads wait
#: for the interpreter, each time for longer than a call takes: at 256 KiB two are no faster than one.
BLOCK = 393_216

#: The most bytes of each array in a block, where a function passes over its arrays several times.
CACHED = 1 << 19

#: The bytes of a cache line. NumPy's loops store whole vectors, and one that straddles two lines takes longer.
_LINE = 64

#: The least number of neighbouring lanes in a block.
_WIDTH = 512

#: From so many lanes on, a step of all at once costs less than NumPy's loop along each.
MANY = 256

#: Up to so many elements it takes less time to fill an array than to call `numpy.broadcast_to`, which is Python code,
#: and what comes next finds its numbers in order.
FILLED = 16_384

#: From so many elements on, fifty calls of NumPy cost less than one of the standard library for each.
SEVERAL = 512

#: From so many elements on, four operations on bits cost less than one call of `numpy.where`.
MASKED = 4096

#: From so many elements in a row on, NumPy's own call for each row costs little.
LONG = 128


@contextmanager
def tiny() -> Iterator[None]:
    """Let every array count as large, and cut it into blocks of a few elements."""
    names = globals()
    made = {
        "LARGE": 1,
        "ONCE": 1,
        "COMPILED": 1,
        "FILLED": 1,
        "BLOCK": 4,
        "CACHED": 32,
        "_LINE": 32,
        "_WIDTH": 2,
        "MANY": 2,
        "LONG": 1,
        "SEVERAL": 1,
        "MASKED": 1,
    }
    before = {name: names[name] for name in made}
    names.update(made)
    try:
        yield
    finally:
        names.update(before)


#: More threads than these wait for the interpreter, which hands out the blocks.
_MOST = 8


@cache
def threads() -> int:
    """Return how many threads work on large arrays.

    That is ``AUTODIFF_NUM_THREADS`` or ``OMP_NUM_THREADS``, else the number of processors that this process may
    use; at most 8. The environment is read at the first use.
    """
    for name in ("AUTODIFF_NUM_THREADS", "OMP_NUM_THREADS"):
        wanted = os.environ.get(name, "").partition(",")[0].strip()
        if wanted.isdigit() and int(wanted):
            return min(int(wanted), _MOST)
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(usable, _MOST)


class _Share:
    """What a helper does of the work of one call: blocks, as long as there are some."""

    __slots__ = ("_begun", "_context", "_done", "_drain", "_failure")

    def __init__(self, drain: Callable[[], None]) -> None:
        self._drain: Callable[[], None] | None = drain
        self._context = copy_context()  # NumPy's error state is part of it
        self._failure: BaseException | None = None
        self._begun = threading.Lock()  # taken by the helper that begins, or by the caller who does without
        self._done = threading.Lock()
        self._done.acquire()

    def begin(self) -> None:
        """Work, in a helper; what goes wrong is the caller's to raise."""
        if not self._begun.acquire(blocking=False):
            return
        drain: Any = self._drain
        self._drain = None
        try:
            self._context.run(drain)
        except BaseException as exc:
            self._failure = exc
        del drain  # whoever asks whether an array is its own must not find it here
        self._done.release()

    def end(self) -> BaseException | None:
        """Wait for the helper if it has begun, and return what went wrong there."""
        if self._begun.acquire(blocking=False):
            self._drain = None
        else:
            self._done.acquire()
        return self._failure


def _help(shares: SimpleQueue[_Share]) -> None:
    while True:
        shares.get().begin()


@cache
def _helpers() -> SimpleQueue[_Share]:
    """Start the helpers, and return the queue that they wait at.

    Not an executor: its futures take as long again as the wake-up itself, a fifth of the time of a cheap function of
    a million numbers.

    Raises
    ------
    RuntimeError
        No thread can be started: the interpreter is shutting down, or the system has no more.
    """
    shares: SimpleQueue[_Share] = SimpleQueue()
    for i in range(threads() - 1):
        try:
            threading.Thread(target=_help, args=(shares,), name=f"autodiff_{i}", daemon=True).start()
        except RuntimeError:
            if i == 0:
                raise
            break
    return shares


if hasattr(os, "register_at_fork"):  # a child has none of its parent's threads
    os.register_at_fork(after_in_child=_helpers.cache_clear)


def in_blocks(work: Callable[[Any], Any], blocks: Sequence[Any]) -> None:
    """Call ``work(block)`` for each of `blocks`, which must not depend on each other, in any order.

    The caller works too, and waits only for what others have begun: calls from several threads, or from `work`
    itself, cannot wait for each other.
    """
    count = min(threads(), len(blocks)) - 1
    if count < 1:
        for block in blocks:
            work(block)
        return
    waiting = deque(blocks)

    def drain(take: Callable[[], Any]) -> None:
        while True:
            try:
                block = take()
            except IndexError:
                return
            work(block)

    shares = []
    try:
        # From both ends: two threads find the halves that they had before still in their caches.
        shares = _shared(count, lambda: drain(waiting.pop))
        drain(waiting.popleft)
    finally:
        waiting.clear()  # after an exception the others stop too
        failures = [share.end() for share in shares]
    for failure in failures:
        if failure is not None:
            raise failure


def _shared(count: int, drain: Callable[[], None]) -> list[_Share]:
    """Have helpers work beside the caller, if there are some."""
    try:
        queue = _helpers()
    except RuntimeError:
        return []
    shares = [_Share(drain) for _ in range(count)]
    for share in shares:
        queue.put(share)
    return shares


def is_large(*arrays: Any) -> bool:
    """Tell whether arrays may be cut: large, in C order, all float32 or all float64."""
    return arrays[0].size >= max(LARGE, 1) and is_plain(*arrays)


def is_plain(*arrays: Any) -> bool:
    """Tell whether arrays are in C order, and all float32 or all float64."""
    dtype = arrays[0].dtype
    if dtype.char not in "fd" or not dtype.isnative:
        return False
    for a in arrays:  # a generator takes longer than all that is asked here
        if type(a) is not np.ndarray or (a.dtype is not dtype and a.dtype != dtype) or not a.flags.c_contiguous:
            return False
    return True


def copied(x: Any) -> Any:
    """Return a copy; of a broadcast array in C order, which NumPy would lay out by the axes that are not broadcast."""
    if 0 not in x.strides:
        return np.array(x)
    if x.size < max(LARGE, 1):
        return np.array(x, order="C")
    y = np.empty(x.shape, x.dtype)
    in_blocks(lambda part: np.copyto(y[part], x[part]), rows(len(x), x.size // len(x), least=ONCE))
    return y


def by_elements(
    function: Callable[..., Any], *arrays: Any, out: Any = None, once: bool = False, costly: bool = False
) -> Any:
    """Return an array that ``function(out, *parts)`` has filled block by block: `out`, or a new one.

    All arrays have one shape; an `out` that is not in C order is not used. A function that passes over memory but
    `once` finds nothing in the cache, and is handed larger blocks, which begin with a cache line of the result; it gets
    all of an array below `ONCE`, unless it is `costly`.
    """
    if out is None or not out.flags.c_contiguous:
        out = np.empty(arrays[0].shape, arrays[0].dtype)
    flat = [a.reshape(-1) for a in (out, *arrays)]
    if once:
        cuts = _lines(flat[0]) if costly or out.size >= ONCE else [slice(None)]
    else:
        cuts = rows(out.size, 1, CACHED // out.itemsize)
    in_blocks(lambda block: function(*[a[block] for a in flat]), cuts)
    return out


def _lines(x: Any) -> list[slice]:
    """Cut an array of one axis where cache lines begin; what comes before the first is a block of its own."""
    width = max(1, _LINE // x.itemsize)
    before = min(x.size, -(x.__array_interface__["data"][0] // x.itemsize) % width)
    begins = {0, before, *(before + part.start * width for part in rows((x.size - before) // width, width))}
    return [slice(start, stop) for start, stop in pairwise([*sorted(begins - {x.size}), x.size])]


def in_parts(function: Callable[..., Any]) -> Callable[..., Any]:
    """Let a function of elements, which keeps shape and dtype, work on large arrays block by block.

    Its arrays come first, all of one shape; what follows them by position, or by keyword, is handed on.
    """

    @wraps(function)
    def call(*args: Any, **attrs: Any) -> Any:
        if args[0].size <= LARGE:
            return function(*args, **attrs)
        arrays = [a for a in args if type(a) is np.ndarray]
        if not is_large(*arrays) or any(a.shape != arrays[0].shape for a in arrays):
            return function(*args, **attrs)
        rest = args[len(arrays) :]
        return by_elements(lambda out, *parts: np.copyto(out, function(*parts, *rest, **attrs)), *arrays)

    return call


def vanishing(function: Callable[..., Any]) -> Callable[..., Any]:
    """Let numbers underflow to the 0 that is meant, also where NumPy is told to raise for it: nothing is lost there.

    NumPy is silent about it unless told otherwise, hence only what was raised is computed anew.
    """

    @wraps(function)
    def call(*args: Any, **attrs: Any) -> Any:
        try:
            return function(*args, **attrs)
        except (FloatingPointError, RuntimeWarning):
            pass  # computed anew below, where anything but an underflow is raised again
        with np.errstate(under="ignore"):
            return function(*args, **attrs)

    return call


def rows(count: int, width: int, most: int | None = None, least: int | None = None) -> list[slice]:
    """Cut `count` rows of `width` elements into equal parts of at most `most`.

    From `least` elements on, `LARGE` by default, there is an even number of parts.
    """
    size = count * width
    parts = 1 if size < (least or LARGE) else 2 * -(-size // (2 * (most or BLOCK)))
    step = max(1, -(-count // parts))
    return [slice(start, min(start + step, count)) for start in range(0, count, step)]


def lanes(shape: tuple[int, ...], axis: Any) -> tuple[int, int, int] | None:
    """Return ``(before, along, after)``: the sizes of a shape before, along and after `axis`.

    `axis` is an int, a tuple, or None for all; None is returned for axes that are no neighbours, or do not exist.
    """
    n = len(shape)
    given = tuple(range(n)) if axis is None else axis if isinstance(axis, tuple) else (axis,)
    if not given or not all(isinstance(a, int) and -n <= a < n for a in given):
        return None
    axes = sorted(a % n for a in given)
    if axes[-1] - axes[0] != len(axes) - 1:
        return None
    sizes = [1, 1, 1]
    for i, size in enumerate(shape):
        sizes[0 if i < axes[0] else 1 if i <= axes[-1] else 2] *= size
    return sizes[0], sizes[1], sizes[2]


def cut(before: int, along: int, after: int) -> list[tuple[slice, slice]]:
    """Cut lanes across, never along: return pairs of slices of `before` and `after`."""
    # However long the lanes are, a loop over fewer would cost more to start than to run.
    width = min(after, max(_WIDTH, BLOCK // max(along, 1)))
    firsts = rows(before, along * width)
    lasts = [slice(j, min(j + width, after)) for j in range(0, after, width)]
    return [(i, j) for i in firsts for j in lasts]

"""Exact figures of a call, which come out the same on a busy machine: they show a regression where time is noise.

- `count`: the bytecodes that it runs, those that allocate memory, and how much they allocate.
- `kept_bytes`: the bytes of arrays that a result keeps alive.
- `collecting`: a block with the garbage collector on or off.
"""

from __future__ import annotations

import gc
import sys
import tracemalloc
from array import array
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np

__all__ = ["Counts", "collecting", "count", "kept_bytes"]


class Counts(NamedTuple):
    """What a call did.

    Attributes
    ----------
    bytecodes : int
        Instructions of the Python interpreter, in Python functions; compiled code has none.
    allocations : int
        Those of them that allocated memory, arrays or objects.
        Objects that Python takes from its lists of free ones are not new memory.
    allocated : int
        The bytes that they allocated, summed up; what one bytecode allocates and frees again counts by its peak.
    """

    bytecodes: int
    allocations: int
    allocated: int


def count(call: Callable[[], Any]) -> Counts:
    """Count what a call does, the third time: what the first ones load and cache is not counted.

    Two counts of the same code and data agree, whatever else the machine does: bytecodes to the last one, memory to
    some objects that Python takes from its lists of free ones now and from new memory then. It takes some 5 us a
    bytecode.

    Parameters
    ----------
    call : callable
        Called three times, without arguments, on this thread.

    Returns
    -------
    Counts
        Bytecodes, allocations and bytes.

    Examples
    --------
    >>> import numpy as np
    >>> from autodiff.testing.metrics import count
    >>> x = np.ones(100_000)
    >>> one, two = count(lambda: x + x), count(lambda: x + x + x)
    >>> two.bytecodes > one.bytecodes, two.allocated - one.allocated > 790_000
    (True, True)
    """
    call()
    # In an array, since what is counted must not be changed by objects that the counting itself makes.
    totals = array("q", [0, 0, 0, 0])
    traced, reset = tracemalloc.get_traced_memory, tracemalloc.reset_peak

    def trace(frame: Any, event: str, arg: Any) -> Any:
        if event == "opcode":  # the last one is over, and this one begins
            current, peak = traced()
            totals[0] += 1
            if peak > totals[3]:
                totals[1] += 1
                totals[2] += peak - totals[3]
            totals[3] = current
            del current, peak
            reset()
        elif event == "call":
            frame.f_trace_opcodes = True
            frame.f_trace_lines = False
        return trace

    outer, tracing = sys.gettrace(), tracemalloc.is_tracing()
    with collecting(on=False):
        if not tracing:
            tracemalloc.start()
        totals[3] = traced()[0]
        reset()
        sys.settrace(trace)
        try:
            call()  # Python makes tables for tracing
            totals[0] = totals[1] = totals[2] = 0
            call()
        finally:
            sys.settrace(outer)
            if not tracing:
                tracemalloc.stop()
    return Counts(*totals[:3])


def kept_bytes(forward: Callable[[], Any]) -> int:
    """Return the bytes of array data that live on only because the result of `forward` has a graph.

    `forward` makes its inputs itself and returns a single number, so that nothing else keeps an array.

    Examples
    --------
    >>> import numpy as np
    >>> from autodiff import Value
    >>> from autodiff.testing.metrics import kept_bytes
    >>> kept_bytes(lambda: (Value(np.ones(1000)) * np.full(1000, 2.0)).sum())  # the constant, and not the input
    8000
    """
    forward()  # what is loaded or cached by a first call is not the graph's
    with collecting(on=False):
        tracemalloc.start()
        try:
            result = forward()
            domain = tracemalloc.DomainFilter(True, np.lib.tracemalloc_domain)
            traces = tracemalloc.take_snapshot().filter_traces([domain])
            del result
        finally:
            tracemalloc.stop()
    return sum(trace.size for trace in traces.traces)


@contextmanager
def collecting(on: bool) -> Iterator[None]:
    """Run a block with the garbage collector on or off, from a clean start.

    Examples
    --------
    >>> import gc
    >>> from autodiff.testing.metrics import collecting
    >>> with collecting(on=False):
    ...     gc.isenabled()
    False
    """
    before = gc.isenabled()
    gc.collect()
    (gc.enable if on else gc.disable)()
    try:
        yield
    finally:
        (gc.enable if before else gc.disable)()

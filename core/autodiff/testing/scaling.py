"""Samples scaled up: from the few numbers on which an op is tested to the many on which it is timed."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from autodiff.samples import Array, Sample

__all__ = ["candidates", "elements", "largest"]


def elements(shape: tuple[int, ...]) -> int:
    """Return how many elements an array of this shape has."""
    return math.prod(shape)


def largest(sample: Sample) -> int:
    """Return how many elements the largest array of a sample has; 1 where there is none."""
    return max([elements(x.shape) for x in sample.inputs if isinstance(x, Array)], default=1)


def candidates(sample: Sample, factor: float) -> Iterator[Sample]:
    """Yield samples whose largest array has about `factor` times as many elements, the most natural first.

    Which of them an op accepts is for the caller to try: a sample does not say which sizes must agree, or which
    attributes are sizes. First all sizes grow alike, those in an attribute called ``shape`` too; then to multiples of themselves;
    then one of them at a time. Integers below a size, which are indices, go up to the larger size.

    Parameters
    ----------
    sample : Sample
        What an op declares.
    factor : float
        More than 1.

    Examples
    --------
    >>> from autodiff.extend import sample
    >>> from autodiff.testing.scaling import candidates
    >>> [x.shape for x in next(candidates(sample((2, 3), (3, 4)), 100)).inputs]
    [(20, 30), (30, 40)]
    """
    shapes = sorted((x.shape for x in sample.inputs if isinstance(x, Array)), key=elements, reverse=True)
    if not shapes:
        return
    sizes = [n for n in shapes[0] if n > 1]
    if sizes:
        each = factor ** (1 / len(sizes))
        yield from _grown(sample, lambda n: max(n, round(n * each)) if n > 1 else n, round(each))
        yield from _grown(sample, lambda n: n * max(1, round(each)) if n > 1 else n, round(each))
    whole = max(2, round(factor))
    for size in dict.fromkeys(sizes):
        yield from _grown(sample, lambda n, size=size: n * whole if n == size else n, whole)  # type: ignore[misc]  # mypy cannot infer a lambda with a default


def _grown(sample: Sample, grow: Callable[[int], int], factor: int) -> Iterator[Sample]:
    """Yield a sample with each size `n` as ``grow(n)``, with different guesses about attributes and indices."""
    grown = {n for x in sample.inputs if isinstance(x, Array) for n in x.shape if grow(n) != n}
    for attrs in _attributes(sample.attrs, grow, factor):
        for bounded in (True, False):
            yield Sample(tuple(_larger(x, grow, grown if bounded else set()) for x in sample.inputs), attrs)


def _larger(x: Any, grow: Callable[[int], int], grown: set[int]) -> Any:
    if not isinstance(x, Array):
        return x
    shape = tuple(grow(n) for n in x.shape)
    if x.kind != "int" or not grown:
        return x._replace(shape=shape)
    # The upper end of indices is a size, their lower end 0 or minus that size.
    ends = [math.copysign(grow(abs(int(end))), end) if abs(end) in grown else end for end in (x.low, x.high)]
    return x._replace(shape=shape, low=ends[0], high=ends[1])


def _attributes(attrs: Mapping[str, Any], grow: Callable[[int], int], factor: int) -> Iterator[Mapping[str, Any]]:
    shape = attrs.get("shape")
    if isinstance(shape, tuple) and all(type(n) is int for n in shape):
        yield {**attrs, "shape": tuple(grow(n) for n in shape)}
        for i in range(len(shape)):
            yield {**attrs, "shape": (*shape[:i], shape[i] * factor, *shape[i + 1 :])}
    yield attrs

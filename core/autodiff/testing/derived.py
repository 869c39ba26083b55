"""`samples_of`: the samples that an op declares, and those that follow from what it says that it is."""

from __future__ import annotations

from typing import Any

from autodiff.errors import ArgumentTypeError, shown
from autodiff.samples import Array, Sample
from autodiff.testing.dtypes import dtypes_of

__all__ = ["named", "one_of_each_kind", "samples_of"]


def samples_of(op: Any) -> list[Sample]:
    """Return the samples on which the kit tests an op: its own, then those that follow from them.

    An elementwise op takes any shape, hence also 0-d arrays, empty ones, and inputs that broadcast; an op with a
    gufunc signature takes empty and longer leading dimensions. The ranges are those of its first samples.
    """
    if not hasattr(op, "forget_kernels"):
        raise ArgumentTypeError(f"samples_of takes an op; it was given {shown(op)}")
    own = list(op.samples)
    shapes = {_shapes(sample) for sample in own}
    for first in _first_of_each_kind(own):
        for derived in _derived(op, first):
            if _shapes(derived) not in shapes:
                shapes.add(_shapes(derived))
                own.append(derived)
    return own


def one_of_each_kind(op: Any) -> list[Sample]:
    """Return the first sample of an op for each kind of numbers, and each range: the sides of a kink are ranges."""
    found: dict[Any, Sample] = {}
    for sample in op.samples:
        ranges = tuple([(a.low, a.high) if a else None for a in map(_array, sample.inputs)])
        found.setdefault((dtypes_of(sample)[0], ranges), sample)
    return list(found.values())


def named(sample: Sample) -> str:
    """Write a sample in a few characters: ``2x3,scalar,axis=-1``."""
    inputs = [_array(i) for i in sample.inputs]
    parts = [_sizes(a.shape) if a else str(i) for a, i in zip(inputs, sample.inputs, strict=True)]
    parts += [f"{name}={getattr(attr, '__name__', attr)}" for name, attr in sample.attrs.items()]
    text = ",".join(part if len(part) <= 24 else part[:21] + "..." for part in parts)
    return "".join(c if c.isascii() and c.isprintable() and c not in " []'\"\\" else "" for c in text)


def _sizes(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape)) or "scalar"


def _array(spec: Any) -> Array | None:
    if isinstance(spec, Array):
        return spec
    return Array(spec) if isinstance(spec, tuple) and all(type(n) is int for n in spec) else None


def _shapes(sample: Sample) -> Any:
    """Return what makes a sample new: shapes and kinds of its inputs."""
    arrays = [_array(i) for i in sample.inputs]
    return tuple((a.shape, a.kind) if a else type(i) for a, i in zip(arrays, sample.inputs, strict=True))


def _first_of_each_kind(samples: list[Sample]) -> list[Sample]:
    found: dict[Any, Sample] = {}
    for sample in samples:
        arrays = [_array(i) for i in sample.inputs]
        if all(arrays):  # nested lists and numbers stay as their author wrote them
            found.setdefault(tuple(a.kind for a in arrays if a), sample)
    return list(found.values())


def _derived(op: Any, sample: Sample) -> list[Sample]:
    arrays = [a for a in map(_array, sample.inputs) if a]
    if op.broadcasts:
        several = len(arrays) > 1
        shapes = [[()], [(0,)], [(2, 0, 3)], *([[(2, 3), (3,)], [(1, 3), (2, 1)]] if several else [[(2, 3)]])]
        return [_reshaped(sample, arrays, wanted) for wanted in shapes]
    if getattr(op, "core_ndims", None) is None or any(
        len(a.shape) < n for a, n in zip(arrays, op.core_ndims, strict=True)
    ):
        return []
    cores = [a.shape[len(a.shape) - n :] for a, n in zip(arrays, op.core_ndims, strict=True)]
    return [_reshaped(sample, arrays, [(*batch, *core) for core in cores]) for batch in ((0,), (2,))]


def _reshaped(sample: Sample, arrays: list[Array], shapes: list[tuple[int, ...]]) -> Sample:
    """Return the sample with other shapes, the last of which stands for all that follow."""
    wanted = [*shapes, *[shapes[-1]] * (len(arrays) - len(shapes))]
    return sample._replace(inputs=tuple(a._replace(shape=s) for a, s in zip(arrays, wanted, strict=True)))

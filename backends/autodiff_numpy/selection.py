"""Selections without branches: on masks that no processor can predict, `numpy.where` costs ten passes over memory.

Products with a mask would be as fast, and turn an infinity that was not chosen into NaN; bits do not.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from autodiff_numpy import blocks

__all__ = ["choose", "keep"]

_BITS = {2: np.int16, 4: np.int32, 8: np.int64}


def keep(g: Any, mask: Any, out: Any = None) -> Any:
    """Return `g` where `mask` holds and 0 elsewhere, in `out`, which may be `g`, or in a new array."""
    if g.size < blocks.MASKED or g.itemsize not in _BITS:
        kept = np.where(mask, g, g.dtype.type(0))
        if out is None:
            return kept
        np.copyto(out, kept)
        return out
    bits = _mask_bits(mask, g)
    np.bitwise_and(bits, g.view(bits.dtype), out=bits if out is None else out.view(bits.dtype))
    return bits.view(g.dtype) if out is None else out


def choose(mask: Any, a: Any, b: Any) -> Any:
    """Return `a` where `mask` holds and `b` elsewhere; both have one shape and dtype, and `b` is spent."""
    if b.size < blocks.MASKED or b.itemsize not in _BITS:
        return np.where(mask, a, b)
    bits = _mask_bits(mask, b)
    chosen = b.view(bits.dtype)
    difference = np.bitwise_xor(a.view(bits.dtype), chosen)
    np.bitwise_and(difference, bits, out=bits)
    np.bitwise_xor(chosen, bits, out=chosen)
    return b


def _mask_bits(mask: Any, like: Any) -> Any:
    """Return integers as wide as the numbers of `like`: all bits set where `mask` holds, none elsewhere."""
    bits = np.broadcast_to(mask, like.shape).astype(_BITS[like.itemsize])
    return np.negative(bits, out=bits)

"""NumPy's own kernel and rule of `attention`: some heads at a time, whose scores stay in the processor's cache.

Scores are laid out with the keys along the rows: what is computed for each query is then computed for many in a row,
and no product needs a transposed right-hand side, for which OpenBLAS takes twice as long.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import prod
from typing import Any

import numpy as np

from autodiff_nn.attention import (
    attention,
    attention_vjp_key,
    attention_vjp_mask,
    attention_vjp_query,
    attention_vjp_value,
    check_attention,
)
from autodiff_numpy import blocks
from autodiff_numpy.blocks import in_blocks, vanishing
from autodiff_numpy.loops import bounds, loop
from autodiff_numpy.products import product

_FAST = frozenset({np.dtype(np.float32), np.dtype(np.float64)})
_, _HIGH, _LIMIT = bounds(np.dtype(np.float32))


def _is_fast(query: Any, key: Any, value: Any, attn_mask: Any) -> bool:
    dtypes = {x.dtype for x in (query, key, value)}
    kind = getattr(attn_mask, "dtype", query.dtype)
    return (
        len(dtypes) == 1 and dtypes <= _FAST and kind in (query.dtype, np.bool_) and 0 not in (*query.shape, *key.shape)
    )


class _Heads:
    """Arrays with their leading axes broadcast, and how they are cut: some matrices, and some queries, at a time."""

    def __init__(self, query: Any, key: Any, value: Any, attn_mask: Any, is_causal: bool, scale: float | None) -> None:
        mask = attn_mask if getattr(attn_mask, "shape", ()) else np.empty((0, 0))
        lead = np.broadcast_shapes(*(x.shape[:-2] for x in (query, key, value, mask)))
        self.lead, self.length, self.keys = lead, query.shape[-2], key.shape[-2]
        self.query, self.key, self.value = (self.spread(x) for x in (query, key, value))
        self.mask = self.spread(mask) if mask.size else None
        self.number = None if mask.size or (type(attn_mask) is float and attn_mask == 0) else attn_mask
        self.is_causal = is_causal
        self.scale = query.dtype.type(query.shape[-1] ** -0.5 if scale is None else scale)
        most = blocks.CACHED // 2 // query.itemsize
        self.queries = min(self.length, max(32, most // self.keys))
        self.stacks = _stacks(lead, max(1, most // (self.keys * self.queries)))

    def spread(self, x: Any) -> Any:
        return x if x.shape[:-2] == self.lead else np.broadcast_to(x, (*self.lead, *x.shape[-2:]))

    def like(self, x: Any, width: int) -> Any:
        """Return a new array for each query or key, laid out in memory as `x` is: so it arrives, and so it goes on."""
        return np.empty_like(x, shape=(*self.lead, x.shape[-2], width), subok=False)

    def scores(self, stack: Any, part: slice) -> Any:
        """Return the scores of some queries of some heads, the keys along the rows."""
        query = self.query[stack][..., part, :]
        turned = np.empty((*query.shape[:-2], query.shape[-1], query.shape[-2]), query.dtype)
        np.multiply(query.mT, self.scale, turned)
        key = self.key[stack]
        scores = np.empty((*key.shape[:-1], turned.shape[-1]), key.dtype)
        product(key, turned, scores)
        if self.is_causal:
            later = np.arange(self.keys)[:, None] > np.arange(part.start, part.stop)
            np.copyto(scores, -np.inf, where=later)
        if self.number is not None:
            mask = np.asarray(self.number)
        elif self.mask is not None:
            mask = self.mask[stack][..., part, :].mT
        else:
            return scores
        if mask.dtype == np.bool_:
            np.copyto(scores, -np.inf, where=~mask)
        else:
            scores += mask
        return scores

    def parts(self) -> Iterator[slice]:
        for start in range(0, self.length, self.queries):
            yield slice(start, min(start + self.queries, self.length))


def _stacks(lead: tuple[int, ...], most: int) -> list[tuple[slice, ...]]:
    """Cut leading axes into parts of at most `most` matrices, and into two at least, for two threads."""
    if not lead:
        return [()]
    inner = prod(lead[1:])
    if inner > most:
        return [(slice(i, i + 1), *rest) for i in range(lead[0]) for rest in _stacks(lead[1:], most)]
    step = max(1, min(most // max(inner, 1), -(-lead[0] // 2)))
    return [(slice(i, i + step),) for i in range(0, lead[0], step)]


@vanishing
def kernel(query: Any, key: Any, value: Any, attn_mask: Any, is_causal: bool, scale: float | None) -> tuple[Any, Any]:
    """Return the output, and of each row the logarithm of the sum of its exponentials."""
    check_attention(query, key, value, attn_mask, np)
    if not _is_fast(query, key, value, attn_mask):
        made: tuple[Any, Any] = attention.function(np, query, key, value, attn_mask, is_causal=is_causal, scale=scale)
        return made
    heads = _Heads(query, key, value, attn_mask, is_causal, scale)
    y = heads.like(heads.query, value.shape[-1])
    total = np.empty((*heads.lead, heads.length, 1), query.dtype)

    def work(stack: Any) -> None:
        for part in heads.parts():
            weights = heads.scores(stack, part)
            top, sums, blind = _exponentiated(weights)
            out = y[stack][..., part, :]
            product(weights.mT, heads.value[stack], out)
            out /= sums.mT
            np.log(sums, sums)
            sums += top
            if blind is not None:
                sums[blind] = np.inf
            total[stack][..., part, :] = sums.mT

    _in_parallel(work, heads)
    return y, total


def _exponentiated(scores: Any) -> tuple[Any, Any, Any]:
    """Exponentiate scores less the largest of each query; return those, the sums, and who sees nothing, or None."""
    if scores.dtype == np.float32:
        found = np.empty((2, *scores.shape[:-2], 1, scores.shape[-1]), np.float32)
        if loop("attention_weights", scores.size)(_stacked(scores), _HIGH, *map(_rows, found)):
            return found[0], found[1], None
    top = scores.max(axis=-2, keepdims=True)
    top[top == -np.inf] = 0  # of who sees nothing: the weights are 0, and not 0 / 0
    scores -= top
    np.exp(scores, scores)
    sums = scores.sum(axis=-2, keepdims=True)
    blind = sums == 0
    sums[blind] = 1
    return top, sums, blind


def _to_slopes(scores: Any, total: Any, slopes: Any, along: Any, scale: Any) -> None:
    """Turn scores into weights, and what `slopes` holds into the cotangents of the scores, times `scale`."""
    if scores.dtype == np.float32:
        arrays = _stacked(scores), _rows(total), _stacked(slopes), _rows(along), scale
        if loop("attention_slopes", scores.size)(*arrays, _LIMIT):
            return
    scores -= total
    np.exp(scores, scores)
    slopes -= along
    slopes *= scores
    slopes *= scale


def _stacked(x: Any) -> Any:
    return x.reshape(-1, *x.shape[-2:])


def _rows(x: Any) -> Any:
    return np.ascontiguousarray(x).reshape(-1, x.shape[-1])  # Numba vectorises what is contiguous alone


@vanishing
def rule(
    g: Any, y: Any, kept: tuple[Any, Any, Any, Any, Any, bool, float | None], needs: tuple[bool, ...]
) -> tuple[Any, ...]:
    """Return the gradients of query, key and value: the weights are computed once for all three.

    `kept` is what the rules of `attention` name between the output and the namespace, in their order.
    """
    query, key, value, attn_mask, total, is_causal, scale = kept
    if not _is_fast(query, key, value, attn_mask) or needs[3]:
        return (
            attention_vjp_query(g, y, *kept, np),
            attention_vjp_key(g, y, *kept, np),
            attention_vjp_value(g, query, key, attn_mask, total, is_causal, scale, np),
            attention_vjp_mask(g, y, *kept, np),
        )
    heads = _Heads(query, key, value, attn_mask, is_causal, scale)
    dquery, dkey, dvalue = (heads.like(x, x.shape[-1]) for x in (heads.query, heads.key, heads.value))

    def work(stack: Any) -> None:
        key, value = heads.key[stack], heads.value[stack]
        for part in heads.parts():
            weights = heads.scores(stack, part)
            some, queries = g[stack][..., part, :], heads.query[stack][..., part, :]
            slope = np.empty_like(weights)
            product(value, np.ascontiguousarray(some.mT), slope)
            along = np.vecdot(some, y[stack][..., part, :])[..., None, :]
            _to_slopes(weights, total[stack][..., part, :].mT, slope, along, heads.scale)
            product(slope.mT, key, dquery[stack][..., part, :])
            if part.start == 0:
                product(weights, some, dvalue[stack])
                product(slope, queries, dkey[stack])
            else:
                dvalue[stack] += weights @ some
                dkey[stack] += slope @ queries

    _in_parallel(work, heads)
    return dquery, dkey, dvalue, None


def _in_parallel(work: Any, heads: _Heads) -> None:
    """Work on all stacks of matrices, on several threads where that pays."""
    if prod(heads.lead) * heads.length * heads.keys < blocks.LARGE:
        for stack in heads.stacks:
            work(stack)
    else:
        in_blocks(work, heads.stacks)

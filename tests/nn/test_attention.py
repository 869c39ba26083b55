"""Attention: conformance, PyTorch, masks, long sequences, what is kept, dropout, errors."""

from __future__ import annotations

import numpy as np
import pytest

import autodiff
import autodiff_nn as nn
from autodiff import AutodiffError, Value, ops
from autodiff.errors import ArgumentError, ArgumentTypeError
from autodiff.testing import check_op
from autodiff_numpy import blocks, loops

_ATTENTION = ops["autodiff_nn.attention"]


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("op", [_ATTENTION, nn.scaled_dot_product_attention], ids=lambda op: op.name)
def test_attention_conforms(op, seed):
    """Kernels, rules and NumPy's own rules agree with differences to the second order."""
    check_op(op, seed=seed)


def test_attention_conforms_in_small_parts():
    """The same with a few queries and heads at a time."""
    with blocks.tiny():
        check_op(_ATTENTION)


def draw(*shape, dtype="float64", seed=0):
    """Return a random array."""
    return np.random.default_rng((seed, *shape)).standard_normal(shape).astype(dtype)


CASES = {
    "plain": (((2, 3, 5, 4), (2, 3, 6, 4), (2, 3, 6, 7)), {}),
    "causal": (((2, 3, 5, 4), (2, 3, 6, 4), (2, 3, 6, 4)), {"is_causal": True}),
    "causal, more queries": (((2, 6, 4), (2, 5, 4), (2, 5, 4)), {"is_causal": True}),
    "scale": (((5, 4), (6, 4), (6, 4)), {"scale": -0.3}),
    "one key and value for all heads": (((2, 3, 5, 4), (2, 1, 6, 4), (2, 1, 6, 4)), {}),
    "booleans": (((2, 3, 5, 4), (2, 3, 6, 4), (2, 3, 6, 4)), {"attn_mask": draw(2, 1, 5, 6) > -0.5}),
    "booleans for each key": (((2, 3, 5, 4), (2, 3, 6, 4), (2, 3, 6, 4)), {"attn_mask": draw(2, 1, 1, 6) > -0.5}),
    "numbers": (((2, 3, 5, 4), (2, 3, 6, 4), (2, 3, 6, 4)), {"attn_mask": draw(3, 5, 6)}),
    "numbers for each key": (((2, 3, 5, 4), (2, 3, 6, 4), (2, 3, 6, 4)), {"attn_mask": draw(6)}),
    "many heads": (((5, 7, 96, 8), (5, 7, 80, 8), (5, 7, 80, 8)), {}),
    "long": (((2, 700, 8), (2, 650, 8), (2, 650, 8)), {"attn_mask": draw(700, 650) > -1}),
    "long, causal": (((1, 700, 8), (1, 700, 8), (1, 700, 8)), {"is_causal": True}),
}


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("case", CASES)
def test_values_and_gradients_are_pytorchs(case, dtype):
    """Of query, key, value, and of a mask of numbers."""
    torch = pytest.importorskip("torch")
    shapes, attrs = CASES[case]
    arrays = [draw(*shape, dtype=dtype, seed=i) for i, shape in enumerate(shapes)]
    mask = attrs.get("attn_mask")
    if mask is not None and mask.dtype != bool:
        arrays.append(mask.astype(dtype))
    results = []
    for library in ("autodiff", "torch"):
        if library == "torch":
            values = [torch.tensor(a, requires_grad=True) for a in arrays]
            options = {k: torch.tensor(v) if k == "attn_mask" else v for k, v in attrs.items()}
            function = torch.nn.functional.scaled_dot_product_attention
        else:
            values, options, function = [Value(a) for a in arrays], attrs, nn.scaled_dot_product_attention
        if len(values) > 3:
            options = {**options, "attn_mask": values[3]}
        y = function(*values[:3], **options)
        g = draw(*y.shape, dtype=dtype, seed=9)
        y.backward(torch.tensor(g) if library == "torch" else g)
        results.append([np.asarray(x) for x in (y.detach(), *(v.grad for v in values))])
    rtol = 1e-10 if dtype == "float64" else 2e-4

    for a, b in zip(*results, strict=True):
        assert a.dtype == dtype
        np.testing.assert_allclose(a, b, rtol=rtol, atol=rtol * np.abs(b).max())


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("length", [4, 300])
@pytest.mark.parametrize("kind", ["booleans", "numbers"])
def test_a_query_that_may_look_at_nothing_finds_zero(kind, length, dtype):
    """And gives no gradient, as in PyTorch 2.5 and later; nothing is NaN, and nothing warns."""
    q, k, v = (Value(draw(length, 8, dtype=dtype, seed=i)) for i in range(3))
    may = np.ones((length, length), bool)
    may[1] = False
    mask = may if kind == "booleans" else np.where(may, 0, -np.inf).astype(dtype)
    y = nn.scaled_dot_product_attention(q, k, v, attn_mask=mask)
    y.backward(draw(length, 8, dtype=dtype), create_graph=True)
    recorded = [x.grad.data for x in (q, k, v)]
    for x in (q, k, v):
        x.zero_grad()
    nn.scaled_dot_product_attention(q, k, v, attn_mask=mask).backward(draw(length, 8, dtype=dtype))

    assert not y.data[1].any()
    assert y.data[0].all()
    assert not q.grad[1].any()
    for plain, again in zip((q.grad, k.grad, v.grad), recorded, strict=True):
        assert np.isfinite(plain).all()
        np.testing.assert_allclose(plain, again, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize(
    ("where", "special"),
    [*((0, x) for x in (np.nan, np.inf, -np.inf, 3e38)), *((1, x) for x in (np.nan, np.inf, -np.inf))],
)
@pytest.mark.parametrize("numba", [True, False])
def test_unusual_numbers_go_where_the_formula_has_them(where, numba, special, monkeypatch):
    """In large arrays as in small ones: NaN stays in its row, or spreads from its key, and is not lost."""
    monkeypatch.setitem(loops._switch, "on", numba)
    q, k, v = arrays = [draw(400, 8, dtype="float32", seed=i) for i in range(3)]
    arrays[where][3, 2] = special
    g = draw(400, 8, dtype="float32", seed=5)
    with np.errstate(all="ignore"):
        expected, total = _ATTENTION.function(np, q, k, v, 0.0)
        y, of_rows = _ATTENTION.apply(q, k, v, 0.0)
        values = [Value(x) for x in (q, k, v)]
        _ATTENTION(*values, 0.0).backward(g)
        attrs = {"attn_mask": 0.0, "total": total, "is_causal": False, "scale": None, "xp": np}
        rule = _ATTENTION.vjps[0].function
        dq = rule(g, y=expected, query=q, key=k, value=v, **attrs)

    assert np.isfinite(special) or np.isnan(expected).any()
    np.testing.assert_allclose(y, expected, rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(of_rows, total, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(values[0].grad, dq, rtol=1e-3, atol=1e-4)


def test_neither_scores_nor_weights_are_kept():
    """Of a row of them one number: the graph grows with the length, and not with its square."""
    q, k, v = (Value(draw(300, 4, seed=i)) for i in range(3))
    y = nn.scaled_dot_product_attention(q, k, v)
    kept = [x for x in y._edge.saved if isinstance(x, np.ndarray)]

    assert sorted(x.size for x in kept) == [300, 1200, 1200, 1200, 1200]


@pytest.mark.parametrize("strided", [True, False])
def test_results_are_laid_out_as_the_query_is(strided):
    """So that heads which were cut out of one array are joined again without a copy."""
    q = draw(2, 5, 3, 4).swapaxes(1, 2) if strided else draw(2, 3, 5, 4)
    q = Value(q)
    y = nn.scaled_dot_product_attention(q, q.detach(), q.detach())

    assert y.data.swapaxes(1, 2).flags.c_contiguous == strided


@pytest.mark.parametrize("mask", [None, draw(5, 6) > -1])
def test_dropout_is_of_the_weights(mask):
    """The same numbers as softmax, dropout and a product give, and the same gradients."""
    arrays = [draw(2, 5, 4, seed=0), draw(2, 6, 4, seed=1), draw(2, 6, 3, seed=2)]
    g, results = draw(2, 5, 3), []
    for whole in (True, False):
        q, k, v = values = [Value(a) for a in arrays]
        generator = np.random.default_rng(3)
        if whole:
            y = nn.scaled_dot_product_attention(q, k, v, attn_mask=mask, dropout_p=0.4, generator=generator)
        else:
            scores = q @ k.mT * 0.5
            scores = scores if mask is None else ops.where(mask, scores, -np.inf)
            y = ops.dropout(ops.softmax(scores), p=0.4, generator=generator) @ v
        y.backward(g)
        results.append([y.data, *(x.grad for x in values)])

    for a, b in zip(*results, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-14)


def test_half_precision_is_computed_in_single():
    """Scores of 90,000 do not fit into float16; the results do, and are float16."""
    x = Value(np.full((3, 4), 150.0, np.float16))
    y = nn.scaled_dot_product_attention(x, x, x)
    y.backward(np.ones((3, 4), np.float16))

    assert (y.dtype, x.grad.dtype) == ("float16", "float16")
    assert (y.data == 150).all()
    assert np.isfinite(x.grad).all()


def test_examples_in_a_batch():
    """`vmap` over heads, with and without a mask of their own, gives what the leading axes give."""
    q, k, v = (draw(3, 5, 4, seed=i) for i in range(3))
    mask = draw(3, 5, 5) > -0.5
    alone = autodiff.vmap(nn.scaled_dot_product_attention)(q, k, v)
    masked = autodiff.vmap(lambda q, k, v, m: nn.scaled_dot_product_attention(q, k, v, attn_mask=m))(q, k, v, mask)

    np.testing.assert_allclose(alone, nn.scaled_dot_product_attention(q, k, v), rtol=1e-12)
    np.testing.assert_allclose(masked, nn.scaled_dot_product_attention(q, k, v, attn_mask=mask), rtol=1e-12)


X = draw(3, 4)


@pytest.mark.parametrize(
    ("arrays", "attrs", "error", "says"),
    [
        ((X, X, X), {"attn_mask": np.ones((3, 3), bool), "is_causal": True}, ArgumentError, "not both"),
        ((X, X[:, :2], X), {}, ArgumentError, r"key \(3, 2\)"),
        ((X, X, X[:2]), {}, ArgumentError, r"value \(2, 4\)"),
        ((X[0], X, X), {}, ArgumentError, r"query has shape \(4,\)"),
        ((draw(2, 3, 4), draw(3, 3, 4), X), {}, ArgumentError, "leading axes that broadcast"),
        ((X, X, X), {"attn_mask": np.ones((2, 3))}, ArgumentError, r"attn_mask has shape \(2, 3\)"),
        ((X[:1], X, X), {"attn_mask": np.ones((3, 3))}, ArgumentError, r"attn_mask has shape \(3, 3\)"),
        ((X, X, X), {"attn_mask": np.ones((3, 3), int)}, ArgumentTypeError, "dtype int64"),
        ((X, X, X), {"attn_mask": [[True] * 3] * 3}, ArgumentTypeError, "a list"),
        ((X, X, X * 1j), {}, ArgumentTypeError, "value has dtype complex128"),
        ((X.astype(int), X, X), {}, ArgumentTypeError, "query has dtype int64"),
        ((X, X, X), {"dropout_p": 1.5}, ArgumentError, "probability"),
        ((X, X, X), {"scale": Value(2.0)}, AutodiffError, "scale"),
    ],
)
def test_errors_say_what_was_given(arrays, attrs, error, says):
    """And what was expected."""
    with pytest.raises(error, match=says):
        nn.scaled_dot_product_attention(*arrays, **attrs)

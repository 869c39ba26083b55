"""Every registered op agrees with PyTorch, in value and gradient, or says why it cannot be compared."""

from __future__ import annotations

import pytest

from autodiff import ops
from autodiff.extend import elementwise, linear, sample

torch = pytest.importorskip("torch", reason="the extra `oracle` brings it")

from agreement import compare, page  # noqa: E402
from counterparts import COUNTERPARTS, NO_GRADIENT  # noqa: E402


@pytest.mark.parametrize("op_id", [op.id for op in ops])
def test_op_agrees(op_id):
    """The op differs from its counterpart by rounding alone."""
    assert op_id in COUNTERPARTS, f"give {op_id!r} a function of torch, or the reason why there is none"
    agreement = compare(ops[op_id])

    assert "\n".join(agreement.disagreements) == ""
    assert (agreement.samples > 0) == (not agreement.reason)


def test_table_names_no_other_ops():
    """The tables have no entry for an op that is gone."""
    assert sorted({*COUNTERPARTS, *NO_GRADIENT} - {op.id for op in ops}) == []


@elementwise(partials=(lambda x, xp: -xp.sin(x),), samples=[sample((3,))])
def cosine(xp, x):
    """Have the right value and gradient."""
    return xp.cos(x)


@elementwise(partials=(lambda x, xp: xp.sin(x),), samples=[sample((3,))])
def wrong_rule(xp, x):
    """Have a gradient of the wrong sign."""
    return xp.cos(x)


@elementwise(partials=(lambda x, xp: -xp.sin(x),), samples=[sample((3,))])
def wrong_number(xp, x):
    """Have a value that is slightly off."""
    return xp.cos(x) + 1e-10


@linear(transpose=lambda g: g, samples=[sample((3,))])
def wrong_shape(xp, x):
    """Have a dimension too many, which would broadcast in a comparison."""
    return xp.cos(x)[None]


@elementwise(partials=(None,), samples=[sample((3,))])
def wrong_dtype(xp, x):
    """Return double precision for single."""
    return xp.astype(xp.cos(x), xp.float64)


@pytest.mark.parametrize(
    ("op", "found"),
    [
        (cosine, []),
        (wrong_rule, ["gradient", "gradient"]),
        (wrong_number, ["value"] * 4),
        (wrong_shape, ["value"] * 8),
        (wrong_dtype, ["value", "value"]),
    ],
)
def test_what_differs_is_found(op, found, monkeypatch):
    """A difference in the gradient, the value, the shape or the dtype is a disagreement, and in the report."""
    monkeypatch.setitem(COUNTERPARTS, op.id, torch.cos)
    agreement = compare(op)

    assert [text.split()[0] for text in agreement.disagreements] == found
    assert ("**no**" in page([agreement], "abc")) == bool(found)


@elementwise(partials=(lambda x, xp: -xp.sin(xp.conj(x)),), samples=[sample((3,))])
def wrong_in_complex(xp, x):
    """Have a rule that lacks a conjugate, which real numbers do not show."""
    return xp.cos(x)


def test_complex_numbers_are_compared_for_real_samples(monkeypatch):
    """An op that takes them is compared there, whatever its samples are."""
    monkeypatch.setitem(COUNTERPARTS, wrong_in_complex.id, torch.cos)
    monkeypatch.setitem(COUNTERPARTS, cosine.id, torch.cos)

    assert [text.split()[0] for text in compare(wrong_in_complex).disagreements] == ["gradient"] * 2
    assert compare(cosine).in_complex == 4


def test_report_gives_reasons(monkeypatch):
    """An op without a counterpart is in the report with the reason."""
    monkeypatch.setitem(COUNTERPARTS, cosine.id, "torch has none")

    written = page([compare(cosine)], "0123456789")
    assert f"- `{cosine.id}`: torch has none." in written
    assert "at commit 0123456789," in written

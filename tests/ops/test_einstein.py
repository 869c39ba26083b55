"""einsum: agreement with PyTorch on many subscripts, on random ones with NumPy, and what it refuses."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from torch_oracle import compare

from autodiff import AutodiffError, Value, ops
from autodiff.testing import check_grads

_CASES = {
    "ij,jk->ik": [(2, 3), (3, 4)],
    "ij,jk": [(2, 3), (3, 4)],
    "ba": [(2, 3)],
    "ij->": [(2, 3)],
    "ii->": [(3, 3)],
    "ii->i": [(3, 3)],
    "iij->j": [(2, 2, 3)],
    "iji->ij": [(2, 3, 2)],
    "iii": [(2, 2, 2)],
    "ij,kl->il": [(2, 3), (2, 4)],
    "bij,bjk->bik": [(2, 3, 2), (2, 2, 4)],
    "bij,bkj->ikb": [(2, 3, 4), (2, 2, 4)],
    "bi,bi->b": [(2, 3), (2, 3)],
    "abi,bai->ab": [(2, 3, 4), (3, 2, 4)],
    "ij,ij->ji": [(2, 3), (2, 3)],
    "i,i": [(3,), (3,)],
    "i,j->ji": [(2,), (3,)],
    "i,j->": [(2,), (3,)],
    ",i->i": [(), (3,)],
    ",": [(), ()],
    "...ij,...jk->...ik": [(2, 1, 2, 3), (4, 3, 2)],
    "...ij,jk": [(2, 2, 3), (3, 2)],
    "i...->...": [(2, 3, 2)],
    "i...j->j...i": [(2, 3, 4, 5)],
    "...,...->...": [(2, 1), (3,)],
    "...i,i->...": [(2, 3), (3,)],
    "ij,jk->k": [(2, 1), (3, 2)],
    "ij,jk,kl->il": [(2, 3), (3, 4), (4, 2)],
    "ij,ik,il->jkl": [(2, 2), (2, 3), (2, 2)],
    "ii,ij,jj->i": [(2, 2), (2, 3), (3, 3)],
    "ab,bc,cd,de->ae": [(2, 3), (3, 2), (2, 3), (3, 2)],
    "a,b,c,d->dbca": [(2,), (3,), (2,), (3,)],
    "Ab,bA->A": [(2, 3), (3, 2)],
    "bA": [(2, 3)],
}


@pytest.mark.parametrize("kind", ["real", "complex"])
@pytest.mark.parametrize("subscripts", _CASES)
def test_as_pytorch(subscripts, kind):
    """Values and gradients are PyTorch's."""
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    xs = [rng.normal(size=shape) for shape in _CASES[subscripts]]
    if kind == "complex":
        xs = [x + 1j * rng.normal(size=x.shape) for x in xs]
    compare(lambda *v: ops.einsum(*v, subscripts=subscripts), lambda *v: torch.einsum(subscripts, *v), *xs)


@st.composite
def _contractions(draw):
    """Return random subscripts, and the shapes of operands that fit them."""
    sizes = {label: draw(st.integers(0, 3)) for label in "abcde"}
    inputs = draw(st.lists(st.lists(st.sampled_from("abcde"), max_size=4), min_size=1, max_size=4))
    known = sorted({label for labels in inputs for label in labels})
    output = draw(st.lists(st.sampled_from(known), unique=True)) if known else []
    subscripts = ",".join("".join(labels) for labels in inputs)
    if draw(st.booleans()):
        subscripts += "->" + "".join(output)
    return subscripts, [tuple(sizes[label] for label in labels) for labels in inputs]


@settings(max_examples=150, deadline=None)
@given(_contractions())
def test_random_contractions_are_numpys(contraction):
    """Whatever the subscripts, repeated, summed out or kept, sizes of 0 and 1 included, the result is NumPy's."""
    subscripts, shapes = contraction
    rng = np.random.default_rng(0)
    xs = [rng.normal(size=shape) for shape in shapes]
    found, wanted = ops.einsum(*xs, subscripts=subscripts), np.einsum(subscripts, *xs)
    assert found.shape == wanted.shape
    np.testing.assert_allclose(found, wanted, rtol=1e-9, atol=1e-9)


@settings(max_examples=25, deadline=None)
@given(_contractions())
def test_random_contractions_have_right_gradients(contraction):
    """Whatever the subscripts, gradients are those of central differences."""
    subscripts, shapes = contraction
    rng = np.random.default_rng(1)
    xs = [rng.normal(size=shape) for shape in shapes]
    check_grads(lambda *v: ops.einsum(*v, subscripts=subscripts), tuple(xs), order=1)


def test_three_operands_are_contracted_in_a_good_order():
    """What is small is made first: from left to right this would need 10^10 elements."""
    x = np.ones(100_000)
    found = ops.einsum(x, 2 * x, x, subscripts="i,j,j->i")
    assert (found.shape, found[0]) == ((100_000,), 200_000.0)


def test_lists_and_numbers():
    """Operands may be lists and Python numbers."""
    assert ops.einsum([1.0, 2.0], [[1.0], [10.0]], subscripts="i,ij->j").tolist() == [21.0]
    assert ops.einsum(2.0, Value([1.0, 2.0]), subscripts=",i->i").data.tolist() == [2.0, 4.0]


@pytest.mark.parametrize(
    ("subscripts", "said"),
    [
        ("ij", "for 1 operands; it was given 2"),
        ("ij,jk,kl", "for 3 operands"),
        ("ij,kj->iik", "'i' twice"),
        ("ij,kj->im", "'m' and no operand"),
        ("ijk,kj", "3 dimensions|2 dimensions"),
        ("i,kj", "2 dimensions"),
        ("i1,kj", "letters"),
        ("......,kj", "letters"),
        ("ij,jk", "'j'.* 3 .* 2 "),
        ("...,...->", "lacks"),
        (3, "3"),
    ],
)
def test_subscripts_that_do_not_fit(subscripts, said):
    """Subscripts that do not fit the operands are errors that say what is wrong."""
    with pytest.raises(AutodiffError, match=said):
        ops.einsum(Value(np.ones((2, 3))), np.ones((2, 3)), subscripts=subscripts)


def test_a_diagonal_of_different_sizes():
    """A repeated index needs axes of one size."""
    with pytest.raises(AutodiffError, match=r"einsum.*'i'"):
        ops.einsum(Value(np.ones((2, 3))), subscripts="ii")
    with pytest.raises(AutodiffError, match=r"einsum.*'i'"):
        ops.einsum(Value(np.ones((1, 3))), subscripts="ii")


def test_a_product_that_is_laid_out_well_is_one_op():
    """No axis is moved and nothing is reshaped where that changes nothing; a single operand is still another Value."""
    x, y = Value(np.ones((2, 3, 4))), Value(np.ones((2, 4, 5)))

    product = ops.einsum(x, y, subscripts="bij,bjk->bik")
    same = ops.einsum(x, subscripts="bij->bij")

    assert product._edge.plan.op.name == "matmul"
    assert {product._edge.edge1, product._edge.edge2} == {x._edge, y._edge}
    assert same is not x

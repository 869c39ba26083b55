"""Einstein's summation, made of ops that have gradients: diagonals, sums, products and matrix products.

Labels are strings: a letter, or ``.k`` for the axis of an ellipsis that is k-th from its end.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from autodiff.extend import ArgumentError, Array, Sample, composite, sample
from autodiff_ops.diagonals import diagonal
from autodiff_ops.elementwise.arithmetic import multiply
from autodiff_ops.linalg import matmul
from autodiff_ops.manipulation import permute_dims, reshape, squeeze
from autodiff_ops.reduction import sum
from autodiff_ops.shapes import arrayed, size_of


class _Term(NamedTuple):
    """An operand, and a label for each of its axes."""

    array: Any
    labels: tuple[str, ...]


def _einsum_samples() -> list[Sample]:
    shapes = {
        "ij,jk->ik": ((2, 3), (3, 4)),
        "ij,jk": ((2, 3), (3, 2)),
        "ba": ((2, 3),),
        "ij->": ((2, 3),),
        "ii->": ((3, 3),),
        "ii->i": ((3, 3),),
        "iij->j": ((2, 2, 3),),
        "iii": ((2, 2, 2),),
        "ij,kl->il": ((2, 3), (2, 4)),
        "bij,bjk->bik": ((2, 3, 2), (2, 2, 4)),
        "bi,bi->b": ((2, 3), (2, 3)),
        "ij,ij->ij": ((2, 3), (2, 3)),
        "i,i": ((3,), (3,)),
        "i,j->ji": ((2,), (3,)),
        ",i->i": ((), (3,)),
        "...ij,...jk->...ik": ((2, 1, 2, 3), (4, 3, 2)),
        "i...->...": ((2, 3, 2),),
        "...i,i": ((2, 3), (3,)),
        "ij,jk->k": ((2, 1), (3, 2)),
        "ij,jk,kl->il": ((2, 3), (3, 4), (4, 2)),
        "ij,ik,il->jkl": ((2, 2), (2, 3), (2, 2)),
        "ab,bc,cd,de->ae": ((2, 3), (3, 2), (2, 3), (3, 2)),
        "ij,jk->i k": ((2, 0), (0, 3)),
    }
    return [sample(*inputs, subscripts=subscripts) for subscripts, inputs in shapes.items()]


@composite(
    samples=[
        *_einsum_samples(),
        Sample((Array((2, 3), kind="complex"), Array((3, 2), kind="complex")), {"subscripts": "ij,jk->ki"}),
    ]
)
def einsum(*xs: Any, subscripts: str) -> Any:
    """Sum of products by Einstein's convention: a letter for each axis, equal letters run together.

    Parameters
    ----------
    *xs : array
        The operands.
    subscripts : str
        ``"ij,jk->ik"``: for each operand the letters of its axes, then those of the result. Letters that are
        not in the result are summed over; one that an operand has twice walks along its diagonal. ``...``
        stands for any axes, which broadcast, as axes of size 1 do. Without ``->`` the result has those of
        ``...``, then in alphabetical order the letters that occur once.

    Raises
    ------
    ArgumentError
        The subscripts do not fit the operands, or are none.

    Notes
    -----
    Two operands at a time are contracted, by one matrix product over stacks of matrices. The order for more
    than two is the one that opt_einsum finds.

    References
    ----------
    D. G. A. Smith, J. Gray, "opt_einsum: a Python package for optimizing contraction order for einsum-like
    expressions", Journal of Open Source Software 3 (2018).

    Examples
    --------
    >>> import numpy as np
    >>> import autodiff
    >>> x = np.array([[1.0, 2.0], [3.0, 4.0]])
    >>> autodiff.ops.einsum(x, x, subscripts="ij,kj->ik")
    array([[ 5., 11.],
           [11., 25.]])
    >>> autodiff.ops.einsum(x, subscripts="ii->").item()
    5.0
    """
    arrays = [arrayed(x) for x in xs]
    if not isinstance(subscripts, str):
        raise ArgumentError(f"einsum takes subscripts such as 'ij,jk->ik'; it was given {subscripts!r:.60}")
    inputs, output = _parse(subscripts, tuple([len(x.shape) for x in arrays]))
    sizes = _sizes(subscripts, inputs, [x.shape for x in arrays])
    terms: list[_Term] = [_distinct(_Term(x, labels), sizes) for x, labels in zip(arrays, inputs, strict=True)]
    for i, term in enumerate(terms):
        needed = {*output, *(label for other in (*terms[:i], *terms[i + 1 :]) for label in other.labels)}
        terms[i] = _without(term, needed)
    for places in _order(terms, output, sizes):
        chosen = [terms[i] for i in places]
        rest = [term for i, term in enumerate(terms) if i not in places]
        while len(chosen) > 1:
            first, second, *later = chosen
            needed = {*output, *(label for term in (*rest, *later) for label in term.labels)}
            chosen = [_contract(first, second, sizes, needed), *later]
        terms = [*rest, *chosen]
    (result,) = terms
    if result.labels == output and len(arrays) > 1:  # a single operand might be the caller's own
        return result.array
    return permute_dims(result.array, axes=tuple(result.labels.index(label) for label in output))


@lru_cache
def _parse(subscripts: str, ndims: tuple[int, ...]) -> tuple[list[tuple[str, ...]], tuple[str, ...]]:
    """Return the labels of the operands and of the result; nobody may change the list."""
    left, arrow, right = subscripts.replace(" ", "").partition("->")
    parts = left.split(",")
    if len(parts) != len(ndims):
        raise ArgumentError(f"einsum: {subscripts!r} is for {len(parts)} operands; it was given {len(ndims)}")
    inputs = [_labels(subscripts, part, ndim) for part, ndim in zip(parts, ndims, strict=True)]
    broad = tuple(sorted({label for labels in inputs for label in labels if label[0] == "."}, key=_from_the_end))
    if not arrow:
        letters = [label for labels in inputs for label in labels if label[0] != "."]
        return inputs, (*broad, *sorted(label for label in letters if letters.count(label) == 1))
    before, dots, after = right.partition("...")
    output = (*before, *broad, *after) if dots else tuple(right)
    known = {label for labels in inputs for label in labels}
    if broad and not dots:
        raise ArgumentError(f"einsum: {subscripts!r} lacks '...' in its result, where the operands have such axes")
    for label in output:
        if label not in known or output.count(label) > 1:
            fault = "twice" if label in known else "and no operand has it"
            raise ArgumentError(f"einsum: the result of {subscripts!r} has {label!r} {fault}")
    return inputs, output


def _labels(subscripts: str, part: str, ndim: int) -> tuple[str, ...]:
    """Return the labels of one operand."""
    before, dots, after = part.partition("...")
    if not (before + after).isalpha() and before + after:
        raise ArgumentError(f"einsum: {part!r} in {subscripts!r} is not made of letters and one '...'")
    broad = ndim - len(before) - len(after)
    if broad < 0 or (broad > 0 and not dots):
        raise ArgumentError(f"einsum: {part!r} in {subscripts!r} does not fit an operand of {ndim} dimensions")
    return (*before, *(f".{k}" for k in range(broad, 0, -1)), *after)


def _from_the_end(label: str) -> int:
    return -int(label[1:])


def _sizes(subscripts: str, inputs: Sequence[tuple[str, ...]], shapes: Sequence[tuple[int, ...]]) -> dict[str, int]:
    """Return the size of each label; axes of size 1 broadcast."""
    sizes: dict[str, int] = {}
    for labels, shape in zip(inputs, shapes, strict=True):
        for label, size in zip(labels, shape, strict=True):
            known = sizes.get(label, 1)
            if known != 1 and size not in (1, known):
                raise ArgumentError(
                    f"einsum: {label!r} in {subscripts!r} is {known} long in one place and {size} in another"
                )
            sizes[label] = known if size == 1 else size
    return sizes


def _distinct(term: _Term, sizes: dict[str, int]) -> _Term:
    """Take the diagonal of labels that occur twice, and drop axes that only broadcast."""
    x, labels = term
    for label in dict.fromkeys(labels):
        while labels.count(label) > 1:
            first = labels.index(label)
            second = labels.index(label, first + 1)
            if x.shape[first] != x.shape[second]:
                raise ArgumentError(f"einsum: {label!r} walks along the diagonal of axes that differ: shape {x.shape}")
            x = diagonal(x, axis1=first, axis2=second)
            labels = (*(other for i, other in enumerate(labels) if i not in (first, second)), label)
    unit = tuple(i for i, label in enumerate(labels) if x.shape[i] == 1 != sizes[label])
    if unit:
        x, labels = squeeze(x, axis=unit), tuple(label for i, label in enumerate(labels) if i not in unit)
    return _Term(x, labels)


def _without(term: _Term, needed: set[str]) -> _Term:
    """Sum over the labels that neither the result nor another operand has."""
    alone = tuple(i for i, label in enumerate(term.labels) if label not in needed)
    if not alone:
        return term
    return _Term(sum(term.array, axis=alone), tuple(label for label in term.labels if label in needed))


def _order(terms: Sequence[_Term], output: Sequence[str], sizes: dict[str, int]) -> list[tuple[int, ...]]:
    """Return which terms to contract, step by step; the result of each step comes last."""
    if len(terms) < 3:
        return [(0, 1)] if len(terms) == 2 else []
    import opt_einsum

    symbols = {label: opt_einsum.get_symbol(i) for i, label in enumerate(sizes)}
    names = ["".join(symbols[label] for label in term.labels) for term in terms]
    equation = f"{','.join(names)}->{''.join(symbols[label] for label in output)}"
    path, _ = opt_einsum.contract_path(equation, *(tuple(t.array.shape) for t in terms), shapes=True)
    return list(path)


def _contract(one: _Term, two: _Term, sizes: dict[str, int], needed: set[str]) -> _Term:
    """Multiply two terms, and sum over the labels that both have and nobody needs any more."""
    shared = [label for label in one.labels if label in two.labels]
    batch = [label for label in shared if label in needed]
    summed = [label for label in shared if label not in needed]
    left = [label for label in one.labels if label not in shared]
    right = [label for label in two.labels if label not in shared]
    labels = (*batch, *left, *right)
    stack = [sizes[label] for label in batch]
    if summed and (left or right or not batch):
        rows, inner, columns = (size_of(sizes[label] for label in group) for group in (left, summed, right))
        x = _laid_out(one, (*batch, *left, *summed), (*stack, rows, inner))
        y = _laid_out(two, (*batch, *summed, *right), (*stack, inner, columns))
        return _Term(_shaped(matmul(x, y), tuple(sizes[label] for label in labels)), labels)
    # Nothing to sum, or inner products alone, for which stacks of 1 x n matrices would be slow.
    inside = [sizes[label] for label in summed]
    x = _laid_out(
        one, (*batch, *left, *summed), (*stack, *(sizes[label] for label in left), *(1 for _ in right), *inside)
    )
    y = _laid_out(
        two, (*batch, *right, *summed), (*stack, *(1 for _ in left), *(sizes[label] for label in right), *inside)
    )
    product = multiply(x, y)
    return _Term(sum(product, axis=tuple(range(-len(summed), 0))) if summed else product, labels)


def _laid_out(term: _Term, labels: Sequence[str], shape: Sequence[int]) -> Any:
    """Return the array of a term with its axes in another order and shape."""
    x = term.array
    if term.labels != tuple(labels):
        x = permute_dims(x, axes=tuple(term.labels.index(label) for label in labels))
    return _shaped(x, tuple(shape))


def _shaped(x: Any, shape: tuple[int, ...]) -> Any:
    return x if tuple(x.shape) == shape else reshape(x, shape=shape)

"""The array ops on a library that has what the array API standard promises, and nothing else."""

from __future__ import annotations

import inspect
import math

import numpy as np
import pytest

pytest.importorskip("array_api_strict")

import array_api_strict
from strict_backend import StrictBackend, strict_array

from autodiff import Value, grad, ops
from autodiff.registry import registry

A = np.arange(1.0, 7.0).reshape(2, 3) / 3

_FUNCTIONS = {
    "prod": lambda x: ops.prod(x, axis=1),
    "min": lambda x: ops.min(x, axis=0),
    "var": lambda x: ops.var(x, axis=1, correction=1),
    "std": lambda x: ops.std(x, axis=(0, 1)),
    "norm": lambda x: ops.norm(x, axis=1),
    "norm 1": lambda x: ops.norm(x, ord=1),
    "norm 3": lambda x: ops.norm(x, ord=3),
    "norm inf": lambda x: ops.norm(x, ord=math.inf),
    "nansum": lambda x: ops.nansum(x, axis=0),
    "nanmean": lambda x: ops.nanmean(x, axis=0),
    "cumulative_sum": lambda x: ops.cumulative_sum(x, axis=0),
    "cumulative_prod": lambda x: ops.cumulative_prod(x, axis=1, include_initial=True),
    "matrix_transpose": ops.matrix_transpose,
    "moveaxis": lambda x: ops.moveaxis(x, source=0, destination=1),
    "swapaxes": lambda x: ops.swapaxes(x, axis1=0, axis2=1),
    "squeeze": lambda x: ops.squeeze(ops.expand_dims(x, axis=0), axis=0),
    "stack": lambda x: ops.stack(x, x, axis=1),
    "unstack": lambda x: ops.unstack(x, axis=1)[1],
    "flip": lambda x: ops.flip(x, axis=0),
    "roll": lambda x: ops.roll(x, shift=1, axis=0),
    "roll flat": lambda x: ops.roll(x, shift=1),
    "repeat": lambda x: ops.repeat(x, repeats=2, axis=1),
    "tile": lambda x: ops.tile(x, repetitions=(2, 1)),
    "pad": lambda x: ops.pad(x, pad_width=1),
    "tril": ops.tril,
    "triu": lambda x: ops.triu(x, k=1),
    "diagonal": ops.diagonal,
    "trace": lambda x: ops.trace(x, offset=1),
    "meshgrid": lambda x: ops.meshgrid(x[0, ...], x[1, ...])[0],
    "take": lambda x: ops.take(x, 1, axis=1),
    "vecdot": lambda x: ops.vecdot(x, x),
    "outer": lambda x: ops.outer(x, x),
    "tensordot": lambda x: ops.tensordot(x, x, axes=(0, 0)),
    "kron": lambda x: ops.kron(x, x),
    "einsum": lambda x: ops.einsum(x, x, x, subscripts="ij,ij,kj->ik"),
    "einsum of one": lambda x: ops.einsum(x, subscripts="ij->j"),
}
_ANSWERS = {
    "sort": lambda x: ops.sort(x, axis=1, descending=True),
    "argsort": lambda x: ops.argsort(x, axis=1, descending=True),
    "argmax": lambda x: ops.argmax(x, axis=1),
    "all": lambda x: ops.all(x != 0, axis=1),
    "any": lambda x: ops.any(x != 0),
    "count_nonzero": lambda x: ops.count_nonzero(x, axis=0),
    "searchsorted": lambda x: ops.searchsorted(x[0, ...], x[1, ...]),
}


@pytest.fixture(autouse=True)
def _strict():
    with registry.scoped() as scoped:
        scoped.register_backend(StrictBackend())
        yield


def host(array):
    """Return a strict array as NumPy's."""
    return np.asarray(array._array)


@pytest.mark.parametrize("name", _FUNCTIONS)
def test_values_and_derivatives_are_those_of_numpy(name):
    """The generic kernels and rules give the same values, first and second derivatives as NumPy's."""
    f = _FUNCTIONS[name]

    def first(x):
        return (f(x) ** 2).sum()

    def second(x):
        return (grad(first)(x) ** 2).sum()

    np.testing.assert_allclose(host(f(Value(strict_array(A))).data), f(A), rtol=1e-12)
    for function in (first, second):
        np.testing.assert_allclose(host(grad(function)(strict_array(A))), grad(function)(A), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", _ANSWERS)
def test_answers_are_those_of_numpy(name):
    """What needs no derivative is the same too."""
    f = _ANSWERS[name]
    np.testing.assert_array_equal(host(f(strict_array(A))), f(A))


#: What ops have beside the standard's parameters of their name.
_MORE = {"diagonal": {"axis1", "axis2"}, "trace": {"axis1", "axis2"}}
_SPACES = (array_api_strict.fft, array_api_strict.linalg, array_api_strict)
_STANDARD = {
    op.name: function
    for op in ops
    if op.plugin == "autodiff_ops"
    and (function := next((f for s in _SPACES if callable(f := getattr(s, op.name, None))), None))
}


@pytest.mark.parametrize("name", _STANDARD)
def test_parameters_have_the_names_of_the_standard(name):
    """An op whose name is one of the array API standard has no parameter that the standard calls otherwise."""
    op, theirs = ops[f"autodiff_ops.{name}"], inspect.signature(_STANDARD[name]).parameters
    assert {*op.inputs, *op.attrs} - _MORE.get(name, set()) <= {*theirs}


def test_the_standards_names_are_many():
    """The test above sees the standard's functions."""
    assert len(_STANDARD) > 120

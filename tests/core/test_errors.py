"""Bad input: an error of ours that says what was given, what was expected, what to do; nothing changes."""

from __future__ import annotations

import operator
import re
from typing import Any

import numpy as np
import pytest

import autodiff.numpy as anp
from autodiff import AutodiffError, Value, grad, is_grad_enabled, ops
from autodiff.errors import ArgumentTypeError, KernelError
from autodiff.extend import primitive, relocate
from autodiff.registry import registry

V = Value(np.ones((2, 3)))


@primitive(vjp=lambda g: (g,))
def _first_of_several(xp: Any, *xs: Any) -> Any:
    return xs[0] * 1


_CASES: list[tuple[str, Any, type[Exception], list[str]]] = [
    ("shapes", lambda: V + np.ones(4), ValueError, ["add", "(2, 3)", "(4,)", "float64"]),
    ("matmul", lambda: V @ V, ValueError, ["matmul", "(2, 3)"]),
    ("reshape", lambda: V.reshape(4, 4), ValueError, ["reshape", "(2, 3)", "(4, 4)"]),
    ("axis", lambda: V.sum(axis=9), ValueError, ["sum", "axis=9", "(2, 3)"]),
    ("axis as IndexError", lambda: V.max(axis=-3), IndexError, ["max", "axis=-3"]),
    ("axis type", lambda: V.sum(axis="a"), TypeError, ["sum", "'a'"]),
    ("axis twice", lambda: V.sum(axis=(0, -2)), ValueError, ["sum", "(0, -2)"]),
    ("permutation", lambda: V.transpose(0, 0), ValueError, ["permute_dims", "(0, 0)"]),
    ("concat", lambda: ops.concat(V, np.ones(4)), ValueError, ["concat", "(4,)"]),
    ("concat of nothing", ops.concat, ValueError, ["concat", "at least one"]),
    ("no arrays for any number of them", _first_of_several, ValueError, ["_first_of_several", "at least one array"]),
    ("split", lambda: ops.split(V, sections=4), ValueError, ["split", "4"]),
    ("max of nothing", lambda: Value(np.zeros((0, 3))).max(), ValueError, ["max", "(0, 3)"]),
    ("attribute name", lambda: ops.sum(V, axs=0), TypeError, ["axs", "axis", "sum(x, *, axis=None"]),
    ("PyTorch's name", lambda: ops.sum(V, dim=0), TypeError, ["autodiff_ops.sum", "'dim'", "'axis'", "keepdims=False"]),
    (
        "PyTorch's of a method",
        lambda: V.sum(dim=0),
        TypeError,
        ["autodiff_ops.sum", "'dim'", "'axis'", "keepdims=False"],
    ),
    ("PyTorch's other", lambda: V.mean(0, keepdim=True), TypeError, ["autodiff_ops.mean", "'keepdim'", "'keepdims'"]),
    ("PyTorch's of softmax", lambda: V.softmax(dim=-1), TypeError, ["softmax", "'dim'", "'axis'"]),
    ("NumPy's name", lambda: ops.std(V, ddof=1), TypeError, ["std", "'ddof'", "'correction'"]),
    ("a composite's", lambda: ops.matrix_power(V @ V.T, power=2), TypeError, ["matrix_power", "'power'", "(x, *, n)"]),
    ("a NumPy function's", lambda: anp.sum(V, dim=0), TypeError, ["numpy.sum", "'dim'", "'axis'", "keepdims, initial"]),
    ("a joining function's", lambda: anp.stack([V], dim=0), TypeError, ["stack", "dim", "'axis'"]),
    ("a norm's", lambda: anp.linalg.norm(V, dim=0), TypeError, ["numpy.norm", "'dim'", "'axis'", "ord"]),
    ("attribute missing", lambda: ops.reshape(V), TypeError, ["reshape", "shape"]),
    ("attribute by position", lambda: ops.sum(V, 0), TypeError, ["keyword"]),
    ("attribute needs gradient", lambda: ops.sum(V, axis=Value(1.0)), TypeError, ["axis", "detach"]),
    ("too few arrays", lambda: ops.where(V), TypeError, ["where(condition, x1, x2)", "3", "1"]),
    ("too many arrays", lambda: ops.tanh(V, V, V), TypeError, ["tanh", "3"]),
    ("too many for a method", lambda: V.logsumexp(0, True, 3), TypeError, ["logsumexp"]),
    ("dict", lambda: V + {}, TypeError, ["add", "dict", "numpy"]),
    ("None", lambda: None * V, TypeError, ["multiply", "NoneType"]),
    ("text", lambda: ops.tanh("a"), TypeError, ["tanh", "'a'"]),
    ("text array", lambda: V + np.array(["a"] * 3), TypeError, ["add", "<U1"]),
    ("object array", lambda: Value(np.array([1, None], object)), TypeError, ["object"]),
    ("ragged", lambda: Value([[1], [1, 2]]), TypeError, ["[[1], [1, 2]]"]),
    ("ragged operand", lambda: V * [[1], [1, 2]], TypeError, ["[[1], [1, 2]]"]),
    ("list of Values to an op", lambda: ops.sum([V, V]), TypeError, ["sum", "autodiff.numpy.array(values)."]),
    ("list of Values to one of several", lambda: ops.concat([V, V]), TypeError, ["concat(*values)"]),
    ("grad of two elements", lambda: grad(lambda x: x * 2)(np.ones(2)), ValueError, ["grad", "(2,)", ".sum()"]),
    ("list of Values", lambda: Value([Value(1.0), Value(2.0)]), TypeError, ["gradient"]),
    ("integers", lambda: grad(lambda x: x)(2), TypeError, ["2 of type int", "2.0"]),
    ("integer array", lambda: Value(np.arange(2), requires_grad=True), TypeError, ["int64", "float64"]),
    ("unknown op", lambda: ops.softpluss, AttributeError, ["softpluss", "softplus", "autodiff ops"]),
    ("unknown op by id", lambda: ops["autodiff_ops.tahn"], LookupError, ["autodiff_ops.tanh"]),
    ("unknown backend", lambda: Value(1.0, backend="numpi"), LookupError, ["numpi", "numpy", "cupy", "pip install"]),
    ("unknown target", lambda: V.to("cuda"), ValueError, ["cuda", "cupy"]),
    ("unknown device", lambda: V.to("numpy:1"), TypeError, ["numpy", "'1'"]),
    ("target of no name", lambda: V.to(3), ValueError, ["3", "'numpy'"]),
    ("dtype", lambda: V.astype("foo"), TypeError, ["foo"]),
    ("non-scalar root", (V * 1).backward, ValueError, ["(2, 3)", ".sum()", "gradient="]),
    ("seed shape", lambda: (V * 1).backward(np.ones(3)), ValueError, ["(3,)", "(2, 3)"]),
    ("seed kind", lambda: (V * 1).backward(V.data * 1j), ValueError, ["complex128", "float64"]),
    ("index", lambda: V[5], IndexError, ["5", "(2, 3)"]),
    ("non-scalar function", lambda: grad(lambda x: x)(np.ones(2)), ValueError, ["(2,)", ".sum()", "vjp"]),
    ("dropout", lambda: ops.dropout(V, p=2), ValueError, ["2", "0 to 1"]),
    ("numpy function", lambda: np.packbits(V), AttributeError, ["numpy.packbits", ".data"]),
    ("numpy ufunc", lambda: np.spacing(V), AttributeError, ["numpy.spacing", ".data"]),
    ("numpy method", lambda: np.add.reduceat(V, [0]), AttributeError, ["numpy.add.reduceat"]),
    ("numpy out", lambda: np.add(V, V, out=np.ones((2, 3))), TypeError, ["numpy.add", "out"]),
    ("numpy where", lambda: np.var(V, where=V.data > 1), TypeError, ["var", "where"]),
    ("numpy order", lambda: np.reshape(V, (3, 2), order="K"), ValueError, ["'K'", "'C'"]),
]


@pytest.mark.parametrize(("act", "kind", "parts"), [c[1:] for c in _CASES], ids=[c[0] for c in _CASES])
def test_bad_input(act: Any, kind: type[Exception], parts: list[str]) -> None:
    """It is ours, it is what NumPy's users catch, and it says what, why and how."""
    with pytest.raises(AutodiffError) as caught:
        act()
    assert isinstance(caught.value, kind)
    text = "\n".join([str(caught.value), *getattr(caught.value, "__notes__", [])])
    assert [part for part in parts if part not in text] == []
    assert not re.search(r"0x[0-9a-f]{6}", text)
    assert (V.grad, V.data.tolist(), is_grad_enabled()) == (None, [[1.0] * 3] * 2, True)


def test_an_op_works_after_an_error() -> None:
    """A kernel that refused one call serves the next."""
    with pytest.raises(AutodiffError):
        V + np.ones(4)
    assert (V + np.ones(3)).shape == (2, 3)


@pytest.mark.parametrize("act", [lambda: pow(V, 2, 3), lambda: grad(3)], ids=["pow", "grad"])
def test_bad_input_to_builtins_and_transforms(act: Any) -> None:
    """Errors of ours here too."""
    with pytest.raises(AutodiffError):
        act()


def test_a_faulty_kernel_is_not_taken_for_wrong_arguments() -> None:
    """What a kernel's own fault raises names the op and keeps its cause, and `==` does not take it for False."""

    def faulty(x1: Any, x2: Any) -> Any:
        return x1.no_such_thing

    with registry.scoped():
        registry.register_kernel("autodiff_ops.equal", "numpy", faulty, origin="a test")
        with pytest.raises(
            KernelError, match=r"'autodiff_ops\.equal' was given .* AttributeError: .*no_such_thing"
        ) as told:
            operator.eq(V, V)
    assert type(told.value.__cause__) is AttributeError
    assert bool((V == V).data.all())


def test_what_is_refused_relocates_nothing() -> None:
    """Array, gradient and hooks are as they were: integers have no gradient, and a real Value no complex one."""
    w, seen = Value(np.ones(2)), []
    w.register_hook(lambda g: seen.append(1))
    (w * 2).sum().backward()
    for array, gradient in ((np.ones(2, int), None), (np.zeros(2), np.ones(2, complex))):
        with pytest.raises(AutodiffError):
            relocate(w, array, gradient)
    (w * 3).sum().backward()
    assert (w.data.tolist(), w.grad.tolist(), seen) == ([1.0, 1.0], [5.0, 5.0], [1, 1])


def test_a_missing_attribute_is_named_by_a_call_that_knows_its_kernel() -> None:
    """The short path does not hand the kernel the stand-in for a default."""
    x = Value(np.ones((2, 3)))
    ops.reshape(x, shape=(3, 2))
    with pytest.raises(ArgumentTypeError, match="needs the attribute 'shape'"):
        ops.reshape(x)

"""What is refused, one call for each sentence: `python -m raises` tells which of ours no test reaches."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import autodiff
import autodiff.numpy as anp
import autodiff.testing as kit
from autodiff import Value, ops
from autodiff.extend import Array, composite, elementwise, primitive, sample, shifted
from autodiff.leaves import relocate
from autodiff.registry import registry
from autodiff.samples import unary
from autodiff.testing.drawing import draw


def vector() -> Value:
    return Value([1.0, 2.0, 3.0])


def matrix() -> Value:
    return Value(np.arange(6.0).reshape(2, 3))


def same(x: Any) -> Any:
    return x * 2.0


def op(function: Any = None, *, declare: Any = primitive, **rules: Any) -> Any:
    """Declare an op, of a kernel of one array by default."""

    def kernel(xp: Any, x: Any) -> Any:
        return x

    return declare(**rules)(kernel if function is None else function)


def _itself() -> list[Any]:
    loop: list[Any] = []
    loop.append(loop)
    return loop


def _with_keywords(xp: Any, x: Any, **kwargs: Any) -> Any:
    return x


def _with_default(xp: Any, x: Any = 1.0) -> Any:
    return x


def _mixed(xp: Any, x: Any, *xs: Any) -> Any:
    return x


def _nothing(xp: Any) -> Any:
    return 1.0


def _several(xp: Any, *xs: Any) -> Any:
    return xs[0]


def _reserved(xp: Any, x: Any, *, needs: Any = None) -> Any:
    return x


def _without_body(x: Any) -> Any:
    """Have the kernel of the library."""


class _Unreadable:
    """A rule whose signature Python cannot read."""

    __signature__ = "none"

    def __call__(self, *args: Any) -> Any:
        return args[0]


REFUSALS: dict[str, tuple[Callable[[], Any], str]] = {
    # functions of NumPy's names
    "delete": (lambda: anp.delete(vector(), 3), "out of bounds for an axis of size 3"),
    "insert": (lambda: anp.insert(vector(), [7], 0.0), "the index 7 is out of bounds"),
    "pad": (lambda: anp.pad(vector(), (-1, 1), mode="edge"), "give numbers from 0 on"),
    "pad mode": (lambda: anp.pad(vector(), 1, mode="no such"), "is not supported for Values"),
    "block": (lambda: anp.block([[vector(), []]]), "block takes lists that are not empty"),
    "rollaxis": (lambda: anp.rollaxis(matrix(), 5), "axis 5 does not exist in 2 dimensions"),
    "array_split": (lambda: anp.array_split(vector(), 0), "0 were asked for"),
    "linspace": (lambda: anp.linspace(vector()[0], 3.0, 5, retstep=True), "is not supported for Values"),
    "from_dlpack": (lambda: anp.from_dlpack(1.0), "which has no __dlpack__"),
    "no such name": (lambda: anp.no_such_function, "no_such_function"),
    "gelu": (lambda: ops.gelu(vector(), approximate="much"), "expected 'none' or 'tanh'"),
    # Values and passes
    "requires_grad": (lambda: Value(1.0, requires_grad="yes"), "requires_grad=...) is True or False"),
    "create_graph": (lambda: vector().sum().backward(create_graph="yes"), "is True or False"),
    "deep index": (lambda: vector()[tuple(_itself())], "nested too deeply"),
    "no_grad": (lambda: autodiff.no_grad()(3), "decorate a function, or open a block"),
    "length": (lambda: autodiff.vmap(lambda x: len(x._array))(vector()), "has no length"),
    "relocate": (lambda: relocate(1.0, np.ones(2)), "relocate() takes a Value"),
    "relocate shape": (lambda: relocate(vector(), np.ones(3), np.ones(2)), "a gradient of shape (2,)"),
    "relocate result": (lambda: relocate(vector() * 2, np.ones(3)), "An intermediate result cannot be relocated"),
    # transforms
    "function": (lambda: autodiff.vjp(3, 1.0), "takes a function"),
    "has_aux": (lambda: autodiff.vjp(same, 1.0, has_aux="yes"), "has_aux is True or False"),
    "argnum": (lambda: autodiff.elementwise_grad(same, 4)(1.0), "argnum=4"),
    "sequential": (lambda: autodiff.checkpoint_sequential(3), "takes a sequence of functions"),
    "approximate": (lambda: autodiff.approximate_gradient(3), "approximate_gradient takes a function"),
    "deep tree": (lambda: autodiff.grad(lambda x: x)(_itself()), "nested too deeply"),
    "deep prefix": (lambda: autodiff.vmap(same, in_axes=(_itself(),))([vector()]), "in_axes"),
    "shifted": (lambda: shifted(0, "2"), "takes a number of dimensions second"),
    # declarations
    "partials and vjps": (lambda: op(declare=elementwise, partials=(1,), vjps=(same,)), "not both"),
    "residuals": (lambda: op(vjps=(None,), residuals="index"), "residuals are names"),
    "vjp and vjps": (lambda: op(vjps=(None,), vjp=same), "not both"),
    "composite": (lambda: op(declare=composite), "takes no xp"),
    "reference": (lambda: op(vjps=(None,), reference=3), "is neither a function"),
    "reserved": (lambda: op(_reserved, vjps=(None,)), "are reserved for rules"),
    "residuals without xp": (lambda: op(_without_body, vjps=(None,), residuals=("i",)), "take xp and write it"),
    "variadic": (lambda: op(_several, vjps=()), "give one joint vjp"),
    "c_partials": (lambda: op(declare=elementwise, partials=(1,), c="x", c_partials=("1", "1")), "2 c_partials"),
    "c_partials text": (lambda: op(declare=elementwise, partials=(1,), c="x", c_partials=(1,)), "as text"),
    "c names": (
        lambda: op(declare=elementwise, partials=(lambda y: y,), c="x", c_partials=("x",)), "names 'x', which the rule",
    ),
    "unknown rule": (lambda: op(vjps={"z": same}), "which is none of its inputs"),
    "rules": (lambda: op(vjps="g"), "rules are a sequence"),
    "two rules": (lambda: op(vjps=(None, None)), "2 rules"),
    "no rule": (lambda: op(vjps=("g",)), "is no function"),
    "unreadable rule": (lambda: op(vjps=(_Unreadable(),)), "cannot be read"),
    "no function": (lambda: primitive(vjps=(None,))(3), "is declared as a function with a name"),
    "keywords": (lambda: op(_with_keywords, vjps=(None,)), "attributes are written out"),
    "default": (lambda: op(_with_default, vjps=(None,)), "has a default"),
    "mixed": (lambda: op(_mixed, vjp=same), "take *xs alone"),
    "no array": (lambda: op(_nothing, vjps=()), "takes no array"),
    "samples": (lambda: op(vjps=(None,), samples="abc"), "samples= takes a list or tuple"),
    "signature": (lambda: op(vjps=(None,), signature=3), "the signature is text"),
    "signature of two": (lambda: op(vjps=(None,), signature="(n),(n)->()"), "is not that of 1 inputs"),
    "range": (lambda: unary("low", 2.0), "takes a range as two numbers"),
    # the registry
    "op name": (lambda: registry.op(3), "asked for by its name or id"),
    "backend name": (lambda: registry.backend(3), "asked for by its name, a str"),
    "type": (lambda: registry.backend_of(3), "A type of arrays was expected"),
    "device": (lambda: vector().to("numpy:7"), "numpy"),
    "argument": (lambda: ops.add(vector(), object()), "Cannot compute with <object object"),
    "kernel for": (lambda: ops.tanh.kernel_for(str), "no backend has such arrays"),
    # the kit
    "order": (lambda: kit.check_op("tanh", order=7), "order is 1, 2 or 3"),
    "dtypes": (lambda: kit.check_op("tanh", dtypes="float64"), "dtypes is a list"),
    "dtype": (lambda: kit.check_op("tanh", dtypes=["float99"]), "dtypes are of"),
    "samples of": (lambda: kit.check_op("tanh", [3]), "samples is a list of Sample"),
    "op": (lambda: kit.check_op(3), "takes an op or the id of one"),
    "op_tests": (lambda: list(kit.op_tests(3)), "op_tests takes an op"),
    "samples_of": (lambda: kit.samples_of(3), "samples_of takes an op"),
    "seed": (lambda: kit.check_op("tanh", seed=-1), "seed is a natural number"),
    "backend's ops": (lambda: kit.check_backend("numpy", ops="tanh"), "ops is a list of ops"),
    "numeric_vjp": (lambda: kit.numeric_vjp(3, [], []), "numeric_vjp takes a function"),
    "numeric_vjp xs": (lambda: kit.numeric_vjp(same, 3, []), "is a list of NumPy arrays"),
    "numeric_vjp argnum": (lambda: kit.numeric_vjp(same, [np.ones(2)], [np.ones(2)], 4), "argnum is the number"),
    "numeric_vjp cotangents": (
        lambda: kit.numeric_vjp(lambda x: [x], [np.ones(2)], [np.ones(3)]), "cotangents are like the results",
    ),
    "missing_dtype": (lambda: kit.missing_dtype("numpy", "float64"), "missing_dtype takes a backend"),
    "missing_dtype name": (
        lambda: kit.missing_dtype(registry.backend("numpy"), 3), "takes the name of a dtype",
    ),
    "distinct": (
        lambda: draw(Array((5,), 0, 2, kind="int", distinct=True), np.random.default_rng(0)), "there are 2 integers",
    ),
    "kind": (lambda: draw(Array((5,), kind="text"), np.random.default_rng(0)), "the kind is one of"),
    "check_grads": (lambda: kit.check_grads(3, (1.0,)), "check_grads takes a function"),
    "check_grads args": (lambda: kit.check_grads(same, 1.0), "takes the arguments as a tuple"),
    "check_grads integers": (lambda: kit.check_grads(same, (1,)), "none of the arguments holds"),
    "check_grads result": (lambda: kit.check_grads(lambda x: 1, (1.0,)), "no floating-point array"),
    "check_grads order": (lambda: kit.check_grads(same, (1.0,), order=0), "order is a positive int"),
    "check_grads modes": (lambda: kit.check_grads(same, (1.0,), modes=3), "modes is a list"),
    "check_grads mode": (lambda: kit.check_grads(same, (1.0,), modes=["up"]), "modes holds 'rev' and 'fwd'"),
}  # fmt: skip


@pytest.mark.parametrize(("call", "told"), REFUSALS.values(), ids=REFUSALS)
def test_a_wrong_call_is_refused(call: Callable[[], Any], told: str) -> None:
    """It raises an error of autodiff's, which says what is wrong."""
    with registry.scoped(), pytest.raises(autodiff.AutodiffError, match=re.escape(told)):
        call()


def test_the_right_calls_are_not_refused() -> None:
    """The declarations above differ in one thing from these."""
    op(vjps=(None,), samples=[sample((3,))])
    op(_several, vjp=lambda g, xs: (g,) * len(xs))
    op(declare=elementwise, partials=(lambda x: x,), c="x", c_partials=("x",))

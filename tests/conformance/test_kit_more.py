"""The kit against faults that hide: in one dtype, one order, one layout, one shape; and what is declared not to work."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

from autodiff import Value
from autodiff.errors import ArgumentError, RegistrationError
from autodiff.extend import Array, Sample, Unsupported, composite, elementwise, primitive, sample, unary
from autodiff.registry import registry
from autodiff.testing import ConformanceError, check_grads, check_op, samples_of
from autodiff.testing.c_expressions import compiler
from autodiff.testing.case import Case
from autodiff.testing.derived import named
from autodiff.testing.drawing import draw
from autodiff.testing.report import mismatch

VECTOR = [sample((3,))]
SAME_SHAPE = [sample((3,), (3,))]


def elementwise_op(kernel: Any, **options: Any) -> Any:
    """Declare an elementwise op in one line."""
    kernel.__name__ = kernel.__qualname__ = "planted"
    return elementwise(**{"samples": VECTOR, **options})(kernel)


def primitive_op(kernel: Any, **options: Any) -> Any:
    """Declare a primitive in one line."""
    kernel.__name__ = kernel.__qualname__ = "planted"
    return primitive(**{"samples": VECTOR, **options})(kernel)


def square(xp: Any, x: Any) -> Any:
    return x * x


def third_order_fault() -> Any:
    """Return x**3, of which the derivative of the second derivative forgets its factor."""
    slope = elementwise_op(lambda xp, x: 6 * x, partials=(lambda x: 0 * x + 5.0,))
    first = elementwise_op(lambda xp, x: 3 * x * x, partials=(slope,))
    return elementwise_op(lambda xp, x: x * x * x, partials=(first,))


def is_half(x: Any) -> bool:
    return str(x.dtype) == "float16"


def bad_example() -> Any:
    def planted(xp: Any, x: Any) -> Any:
        """Square.

        >>> planted(3.0).item()
        10.0
        """
        return x * x

    return elementwise(partials=(lambda x: 2 * x,), samples=VECTOR)(planted)


def writes_when_recorded(g: Any, x: Any) -> Any:
    q = 2 * g * x
    if isinstance(g, Value):
        raw = x.detach().data
        if raw.ndim and raw.flags.writeable:
            raw += 1e-3
    return q


def only_forward(wrong: int) -> Any:
    """Return x**3 whose gradients are right in every order, and whose jvp goes wrong in its derivative of this order."""
    slope = elementwise_op(lambda xp, x: 6 * x, partials=(lambda x: 0 * x + (6.0 if wrong != 3 else 5.0),))
    first = elementwise_op(lambda xp, x: 3 * x * x, partials=(slope if wrong == 3 else lambda x: 5 * x,))
    return elementwise_op(
        lambda xp, x: x * x * x, vjps=(lambda g, x: 3 * g * x * x,), jvps=(lambda t, x: t * first(x),)
    )


def both(g: Any, x1: Any, x2: Any) -> Any:
    return g * x2, g * x1


def product_unless_twice(x1: Any, x2: Any) -> Any:
    return x1 * (x2.detach() if x1 is x2 and isinstance(x2, Value) else x2)


FAULTS: dict[str, tuple[Any, str]] = {
    "a hundred-millionth too much": (
        elementwise_op(square, partials=(lambda x: (2 + 1e-8) * x,)), "of x against complex steps",
    ),
    "third derivative": (third_order_fault(), "the gradient of the gradient of the gradient in a random direction"),
    "value in float16": (
        elementwise_op(lambda xp, x: x * (1.1 if is_half(x) else 1), partials=(1,)),
        "the value in float16 against double precision",
    ),
    "gradient in complex64": (
        elementwise_op(lambda xp, x: 2 * x, vjps=(lambda g, x_dtype: g * (3 if x_dtype == np.complex64 else 2),),
                       samples=[Sample((Array((3,), kind="complex"),))]),
        "the gradient of x in complex64 against double precision",
    ),
    "second derivative in float32": (
        elementwise_op(square, vjps=(lambda g, x, x_dtype: g * (2 * x if x_dtype == np.float64 or isinstance(g, np.ndarray)
                                                               else 2 * x + 0.01 * x * x),)),
        "check_recorded",
    ),
    "0-d": (elementwise_op(lambda xp, x: x * (2 if x.ndim else 1), partials=(2,)), "Array(shape=()"),
    "empty": (elementwise_op(lambda xp, x: x * (1 if x.size else x[0]), partials=(1,)), "Array(shape=(0,)"),
    "broadcast memory": (
        elementwise_op(lambda xp, x: x * (2 if isinstance(x, np.ndarray) and 0 in x.strides and x.size else 1),
                       partials=(1,)),
        "with inputs that broadcasting made",
    ),
    "memory order": (
        elementwise_op(lambda xp, x: x * (1 if not isinstance(x, np.ndarray) or x.flags.c_contiguous else 2),
                       partials=(1,), samples=[sample((2, 3))]),
        "check_layouts",
    ),
    "second derivative forwards": (only_forward(2), "check_forward_second_order"),
    "third derivative forwards": (only_forward(3), "check_forward_third_order"),
    "writes in a recorded pass": (
        elementwise_op(square, vjps=(writes_when_recorded,)), "a recorded backward pass wrote into an input",
    ),
    "batching rule": (
        primitive_op(lambda xp, x: x * 2, vjps=(lambda g: g * 2,), batching=lambda x: x * 3), "check_batching",
    ),
    "one Value twice": (
        composite(samples=SAME_SHAPE)(product_unless_twice), "the gradient of one Value given as x1 and x2",
    ),
    "one array twice": (
        primitive_op(lambda xp, x1, x2: x1 * x2 + (x1 is x2), samples=SAME_SHAPE,
                     vjps=(lambda g, x2: g * x2, lambda g, x1: g * x1)),
        "with one array as x1 and x2",
    ),
    "work for nobody": (primitive_op(lambda xp, x1, x2: x1 * x2, samples=SAME_SHAPE, vjp=both), "name `needs`"),
    "reference": (
        elementwise_op(square, partials=(lambda x: 2 * x,), reference=lambda x: x * x + 1e-6), "against the reference",
    ),
    "reference by name": (elementwise_op(square, partials=(lambda x: 2 * x,), reference="numpy:sin"), "the reference"),
    "example": (bad_example(), "Expected:; 10.0; Got:; 9.0"),
}  # fmt: skip


@pytest.mark.parametrize(("op", "message"), FAULTS.values(), ids=FAULTS)
def test_a_hidden_fault_is_caught(op: Any, message: str) -> None:
    """Each is an error that says what is wrong."""
    with pytest.raises(ConformanceError, match=re.escape(message)):
        check_op(op)


def test_a_reference_may_be_elsewhere_or_nowhere() -> None:
    """It is a function, or the place of one; a package that is not installed is no failure, a misspelling is."""
    check_op(elementwise_op(square, partials=(lambda x: 2 * x,), reference=np.square))
    check_op(elementwise_op(square, partials=(lambda x: 2 * x,), reference="numpy:square"))
    check_op(elementwise_op(square, partials=(lambda x: 2 * x,), reference="no_such_package:square"))
    with pytest.raises(ConformanceError, match="no attribute 'sqare'"):
        check_op(elementwise_op(square, partials=(lambda x: 2 * x,), reference="numpy:sqare"))
    with pytest.raises(RegistrationError, match="module:function"):
        elementwise_op(square, partials=(lambda x: 2 * x,), reference="numpy.square")


def test_what_is_free_is_not_compared() -> None:
    """Of several right results another library may return another; what is determined still has to agree."""

    def direction(xp: Any, x: Any) -> Any:
        return x / xp.sqrt(xp.sum(x * x))

    def rule(g: Any, x: Any, y: Any) -> Any:
        return (g - y * (g * y).sum()) / (x * y).sum()

    def other(x: Any) -> Any:
        return -x / np.sqrt((x * x).sum())

    def checked(reference: Any, **options: Any) -> None:
        check_op(primitive_op(direction, vjps=(rule,), reference=reference, **options))

    checked(other, invariants=abs)
    checked(other, invariants=lambda y: (abs(y), y[:, None] * y))
    with pytest.raises(ConformanceError, match="against the reference"):
        checked(other)
    with pytest.raises(ConformanceError, match="against the reference"):
        checked(lambda x: 1.001 * other(x), invariants=abs)
    with pytest.raises(RegistrationError, match="a function of the outputs"):
        checked(other, invariants="abs")


def refuses_equal_numbers(error: type[Exception]) -> Any:
    def kernel(xp: Any, x: Any) -> Any:
        if x.size > 1 and bool((x == x.ravel()[0]).all()):
            raise error("equal numbers")
        return x * x

    return elementwise_op(kernel, partials=(lambda x: 2 * x,))


@pytest.mark.parametrize("refusal", [ValueError, ZeroDivisionError, np.linalg.LinAlgError, RuntimeError])
def test_numbers_that_an_op_refuses_are_left_out(refusal: type[Exception]) -> None:
    """Inputs that repeat one number are the kit's idea: an op may say that they are not for it."""
    check_op(refuses_equal_numbers(refusal))


def wrong_shape_of_equal_numbers(g: Any, x: Any) -> Any:
    q = 2 * g * x
    return q[:1] if isinstance(x, np.ndarray) and x.size > 1 and (x == x[0]).all() else q


@pytest.mark.parametrize(
    ("op", "message"),
    [
        (refuses_equal_numbers(TypeError), "raised ArgumentTypeError"),
        (refuses_equal_numbers(IndexError), "raised IndexingError"),
        (primitive_op(square, vjps=(wrong_shape_of_equal_numbers,)), "raised RuleError"),
    ],
    ids=["type", "index", "rule"],
)
def test_a_fault_at_such_numbers_is_no_refusal(op: Any, message: str) -> None:
    """An exception that says nothing of the numbers is told."""
    with pytest.raises(ConformanceError, match=message) as caught:
        check_op(op)
    assert "check_broadcast" in str(caught.value)


def test_a_rule_may_not_be_called_for_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """If the engine ran the rules of inputs that need no gradient, or kept something for them, the kit would see it."""
    monkeypatch.setattr(
        "autodiff.testing.hand_checks.Value", lambda x, *, requires_grad: Value(x, requires_grad=x is not None)
    )
    uses_other = (lambda g, x2: g * x2, lambda g, x1: g * x1)
    product = elementwise_op(lambda xp, x1, x2: x1 * x2, samples=SAME_SHAPE, vjps=uses_other)
    with pytest.raises(ConformanceError, match="check_needs"):
        check_op(product, dtypes=["float64"], order=1)


def test_a_gradient_that_nobody_asked_for_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """If the engine gave an input that needs none a gradient, the kit would see it."""
    run = Case.run

    def run_for_all(case: Case, inputs: Any = None, *, needs: Any = None, **options: Any) -> Any:
        return run(case, inputs, **options)

    monkeypatch.setattr(Case, "run", run_for_all)
    product = elementwise_op(lambda xp, x1, x2: x1 * x2, samples=SAME_SHAPE, partials=(lambda x2: x2, lambda x1: x1))
    with pytest.raises(ConformanceError, match="needs no gradient and got one"):
        check_op(product, dtypes=["float64"], order=1)


def test_an_infinite_gradient_agrees_with_nothing() -> None:
    """An infinity passes among values where both sides have it, and in no gradient."""
    infinite = np.array([np.inf, 1.0])
    assert mismatch(infinite, infinite, 1e-6, 1e-6) is None
    told = mismatch(infinite, infinite, 1e-6, 1e-6, finite=True)
    assert told is not None
    assert told["off by"].startswith("inf")
    assert mismatch(-infinite, infinite, 1e-6, 1e-6) is not None


# ---- C expressions --------------------------------------------------------------------------------------------------


def half_square(c: str, c_partial: str = "x") -> Any:
    return elementwise_op(lambda xp, x: 0.5 * (x * x), partials=(lambda x: x,), c=c, c_partials=(c_partial,))


@pytest.mark.skipif(compiler() is None, reason="needs a C compiler")
@pytest.mark.parametrize(
    ("op", "message"),
    [
        (half_square("x * x"), "the C expression 'x * x' against the value"),
        (half_square("x * x / 2", "2 * x"), "the C expression '2 * x' against the gradient of x"),
        (half_square("1 / 2 * x * x"), "against the value"),  # integers of C
        (half_square("x *"), "its C expressions do not compile"),
    ],
)
def test_a_wrong_c_expression_is_caught(op: Any, message: str) -> None:
    """The system's compiler is a stand-in for those of devices."""
    check_op(half_square("x * x / 2"))
    with pytest.raises(ConformanceError, match=re.escape(message)):
        check_op(op)


def test_without_a_compiler_c_expressions_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """The kit needs NumPy alone."""
    monkeypatch.setattr("autodiff.testing.c_expressions.compiler", lambda: None)
    check_op(half_square("x * x"))


# ---- kinks ----------------------------------------------------------------------------------------------------------


def absolute(samples: Any, factor: float = 1.0) -> Any:
    return elementwise_op(lambda xp, x: xp.abs(x), vjps=(lambda g, x, xp: factor * g * xp.sign(x),), samples=samples)


def test_a_sample_at_a_kink_is_drawn_again() -> None:
    """A third of these draws lie within the step of central differences, and the op is right."""
    near = [Sample((Array((), -2e-5, 2e-5),))]
    for seed in range(12):
        check_op(absolute(near), near, seed=seed)


def test_a_wrong_rule_is_not_taken_for_a_kink() -> None:
    """Where the differences of both sides agree, or after all draws, the rule is to blame, and the draw is told."""
    with pytest.raises(ConformanceError, match="against central differences") as caught:
        check_op(absolute(VECTOR, 2.0))
    assert "kink" not in str(caught.value)
    at_zero = [Sample((Array((2,), 0.0, 1e-12),))]
    with pytest.raises(ConformanceError, match="number 5: those before lay at a kink"):
        check_op(absolute(at_zero), at_zero)


# ---- what is declared not to work ------------------------------------------------------------------------------------


def half_is_wrong(xp: Any, x: Any) -> Any:
    return x * (1.5 if is_half(x) else 1)


def leaves_the_graph(g: Any, x: Any) -> Any:
    return 2 * (g.data if isinstance(g, Value) else g) * (x.data if isinstance(x, Value) else x)


@pytest.mark.parametrize(
    ("declared", "told"),
    [
        ([Unsupported("overflows", dtype="flaot16")], r"the dtype 'flaot16'; there are float16, float32"),
        ([Unsupported("none", mode="forward")], r"the mode 'forward'; there are rev, fwd"),
        (["float16"], r"takes a list of Unsupported; it has 'float16'"),
        ("float16", r"unsupported= takes a list or tuple"),
        (Unsupported("overflows"), r"it has 'overflows'"),
    ],
)
def test_what_cannot_be_declared_unsupported(declared: Any, told: str) -> None:
    """It would concern no test, and nobody would miss it."""
    with pytest.raises(RegistrationError, match=told):
        elementwise_op(square, partials=(lambda x: 2 * x,), unsupported=declared)


def test_what_is_declared_unsupported_may_fail() -> None:
    """A dtype, an order, a mode, a backend: the rest is checked, and says what was verified."""
    half = elementwise_op(half_is_wrong, partials=(1,), unsupported=[Unsupported("overflows", dtype="float16")])
    assert check_op(half) == {"float64": {"rev": 3, "fwd": 3}, "float32": {"rev": 3, "fwd": 3}}

    once = elementwise_op(square, vjps=(leaves_the_graph,), jvps=(lambda t, x: 2 * x * t,),
                          unsupported=[Unsupported("SciPy has no more", order=2, mode="rev")])  # fmt: skip
    assert check_op(once)["float64"] == {"rev": 1, "fwd": 3}

    elsewhere = elementwise_op(
        square, partials=(lambda x: 2 * x,), unsupported=[Unsupported("no kernel", backend="another")]
    )
    assert check_op(elsewhere)["float16"] == {"rev": 3, "fwd": 3}

    nowhere = elementwise_op(
        lambda xp, x: x.view(), partials=(1,), unsupported=[Unsupported("needs views", backend="numpy")]
    )
    with pytest.raises(ConformanceError, match="and works: take Unsupported"):
        check_op(nowhere)


@pytest.mark.parametrize(
    "declared",
    [
        Unsupported("no longer", dtype="float16"),
        Unsupported("no longer", order=2),
        Unsupported("no longer", order=3, mode="fwd"),
        Unsupported("no longer", mode="rev"),
    ],
    ids=str,
)
def test_a_declaration_that_has_outlived_its_reason_fails(declared: Unsupported) -> None:
    """An op that works where it is said not to is a failure, which says what to take away."""
    op = elementwise_op(square, partials=(lambda x: 2 * x,), unsupported=[declared])
    with pytest.raises(ConformanceError, match=re.escape(f"and works: take {declared!r} away")):
        check_op(op)


def test_a_fault_outside_of_what_is_declared_is_still_caught() -> None:
    """A declaration covers what it says, and no more."""
    declared = [Unsupported("overflows", dtype="float16"), Unsupported("not written", order=3)]
    op = elementwise_op(square, partials=(lambda x: 4 * x,), unsupported=declared)
    with pytest.raises(ConformanceError, match="check_gradient"):
        check_op(op)


def test_a_backend_declares_what_it_does_not_do() -> None:
    """On a backend the same declarations hold for one op of many."""
    backend: Any = registry.backend("numpy")
    op = elementwise_op(half_is_wrong, partials=(1,))
    with pytest.raises(ConformanceError):
        check_op(op)
    backend.unsupported = (Unsupported("not written", dtype="float16", op=op.id), Unsupported("elsewhere", op="a.b"))
    try:
        assert "float16" not in check_op(op)
    finally:
        del backend.unsupported


# ---- samples that follow ---------------------------------------------------------------------------------------------


def test_samples_follow_from_what_an_op_is() -> None:
    """Elementwise ops take every shape, ops with a signature every batch, and others what they say."""
    inner = primitive(vjps=(None, None), signature="(n),(n)->()", samples=[sample((3,), (3,))])(
        lambda xp, x1, x2: xp.vecdot(x1, x2)
    )
    assert [named(s) for s in samples_of(elementwise_op(square, partials=(None,)))] == [
        "3", "scalar", "0", "2x0x3", "2x3",
    ]  # fmt: skip
    assert [named(s) for s in samples_of(inner)] == ["3,3", "0x3,0x3", "2x3,2x3"]
    assert samples_of(primitive_op(square, vjps=(None,))) == VECTOR
    assert len(samples_of(elementwise_op(square, partials=(None,), samples=unary(p=2)))) == 4 + 2


@pytest.mark.parametrize("kind", ["float", "complex"])
@pytest.mark.parametrize("shape", [(3, 3), (2, 4, 4), (1, 1), (0, 0)])
def test_definite_matrices_are_drawn(shape: tuple[int, ...], kind: str) -> None:
    """They are Hermitian, and their eigenvalues are at least 1."""
    x = draw(Array(shape, kind=kind, definite=True), np.random.default_rng(0))
    assert x.shape == shape
    np.testing.assert_allclose(x, np.conj(np.swapaxes(x, -1, -2)), atol=1e-14)
    assert (np.linalg.eigvalsh(x) > 1 - 1e-12).all()


@pytest.mark.parametrize("spec", [Array((2, 3), definite=True), Array((3,), definite=True)])
def test_only_square_matrices_can_be_definite(spec: Array) -> None:
    """The message names the sample."""
    with pytest.raises(ArgumentError, match=r"definite=True.*only square matrices of floating numbers"):
        draw(spec, np.random.default_rng(0))


def test_a_name_of_a_sample_is_fit_for_a_command_line() -> None:
    """Shapes, numbers and attributes, without spaces and quotes."""
    told = Sample((Array((2, 3)), Array(()), 2.5), {"axis": (0, 1), "mode": "same", "dtype": np.float32})
    assert named(told) == "2x3,scalar,2.5,axis=(0,1),mode=same,dtype=float32"


def test_check_grads_tells_of_a_function_that_is_another_each_time() -> None:
    """Differences of random numbers are huge, and say nothing of the gradient; NaN is the same each time."""
    rng = np.random.default_rng(0)
    with pytest.raises(
        ConformanceError, match="the value of a second call against the first: what draws random"
    ) as told:
        check_grads(lambda x: x.sum() * rng.normal(), (np.ones(3),))
    assert "check_grads of" in str(told.value)

    with pytest.raises(ConformanceError, match="the gradient of argument 0"):
        check_grads(lambda x: x.sum() * np.nan, (np.ones(3),))

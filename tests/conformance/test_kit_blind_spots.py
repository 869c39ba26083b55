"""The kit against faults of an engine or a rule that only one of its comparisons sees: each is planted, and told."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from autodiff import Value, ops
from autodiff.extend import Array, Sample, elementwise, primitive, sample
from autodiff.registry import registry
from autodiff.testing import ConformanceError, batch_checks, check_op, gradient_checks
from autodiff.testing.case import Case
from autodiff_numpy import blocks

VECTOR = [sample((3,))]
PAIR = [sample((3,), (3,))]


def declared(kernel: Any, *, kind: Any = elementwise, samples: Any = VECTOR, **rules: Any) -> Any:
    """Declare an op in one line."""
    kernel.__name__ = kernel.__qualname__ = "planted"
    return kind(samples=samples, **rules)(kernel)


def product() -> Any:
    return declared(lambda xp, x1, x2: x1 * x2, samples=PAIR, partials=(lambda x2: x2, lambda x1: x1))


def square(**rules: Any) -> Any:
    return declared(lambda xp, x: x * x, **{"partials": (lambda x: 2 * x,), **rules})


def failure(op: Any, **options: Any) -> str:
    """Return what the kit says of an op."""
    with pytest.raises(ConformanceError) as caught:
        check_op(op, **options)
    return str(caught.value)


# ---- what a gradient shares, and where it is ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("what", "share"),
    [
        ("output 0", lambda run: run.outputs[0]._array),
        ("the input x2", lambda run: run.inputs[1]),
        ("the seed 0", lambda run: run.seeds[0]),
        ("the gradient of x2", lambda run: run.raw_grads[1]),
    ],
)
def test_a_gradient_that_is_something_else_is_caught(what: str, share: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """An engine that hands out an array which somebody else holds."""
    run = Case.run

    def shared(case: Case, *args: Any, **options: Any) -> Any:
        found = run(case, *args, **options)
        if found.raw_grads.get(0) is not None and found.raw_grads.get(1) is not None:
            found.raw_grads[0] = share(found)
        return found

    monkeypatch.setattr(Case, "run", shared)
    told = failure(product(), dtypes=["float64"])
    assert f"the gradient of x1 shares its memory with {what}" in told
    assert "check_aliasing" in told


def test_a_gradient_on_another_device_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """An engine that leaves a gradient on the host."""
    strict = pytest.importorskip("array_api_strict")
    from strict_backend import StrictBackend

    def moved(self: Any, array: Any, **options: Any) -> Any:
        return strict.asarray(array, device=self.host, copy=True)

    with registry.scoped():
        registry.register_backend(StrictBackend())
        check_op(square(), backend="strict", dtypes=["float64"], order=1)
        monkeypatch.setattr(StrictBackend, "fresh", moved)
        told = failure(square(), backend="strict", dtypes=["float64"], order=1)
    assert "device of the gradient of x\n  expected   device1\n  actual     CPU_DEVICE" in told


# ---- forward mode ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("change", [lambda t: t.astype(np.float64), lambda t: t[None]], ids=["dtype", "shape"])
def test_a_tangent_unlike_its_output_is_caught(change: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """An engine that does not bring a tangent into the space of its output."""
    jvp = gradient_checks.jvp

    def changed(*args: Any, **options: Any) -> Any:
        y, tangents = jvp(*args, **options)
        return y, [change(np.asarray(t)) for t in tangents]

    monkeypatch.setattr(gradient_checks, "jvp", changed)
    assert "shape and dtype of tangent 0" in failure(square(), dtypes=["float32"])


def writes(into: str) -> Any:
    """Return x**2 with a forward rule that writes into what it is handed."""

    def spoil(array: Any) -> None:
        if isinstance(array, np.ndarray) and array.ndim and array.flags.writeable:
            array *= 3

    if into == "y":

        def rule(t: Any, x: Any, y: Any) -> Any:
            tangent = 2 * t * x
            spoil(y)
            return tangent
    else:

        def rule(t: Any, x: Any) -> Any:  # type: ignore[misc]
            tangent = 2 * t * x
            spoil(t if into == "t" else x)
            return tangent

    return square(partials=None, vjps=(lambda g, x: 2 * g * x,), jvps=(rule,))


@pytest.mark.parametrize(
    ("into", "what"), [("t", "an input or a tangent"), ("x", "an input or a tangent"), ("y", "an output")]
)
def test_a_forward_rule_that_writes_is_caught(into: str, what: str) -> None:
    """Its tangent is right; what it was handed is not any more."""
    told = failure(writes(into), dtypes=["float64"], order=1)
    assert f"the forward derivative wrote into {what}" in told


# ---- batches -----------------------------------------------------------------------------------------------------------


def test_a_wrong_gradient_through_a_batch_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """A batch with the right numbers, the right gradients inside, and twice the gradient through it."""
    vmap = batch_checks.vmap

    def doubled(f: Any) -> Any:
        def called(*xs: Any) -> Any:
            return [2 * y - y.detach() if isinstance(y, Value) else y for y in vmap(f)(*xs)]

        return called

    check_op(square())
    monkeypatch.setattr(batch_checks, "vmap", doubled)
    told = failure(square())
    assert "the gradient of x through a batch of x (the vjp of vmap) against its examples" in told


def test_a_wrong_tangent_through_a_batch_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same forwards."""
    jvp = batch_checks.jvp

    def doubled(*args: Any, **options: Any) -> Any:
        y, tangents = jvp(*args, **options)
        return y, [2 * t for t in tangents]

    monkeypatch.setattr(batch_checks, "jvp", doubled)
    assert "the forward derivative through a batch of x (the jvp of vmap)" in failure(square())


# ---- where there is no derivative --------------------------------------------------------------------------------------


def larger(share: float) -> Any:
    """Return the rules of a maximum, with this share for the first where both are equal."""

    def rule(first: bool) -> Any:
        def pulled(g: Any, x1: Any, x2: Any, xp: Any) -> Any:
            own, other = (x1, x2) if first else (x2, x1)
            return xp.where(own == other, (share if first else 1 - share) * g, xp.where(own > other, g, 0.0))

        return pulled

    return rule(True), rule(False)


def sign_at_zero(number: float) -> Any:
    return lambda g, x, xp: g * xp.where(x == 0, number, xp.sign(x))


def absolute(**rules: Any) -> Any:
    return declared(lambda xp, x: xp.abs(x), **rules)


def test_a_backend_rule_that_shares_ties_otherwise_is_caught() -> None:
    """No difference tells which is right; that the two do not agree, the kit does."""
    op = declared(lambda xp, x1, x2: xp.maximum(x1, x2), samples=PAIR, vjps=larger(0.5))
    check_op(op)

    def on_numpy(first: bool) -> Any:
        rule = larger(1.0)[0 if first else 1]
        return lambda g, x1, x2: rule(g, x1, x2, np)

    op.vjp_kernel("numpy")((on_numpy(True), on_numpy(False)))
    told = failure(op)
    assert "the gradient of x1 at special numbers, by the op's own rules against a plain one" in told


def test_a_recorded_pass_that_chooses_otherwise_is_caught() -> None:
    """The rule asks in which pass it is."""

    def rule(g: Any, x: Any, xp: Any) -> Any:
        return sign_at_zero(1.0 if isinstance(g, Value) else 0.0)(g, x, xp)

    check_op(absolute(vjps=(sign_at_zero(1.0),)))
    assert "at special numbers, in a recorded pass against a plain one" in failure(absolute(vjps=(rule,)))


def test_a_forward_rule_that_chooses_otherwise_is_caught() -> None:
    """The derivative of abs at 0 is 0 one way, and 1 the other way."""

    def forward(t: Any, x: Any, xp: Any) -> Any:
        return sign_at_zero(1.0)(t, x, xp)

    op = absolute(vjps=(sign_at_zero(0.0),), jvps=(forward,))
    assert "the forward derivative at special numbers against the gradient" in failure(op)


def test_a_rule_that_remembers_zeros_is_caught() -> None:
    """Elsewhere it remembers nothing, so that only a zero at another place shows it."""
    seen: dict[Any, Any] = {}

    def rule(g: Any, x: Any, xp: Any) -> Any:
        if isinstance(g, Value) or not isinstance(x, np.ndarray):
            return g * xp.where(x == 0, 0.0, xp.sign(x))
        before = seen.get(x.shape, x == 0)
        seen[x.shape] = x == 0
        return np.where(before, 0.0, g * np.where(x == 0, 1.0, np.sign(x))).astype(g.dtype)

    assert "at special numbers" in failure(absolute(vjps=(rule,)), dtypes=["float64"])


def test_a_recorded_rule_that_remembers_an_attribute_is_caught() -> None:
    """The backend's own rule, which runs in plain passes, remembers nothing."""
    last: dict[str, float] = {}

    def rule(g: Any, factor: float) -> Any:
        before = last.get("factor", factor)
        last["factor"] = factor
        return g * before

    samples = [sample((3,), factor=2.0), sample((3,), factor=3.0)]
    op = declared(lambda xp, x, *, factor: x * factor, kind=primitive, vjps=(rule,), samples=samples)
    op.vjp_kernel("numpy")((lambda g, factor: g * factor,))
    told = failure(op, dtypes=["float64"])
    assert "of x after a call with {'factor': 3.0} in a recorded pass against plain ones" in told


def test_numbers_that_are_not_for_an_op_are_left_out() -> None:
    """A kernel may refuse zeros, as one for singular matrices does; but not in one pass alone."""

    def kernel(xp: Any, x: Any) -> Any:
        if isinstance(x, np.ndarray) and (x == 0).any():
            raise np.linalg.LinAlgError("singular")
        return x * 2

    many = [sample((20,))]
    check_op(declared(kernel, kind=primitive, vjps=(lambda g: g * 2,), samples=many))

    def rule(g: Any, x: Any) -> Any:
        if isinstance(g, Value) and (x.detach()._array == 0).any():
            raise np.linalg.LinAlgError("singular")
        return g * 2

    told = failure(declared(lambda xp, x: x * 2, kind=primitive, vjps=(rule,), samples=many))
    assert "the op refuses numbers that it has taken in a plain pass" in told


# ---- references ----------------------------------------------------------------------------------------------------------

REFERENCES = {op.id: op.reference for op in ops if isinstance(op.reference, str)}


def test_shipped_ops_have_references() -> None:
    """What only a generic kernel computes is compared with SciPy."""
    assert len(REFERENCES) >= 5


@pytest.mark.parametrize("op_id", REFERENCES)
def test_a_reference_is_called_and_another_one_refused(op_id: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The op is compared with what its declaration names."""
    module, _, name = REFERENCES[op_id].partition(":")
    right = getattr(pytest.importorskip(module), name)
    calls = []

    def wrong(*args: Any, **attrs: Any) -> Any:
        calls.append(args)
        return right(*args, **attrs) + 1e-5

    monkeypatch.setattr(f"{module}.{name}", wrong)
    assert "the value against the reference" in failure(ops[op_id], dtypes=["float64"], order=1)
    assert calls


def test_a_reference_of_a_package_that_is_not_there_is_left_out() -> None:
    """It need not be installed."""
    check_op(square(reference="no_such_package:square"))


def test_complex_ties_are_drawn() -> None:
    """Special numbers of complex inputs have both parts."""
    op = declared(
        lambda xp, x: xp.abs(x), samples=[Sample((Array((3,), kind="complex"),))],
        vjps=(lambda g, x, y, xp: g * xp.where(y == 0, 0.0, x / xp.where(y == 0, 1.0, y)),),
    )  # fmt: skip
    check_op(op)


# ---- what a message blames -----------------------------------------------------------------------------------------------


def test_a_wrong_partial_is_not_blamed_on_its_c_expression() -> None:
    """The expression in C is right, and so the rule is compared with differences first."""
    told = failure(square(partials=(lambda x: 4 * x,), c="x * x", c_partials=("2 * x",)))
    assert told.startswith("'test_kit_blind_spots.planted': the gradient of x against central differences")


def test_a_gradient_that_is_not_finite_for_another_draw_is_told_as_such() -> None:
    """The first draw has every row once; the second has not, and the rule divides by how often it is there."""

    def rule(g: Any, index: Any, table_shape: Any, xp: Any) -> Any:
        hot = xp.astype(xp.expand_dims(index, axis=-1) == xp.arange(table_shape[0]), g.dtype)
        return xp.matmul(xp.matrix_transpose(hot), g) / xp.expand_dims(xp.sum(hot, axis=0), axis=-1)

    op = declared(
        lambda xp, table, index: xp.take(table, index, axis=0), kind=primitive, vjps={"table": rule, "index": None},
        samples=[sample((4, 3), Array((4,), 0, 4, kind="int"))],
    )  # fmt: skip
    with np.errstate(all="ignore"):
        told = {failure(op, seed=seed).partition("\n")[0] for seed in range(8)}
    assert "'test_kit_blind_spots.planted': the gradient of table against central differences" in told
    assert all("not finite" in text or "against central differences" in text for text in told)


def test_an_exception_in_a_rule_of_several_outputs_says_what_none_is() -> None:
    """The rule does arithmetic with the cotangent of an output that was not used."""
    op = declared(lambda xp, x: (x * 2, x * 3), kind=primitive, vjps=(lambda g: g[0] * 2 + g[1] * 3,))
    told = failure(op)
    assert "outputs of shapes (3,) float64, (3,) float64, where g has None for an output that nobody used" in told


# ---- what only other arrays, or other calls before, show -----------------------------------------------------------------


def test_a_memory_that_knows_calls_by_shapes_alone_is_caught() -> None:
    """The samples with another attribute have another shape, so that only the same inputs with it show the memory."""
    slopes: dict[Any, float] = {}

    def remembered(g: Any, x: Any, slope: float) -> Any:
        before, slopes[x.shape] = slopes.get(x.shape, slope), slope
        return g * before

    def kernel(xp: Any, x: Any, *, slope: float = 1.0) -> Any:
        return slope * x

    op = declared(
        kernel, kind=primitive, samples=[sample((3,), slope=2.0), sample((2,), slope=3.0)], vjps=(remembered,)
    )
    slopes.clear()
    assert "check_memory" in failure(op, dtypes=["float64"], order=1)


def test_a_memory_of_half_precision_alone_is_caught() -> None:
    """A backend's rule goes another way in half precision, and remembers an attribute there."""
    kept: list[float] = []

    def rule(g: Any, slope: float) -> Any:
        kept.append(slope)
        return g * (kept[-2] if g.dtype == np.float16 and len(kept) > 1 else slope)

    def kernel(xp: Any, x: Any, *, slope: float = 1.0) -> Any:
        return slope * x

    op = declared(
        kernel,
        kind=primitive,
        samples=[sample((3,), slope=1.0), sample((3,), slope=2.0)],
        vjps=(lambda g, slope: g * slope,),
    )
    op.vjp_kernel("numpy")((rule,))
    check_op(op, dtypes=["float64"], order=1)
    assert "check_memory" in failure(op, dtypes=["float16"], order=1)


def test_a_helper_of_kernel_and_rule_that_is_wrong_for_large_arrays_is_caught() -> None:
    """What a kernel, a rule and their references share is wrong for all of them alike."""

    def doubled(g: Any) -> Any:
        return (2.0 if blocks.LARGE > 1 else 2.5) * g

    op = declared(lambda xp, x: doubled(x), kind=primitive, vjps=(doubled,))
    op.vjp_kernel("numpy")((doubled,))
    told = failure(op, dtypes=["float64"])
    assert "of arrays treated as large ones against plain ones" in told
    assert "check_large" in told


def test_a_memory_of_the_rule_for_one_input_alone_is_caught() -> None:
    """The joint rule, which runs when both inputs need a gradient, is right."""
    kept: list[Any] = []

    def joint(g: Any, x1: Any, x2: Any, needs: tuple[bool, ...]) -> Any:
        if all(needs):
            return g * x2, g * x1
        kept.append(x2 if needs[0] else x1)
        old = kept[-2] if len(kept) > 1 and kept[-2].dtype == g.dtype and kept[-2].shape == g.shape else kept[-1]
        return (g * old, None) if needs[0] else (None, g * old)

    op = declared(lambda xp, x1, x2: x1 * x2, kind=primitive, samples=[sample((3,), (3,))], vjp=joint)
    told = failure(op, dtypes=["float64"], order=1)
    assert "check_memory" in told


def test_a_rule_that_writes_into_a_cotangent_wrongly_is_caught() -> None:
    """Only where the pass gives it the cotangent's memory, for large arrays amid a graph, does it go another way."""

    def rule(g: Any, x: Any, out: Any = None) -> Any:
        return 2 * g * x if out is None else np.multiply(g, x, out=out)

    op = square()
    op.vjp_kernel("numpy")((rule,))
    told = failure(op, dtypes=["float64"], order=1)
    assert "check_reuse" in told
    assert "where what is not needed any more is written into" in told


def test_a_forward_rule_that_is_not_finite_where_the_gradient_is_is_caught() -> None:
    """At zeros alone, as the tip of a cone is."""

    def gradient(g: Any, x: Any, y: Any, xp: Any) -> Any:
        return g * x / xp.where(y == 0, 1.0, y)

    def forward(t: Any, x: Any, y: Any, xp: Any) -> Any:
        return xp.sum(t * x) / y

    op = declared(lambda xp, x: xp.sqrt(xp.sum(x * x)), kind=primitive, vjps=(gradient,), jvps=(forward,))
    told = failure(op, dtypes=["float64"], order=1)
    assert "at zeros is not finite, and the gradient is" in told
    assert "check_special_forward" in told


@pytest.mark.parametrize("number", [np.inf, -np.inf, np.nan])
def test_a_backend_rule_that_differs_at_an_infinity_is_caught(number: float) -> None:
    """A kernel for masks, for instance, which infinities and NaN are what is masked with."""

    def rule(g: Any, x: Any) -> Any:
        hit = np.isnan(x) if np.isnan(number) else x == number
        return np.where(hit, 0.0, 2.0 * g).astype(g.dtype)

    op = declared(lambda xp, x: x + x, kind=primitive, samples=[sample((5,))], vjps=(lambda g, x: 2.0 * g,))
    op.vjp_kernel("numpy")((rule,))
    assert "at infinities and NaN" in failure(op, dtypes=["float64"], order=1)


def test_a_rule_of_complex_numbers_is_seen_through_invariants() -> None:
    """The phase is free, so that only what does not depend on it has a derivative; a factor two shows there."""

    def kernel(xp: Any, x: Any) -> Any:
        return x * xp.exp(1j * xp.floor(10 * xp.real(x)))  # a phase that jumps, as a library's may

    def rule(factor: float) -> Any:
        return lambda g, x, y, xp: factor * g * xp.conj(y / x)

    samples = [Sample((Array((3,), 0.5, 2.0, "complex"),))]
    options = {"kind": primitive, "samples": samples, "invariants": abs, "reference": lambda x: 1j * x}
    check_op(declared(kernel, vjps=(rule(1.0),), **options))
    assert "against central differences" in failure(declared(kernel, vjps=(rule(2.0),), **options))

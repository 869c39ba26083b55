"""The conformance kit catches what it is there for: ops with a planted fault, each of one kind."""

from __future__ import annotations

import re
import subprocess
import sys

import numpy as np
import pytest

from autodiff import Value, ops
from autodiff.errors import ArgumentError, ArgumentTypeError, AutodiffError
from autodiff.extend import Array, Sample, composite, elementwise, primitive, sample
from autodiff.registry import registry
from autodiff.testing import ConformanceError, check_grads, check_op, numeric_vjp
from autodiff_numpy import blocks

VECTOR = [sample((3,))]
PAIR = [sample((2, 3), (3,))]
COMPLEX = [Sample((Array((3,), kind="complex"),))]
_state = {}


def op_of(kernel, *, kind=elementwise, samples=VECTOR, **rules):
    """Declare an op in one line; its name is `planted`."""
    kernel.__name__ = kernel.__qualname__ = "planted"
    return kind(samples=samples, **rules)(kernel)


def cube(xp, x):
    return x * x * x


# ---- correct ops pass ---------------------------------------------------------------------------------------


def norm_vjp(g, x, y, xp):
    return g * x / y


def both_vjp(g, x, xp):
    first, second = (part if part is not None else 0.0 for part in g)
    return first * xp.exp(x) + second * (1 - xp.tanh(x) ** 2)


def joint_vjp(g, x1, x2, needs):
    return g * x2 if needs[0] else None, g * x1 if needs[1] else None


def randomly_scaled(xp, x, *, generator=None):
    scale = xp.astype(generator.random(x.shape), x.dtype)
    return x * scale, scale


CORRECT = {
    "elementwise": op_of(lambda xp, x: x * x * x, partials=(lambda x: 3 * x * x,)),
    "two inputs that broadcast": op_of(
        lambda xp, x1, x2: x1 * x2 * x2, partials=(lambda x2: x2 * x2, lambda x1, x2: 2 * x1 * x2), samples=PAIR
    ),
    "complex": op_of(lambda xp, x: x * x, partials=(lambda x: 2 * x,), samples=COMPLEX),
    "reduction": op_of(
        lambda xp, x: xp.sqrt(xp.sum(x * x)), kind=primitive, vjps=(norm_vjp,), samples=[sample((2, 3))]
    ),
    "joint rule": op_of(
        lambda xp, x1, x2: x1 * x2, kind=primitive, vjp=joint_vjp, samples=[sample((3,), (3,))]
    ),
    "not differentiable": op_of(lambda xp, x: xp.floor(x), partials=(None,)),
    "integers out": op_of(lambda xp, x: xp.astype(x, xp.int64), kind=primitive, vjps=(None,)),
    "integers out, with a rule": op_of(lambda xp, x: xp.astype(x, xp.int64), kind=primitive, vjps=(lambda g: g,)),
    "returns its input": op_of(lambda xp, x: x, partials=(1,)),
    "several outputs": op_of(
        lambda xp, x, *, scale: (xp.exp(x) * scale, xp.tanh(x) * scale), kind=primitive,
        vjps=(lambda g, x, scale, xp: both_vjp(g, x, xp) * scale,), samples=[sample((3,), scale=2.0)],
    ),
    "several outputs, no attributes": op_of(
        lambda xp, x: (xp.exp(x), xp.tanh(x)), kind=primitive, vjps=(both_vjp,)
    ),
    "random": op_of(randomly_scaled, kind=primitive, residuals=("scale",), vjps=(lambda g, scale: g * scale,)),
    "composite": op_of(lambda x: ops.tanh(x) * 2.0, kind=composite),
}  # fmt: skip


@pytest.mark.parametrize("op", CORRECT.values(), ids=CORRECT)
def test_a_correct_op_passes(op):
    """What is right is not reported."""
    check_op(op)


# ---- planted faults -----------------------------------------------------------------------------------------


def writes_into_cotangent(g, x, xp):
    q = g * 3 * x * x
    if isinstance(g, np.ndarray):
        g *= 2
    return q


def writes_into_input(xp, x):
    y = x * x
    if isinstance(x, np.ndarray) and x.flags.writeable:
        x += 1
    return y


def writes_into_saved(g, x, xp):
    q = g * 2 * x
    if isinstance(x, np.ndarray) and x.flags.writeable:
        x += 1
    return q


def writes_into_residual(g, twice, xp):
    q = g * twice
    if isinstance(twice, np.ndarray):
        twice *= 2
    return q


def square_with_residual(xp, x):
    return x * x, 2 * x


def drops_to_raw_arrays(g, x, xp):
    x = x.data if isinstance(x, Value) else x
    return g * (2 * x)


def detaches_its_input(g, x):
    """A rule that takes its input for a constant."""
    return 2 * g * (x.detach() if hasattr(x, "detach") else x)


def leaves_the_graph(g, x, xp):
    return 2 * g.detach().data * x.detach().data if isinstance(g, Value) else 2 * g * x


def remembers_the_last_input(xp, x):
    _state["x"] = np.array(x)
    return x * x


def rule_of_the_last_input(g, x, xp):
    # Correct in a plain pass that follows its own call, and differentiable in a recorded one.
    return g * 2 * (x if isinstance(g, Value) else _state["x"].astype(g.dtype))


def rule_of_the_last_attribute(g, factor):
    # Correct in a call that follows one with the same attribute.
    last, _state["factor"] = _state.get("factor", factor), factor
    return g * last


def tangent_of_the_last_attribute(t, factor):
    last, _state["pushed"] = _state.get("pushed", factor), factor
    return t * last


def returns_its_buffer(xp, x):
    y = _state.get(("y", x.shape, x.dtype))
    if y is None:
        y = _state["y", x.shape, x.dtype] = xp.zeros(x.shape, x.dtype)
    y[...] = x * x
    return y


def rule_returns_its_buffer(g, x, xp):
    if isinstance(g, Value):
        return 2 * g * x
    q = _state.setdefault(("q", x.shape, x.dtype), np.zeros(x.shape, x.dtype))
    q[...] = 2 * g * x
    return q


def sorts_its_attribute(xp, x, *, axes):
    axes.sort()
    return xp.sum(x, axis=tuple(axes))


def spreads(g, x_shape, xp):
    return xp.broadcast_to(g, x_shape)


def reads_the_memory_order(xp, x):
    return x * (1.0 if not isinstance(x, np.ndarray) or x.flags.c_contiguous else 2.0)


def counts_the_needs(g, x1, x2, needs):
    # Correct when both are needed, wrong for one alone.
    return g * x2 * (1 if all(needs) else 2), g * x1


SQUARE = {"partials": (lambda x: 2 * x,)}

FAULTS = {
    "factor two": (op_of(lambda xp, x: x * x, partials=(lambda x: 4 * x,)), "against central differences"),
    "sign": (op_of(lambda xp, x: x * x, partials=(lambda x: -2 * x,)), "against central differences"),
    "wrong in one argument": (
        op_of(lambda xp, x1, x2: x1 * x2, partials=(lambda x2: x2, lambda x1: 2 * x1), samples=PAIR),
        "of x2 against central differences",
    ),
    "wrong shape that broadcasts": (
        op_of(lambda xp, x: x * x, vjps=(lambda g, x, xp: xp.sum(2 * g * x, keepdims=True),)),
        "shape (1,); expected shape (3,)",
    ),
    "transposed": (
        op_of(
            lambda xp, x: xp.permute_dims(x, (1, 0)), kind=primitive, vjps=(lambda g: g,), samples=[sample((2, 3))]
        ),
        "shape (3, 2); expected shape (2, 3)",
    ),
    "forgotten un-broadcast": (
        op_of(lambda xp, x1, x2: x1 * x2, kind=primitive,
              vjps=(lambda g, x2: g * x2, lambda g, x1: g * x1), samples=PAIR),
        "shape (2, 3); expected shape (3,)",
    ),
    "NaN in the gradient": (
        op_of(lambda xp, x: x * x, partials=(lambda x, xp: 2 * x + xp.where(x == x, xp.nan, 0.0),)),
        "against central differences",
    ),
    "NaN in the value": (op_of(lambda xp, x: x * xp.nan, partials=(0,)), "has a NaN"),
    "infinite gradient": (op_of(lambda xp, x: x * x, partials=(lambda x: x / 0.0,)), "against central differences"),
    "dropped conj": (
        op_of(lambda xp, x: x * x, vjps=(lambda g, x: g * 2 * x,), samples=COMPLEX), "against central differences",
    ),
    "writes into its cotangent": (op_of(cube, vjps=(writes_into_cotangent,)), "wrote into its cotangent"),
    "kernel writes into its input": (op_of(writes_into_input, **SQUARE), "wrote into an input"),
    "rule writes into its input": (
        op_of(lambda xp, x: x * x, vjps=(writes_into_saved,)), "wrote into an input",
    ),
    "rule writes into a residual": (
        op_of(square_with_residual, kind=primitive, residuals=("twice",), vjps=(writes_into_residual,)),
        "second pass through the same graph",
    ),
    "kernel writes into an attribute": (
        op_of(sorts_its_attribute, kind=primitive, vjps=(spreads,), samples=[sample((2, 3), axes=[1, 0])]),
        "wrote into an attribute",
    ),
    "drops to raw arrays": (op_of(lambda xp, x: x * x, vjps=(drops_to_raw_arrays,)), "asked for value.data"),
    "detaches its input": (op_of(lambda xp, x: x * x, vjps=(detaches_its_input,)), "check_second_order"),
    "leaves the graph": (op_of(lambda xp, x: x * x, vjps=(leaves_the_graph,)), "it left the graph"),
    "state between calls": (
        op_of(remembers_the_last_input, vjps=(rule_of_the_last_input,)), "two calls that overlap",
    ),
    "attribute of the last call": (
        op_of(lambda xp, x, *, factor: x * factor, vjps=(rule_of_the_last_attribute,),
              samples=[sample((3,), factor=2.0), sample((3,), factor=3.0)]),
        "of x after a call with {'factor': 3.0}",
    ),
    "attribute of the last tangent": (
        op_of(lambda xp, x, *, factor: x * factor, vjps=(lambda g, factor: g * factor,),
              jvps=(tangent_of_the_last_attribute,), samples=[sample((3,), factor=2.0), sample((3,), factor=3.0)]),
        "tangent 0 after a call with {'factor': 3.0}",
    ),
    "kernel returns its buffer": (op_of(returns_its_buffer, **SQUARE), "the first of two calls"),
    "rule returns its buffer": (op_of(lambda xp, x: x * x, vjps=(rule_returns_its_buffer,)), "two calls that overlap"),
    "float64 for float32": (
        op_of(lambda xp, x: xp.astype(x, xp.float64) * 2, partials=(2,)), "dtype of output 0 for float32 inputs",
    ),
    "imprecise in float32": (
        op_of(lambda xp, x: x * (2 if x.dtype == xp.float64 else 2.001), partials=(2,)),
        "the value in float32 against double precision",
    ),
    "wrong gradient in float32": (
        op_of(lambda xp, x: 2 * x, vjps=(lambda g, x_dtype: g * (2 if x_dtype == np.float64 else 3),)),
        "the gradient of x in float32 against double precision",
    ),
    "depends on the memory order": (
        op_of(reads_the_memory_order, partials=(1,), samples=[sample((2, 3))]), "the value with inputs",
    ),
    "wrong when one input alone needs a gradient": (
        op_of(lambda xp, x1, x2: x1 * x2, kind=primitive, vjp=counts_the_needs, samples=[sample((3,), (3,))]),
        "when only x1 needs one",
    ),
    "no rule": (op_of(cube, kind=primitive), "has no gradient rule"),
    "a list of outputs": (
        op_of(lambda xp, x: [xp.exp(x), xp.tanh(x)], kind=primitive, vjps=(both_vjp,)), "what holds several outputs",
    ),
    "kernel that raises": (op_of(lambda xp, x: x @ x @ x, **SQUARE), "cannot be called on the sample"),
    "no samples": (op_of(cube, partials=(lambda x: 3 * x * x,), samples=[]), "there are no samples"),
}  # fmt: skip


@pytest.mark.parametrize(("op", "message"), FAULTS.values(), ids=FAULTS)
def test_a_planted_fault_is_caught(op, message):
    """Each kind of fault is an error that says what is wrong."""
    with pytest.raises(ConformanceError, match=re.escape(message)):
        check_op(op)


def test_a_kernel_that_differs_from_the_generic_one_is_caught():
    """A backend's own kernel must compute what the generic one does."""
    op = op_of(lambda xp, x: x * x, **SQUARE)
    op.kernel("numpy")(lambda x: x * x + 1e-6)
    with pytest.raises(ConformanceError, match="the value against the generic kernel"):
        check_op(op)


def test_a_backend_rule_that_differs_from_the_rule_is_caught():
    """A backend's own rule, which runs in plain passes alone, must agree with the rule of the op."""
    op = op_of(lambda xp, x: x * x, vjps=(lambda g, x: 2 * g * x,))
    op.vjp_kernel("numpy")((lambda g, x: 2 * g * x * (1 + 1e-8),))
    with pytest.raises(ConformanceError, match="by the backend's own rule against the rule of the op"):
        check_op(op)


def test_a_backend_rule_that_is_wrong_for_large_arrays_alone_is_caught():
    """What a backend does for large arrays is reached with small ones, and left again."""
    op = op_of(lambda xp, x: x * x, vjps=(lambda g, x: 2 * g * x,))
    op.vjp_kernel("numpy")((lambda g, x: (2 if g.size < blocks.LARGE else 3) * g * x,))
    before = dict(vars(blocks))
    with pytest.raises(ConformanceError, match="treated as large ones are") as caught:
        check_op(op)
    assert "check_large" in str(caught.value)
    assert vars(blocks) == before


def test_gradients_that_share_memory_are_caught(monkeypatch):
    """If the engine handed out the seed itself as a gradient, the kit would see it."""
    monkeypatch.setattr(type(registry.backend("numpy")), "fresh", lambda self, array, **options: array)
    with pytest.raises(ConformanceError, match="the gradient of x shares its memory with the seed 0"):
        check_op(CORRECT["returns its input"])


def test_gradients_that_are_no_arrays_are_caught(monkeypatch):
    """If the engine handed out a scalar as the gradient of a 0-d array, the kit would see it (behaviour 32)."""
    monkeypatch.setattr(type(registry.backend("numpy")), "fresh", lambda self, array, **options: array[()])
    monkeypatch.setattr(type(registry.backend("numpy")), "box", lambda self, scalar: scalar)
    with pytest.raises(ConformanceError, match="check_gradient_types"):
        check_op(CORRECT["elementwise"], [sample(())])


def test_a_wrong_requires_grad_is_caught(monkeypatch):
    """The result of an op that is not differentiable must not claim a gradient."""
    monkeypatch.setattr(Value, "requires_grad", property(lambda value: True))
    with pytest.raises(ConformanceError, match="requires_grad of output 0"):
        check_op(CORRECT["not differentiable"])


def test_order_one_leaves_second_derivatives_out():
    """A rule that leaves the graph passes as long as nobody asks for second derivatives."""
    check_op(FAULTS["leaves the graph"][0], order=1)


def test_a_kink_is_named():
    """Where the sample lies at a kink the message says so, and elsewhere it does not."""
    at_zero = [Sample((Array((2,), 0.0, 1e-12),))]
    op = op_of(lambda xp, x: xp.abs(x), vjps=(lambda g, x, xp: g * xp.sign(x),), samples=at_zero)
    with pytest.raises(ConformanceError, match="the sample seems to lie at a kink"):
        check_op(op)
    with pytest.raises(ConformanceError) as caught:
        check_op(FAULTS["factor two"][0])
    assert "kink" not in str(caught.value)


# ---- what a failure says ------------------------------------------------------------------------------------


def test_a_failure_says_where_it_is_and_how_to_repeat_it():
    """The message has op, plugin, backend, sample, seed and numbers, and its line of Python fails alike."""
    with registry.scoped():
        op = op_of(lambda xp, x: x * x, partials=(lambda x: 4 * x,), samples=[sample(()), sample((3,))])
        registry.register_op(op)
        with pytest.raises(ConformanceError) as caught:
            check_op(op, op.samples[1:], seed=3)
        message = str(caught.value)
        for part in (repr(op.id), op.plugin, "numpy", "shape=(3,)", "expected", "actual", "off by", "check_gradient"):
            assert part in message
        assert re.search(r"seed +3\n", message) is not None
        expected, actual = (float(re.search(rf"{name} +(\S+)", message)[1]) for name in ("expected", "actual"))
        assert actual == pytest.approx(2 * expected)
        line = re.search("reproduce +(.*)", message)[1]
        with pytest.raises(ConformanceError) as again:
            exec(line, {})
        assert str(again.value) == message


def test_the_line_for_a_declared_sample_picks_that_sample():
    """Of an op's own samples the line names the one that failed."""
    with registry.scoped():
        op = op_of(lambda xp, x: x * x, partials=(lambda x, xp: 2 * x + (x.shape == (3,)),),
                   samples=[sample(()), sample((3,))])  # fmt: skip
        registry.register_op(op)
        with pytest.raises(ConformanceError, match=re.escape("check_op(op, op.samples[1:2]")) as caught:
            check_op(op)
        with pytest.raises(ConformanceError) as again:
            exec(re.search("reproduce +(.*)", str(caught.value))[1], {})
        assert "of x against central differences" in str(again.value)


def test_an_op_that_pickles_to_another_is_caught():
    """An op whose id belongs to another op does not pickle to itself."""
    with registry.scoped():
        registry.register_op(op_of(cube, partials=(lambda x: 3 * x * x,)))
        with pytest.raises(ConformanceError, match="does not pickle to itself"):
            check_op(op_of(cube, partials=(lambda x: 3 * x * x,)))


def test_a_failure_is_an_assertion_error_too():
    """Test runners show it as a failure, and `except AutodiffError` catches it."""
    assert issubclass(ConformanceError, AssertionError)
    assert issubclass(ConformanceError, AutodiffError)


@pytest.mark.parametrize(
    ("op", "options"), [("tanh", {"order": 4}), ("tanh", {"dtypes": ["float8"]}), (np.tanh, {}), ("no_such_op", {})]
)
def test_check_op_refuses_what_is_no_op(op, options):
    """Bad arguments are errors of their own, not failures of an op."""
    with pytest.raises(AutodiffError) as caught:
        check_op(op, **options)
    assert not isinstance(caught.value, ConformanceError)


# ---- check_grads --------------------------------------------------------------------------------------------


def test_check_grads_passes_nested_arguments_and_results():
    """Dicts, tuples, integers among the arguments, several results: all are gone through."""

    def f(params, n, x):
        h = (x @ params["w"] + params["b"]).tanh()
        return {"loss": (h**n).sum(), "h": h}, n

    rng = np.random.default_rng(0)
    params = {"w": rng.normal(size=(3, 2)), "b": rng.normal(size=2)}
    check_grads(f, (params, 2, rng.normal(size=(4, 3))))
    check_grads(f, (params, 2, rng.normal(size=(4, 3)).astype(np.float32)))
    check_grads(lambda x: x * x, (3.0,), order=3)
    check_grads(lambda z: abs(z) ** 2, (np.array([1 + 2j, -0.5j]),))


@pytest.mark.parametrize("name", ["factor two", "sign", "NaN in the gradient", "wrong shape that broadcasts",
                                  "leaves the graph", "infinite gradient"])  # fmt: skip
def test_check_grads_fails_on_a_wrong_rule(name):
    """A planted fault in an op that the function uses is found (behaviour 49)."""
    op = FAULTS[name][0]
    with pytest.raises(ConformanceError):
        check_grads(lambda x: op(x) + x, (np.array([0.3, -1.2, 0.8]),))


def test_check_grads_names_function_argument_numbers_and_seed():
    """Its message has what one needs to look further."""

    def energy(a, b):
        return a * FAULTS["factor two"][0](b)

    with pytest.raises(ConformanceError, match="energy") as caught:
        check_grads(energy, (np.array([1.0]), np.array([2.0])), seed=7)
    message = str(caught.value)
    assert "the gradient of argument 1 against central differences" in message
    assert re.search(r"seed +7\n", message) is not None
    expected, actual = (float(re.search(rf"{name} +(\S+)", message)[1]) for name in ("expected", "actual"))
    assert actual == pytest.approx(2 * expected)


def test_check_grads_finds_a_wrong_second_derivative():
    """A rule that is right, and whose own gradient is not, passes order 1 and fails order 2."""
    half = op_of(lambda xp, x: 2 * x, vjps=(lambda g: 3 * g,))
    op = op_of(lambda xp, x: x * x, vjps=(lambda g, x: g * half(x),))
    check_grads(op, (np.array([1.0, 2.0]),), order=1)
    with pytest.raises(ConformanceError, match="the gradient of the gradient"):
        check_grads(op, (np.array([1.0, 2.0]),))


@pytest.mark.parametrize(
    ("args", "options", "error"),
    [
        ((1.0,), {"modes": ("sideways",)}, ArgumentError),
        ((1.0,), {"order": 0}, ArgumentError),
        ((1, np.arange(3)), {}, ArgumentError),
        (np.ones(3), {}, ArgumentTypeError),
    ],
)
def test_check_grads_refuses_what_it_cannot_check(args, options, error):
    """Unknown modes, no order, nothing to differentiate, and arguments that are no tuple are errors."""
    with pytest.raises(error):
        check_grads(lambda *xs: xs[0], args, **options)


def test_check_grads_refuses_a_function_without_floating_results():
    """Where there is no gradient, passing in silence would say too much."""
    with pytest.raises(ArgumentError, match="no floating-point array"):
        check_grads(lambda x: x > 0, (np.ones(2),))


def test_numeric_vjp_is_that_of_pytorch_for_complex_numbers():
    """The gradient of ``abs(z)**2`` at 3+4j is 6+8j (behaviour 52)."""
    found = numeric_vjp(lambda z: [np.abs(z) ** 2], [np.array([3 + 4j])], [np.ones(1)])
    np.testing.assert_allclose(found, [6 + 8j], rtol=1e-9)


def test_the_kit_needs_no_test_runner():
    """Importing `autodiff.testing` imports nothing of pytest."""
    code = "import sys, autodiff.testing; print({'pytest', '_pytest'} & {*sys.modules})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"

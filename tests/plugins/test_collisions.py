"""Several plugins in one registry: who may take which name, whose kernel runs, and what a scope undoes."""

import pickle

import numpy as np
import pytest

import autodiff
from autodiff import Value
from autodiff.errors import PluginError, RegistrationError, UnknownOpError
from autodiff.extend import Backend, elementwise, hookimpl, unary
from autodiff.plugins import load_plugin, records
from autodiff.registry import registry
from autodiff.testing import op_tests


@pytest.fixture(autouse=True)
def _scope():
    """Undo whatever a test registers, and forget the plugins that it loads."""
    before = list(records)
    with registry.scoped():
        yield
    records[:] = before


def op_of(plugin, name, factor=2.0, method=False):
    """Return an op that multiplies by `factor`, declared in a module called `plugin`."""

    def scale(xp, x):
        return factor * x

    scale.__module__ = plugin
    scale.__name__ = scale.__qualname__ = name
    return elementwise(partials=(factor,), samples=unary(), method=method)(scale)


class Plugin:
    """A plugin that registers the ops and kernels that it is made with."""

    def __init__(self, *ops, kernels=(), override=False):
        self.ops = ops
        self.kernels = kernels
        self.override = override

    @hookimpl
    def register_ops(self, register):
        """Register the ops."""
        for op in self.ops:
            register(op, override=self.override)

    @hookimpl
    def register_kernels(self, register):
        """Register the kernels."""
        for op, backend, kernel in self.kernels:
            register(op, backend, kernel, override=self.override)


# ---- the same id -------------------------------------------------------------------------------------------------


def test_registering_the_same_op_twice_does_nothing():
    """Behaviour 51: a plugin may register its op again, by two entry points for instance."""
    op = op_of("alpha", "twice")
    load_plugin(Plugin(op, op))
    load_plugin(Plugin(op))
    assert (autodiff.ops.twice, len(registry.names["twice"])) == (op, 1)


def test_another_op_under_the_same_id_is_refused():
    """The error names the id and says in what the two differ; the first op stays."""
    first = op_of("alpha.one", "twice")
    load_plugin(Plugin(first))
    with pytest.raises(PluginError, match=r"'alpha\.twice' is taken.*'alpha\.one' against 'alpha\.two'.*override=True"):
        load_plugin(Plugin(op_of("alpha.two", "twice", 3.0)))
    assert autodiff.ops["alpha.twice"] is first


def test_another_op_under_the_same_id_names_both_distributions(site):
    """Two distributions fill one package and clash: the warning names both, and the first one's op stays."""
    site.double("alpha-dist", "twice", module="alpha.one")
    site.double("beta-dist", "twice", module="alpha.two")
    answer = site.run("import autodiff; result = autodiff.ops['alpha.twice'].module")
    (warning,) = answer.warnings
    assert answer.result == "alpha.one"
    assert [part in warning for part in ("alpha-dist", "beta-dist", "alpha.twice", "override=True")] == [True] * 4


def test_override_replaces_an_op():
    """With override=True the new op is found by id and by short name."""
    load_plugin(Plugin(op_of("alpha", "twice", 2.0)))
    new = op_of("alpha", "twice", 20.0)
    load_plugin(Plugin(new, override=True))
    assert (autodiff.ops["alpha.twice"], autodiff.ops.twice) == (new, new)


def test_override_replaces_a_method():
    """With override=True the new op is what the method calls."""
    load_plugin(Plugin(op_of("alpha", "twice", 2.0, method=True)))
    load_plugin(Plugin(op_of("alpha", "twice", 20.0, method=True), override=True))
    assert Value(1.0).twice().item() == 20.0


def test_override_of_a_standard_op_reaches_its_method():
    """Replacing a standard op is possible, on purpose, and a scope takes it back."""
    with registry.scoped():
        load_plugin(Plugin(op_of("autodiff_ops", "exp", 5.0), override=True))
        assert Value(2.0).exp().item() == 10.0
    assert Value(0.0).exp().item() == 1.0


def test_override_of_an_op_for_which_a_backend_has_a_kernel():
    """The kernel of the op that was replaced does not run in place of the new one."""
    load_plugin(Plugin(op_of("autodiff_ops", "negative", -2.0), override=True))
    assert (-Value(1.0)).item() == -2.0


# ---- the same short name -----------------------------------------------------------------------------------------


def test_a_short_name_that_two_plugins_have_is_refused():
    """Looking it up lists both ids; each id gives its op."""
    one, other = op_of("alpha", "twice"), op_of("beta", "twice")
    load_plugin(Plugin(one))
    load_plugin(Plugin(other))
    with pytest.raises(UnknownOpError, match=r"ops\['alpha\.twice'\].*ops\['beta\.twice'\]"):
        autodiff.ops.twice
    assert [autodiff.ops["alpha.twice"], autodiff.ops["beta.twice"]] == [one, other]


def test_an_unknown_name_offers_the_nearest():
    """A misspelt op is an AttributeError with the name that was meant."""
    load_plugin(Plugin(op_of("alpha", "quadruple")))
    with pytest.raises(AttributeError, match=r"'quadrupel'.*'quadruple'"):
        autodiff.ops.quadrupel


def test_operators_and_protocols_keep_their_meaning():
    """A stranger's `add`, `negative` and `sum` reach neither operators, nor NumPy's functions, nor autodiff.numpy."""
    import autodiff.numpy as anp

    load_plugin(Plugin(*(op_of("alpha", name, 1e6) for name in ("add", "negative", "multiply", "sum", "tanh"))))
    v = Value(np.array([1.0, 2.0]))
    computed = [v + 1, -v, v * v, np.add(v, 1), np.multiply(v, v), np.sum(v), np.tanh(v), anp.add(v, 1), anp.sum(v)]
    raw = v.data
    expected = [raw + 1, -raw, raw * raw, raw + 1, raw * raw, raw.sum(), np.tanh(raw), raw + 1, raw.sum()]
    for one, other in zip(computed, expected, strict=True):
        np.testing.assert_array_equal(one.data, other)


def test_the_kit_runs_the_example_of_an_op_whose_name_is_shared():
    """What another plugin is called is no fault of the op's docstring."""
    load_plugin(Plugin(op_of("alpha", "tanh")))
    declaration = next(op_tests(autodiff.ops["autodiff_ops.tanh"]))
    declaration.run()
    with pytest.raises(UnknownOpError, match="More than one op"):
        autodiff.ops.tanh


def test_methods_keep_their_meaning():
    """A stranger's method of a name that is taken is not one; its op is still there by its id."""
    relu, softmax = (op_of("alpha", name, 1e6, method=True) for name in ("relu", "softmax"))
    load_plugin(Plugin(relu, softmax))
    v = Value(np.array([1.0, 1.0]))
    assert v.relu().data.tolist() == [1.0, 1.0]
    assert v.softmax().data.tolist() == [0.5, 0.5]
    assert autodiff.ops["alpha.softmax"] is softmax


def test_a_new_method_is_found():
    """An op that asks for it is a method of every Value, and unknown methods offer it."""
    load_plugin(Plugin(op_of("alpha", "quadruple", 4.0, method=True)))
    assert Value(1.5).quadruple().item() == 6.0
    with pytest.raises(AttributeError, match="'quadruple'"):
        Value(1.5).quadrupel()


# ---- kernels -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("by_id", [True, False], ids=["id", "op"])
def test_a_plugin_brings_a_kernel_for_the_op_of_another(by_id):
    """`register_kernels` takes the op or its id; the kernel runs from then on, also where the old one was in use."""
    op = op_of("alpha", "twice")
    load_plugin(Plugin(op))
    x = Value(np.ones(2))
    assert op(x).data.tolist() == [2.0, 2.0]
    load_plugin(Plugin(kernels=[("alpha.twice" if by_id else op, "numpy", lambda x: x + 41.0)]))
    assert op(x).data.tolist() == [42.0, 42.0]


def test_a_kernel_registered_by_hand_runs_at_once():
    """Registered straight into the registry, as a test would, a kernel replaces the one in use."""
    op = op_of("alpha", "twice")
    registry.register_op(op)
    assert op(np.ones(2)).tolist() == [2.0, 2.0]
    registry.register_kernel(op, "numpy", lambda x: x + 41.0)
    assert op(np.ones(2)).tolist() == [42.0, 42.0]


def test_a_kernel_may_come_before_its_op():
    """The package with the kernel may be loaded first, and the one with the op later, or never."""
    load_plugin(Plugin(kernels=[("alpha.twice", "numpy", lambda x: x + 41.0)]))
    op = op_of("alpha", "twice")
    load_plugin(Plugin(op))
    assert op(np.ones(2)).tolist() == [42.0, 42.0]


def test_a_second_kernel_for_one_backend_is_refused():
    """The error names op, backend and both plugins; override=True replaces the first."""
    op = op_of("alpha", "twice")
    load_plugin(Plugin(op, kernels=[(op, "numpy", lambda x: x + 1.0)]), "first")
    second = [(op, "numpy", lambda x: x + 2.0)]
    with pytest.raises(PluginError, match=r"'alpha\.twice' has a kernel for the backend 'numpy'.*override=True"):
        load_plugin(Plugin(kernels=second), "second")
    assert op(np.ones(1)).tolist() == [2.0]
    load_plugin(Plugin(kernels=second, override=True), "third")
    assert op(np.ones(1)).tolist() == [3.0]


# ---- what is no op, and no backend -------------------------------------------------------------------------------


def test_registering_something_else_is_refused():
    """Only what a declaration made is an op; the error shows what was given."""
    with pytest.raises(PluginError, match=r"@elementwise.*it was given <built-in function abs>"):
        load_plugin(Plugin(abs))


def test_a_backend_must_be_a_backend():
    """A class in place of its instance is the likely slip, and is shown."""

    class Forgotten(Backend):
        name = "forgotten"

    class BackendPlugin:
        @hookimpl
        def register_backends(self, register):
            register(Forgotten)

    with pytest.raises(PluginError, match=r"instance of autodiff\.extend\.Backend.*Forgotten"):
        load_plugin(BackendPlugin())


def test_a_plugin_loaded_by_hand_raises_where_an_installed_one_warns():
    """In a notebook a misspelt hook, or none, is an error at once."""
    with pytest.raises(PluginError, match="registered nothing"):
        load_plugin(object())


# ---- scopes ------------------------------------------------------------------------------------------------------


def tables():
    """Return a copy of everything that the registry knows."""
    by_name = {name: list(ops) for name, ops in registry.names.items() if ops}
    return [*(dict(table) for table in registry._tables()), by_name, registry.default_backend]


def test_a_scope_undoes_everything_even_after_an_exception():
    """Ops, methods, short names, kernels, backends and the default backend are as they were."""
    import autodiff_numpy

    class Other(autodiff_numpy.NumpyBackend):
        name = "other"

    before = tables()
    op = op_of("alpha", "twice", method=True)

    def register_much():
        with registry.scoped():
            load_plugin(Plugin(op, kernels=[("autodiff_ops.exp", "numpy", lambda x: 0 * x)]))
            load_plugin(Plugin(op_of("autodiff_ops", "tanh", 5.0), override=True))
            registry.register_backend(Other())
            registry.default_backend = "other"
            assert Value(np.zeros(1)).exp().item() == 0.0
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        register_much()
    assert tables() == before
    assert ("twice" in autodiff.ops, Value(np.zeros(1)).exp().item()) == (False, 1.0)
    with pytest.raises(AttributeError):
        Value(1.0).twice


def test_scopes_nest():
    """An inner scope gives back what the outer one had."""
    op, inner = op_of("alpha", "twice"), op_of("alpha", "thrice")
    with registry.scoped():
        load_plugin(Plugin(op))
        with registry.scoped():
            load_plugin(Plugin(inner))
        assert ("twice" in autodiff.ops, "thrice" in autodiff.ops) == (True, False)
    assert "twice" not in autodiff.ops


def test_a_registration_that_is_refused_leaves_the_registry_alone():
    """RegistrationError from the registry itself is as clean as from the loader."""
    before = tables()
    with pytest.raises(RegistrationError):
        registry.register_op(op_of("autodiff_ops", "add"))
    assert tables() == before


# ---- pickling ----------------------------------------------------------------------------------------------------


def test_an_op_pickles_by_its_id():
    """What comes back is the registered op itself, and the pickle holds no code."""
    op = op_of("alpha", "twice")
    load_plugin(Plugin(op))
    data = pickle.dumps(op)
    assert (pickle.loads(data) is op, b"alpha.twice" in data, len(data) < 100) == (True, True, True)


def test_an_op_of_a_plugin_that_is_not_there_is_named_when_it_is_unpickled():
    """The error names the op that is missing."""
    with registry.scoped():
        op = op_of("alpha", "twice")
        load_plugin(Plugin(op))
        data = pickle.dumps(op)
    with pytest.raises(UnknownOpError, match=r"alpha\.twice"):
        pickle.loads(data)


def test_an_op_is_unpickled_where_nothing_is_loaded_yet(site):
    """A fresh process loads the plugins to find the op."""
    site.double("alpha-dist", "twice", module="alpha")
    data = site.run("import pickle, autodiff; result = pickle.dumps(autodiff.ops.twice).hex()").result
    answer = site.run(f"import pickle; result = pickle.loads(bytes.fromhex({data!r}))(1.5).item()")
    assert answer.result == 3.0


# ---- a neighbour with all of our names ---------------------------------------------------------------------------

#: A plugin with an op of every name that autodiff ships; each of them returns nonsense.
_NEIGHBOUR = """
from autodiff.extend import elementwise, hookimpl, unary

def nonsense(name):
    def op(xp, x):
        return 0 * x + 1e6
    op.__name__ = op.__qualname__ = name
    return elementwise(partials=(1e6,), samples=unary(), method=True)(op)

@hookimpl
def register_ops(register):
    for name in {names!r}:
        register(nonsense(name))
"""

_COMPUTATIONS = """
import numpy as np
import autodiff, autodiff_nn as nn, autodiff_activations, autodiff_cli.demo
import autodiff.numpy as anp
from autodiff import Value, grad, hessian
from autodiff.extend import Array
from autodiff.testing.drawing import draw

rng = np.random.default_rng(0)
found = {}
for op in autodiff.ops:
    if op.plugin == "neighbour":
        continue
    values = [Value(draw(a, rng)) if isinstance(a, Array) else draw(a, rng) for a in op.samples[-1].inputs]
    results = op(*values, **op.samples[-1].attrs)
    results = [y for y in (results if isinstance(results, tuple) else [results]) if getattr(y, "requires_grad", False)]
    leaves = [v for v in values if isinstance(v, Value) and v.requires_grad]
    if results:
        sum((anp.abs(y) ** 2).sum() for y in results).backward(create_graph=True)
        first = sum((anp.abs(v.grad) ** 2).sum() for v in leaves if v.grad is not None)
        if getattr(first, "requires_grad", False):
            first.backward()
        found[op.id] = [repr(v.grad) for v in leaves]

x = rng.normal(size=(4, 3))
model = nn.Sequential(nn.Linear(3, 4, generator=0), autodiff_activations.relu, nn.LayerNorm(4),
                      nn.Dropout(0.5, generator=1), nn.Linear(4, 2, generator=2), anp.tanh)
optimizer = nn.Adam(model.parameters())
for name in ("cross_entropy", "mse_loss", "l1_loss", "huber_loss", "binary_cross_entropy_with_logits"):
    y, labels = model(x), np.array([0, 1, 1, 0])
    loss = nn.cross_entropy(y, labels) if name == "cross_entropy" else getattr(nn, name)(y[:, 0], labels * 1.0)
    loss.backward()
    nn.clip_grad_norm(model.parameters(), 1.0)
    optimizer.step()
    found[name] = repr(loss)
v = Value(x)
found["methods"] = repr([v.softmax().exp() @ anp.sin(v).T, np.var(v) + v.mean() ** 2, -v.max(), v.T.reshape(-1)[2]])
found["hessian"] = repr(hessian(lambda x: anp.array([x[0, 0], anp.norm(x) ** 2]).sum())(x))
found["demo"] = autodiff_cli.demo._find_activation().id
result = found
"""


def test_a_neighbour_with_all_our_names_changes_nothing(site):
    """Ops, rules of either pass, methods, autodiff.numpy, networks and the demo ask for ours, whatever else there is."""
    alone = site.run(_COMPUTATIONS).result
    names = sorted(
        {op.name for op in autodiff.ops if op.plugin in ("autodiff_ops", "autodiff_activations", "autodiff_nn")}
    )
    site.add("neighbour", _NEIGHBOUR.format(names=names))
    answer = site.run(_COMPUTATIONS)
    assert (answer.result, answer.warnings) == (alone, [])
    assert len(alone) > 110


def test_the_message_of_an_ambiguous_name_is_the_fix(site):
    """It can be pasted: the expression for each op, and whose it is."""
    site.double("alpha-dist", "softplus", module="alpha")
    message = site.run("""
        import autodiff
        try:
            autodiff.ops.softplus
        except AttributeError as error:
            result = str(error)
    """).result
    assert "autodiff.ops['autodiff_activations.softplus'] for that of autodiff-toolkit" in message
    assert "autodiff.ops['alpha.softplus'] for that of alpha-dist 1.0" in message

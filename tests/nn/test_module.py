"""Modules: what is found, named, saved, loaded, shown and refused."""

from __future__ import annotations

import copy
import dataclasses
import pickle

import numpy as np
import pytest

import autodiff_nn as nn
from autodiff import AutodiffError, Value, grad, no_grad, ops


class Net(nn.Module):
    """Everything that a module can hold."""

    def __init__(self, seed=0):
        self.scale = Value(2.0)
        self.layers = [nn.Linear(2, 3, generator=seed), (nn.Linear(3, 1, generator=seed), "no module")]
        self.heads = {"a": nn.LayerNorm(2), "weight": Value(np.ones(2))}
        self.register_buffer("count", np.zeros((), np.int64))
        self.name = "net"

    def forward(self, x):
        return self.layers[1][0](ops.tanh(self.layers[0](x))) * self.scale


NAMES = [
    "scale",
    "heads.weight",
    "layers.0.weight",
    "layers.0.bias",
    "layers.1.0.weight",
    "layers.1.0.bias",
    "heads.a.weight",
    "heads.a.bias",
]


def test_parameters_buffers_and_modules_have_names():
    """Attributes, lists, tuples and dicts are searched."""
    net = Net()

    assert [name for name, _ in net.named_parameters()] == NAMES
    assert [*NAMES, "count"] == list(net.state_dict())
    assert [name for name, _ in net.named_buffers()] == ["count"]
    assert [name for name, _ in net.named_modules()] == ["", "layers.0", "layers.1.0", "heads.a"]
    assert next(net.parameters()) is net.scale


def test_a_module_calls_its_forward():
    """Calling runs forward; without one the error says so."""
    assert Net()(np.ones((4, 2))).shape == (4, 1)
    with pytest.raises(NotImplementedError, match="Module has no method forward"):
        nn.Module()(1.0)


def test_dataclasses_are_modules():
    """Nothing depends on a call of ``super().__init__()``."""

    @dataclasses.dataclass(eq=False)
    class Affine(nn.Module):
        weight: Value
        bias: Value

    module = Affine(Value(1.0), Value(2.0))

    assert [name for name, _ in module.named_parameters()] == ["weight", "bias"]
    assert module.training


def test_tied_parameters_are_trained_once_and_saved_under_each_name():
    """One Value under two names is one parameter."""
    net = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    net[1].weight = net[0].weight

    assert [name for name, _ in net.named_parameters()] == ["0.weight", "0.bias", "1.bias"]
    assert list(net.state_dict()) == ["0.weight", "0.bias", "1.weight", "1.bias"]


def test_a_module_may_contain_itself():
    """A circle is walked once."""
    net = nn.Linear(1, 1)
    net.parent = net

    assert [name for name, _ in net.named_modules()] == [""]
    assert len(list(net.parameters())) == 2
    assert "..." in repr(net)


def test_a_detached_value_freezes_a_parameter():
    """It keeps its name and place, and gets no gradient."""
    layer = nn.Linear(2, 1)
    layer.weight = layer.weight.detach()
    layer(np.ones((1, 2))).sum().backward()

    assert list(layer.state_dict()) == ["weight", "bias"]
    assert layer.weight.grad is None
    assert layer.bias.grad.tolist() == [1.0]


def test_assigning_requires_grad_freezes_a_parameter():
    """PyTorch's habit: the optimiser passes it over until it is set free."""
    layer = nn.Linear(2, 1, generator=0)
    optimizer = nn.Adam(layer.parameters(), lr=0.1)
    before = layer.weight.data.copy()
    layer.weight.requires_grad = False
    for free in (False, True):
        layer.weight.requires_grad = free
        optimizer.zero_grad()
        layer(np.ones((1, 2))).sum().backward()
        optimizer.step()
        assert np.array_equal(layer.weight.data, before) is not free
    assert list(layer.state_dict()) == ["weight", "bias"]


def test_activations_are_no_classes():
    """nn.ReLU says where it is."""
    with pytest.raises(AttributeError, match=r"autodiff\.ops\.relu"):
        nn.ReLU


def test_other_values_are_plain_attributes():
    """Results, and Values that need no gradient, are not trained; None and del remove a parameter."""
    net = Net()
    net.last = net.scale * 2
    with no_grad():
        net.cached = net.scale * 2
    assert [name for name, _ in net.named_parameters()] == NAMES
    net.scale = None
    del net.layers

    assert [name for name, _ in net.named_parameters()] == ["heads.weight", "heads.a.weight", "heads.a.bias"]


def test_buffers_follow_assignment():
    """A new array under a buffer's name is the buffer; NumPy's scalars become 0-d arrays."""
    net = Net()
    net.count = net.count + 1

    assert type(net.count) is np.ndarray
    assert [(name, int(array)) for name, array in net.named_buffers()] == [("count", 1)]


_WRONG = {
    "array for a parameter": (lambda net: setattr(net, "scale", np.ones(())), "Net.scale is a parameter"),
    "result for a parameter": (lambda net: setattr(net, "scale", net.scale * 2), "an intermediate result"),
    "Value for a buffer": (lambda net: setattr(net, "count", Value(1.0)), "Net.count is a buffer"),
    "list for a buffer": (lambda net: setattr(net, "count", [1]), "raw array"),
    "buffer over a parameter": (lambda net: net.register_buffer("scale", np.ones(1)), "is a parameter already"),
    "Value as a new buffer": (lambda net: net.register_buffer("b", Value(1.0)), "Pass value.data"),
}


@pytest.mark.parametrize("name", _WRONG)
def test_wrong_assignments_are_refused(name):
    """The message names module and attribute, and nothing is changed."""
    net = Net()
    before = net.state_dict()
    act, message = _WRONG[name]
    with pytest.raises(AutodiffError, match=message):
        act(net)

    assert list(before) == list(net.state_dict())


def test_modes_reach_every_module():
    """train, eval and zero_grad work on the whole tree."""
    net = Net()
    net(np.ones((4, 2))).sum().backward()

    assert net.eval() is net
    assert [m.training for _, m in net.named_modules()] == [False] * 4
    assert [m.training for _, m in net.train().named_modules()] == [True] * 4
    assert net.scale.grad is not None
    net.zero_grad()
    assert [p.grad for p in net.parameters()] == [None] * 8


# ---- state ---------------------------------------------------------------------------------------------------


def test_state_goes_round():
    """What one module hands out another takes; the arrays belong to neither afterwards."""
    net, other = Net(0), Net(1)
    net.count = np.array(7)
    state = net.state_dict()
    report = other.load_state_dict(state)
    state["scale"][...] = 99

    assert report == ([], [])
    assert net.scale.item() == other.scale.item() == 2.0
    assert other.count == 7
    x = np.ones((4, 2))
    assert net(x).data.tolist() == other(x).data.tolist()


def test_a_state_is_not_changed_by_training():
    """It is a copy of the numbers."""
    net = Net()
    before = net.state_dict()["layers.0.weight"].tolist()
    state = net.state_dict()
    net.layers[0].weight.data[...] = 0

    assert before == state["layers.0.weight"].tolist()


def test_loading_keeps_values_dtypes_and_gradients():
    """The Values stay the same objects, for optimisers hold them; numbers are converted."""
    layer = nn.Linear(2, 1, dtype="float32")
    weight = layer.weight
    layer.load_state_dict({"weight": Value(np.array([[1, 2]])), "bias": [0.5]})

    assert layer.weight is weight
    assert weight.requires_grad
    assert (weight.dtype, weight.data.tolist()) == ("float32", [[1.0, 2.0]])


def test_a_state_that_does_not_fit_names_every_fault_and_loads_nothing():
    """Missing, unexpected, wrong shapes and wrong kinds are all in one message."""
    net = Net()
    state = net.state_dict()
    before = copy.deepcopy(state)
    del state["scale"], state["count"]
    state |= {"other": np.ones(1), "layers.0.weight": np.ones((2, 3)), "layers.0.bias": np.ones(3, complex)}
    state["heads.weight"] = np.full(2, 5.0)
    with pytest.raises(ValueError) as caught:
        net.load_state_dict(state)

    message = str(caught.value)
    assert "Net.load_state_dict" in message
    assert "Missing: 'scale', 'count'." in message
    assert "Unexpected: 'other'." in message
    assert "'layers.0.weight' has shape (3, 2) here and (2, 3) in the state." in message
    assert "'layers.0.bias' has dtype float64 here and complex128 in the state." in message
    assert {n: a.tolist() for n, a in before.items()} == {n: a.tolist() for n, a in net.state_dict().items()}


def test_loading_loosely_reports_what_was_left_out():
    """strict=False skips names; shapes must still fit."""
    layer = nn.Linear(2, 1)
    report = layer.load_state_dict({"bias": np.array([3.0]), "other": np.ones(1)}, strict=False)

    assert (report.missing, report.unexpected) == (["weight"], ["other"])
    assert layer.bias.data.tolist() == [3.0]
    with pytest.raises(AutodiffError, match=r"'bias' has shape \(1,\) here and \(2,\)"):
        layer.load_state_dict({"bias": np.ones(2)}, strict=False)


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))], ids=["copy", "pickle"])
def test_copies_are_whole_and_apart(duplicate):
    """deepcopy and pickle give modules with parameters, buffers and modes of their own; ties stay ties."""
    net = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2), nn.Linear(2, 2)).eval()
    net[2].weight = net[0].weight
    other = duplicate(net)
    with no_grad():
        other[0].weight += 1

    assert other[2].weight is other[0].weight
    assert list(net.state_dict()) == list(other.state_dict())
    assert [m.training for _, m in other.named_modules()] == [False] * 4
    np.testing.assert_allclose(other[0].weight.data, net[0].weight.data + 1)


def test_repr_shows_the_tree():
    """Modules with what they are made of, indented; own parameters by shape and dtype."""
    expected = """\
Net(
  scale: () float64
  (layers.0): Linear(in_features=2, out_features=3, bias=True)
  (layers.1.0): Linear(in_features=3, out_features=1, bias=True)
  (heads.a): LayerNorm((2,), eps=1e-05)
)"""

    assert expected == repr(Net())
    nested = nn.Sequential(nn.Sequential(nn.Dropout(0.1), ops.tanh), nn.Embedding(3, 2, 0))
    assert repr(nested) == (
        "Sequential(\n  (0): Sequential(\n    (0): Dropout(p=0.1)\n    (1): tanh\n  )\n"
        "  (1): Embedding(3, 2, padding_idx=0)\n)"
    )
    assert repr(nn.BatchNorm1d(2, affine=False)) == "BatchNorm1d(2, eps=1e-05, momentum=0.1, affine=False)"
    assert repr(nn.LayerNorm(2, bias=False)) == "LayerNorm((2,), eps=1e-05, bias=False)"


def test_a_functional_call_puts_everything_back():
    """Other parameters and buffers serve for one call, that of a module below too; an error changes nothing."""
    net = nn.Sequential(nn.Linear(2, 1, generator=0), nn.BatchNorm1d(1, eps=0.0)).eval()
    state = net.state_dict()
    own = dict(net.named_parameters())
    x = np.array([[1.0, 2.0]])
    others = {"0.weight": np.array([[1.0, 1.0]]), "0.bias": Value([0.0]), "1.running_var": np.array([9.0])}

    assert nn.functional_call(net, others, x).data.tolist() == [[1.0]]
    with pytest.raises(AutodiffError, match=r"linear: x has shape"):
        nn.functional_call(net, others, np.ones((1, 5)))
    with pytest.raises(AutodiffError, match=r"has no '0.other' as attributes"):
        nn.functional_call(net, {"0.other": x, **others}, x)
    assert {name: id(value) for name, value in net.named_parameters()} == {n: id(v) for n, v in own.items()}
    assert {n: a.tolist() for n, a in net.state_dict().items()} == {n: a.tolist() for n, a in state.items()}


def test_transforms_differentiate_with_respect_to_a_network():
    """The gradient of a functional call is that of backward."""
    net = Net()
    x = np.ones((4, 2))
    parameters = {name: net.state_dict()[name] for name in ("scale",)}
    found = grad(lambda p: nn.functional_call(net, p, x).sum())(parameters)
    net(x).sum().backward()

    assert found["scale"] == net.scale.grad
    with pytest.raises(AutodiffError, match=r"no 'heads.weight'"):
        nn.functional_call(net, {"heads.weight": np.ones(2)}, x)

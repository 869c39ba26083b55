"""Networks on the device: layers, losses, optimisers, moving, saving give what they give on NumPy."""

from __future__ import annotations

import numpy as np
import pytest

import autodiff_nn as nn
from autodiff import Value, checkpoint, hvp, jacobian, jvp, ops, value_and_grad

LABELS = np.array([0, 2, 1, -100, 1])
REAL = np.random.default_rng(9).uniform(size=(5, 3))
LOSSES = {
    "labels": lambda y, on: nn.cross_entropy(y, on(LABELS)),
    "smoothed": lambda y, on: nn.cross_entropy(
        y, on(LABELS), weight=on(np.array([1.0, 2.0, 3.0])), label_smoothing=0.1
    ),
    "nll": lambda y, on: nn.nll_loss(ops.log_softmax(y), on(LABELS)),
    "mse": lambda y, on: nn.mse_loss(y, on(REAL)),
    "l1": lambda y, on: nn.l1_loss(y, on(REAL)),
    "huber": lambda y, on: nn.huber_loss(y, on(REAL)),
    "binary": lambda y, on: nn.binary_cross_entropy_with_logits(y, on(REAL)),
}
OPTIMISERS = {
    "sgd": lambda p: nn.SGD(p, lr=0.1, weight_decay=0.1),
    "momentum": lambda p: nn.SGD(p, lr=0.1, momentum=0.9, dampening=0.5, weight_decay=0.1),
    "nesterov": lambda p: nn.SGD(p, lr=0.1, momentum=0.9, nesterov=True),
    "adam": lambda p: nn.Adam(p, lr=0.01, weight_decay=0.1),
    "adamw": lambda p: nn.AdamW(p, lr=0.01),
}


def model():
    """Return a network of most layers, on the host."""
    return nn.Sequential(
        nn.Embedding(7, 3, generator=0),
        nn.Linear(3, 4, generator=1),
        nn.BatchNorm1d(4),
        ops.gelu,
        nn.LayerNorm(4),
        nn.Linear(4, 3, bias=False, generator=2),
    )


def trained(device, optimiser, loss, clip=True):
    """Train for three steps; return the state as NumPy arrays."""
    network = model()
    optimiser = OPTIMISERS[optimiser](network.parameters())  # before the move: parameters stay the same Values
    network.to(device)

    def on(array):
        return Value(array, requires_grad=False).to(device).data

    for i in range(3):
        optimiser.zero_grad()
        tokens = np.random.default_rng(i).integers(0, 7, 5)
        LOSSES[loss](network(on(tokens)), on).backward()
        if clip:
            nn.clip_grad_norm(network.parameters(), 1.0)
            nn.clip_grad_value(network.parameters(), 0.5)
        optimiser.step()
    return {name: Value(array, requires_grad=False).numpy() for name, array in network.state_dict().items()}


@pytest.mark.parametrize(
    ("optimiser", "loss"), [*[("adam", loss) for loss in LOSSES], *[(name, "mse") for name in OPTIMISERS]]
)
def test_training_is_that_on_numpy(cupy, optimiser, loss):
    """Three steps with clipping end at the same parameters and buffers."""
    expected, actual = trained("numpy", optimiser, loss), trained("cupy", optimiser, loss)
    assert list(expected) == list(actual)
    for key, array in expected.items():
        np.testing.assert_allclose(actual[key], array, rtol=1e-8, atol=1e-11, err_msg=key)


@pytest.mark.parametrize("dtype", ["float16", "float32"])
@pytest.mark.parametrize("name", ["sgd_step", "momentum_step", "adam_step"])
def test_a_fused_step_is_the_generic_one(cupy, name, dtype):
    """One kernel gives what NumPy gives, in narrow types too; it computes half precision in single."""
    op = getattr(ops, name)
    for sample in op.samples:
        rng = np.random.default_rng(0)
        arrays = [rng.uniform(0.1, 1.0, spec.shape).astype(dtype) for spec in sample.inputs]
        expected = op(*[a.astype("float64") for a in arrays], **sample.attrs)
        actual = op(*map(cupy.asarray, arrays), **sample.attrs)
        pairs = zip(actual, expected, strict=True) if isinstance(actual, tuple) else [(actual, expected)]
        for a, e in pairs:
            assert a.dtype == dtype
            np.testing.assert_allclose(a.get(), e, rtol=3e-3 if dtype == "float16" else 1e-5)


def test_a_module_moves_and_comes_back(cupy):
    """Parameters stay the same Values, gradients move along, and a checkpointed call on the device works."""
    network = nn.Linear(3, 2, generator=0)
    before, weight = network.state_dict(), network.weight
    network.to("cupy")
    checkpoint(network)(cupy.ones((4, 3))).sum().backward()
    assert network.weight is weight
    assert (weight.backend, type(weight.grad)) == ("cupy", cupy.ndarray)
    network.to("numpy")
    assert (weight.backend, weight.grad.tolist()) == ("numpy", [[4.0] * 3] * 2)
    for name, array in network.state_dict().items():
        assert array.tolist() == before[name].tolist()


def test_state_is_saved_and_loaded(cupy, tmp_path):
    """A file written from the device is read back onto it, optimiser included."""
    pytest.importorskip("safetensors")
    first, second = nn.Linear(3, 2, generator=0).to("cupy"), nn.Linear(3, 2, generator=1).to("cupy")
    optimisers = [nn.Adam(m.parameters()) for m in (first, second)]
    first(cupy.ones((4, 3))).sum().backward()
    optimisers[0].step()
    nn.save(tmp_path / "model", first)
    nn.save(tmp_path / "optimiser", optimisers[0].state_dict())
    second.load_state_dict(nn.load(tmp_path / "model"))
    optimisers[1].load_state_dict(nn.load(tmp_path / "optimiser"))
    assert second.weight.backend == "cupy"
    assert second.weight.data.tolist() == first.weight.data.tolist()
    assert type(optimisers[1].state[0]["mean"]) is cupy.ndarray
    for m, optimiser in zip((first, second), optimisers, strict=True):
        m.zero_grad()
        m(cupy.ones((4, 3))).sum().backward()
        optimiser.step()
    assert second.weight.data.tolist() == first.weight.data.tolist()


def test_dropout_of_a_layer_draws_on_the_device(cupy):
    """Its generator is the library's, and the gradient is the mask."""
    layer = nn.Dropout(0.5, generator=cupy.random.default_rng(0))
    x = Value(cupy.ones(100))
    y = layer(x)
    y.sum().backward()
    assert set(y.data.tolist()) == {0.0, 2.0}
    assert x.grad.tolist() == y.data.tolist()


def test_transforms_are_those_on_numpy(cupy):
    """Every transform takes and returns device arrays, with NumPy's numbers."""

    def f(x):
        return (ops.tanh(x) * ops.cumulative_sum(x) ** 2).sum() + ops.logsumexp(x)

    def g(x):
        return ops.softmax(x) * x[[2, 0, 0]]

    x, t = np.array([0.3, -1.2, 0.7]), np.array([1.0, 0.5, -2.0])
    transforms = {
        "value_and_grad": lambda x, t: value_and_grad(f)(x),
        "jacobian": lambda x, t: (jacobian(g)(x),),
        "hvp": lambda x, t: tuple(hvp(f, x, t)) if isinstance(hvp(f, x, t), tuple) else (hvp(f, x, t),),
        "jvp": lambda x, t: jvp(g, [x], [t]),
    }
    for name, transform in transforms.items():
        expected, actual = transform(x, t), transform(cupy.asarray(x), cupy.asarray(t))
        for a, e in zip(actual, expected, strict=True):
            assert type(a) is cupy.ndarray, name
            np.testing.assert_allclose(a.get(), e, rtol=1e-9, err_msg=name)


@pytest.mark.parametrize("name", ["labels", "smoothed", "nll"])
def test_labels_are_not_waited_for(cupy, counted, name):
    """Losses of labels on the device, some of which do not count, copy nothing and wait for nothing."""
    x, labels = Value(cupy.asarray(REAL)), cupy.asarray(LABELS)
    weight = cupy.asarray([1.0, 2.0, 3.0])

    def step():
        x.zero_grad()
        if name == "nll":
            nn.nll_loss(ops.log_softmax(x), labels, weight=weight).backward()
        else:
            nn.cross_entropy(x, labels, weight=weight, label_smoothing=0.1 * (name == "smoothed")).backward()

    step()
    with counted() as counts:
        step()
    assert {key: counts[key] for key in ("syncs", "h2d", "d2h")} == {"syncs": 0, "h2d": 0, "d2h": 0}


@pytest.mark.parametrize("loss", [nn.cross_entropy, nn.nll_loss])
@pytest.mark.parametrize("label", [3, -1])
def test_a_label_of_no_class_makes_the_loss_nan(cupy, loss, label):
    """It is neither looked at nor wrapped round: its loss is NaN, and the mean with it; so is a mean of none."""
    x = cupy.asarray(REAL[:2])
    losses = loss(x, cupy.asarray([0, label]), reduction="none")
    assert np.isnan(losses.get()).tolist() == [False, True]
    assert np.isnan(float(loss(x, cupy.asarray([0, label]))))
    assert np.isnan(float(loss(x, cupy.asarray([-100, -100]))))


def test_an_embedding_of_no_vector_is_nan(cupy, counted):
    """CuPy would wrap the index round, and hand out another vector; to raise, the host would have to wait."""
    layer = nn.Embedding(3, 2, generator=0).to("cupy")
    rows = cupy.asarray([2, 3, -1])
    layer(rows)
    with counted() as counts:
        y = layer(rows)
    assert (counts["syncs"], counts["h2d"], counts["d2h"]) == (0, 0, 0)
    assert np.isnan(y.numpy()).all(axis=1).tolist() == [False, True, True]
    assert y.numpy()[0].tolist() == layer.weight.numpy()[2].tolist()

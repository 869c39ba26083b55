"""Layers, losses, optimisers and schedules against PyTorch: 100 steps on the same data, in float64."""

from __future__ import annotations

import numpy as np
import pytest

import autodiff_activations
import autodiff_nn as nn
from autodiff import Value, ops

torch = pytest.importorskip("torch")

functional = torch.nn.functional

STEPS = 100


@pytest.fixture(autouse=True)
def _double():
    """Let PyTorch create float64, from a fixed seed, on one thread: these arrays are small."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.set_default_dtype(torch.float64)
    torch.manual_seed(0)
    yield
    torch.set_default_dtype(torch.float32)
    torch.set_num_threads(threads)


def theirs(array):
    """Return an array of ours as a tensor."""
    return torch.tensor(np.asarray(array))


def copy_state(module, model):
    """Give a model of ours the numbers of one of PyTorch's, which has the same names."""
    module.load_state_dict({name: tensor.numpy() for name, tensor in model.state_dict().items()})


def assert_same_state(module, model):
    """Compare all parameters and buffers, and their names and order."""
    expected = {name: tensor.detach().numpy() for name, tensor in model.state_dict().items()}
    actual = module.state_dict()

    assert sorted(expected) == sorted(actual)
    for name, array in expected.items():
        np.testing.assert_allclose(actual[name], array, rtol=1e-8, atol=1e-11, err_msg=name)
        assert array.dtype == actual[name].dtype


def batches(shape, seed=0):
    """Return STEPS random arrays."""
    return np.random.default_rng(seed).normal(size=(STEPS, *shape))


# ---- layers --------------------------------------------------------------------------------------------------

LAYERS = {
    "linear": (lambda: nn.Linear(3, 4), lambda: torch.nn.Linear(3, 4), (5, 3)),
    "linear without bias": (lambda: nn.Linear(3, 4, bias=False), lambda: torch.nn.Linear(3, 4, bias=False), (5, 3)),
    "linear of a sequence": (lambda: nn.Linear(3, 4), lambda: torch.nn.Linear(3, 4), (2, 5, 3)),
    "layer norm": (lambda: nn.LayerNorm(4), lambda: torch.nn.LayerNorm(4), (5, 4)),
    "layer norm of two axes": (lambda: nn.LayerNorm((3, 4)), lambda: torch.nn.LayerNorm((3, 4)), (5, 3, 4)),
    "layer norm without bias": (
        lambda: nn.LayerNorm(4, bias=False),
        lambda: torch.nn.LayerNorm(4, bias=False),
        (2, 3, 4),
    ),
    "batch norm": (lambda: nn.BatchNorm1d(4), lambda: torch.nn.BatchNorm1d(4), (6, 4)),
    "batch norm of a sequence": (
        lambda: nn.BatchNorm1d(4, eps=1e-3, momentum=0.3),
        lambda: torch.nn.BatchNorm1d(4, eps=1e-3, momentum=0.3),
        (6, 4, 5),
    ),
    "batch norm with plain averages": (
        lambda: nn.BatchNorm1d(4, momentum=None),
        lambda: torch.nn.BatchNorm1d(4, momentum=None),
        (6, 4),
    ),
    "a stack": (
        lambda: nn.Sequential(nn.Linear(3, 8), nn.BatchNorm1d(8), ops.tanh, nn.LayerNorm(8), nn.Linear(8, 2)),
        lambda: torch.nn.Sequential(
            torch.nn.Linear(3, 8),
            torch.nn.BatchNorm1d(8),
            torch.nn.Tanh(),
            torch.nn.LayerNorm(8),
            torch.nn.Linear(8, 2),
        ),
        (6, 3),
    ),
}


@pytest.mark.parametrize("name", LAYERS)
def test_layers_train_as_in_torch(name):
    """After 100 steps of plain descent all parameters and buffers agree, and so does the layer in use."""
    make, make_theirs, shape = LAYERS[name]
    module, model = make(), make_theirs()
    with torch.no_grad():  # norms start from ones and zeros, which would hide a mistake
        for tensor in model.parameters():
            tensor.add_(torch.randn_like(tensor) * 0.3)
    copy_state(module, model)
    optimizer, other = nn.SGD(module.parameters(), lr=0.05), torch.optim.SGD(model.parameters(), lr=0.05)
    for x in batches(shape):
        target = np.cos(np.asarray(module(x).data))
        optimizer.zero_grad()
        other.zero_grad()
        nn.mse_loss(module(x), target).backward()
        model(theirs(x))  # as often as ours: running statistics count the calls
        functional.mse_loss(model(theirs(x)), theirs(target)).backward()
        optimizer.step()
        other.step()

    assert_same_state(module, model)
    x = batches(shape, seed=1)[0]
    expected = model.eval()(theirs(x)).detach().numpy()
    np.testing.assert_allclose(module.eval()(x).data, expected, rtol=1e-8, atol=1e-11)


@pytest.mark.parametrize("padding", [None, 2])
def test_embedding_trains_as_in_torch(padding):
    """A table that is looked up with repeated and padding indices agrees after 100 steps."""
    module, model = nn.Embedding(7, 3, padding), torch.nn.Embedding(7, 3, padding)
    copy_state(module, model)
    optimizer, other = nn.SGD(module.parameters(), lr=0.1), torch.optim.SGD(model.parameters(), lr=0.1)
    for indices in np.random.default_rng(0).integers(0, 7, (STEPS, 4, 5)):
        optimizer.zero_grad()
        other.zero_grad()
        (module(indices) ** 2).sum().backward()
        (model(theirs(indices)) ** 2).sum().backward()
        optimizer.step()
        other.step()

    assert_same_state(module, model)


# ---- losses --------------------------------------------------------------------------------------------------

RNG = np.random.default_rng(5)
WEIGHT = RNG.uniform(0.5, 2.0, 4)
LABELS = RNG.integers(0, 4, (STEPS, 6))
PLANES = RNG.integers(0, 4, (STEPS, 6, 3))
IGNORED = np.where(RNG.random((STEPS, 6)) < 0.4, -100, LABELS)
IGNORED[:, 0] = 1  # one counts at least
SOFT = autodiff_activations.softmax(RNG.normal(size=(STEPS, 6, 4)))
REAL = RNG.normal(size=(STEPS, 6, 4))
BITS = RNG.integers(0, 2, (STEPS, 6, 4)).astype(float)
ELEMENTS = RNG.uniform(0.5, 2.0, (6, 4))

#: Function of ours, PyTorch's, targets, options that are arrays, other options.
LOSSES = {
    "mse": ("mse_loss", "mse_loss", REAL, {}, {}),
    "mse, weighted": ("mse_loss", "mse_loss", REAL, {"weight": ELEMENTS}, {}),
    "l1": ("l1_loss", "l1_loss", REAL, {}, {}),
    "l1, weighted": ("l1_loss", "l1_loss", REAL, {"weight": ELEMENTS}, {}),
    "huber": ("huber_loss", "huber_loss", REAL, {}, {}),
    "huber, narrow": ("huber_loss", "huber_loss", REAL, {}, {"delta": 0.3}),
    "huber, weighted": ("huber_loss", "huber_loss", REAL, {"weight": ELEMENTS}, {}),
    "binary": ("binary_cross_entropy_with_logits",) * 2 + (BITS, {}, {}),
    "binary, soft": ("binary_cross_entropy_with_logits",) * 2 + (SOFT, {}, {}),
    "binary, weighted": ("binary_cross_entropy_with_logits",) * 2
    + (BITS, {"weight": ELEMENTS, "pos_weight": WEIGHT}, {}),
    "nll": ("nll_loss", "nll_loss", LABELS, {}, {}),
    "nll, weighted, ignoring": ("nll_loss", "nll_loss", IGNORED, {"weight": WEIGHT}, {}),
    "labels": ("cross_entropy", "cross_entropy", LABELS, {}, {}),
    "labels, weighted": ("cross_entropy", "cross_entropy", LABELS, {"weight": WEIGHT}, {}),
    "labels, ignoring": ("cross_entropy", "cross_entropy", IGNORED, {}, {}),
    "labels, ignoring another": ("cross_entropy", "cross_entropy", LABELS, {}, {"ignore_index": 2}),
    "labels, smoothed": ("cross_entropy", "cross_entropy", LABELS, {}, {"label_smoothing": 0.2}),
    "labels, all at once": (
        "cross_entropy",
        "cross_entropy",
        IGNORED,
        {"weight": WEIGHT},
        {"label_smoothing": 0.2},
    ),
    "probabilities": ("cross_entropy", "cross_entropy", SOFT, {}, {}),
    "probabilities, all at once": (
        "cross_entropy",
        "cross_entropy",
        SOFT,
        {"weight": WEIGHT},
        {"label_smoothing": 0.2},
    ),
}


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("name", LOSSES)
def test_losses_are_those_of_torch(name, reduction):
    """Descending along a loss for 100 steps passes the same values, by every reduction."""
    ours, other, targets, arrays, options = LOSSES[name]
    x = Value(np.random.default_rng(1).normal(size=(6, 4)))
    z = torch.tensor(x.data.copy(), requires_grad=True)
    extra = {key: theirs(array) for key, array in arrays.items()}
    scale = np.random.default_rng(2).normal(size=6)
    for target in targets:
        loss = getattr(nn, ours)(x, target, reduction=reduction, **arrays, **options)
        expected = getattr(functional, other)(z, theirs(target), reduction=reduction, **extra, **options)
        np.testing.assert_allclose(loss.data, expected.detach().numpy(), rtol=1e-8, atol=1e-11)
        if reduction == "none":
            scales = scale.reshape((6,) + (1,) * (loss.ndim - 1))
            loss, expected = (loss * scales).sum(), (expected * theirs(scales)).sum()
        x.zero_grad()
        z.grad = None
        loss.backward()
        expected.backward()
        np.testing.assert_allclose(x.grad, z.grad.numpy(), rtol=1e-8, atol=1e-11)
        x.data = x.data - 0.1 * x.grad
        with torch.no_grad():
            z -= 0.1 * z.grad


@pytest.mark.parametrize("name", ["labels", "labels, all at once", "nll"])
def test_classes_may_lie_along_another_axis(name):
    """Classes along axis 1 of three are PyTorch's choice, and ``axis=-1`` is the same with axes moved."""
    ours, other, _, arrays, options = LOSSES[name]
    extra = {key: theirs(array) for key, array in arrays.items()}
    for x, target in zip(batches((6, 4, 3)), PLANES, strict=True):
        expected = getattr(functional, other)(theirs(x), theirs(target), **extra, **options).numpy()
        for moved, axis in ((x, 1), (np.moveaxis(x, 1, -1), -1)):
            actual = getattr(nn, ours)(Value(moved), target, axis=axis, **arrays, **options)
            np.testing.assert_allclose(actual.data, expected, rtol=1e-9)


def test_one_example_without_a_batch():
    """Scores of shape (classes,) and one label."""
    x = batches((4,))[0]
    expected = functional.cross_entropy(theirs(x), theirs(2)).item()

    assert nn.cross_entropy(Value(x), 2).item() == pytest.approx(expected, rel=1e-12)


# ---- optimisers ----------------------------------------------------------------------------------------------

OPTIMISERS = {
    "SGD": ("SGD", {}),
    "SGD with momentum": ("SGD", {"momentum": 0.9}),
    "SGD with dampening": ("SGD", {"momentum": 0.9, "dampening": 0.3}),
    "SGD by Nesterov": ("SGD", {"momentum": 0.9, "nesterov": True, "weight_decay": 0.05}),
    "SGD with decay": ("SGD", {"weight_decay": 0.05}),
    "Adam": ("Adam", {}),
    "Adam with everything": ("Adam", {"betas": (0.8, 0.95), "eps": 1e-4, "weight_decay": 0.05}),
    "AdamW": ("AdamW", {}),
    "AdamW with everything": ("AdamW", {"betas": (0.8, 0.95), "eps": 1e-4, "weight_decay": 0.2}),
}


@pytest.mark.parametrize("name", OPTIMISERS)
def test_optimisers_step_as_in_torch(name):
    """After 100 steps on a network all parameters agree; one of them has a gradient every other step only."""
    kind, options = OPTIMISERS[name]
    module = nn.Sequential(nn.Linear(3, 5), ops.tanh, nn.Linear(5, 2))
    model = torch.nn.Sequential(torch.nn.Linear(3, 5), torch.nn.Tanh(), torch.nn.Linear(5, 2))
    copy_state(module, model)
    optimizer = getattr(nn, kind)(module.parameters(), lr=0.02, **options)
    other = getattr(torch.optim, kind)(model.parameters(), lr=0.02, **options)
    for i, x in enumerate(batches((4, 3))):
        optimizer.zero_grad()
        other.zero_grad()
        (module(x) ** 2).mean().backward()
        (model(theirs(x)) ** 2).mean().backward()
        if i % 2:
            module[0].bias.zero_grad()
            model[0].bias.grad = None
        optimizer.step()
        other.step()

    assert_same_state(module, model)


def test_groups_have_their_own_options():
    """Two groups with other rates and decays train as in PyTorch."""
    module, model = nn.Linear(3, 2), torch.nn.Linear(3, 2)
    copy_state(module, model)
    optimizer = nn.AdamW([{"params": [module.weight]}, {"params": [module.bias], "lr": 0.1, "weight_decay": 0.0}])
    other = torch.optim.AdamW([{"params": [model.weight]}, {"params": [model.bias], "lr": 0.1, "weight_decay": 0.0}])
    for x in batches((4, 3)):
        optimizer.zero_grad()
        other.zero_grad()
        (module(x) ** 2).mean().backward()
        (model(theirs(x)) ** 2).mean().backward()
        optimizer.step()
        other.step()

    assert_same_state(module, model)


@pytest.mark.parametrize("norm_type", [1.0, 2.0, 3.5, float("inf")])
@pytest.mark.parametrize("max_norm", [0.1, 1e3])
def test_clipping_by_norm_is_that_of_torch(norm_type, max_norm):
    """The norm that is returned and the gradients after agree, whether there was anything to clip or not."""
    arrays = batches((2, 3))[:4]
    ours, others = [Value(a) for a in arrays], [torch.tensor(a, requires_grad=True) for a in arrays]
    for p, q, g in zip(ours, others, batches((2, 3), seed=1), strict=False):
        p.grad, q.grad = g, theirs(g)
    norm = nn.clip_grad_norm(ours, max_norm, norm_type)
    expected = torch.nn.utils.clip_grad_norm_(others, max_norm, norm_type)

    np.testing.assert_allclose(norm, expected.numpy(), rtol=1e-12)
    for p, q in zip(ours, others, strict=True):
        np.testing.assert_allclose(p.grad, q.grad.numpy(), rtol=1e-12)


# ---- schedules -----------------------------------------------------------------------------------------------

lr = torch.optim.lr_scheduler

SCHEDULES = {
    "step": (lambda o: nn.StepLR(o, 7, 0.5), lambda o: lr.StepLR(o, 7, 0.5)),
    "exponential": (lambda o: nn.ExponentialLR(o, 0.95), lambda o: lr.ExponentialLR(o, 0.95)),
    "cosine": (lambda o: nn.CosineAnnealingLR(o, 40, 0.01), lambda o: lr.CosineAnnealingLR(o, 40, 0.01)),
    "linear": (lambda o: nn.LinearLR(o, 0.1, 0.8, 30), lambda o: lr.LinearLR(o, 0.1, 0.8, 30)),
    "lambda": (lambda o: nn.LambdaLR(o, lambda n: 1 / (1 + n)), lambda o: lr.LambdaLR(o, lambda n: 1 / (1 + n))),
    "warm-up": (
        lambda o: nn.SequentialLR(o, [nn.LinearLR(o, 0.1, total_iters=10), nn.CosineAnnealingLR(o, 90)], [10]),
        lambda o: lr.SequentialLR(o, [lr.LinearLR(o, 0.1, total_iters=10), lr.CosineAnnealingLR(o, 90)], [10]),
    ),
}


@pytest.mark.parametrize("name", SCHEDULES)
def test_schedules_are_those_of_torch(name):
    """The rates of 100 steps agree."""
    make, make_theirs = SCHEDULES[name]
    optimizer, other = nn.SGD([Value(1.0)], lr=0.3), torch.optim.SGD([torch.ones(1, requires_grad=True)], lr=0.3)
    schedule, model = make(optimizer), make_theirs(other)
    rates, expected = schedule.rates(), list(model.get_last_lr())
    for _ in range(STEPS):
        schedule.step()
        other.step()
        model.step()
        rates += schedule.rates()
        expected += model.get_last_lr()

    np.testing.assert_allclose(rates, expected, rtol=1e-9, atol=1e-14)

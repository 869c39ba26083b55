"""Optimisers, schedules and clipping without PyTorch: steps by hand, state, what is left alone, errors."""

from __future__ import annotations

import numpy as np
import pytest

import autodiff_nn as nn
from autodiff import AutodiffError, Value
from autodiff.errors import ArgumentTypeError
from autodiff.registry import registry


def train(make, steps, *, model=None, optimizer=None, schedule=None, start=0):
    """Train a small network for some steps; return model and optimiser."""
    model = model or nn.Sequential(nn.Linear(2, 4, generator=0), nn.LayerNorm(4), nn.Linear(4, 1, generator=1))
    optimizer = optimizer or make(model.parameters())
    for i in range(start, start + steps):
        x = np.random.default_rng(i).normal(size=(8, 2))
        optimizer.zero_grad()
        nn.mse_loss(model(x), x[:, :1] * x[:, 1:]).backward()
        optimizer.step()
        if schedule:
            schedule.step()
    return model, optimizer


MAKERS = {
    "SGD": lambda p: nn.SGD(p, lr=0.05, momentum=0.9, nesterov=True, weight_decay=1e-3),
    "Adam": lambda p: nn.Adam(p, lr=0.01),
    "AdamW": lambda p: nn.AdamW(p, lr=0.01),
}


def test_momentum_by_hand():
    """Gradients 1 and 1 with momentum 0.5 step by 1 and 1.5."""
    w = Value([10.0])
    optimizer = nn.SGD([w], lr=1.0, momentum=0.5)
    seen = []
    for _ in range(2):
        w.grad = np.array([1.0])
        optimizer.step()
        seen.append(w.item())

    assert seen == [9.0, 7.5]


def test_adam_steps_by_the_rate_at_first():
    """The first step is the rate in the direction against the gradient, however large that is."""
    w = Value([1.0, 1.0, 1.0])
    optimizer = nn.Adam([w], lr=0.25, eps=0.0)
    w.grad = np.array([1e-3, -1e3, 7.0])
    optimizer.step()

    np.testing.assert_allclose(w.data, [0.75, 1.25, 0.75], rtol=1e-12)


@pytest.mark.parametrize("name", MAKERS)
def test_training_lowers_the_loss(name):
    """Each of them learns a product of two numbers."""
    x = np.random.default_rng(100).normal(size=(200, 2))

    def loss(model):
        return nn.mse_loss(model(x), x[:, :1] * x[:, 1:]).item()

    before, _ = train(MAKERS[name], 0)
    after, _ = train(MAKERS[name], 300)

    assert loss(after) < 0.6 * loss(before)


@pytest.mark.parametrize("dtype", ["float32", "float16"])
@pytest.mark.parametrize("name", MAKERS)
def test_dtypes_stay(name, dtype):
    """Neither a parameter nor what is remembered of it changes its dtype."""
    w, scalar = Value(np.ones(3, dtype)), Value(np.ones((), dtype))
    optimizer = MAKERS[name]([w, scalar])
    for _ in range(2):
        w.grad, scalar.grad = np.ones(3, dtype), np.ones((), dtype)
        optimizer.step()
    arrays = [a for state in optimizer.state for a in state.values() if not isinstance(a, int)]

    assert {w.dtype.name, scalar.dtype.name, *(a.dtype.name for a in arrays)} == {dtype}


@pytest.mark.parametrize("make", [*MAKERS.values(), lambda p: nn.SGD(p, lr=0.1, momentum=0.9)])
def test_a_step_writes_into_no_array_of_others(make):
    """Earlier data, all gradients, and the array that a parameter was made of stay as they are."""
    array = np.ones(3)
    w = Value(array)
    optimizer = make([w])
    gradients, seen = [], []
    for i in range(3):
        w.grad = np.full(3, 2.0 + i)
        gradients.append(w.grad)
        seen.append((w.data, w.data.tolist()))
        optimizer.step()

    assert [g.tolist() for g in gradients] == [[2.0] * 3, [3.0] * 3, [4.0] * 3]
    assert [data.tolist() for data, _ in seen] == [numbers for _, numbers in seen]
    assert array.tolist() == [1.0, 1.0, 1.0]


def test_weight_decay_of_adamw_stays_out_of_the_means():
    """With a gradient of 0 it shrinks the parameter by the rate times the decay; Adam's own moves it by the rate."""
    w, v = Value([2.0]), Value([2.0])
    w.grad, v.grad = np.zeros(1), np.zeros(1)
    nn.AdamW([w], lr=0.5, weight_decay=0.1).step()
    nn.Adam([v], lr=0.5, weight_decay=0.1, eps=0.0).step()

    assert w.item() == pytest.approx(1.9, rel=1e-12)
    assert v.item() == pytest.approx(1.5, rel=1e-12)


def test_a_graph_stays_valid_across_a_step():
    """What was recorded before a step is differentiated at the numbers of then."""
    w = Value([3.0])
    y = (w * w).sum()
    y.backward(retain_graph=True)
    nn.SGD([w], lr=1.0).step()
    w.zero_grad()
    y.backward()

    assert (w.item(), w.grad.item()) == (-3.0, 6.0)


def test_parameters_without_a_gradient_are_left_alone():
    """No gradient is no step, not even for weight decay or momentum."""
    w, other = Value([1.0]), Value([1.0])
    optimizer = nn.AdamW([w, other], weight_decay=0.5)
    w.grad = np.ones(1)
    optimizer.step()

    assert (w.item() != 1.0, other.item()) == (True, 1.0)


def test_gradients_that_are_values_will_do():
    """After ``create_graph`` a step records nothing."""
    w = Value([1.0])
    (w * w).sum().backward(create_graph=True)
    nn.SGD([w], lr=0.25, momentum=0.5).step()

    assert (w.item(), w.is_leaf, w.requires_grad) == (0.5, True, True)


@pytest.mark.parametrize("name", MAKERS)
def test_training_goes_on_where_it_stopped(name):
    """States of model, optimiser and schedule, loaded into new ones, continue to the same bits."""

    def scheduled(optimizer):
        return nn.CosineAnnealingLR(optimizer, 20)

    model, optimizer = train(MAKERS[name], 0)
    schedule = scheduled(optimizer)
    train(None, 5, model=model, optimizer=optimizer, schedule=schedule)
    states = model.state_dict(), optimizer.state_dict(), schedule.state_dict()
    train(None, 5, model=model, optimizer=optimizer, schedule=schedule, start=5)

    again, optimizer = train(MAKERS[name], 1)
    schedule = scheduled(optimizer)
    for obj, state in zip((again, optimizer, schedule), states, strict=True):
        obj.load_state_dict(state)
    train(None, 5, model=again, optimizer=optimizer, schedule=schedule, start=5)

    assert {n: a.tolist() for n, a in model.state_dict().items()} == {
        n: a.tolist() for n, a in again.state_dict().items()
    }


def test_the_state_of_others_is_refused():
    """The message names the entry; nothing is changed."""
    w, v = Value([1.0, 2.0]), Value([1.0])
    first, second = nn.Adam([w]), nn.Adam([v], lr=0.5)
    w.grad = np.ones(2)
    first.step()
    with pytest.raises(AutodiffError, match=r"'state.0.mean' has shape \(2,\); the parameter has \(1,\)"):
        second.load_state_dict(first.state_dict())
    with pytest.raises(AutodiffError, match=r"'state.1.mean' is not part of the state of these 1"):
        second.load_state_dict({"group.0.lr": 0.1, "state.1.mean": np.ones(1)})
    with pytest.raises(AutodiffError, match="no learning rate"):
        second.load_state_dict({})

    assert (second.groups[0]["lr"], second.state) == (0.5, [{}])


def test_repr_says_the_options():
    """One line for one group, else a line for each."""
    w, v = Value([1.0]), Value([1.0])

    assert repr(nn.SGD([w], lr=0.5)) == (
        "SGD(1 parameters: lr=0.5, momentum=0.0, dampening=0.0, weight_decay=0.0, nesterov=False)"
    )
    assert repr(nn.Adam([{"params": [w]}, {"params": [v], "lr": 0.1}])) == (
        "Adam\n  1 parameters: lr=0.001, betas=(0.9, 0.999), eps=1e-08, weight_decay=0.0"
        "\n  1 parameters: lr=0.1, betas=(0.9, 0.999), eps=1e-08, weight_decay=0.0"
    )
    assert repr(nn.StepLR(nn.SGD([w]), 3)) == "StepLR(count=0, step_size=3, gamma=0.1)"


# ---- schedules and clipping ----------------------------------------------------------------------------------


def test_schedules_set_the_rate_of_every_group():
    """Each group keeps its own start; making a schedule sets the first rate."""
    optimizer = nn.SGD([{"params": [Value(1.0)], "lr": 1.0}, {"params": [Value(1.0)], "lr": 10.0}])
    schedule = nn.LinearLR(optimizer, 0.5, total_iters=2)

    assert schedule.rates() == [0.5, 5.0]
    schedule.step()
    assert [group["lr"] for group in optimizer.groups] == [0.75, 7.5]
    schedule.step()
    schedule.step()
    assert schedule.rates() == [1.0, 10.0]


def test_the_next_schedule_begins_at_its_milestone():
    """The step of the milestone has the first rate of the next schedule, also where that is another."""
    optimizer = nn.SGD([Value(1.0)], lr=1.0)
    parts = [nn.LambdaLR(optimizer, lambda n: 10 + n), nn.LambdaLR(optimizer, lambda n: 20 + n)]
    schedule = nn.SequentialLR(optimizer, parts, [2])

    assert [schedule.rate(1.0, n) for n in range(5)] == [10.0, 11.0, 20.0, 21.0, 22.0]


def test_clipping_leaves_small_gradients_alone():
    """Nothing is changed below the limit, and each gets a gradient of its own above."""
    w, v, none = Value([1.0]), Value([1.0]), Value([1.0])
    w.grad, v.grad = np.array([3.0]), np.array([4.0])
    old = w.grad
    assert nn.clip_grad_norm([w, v, none], 10.0) == 5.0
    assert (w.grad.item(), v.grad.item(), none.grad) == (3.0, 4.0, None)
    nn.clip_grad_norm([w, v, none], 1.0)

    np.testing.assert_allclose([w.grad.item(), v.grad.item()], [0.6, 0.8], rtol=1e-6)
    assert old.tolist() == [3.0]


def test_clipping_keeps_single_precision():
    """The factor does not widen a gradient."""
    w = Value(np.ones(2, np.float32))
    w.grad = np.full(2, 3.0, np.float32)
    norm = nn.clip_grad_norm(w, 1.0)
    nn.clip_grad_value(w, 0.5)

    assert (norm.dtype, norm.shape, w.grad.dtype, w.grad.tolist()) == ("float32", (), "float32", [0.5, 0.5])


def _sgd(**options):
    return nn.SGD([Value(1.0)], **options)


_V = Value(1.0)
_WRONG = {
    "no parameters": (lambda: nn.SGD([]), "no parameters"),
    "one Value": (lambda: nn.SGD(_V), "a list of parameters, or of groups; it was given a Value"),
    "array": (lambda: nn.Adam([np.ones(1)]), "Adam takes parameters, which are Values; it was given a ndarray"),
    "result": (lambda: nn.Adam([_V * 2]), "intermediate result"),
    "twice": (lambda: nn.SGD([_V, _V]), "a parameter twice"),
    "rate": (lambda: _sgd(lr=-0.1), "lr is a number from 0.0 to below inf; it was given -0.1"),
    "NaN": (lambda: _sgd(lr=float("nan")), "it was given nan"),
    "option": (lambda: nn.SGD([{"params": [_V], "beta": 1}]), "a group has the option 'beta'"),
    "group": (lambda: nn.SGD([{"lr": 1.0}]), "a group has no 'params'"),
    "Nesterov": (lambda: _sgd(nesterov=True), "nesterov=True needs a momentum"),
    "betas": (lambda: nn.Adam([_V], betas=(0.9, 1.0)), r"betas\[1\] is a number from 0.0 to below 1.0"),
    "complex": (lambda: nn.Adam([Value(1j)]), "Adam trains real parameters"),
    "schedule": (lambda: nn.StepLR([_V], 3), "StepLR takes an optimiser; it was given a list"),
    "steps": (lambda: nn.StepLR(_sgd(), 0), "step_size is a positive number of steps"),
    "factor": (lambda: nn.LambdaLR(_sgd(), 0.5), "LambdaLR takes a function"),
    "milestones": (lambda: nn.SequentialLR(_sgd(), [], [3]), "one schedule more than milestones"),
    "other optimiser": (lambda: nn.SequentialLR(_sgd(), [nn.StepLR(_sgd(), 1)], []), "the same optimiser"),
    "state": (lambda: nn.StepLR(_sgd(), 3).load_state_dict({}), "StepLR.load_state_dict: expected"),
    "norm": (lambda: nn.clip_grad_norm([_V], 1.0), "no parameter has a gradient"),
    "norm type": (lambda: nn.clip_grad_norm([_V], 1.0, 0.0), "norm_type is positive"),
    "value": (lambda: nn.clip_grad_value([_V], -1.0), "clip_value is a number"),
}


@pytest.mark.parametrize("name", _WRONG)
def test_wrong_arguments_are_named(name):
    """The message has what was given and what was expected."""
    call, message = _WRONG[name]
    with pytest.raises(AutodiffError, match=message):
        call()


def test_an_optimiser_takes_its_steps_by_the_kernels_that_are_registered():
    """One call of the backend's kernel for each parameter, with every option; also of one that is registered later."""
    parameters = [Value([1.0, 2.0]), Value(3.0)]
    optimizer = nn.Adam(parameters, lr=0.5)
    for p in parameters:
        p.grad = np.ones(p.shape)
    optimizer.step()
    calls = []

    def kernel(x, gradient, mean, square, **options):
        calls.append(options)
        return x - 1.0, mean, square

    before = [p.data.copy() for p in parameters]
    with registry.scoped():
        registry.register_kernel("autodiff_nn.adam_step", "numpy", kernel)
        optimizer.step()
    after = [p.data for p in parameters]
    optimizer.step()

    assert [(x - y).tolist() for x, y in zip(before, after, strict=True)] == [[1.0, 1.0], 1.0]
    options = {"lr": 0.5, "betas": (0.9, 0.999), "eps": 1e-8, "weight_decay": 0.0, "decoupled": False}
    assert calls == [{"step": 2, **options}] * 2


@pytest.mark.parametrize("make", [*MAKERS.values(), lambda p: nn.SGD(p, lr=0.1, momentum=0.9, nesterov=True)])
def test_large_and_small_arrays_take_the_same_steps(make):
    """Ten steps of a large array are those of its parts, which other code takes."""
    numbers, gradients = np.linspace(-1, 1, 10_000), np.random.default_rng(0).standard_normal((10, 10_000))
    large, small = Value(numbers), [Value(part) for part in numbers.reshape(10, 1000)]
    for parameters in ([large], small):
        optimizer = make(parameters)
        for gradient in gradients:
            for p, g in zip(parameters, np.split(gradient, len(parameters)), strict=True):
                p.grad = g
            optimizer.step()

    np.testing.assert_allclose(large.data, np.concatenate([p.data for p in small]), rtol=1e-12, atol=1e-14)


def test_a_state_may_come_in_any_order():
    """A file may list the entries of a state by the alphabet; what is remembered is not copied at each step."""
    w = Value([1.0, 2.0])
    w.grad = np.ones(2)
    optimizer = nn.Adam([w])
    optimizer.step()
    optimizer.load_state_dict(dict(sorted(optimizer.state_dict().items(), reverse=True)))

    assert list(optimizer.state[0]) == ["step", "mean", "square"]


@pytest.mark.parametrize("size", [3, 5000])
def test_a_step_that_fails_leaves_the_state(size: int) -> None:
    """Adam corrects its means by the number of steps: one that was not made does not count."""
    w, other = Value(np.ones(size)), Value(np.ones(size))
    optimizer, untroubled = nn.Adam([w], lr=0.1), nn.Adam([other], lr=0.1)
    for value, steps in ((w, optimizer), (other, untroubled)):
        value.grad = np.full(size, 0.5)
        steps.step()
    w.grad = np.full(size, 1e200)
    with np.errstate(over="raise"), pytest.raises(FloatingPointError):
        optimizer.step()
    for value, steps in ((w, optimizer), (other, untroubled)):
        value.grad = np.full(size, -0.25)
        steps.step()
    np.testing.assert_array_equal(w.data, other.data)


@pytest.mark.parametrize(
    ("make", "op"),
    [
        (nn.SGD, "autodiff_nn.sgd_step"),
        (lambda p: nn.SGD(p, momentum=0.5), "autodiff_nn.momentum_step"),
        (nn.Adam, "autodiff_nn.adam_step"),
    ],
)
def test_a_step_that_fails_names_its_op(make, op) -> None:
    """Kernels are called without the op around them; what they raise says all the same which op was given what."""
    w = Value(np.ones(3))
    optimizer = make([w])
    w.grad = np.ones(3)
    optimizer.groups[0]["lr"] = "fast"
    with pytest.raises(ArgumentTypeError, match=rf"'{op}' was given x: shape \(3,\) float64, gradient: .*lr='fast'"):
        optimizer.step()

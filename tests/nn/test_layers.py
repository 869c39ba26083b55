"""The layers without PyTorch: shapes, initial numbers, generators, modes, gradients, errors."""

from __future__ import annotations

import numpy as np
import pytest

import autodiff_nn as nn
from autodiff import AutodiffError, ops, vmap
from autodiff.testing import check_grads

RNG = np.random.default_rng(0)


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (nn.Linear(3, 2, generator=0), (4, 3)),
        (nn.LayerNorm((2, 3)), (2, 2, 3)),
        (nn.BatchNorm1d(3, track_running_stats=False), (4, 3)),
        (nn.BatchNorm1d(3).eval(), (4, 3, 2)),
    ],
    ids=repr,
)
def test_gradients_are_those_of_differences(layer, shape):
    """With respect to the input and all parameters."""
    parameters = {name: value.data for name, value in layer.named_parameters()}
    check_grads(lambda x, p: nn.functional_call(layer, p, x), (RNG.normal(size=shape), parameters))


def test_gradient_of_an_embedding():
    """An index that is used twice gets twice the gradient, padding none."""
    table = nn.Embedding(4, 2, padding_idx=-1, generator=0)
    y = table(np.array([[0, 3], [0, 1]]))
    (y * np.arange(8.0).reshape(2, 2, 2)).sum().backward()

    assert table.weight.grad.tolist() == [[4.0, 6.0], [6.0, 7.0], [0.0, 0.0], [0.0, 0.0]]
    assert table.weight.data[3].tolist() == [0.0, 0.0]
    assert nn.Embedding(4, 2)([1, 2]).shape == (2, 2)


@pytest.mark.parametrize(
    "make", [lambda g: nn.Linear(30, 20, generator=g), lambda g: nn.Embedding(30, 20, generator=g)]
)
def test_weights_follow_the_generator(make):
    """A seed, and a generator in the same state, give the same weights; None gives others each time."""
    state = make(5).state_dict()
    same = make(np.random.default_rng(5)).state_dict()

    assert all((state[name] == same[name]).all() for name in state)
    assert not (make(None).weight.data == make(None).weight.data).all()
    with pytest.raises(AutodiffError, match=r"generator is a numpy.random.Generator, a seed or None"):
        make(np.random.RandomState(0))


def test_initial_weights_have_the_documented_range():
    """Linear is uniform within 1 / sqrt(inputs), an embedding standard normal; norms do nothing at first."""
    linear, table = nn.Linear(100, 1000, generator=0), nn.Embedding(100, 1000, generator=0)

    for array in (linear.weight.data, linear.bias.data):
        assert 0.095 < np.abs(array).max() <= 0.1
        assert abs(array.mean()) < 0.01
    assert abs(table.weight.data.std() - 1) < 0.01
    assert nn.LayerNorm(2).weight.data.tolist() == nn.BatchNorm1d(2).weight.data.tolist() == [1, 1]
    assert nn.LayerNorm(2).bias.data.tolist() == nn.BatchNorm1d(2).bias.data.tolist() == [0, 0]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_dtypes_are_as_asked(dtype):
    """Parameters, buffers, results and gradients have the dtype."""
    model = nn.Sequential(
        nn.Linear(3, 4, dtype=dtype),
        nn.BatchNorm1d(4, dtype=dtype),
        nn.LayerNorm(4, dtype=dtype),
        nn.Dropout(0.2, generator=0),
    )
    for _ in range(2):
        y = model(np.ones((5, 3), dtype) + np.arange(5, dtype=dtype)[:, None])
    y.sum().backward()
    found = {a.dtype.name for name, a in model.state_dict().items() if "num" not in name}

    assert found | {y.dtype.name} | {p.grad.dtype.name for p in model.parameters()} == {dtype}
    assert nn.Embedding(3, 2, dtype=dtype)(np.array([0])).dtype == dtype


def test_batch_norm_in_training_and_in_use():
    """Tiny numbers by hand: two rows 0 and 4 have mean 2, variance 4, and unbiased variance 8."""
    norm = nn.BatchNorm1d(1, eps=0.0, momentum=0.5)
    x = np.array([[0.0], [4.0]])

    assert norm(x).data.tolist() == [[-1.0], [1.0]]
    assert (norm.running_mean.tolist(), norm.running_var.tolist()) == ([1.0], [4.5])
    assert norm.num_batches_tracked == 1
    norm.eval()
    norm.running_mean, norm.running_var = np.array([1.0]), np.array([4.0])
    assert norm(x).data.tolist() == [[-0.5], [1.5]]
    assert norm(x[:1]).data.tolist() == [[-0.5]]
    assert norm.num_batches_tracked == 1


def test_an_old_state_of_batch_norm_stays_as_it_is():
    """Training makes new buffers and does not write into those that somebody has."""
    norm = nn.BatchNorm1d(1)
    before = norm.running_mean
    norm(np.array([[0.0], [4.0]]))

    assert before.tolist() == [0.0]


def test_dropout_draws_from_its_generator_in_training_only():
    """A seed repeats the masks; what is kept is scaled; after eval nothing is dropped."""
    x = np.ones(1000)
    first, second = nn.Dropout(0.25, generator=1), nn.Dropout(0.25, generator=np.random.default_rng(1))
    y = first(x)

    assert sorted({*y.tolist()}) == [0.0, 1 / 0.75]
    assert 200 < (y == 0).sum() < 300
    assert y.tolist() == second(x).tolist()
    assert first(x).tolist() == second(x).tolist() != y.tolist()
    assert first.eval()(x) is x
    assert nn.Dropout(0.0)(x) is x


def test_sequential_takes_functions_and_counts():
    """Ops and lambdas are steps as well; steps are reached by number."""
    model = nn.Sequential(nn.Linear(2, 2), ops.tanh, lambda x: x * 2)

    assert len(model) == 3
    assert model[1] is ops.tanh
    x = np.ones((1, 2))
    np.testing.assert_allclose(model(x).data, 2 * np.tanh(model[0](x).data))
    assert nn.Sequential()(x) is x


_WRONG = {
    "sizes": (lambda: nn.Linear(0, 2), "in_features is a positive int; it was given 0"),
    "input": (lambda: nn.Linear(3, 2)(np.ones((4, 2))), r"x has shape \(4, 2\), weight \(2, 3\)"),
    "norm": (lambda: nn.LayerNorm(3)(np.ones((4, 2))), r"last axes are to be \(3,\)"),
    "norm of nothing": (lambda: nn.LayerNorm(()), "at least one size"),
    "features": (lambda: nn.BatchNorm1d(3)(np.ones((4, 2))), r"expected \(batch, 3\)"),
    "one row": (lambda: nn.BatchNorm1d(2)(np.ones((1, 2))), "has no variance"),
    "index": (lambda: nn.Embedding(3, 2)(np.array([0, 3])), "no vector 3; they are from 0 to 2"),
    "negative index": (lambda: nn.Embedding(3, 2)(np.array([-1])), "no vector -1"),
    "no index": (lambda: nn.Embedding(3, 2)(np.array([0.0])), "takes integers; it was given dtype float64"),
    "padding": (lambda: nn.Embedding(3, 2, padding_idx=3), "padding_idx"),
    "probability": (lambda: nn.Dropout(1.5), "from 0 to 1; it was given 1.5"),
    "step": (lambda: nn.Sequential(nn.Dropout(), 3), "argument 1 is 3"),
}


@pytest.mark.parametrize("name", _WRONG)
def test_wrong_arguments_are_named(name):
    """The message has what was given and what was expected."""
    call, message = _WRONG[name]
    with pytest.raises(AutodiffError, match=message):
        call()


def test_batch_norm_in_use_is_mapped_over_examples():
    """After `eval` nothing depends on the other examples, so that vmap gives the same numbers."""
    layer = nn.BatchNorm1d(3)
    layer(np.random.default_rng(0).normal(size=(5, 3)))
    layer.eval()
    x = np.random.default_rng(1).normal(size=(4, 3))
    np.testing.assert_allclose(vmap(lambda row: layer(row[None])[0])(x).data, layer(x).data, rtol=1e-12)

"""`to_dot`: the picture of a graph shows its nodes, what they keep, and where gradients flow."""

from __future__ import annotations

import re
import shutil
import subprocess
from typing import Any

import numpy as np
import pytest

from autodiff import AutodiffError, Value, checkpoint, ops, to_dot
from autodiff.testing.asv import OpCase, ops_of_plugin

_ARROW = re.compile(r'^    (n\d+) -> (n\d+) \[label="(.*)"\]$', re.MULTILINE)
_NODE = re.compile(r'^    (n\d+) \[label="(.*)", shape=(\w+)\]$', re.MULTILINE)


def nodes(dot: str) -> dict[str, tuple[str, str]]:
    """Return label and shape of each node by its id."""
    return {name: (label, shape) for name, label, shape in _NODE.findall(dot)}


def arrows(dot: str) -> list[tuple[str, str, str]]:
    """Return each arrow as the first lines of the labels at both of its ends, and its own label."""
    first = {name: label.split("\\n")[0] for name, (label, _) in nodes(dot).items()}
    return [(first[start], first[end], label) for start, end, label in _ARROW.findall(dot)]


def test_arrows_go_from_inputs_to_ops() -> None:
    """Each input that needs a gradient has an arrow with the name of the parameter; constants have none."""
    x, w = Value(np.ones((2, 3))), Value(np.ones(3))
    h = x * w
    y = (h + 1.0).tanh()

    assert arrows(to_dot(y, x=x, w=w, h=h)) == [
        ("x", "h = multiply", "x1"),
        ("w", "h = multiply", "x2"),
        ("h = multiply", "add", "x1"),
        ("add", "tanh", "x"),
    ]


def test_labels_say_what_is_kept() -> None:
    """A product keeps the other factor, tanh its output, a sum no array."""
    x = Value(np.ones(3))

    labels = sorted(
        label for label, shape in nodes(to_dot(((x * 2.0).tanh() * x).sum())).values() if shape == "ellipse"
    )

    assert labels == [
        r"multiply\n(3,) float64\nkeeps x1, x2",
        r"multiply\n(3,) float64\nkeeps x2",
        r"sum\n() float64\nkeeps axis, keepdims, x_shape",
        r"tanh\n(3,) float64\nkeeps y",
    ]


def test_a_shared_value_is_drawn_once() -> None:
    """What two ops use is one node with two arrows."""
    x = Value(2.0)
    square = x * x

    dot = to_dot(square + square)

    assert len(nodes(dot)) == 3
    assert len(arrows(dot)) == 4


def test_several_outputs_and_checkpoints_are_drawn() -> None:
    """An op with two outputs, and a function that is computed again, are nodes like others."""
    x = Value(np.ones((2, 3)))
    left, right = ops.split(x, sections=(1,), axis=1)

    found = {label.split("\\n")[0] for label, _ in nodes(to_dot(checkpoint(ops.tanh)(left) + right)).values()}

    assert found >= {"split", "checkpoint", "add", "leaf"}


@pytest.mark.parametrize("op", ops_of_plugin())
def test_every_op_can_be_drawn(op: str) -> None:
    """Whatever an op keeps, there are words for it."""
    case = OpCase.of_size(op, 1)
    for y in case.forward():
        if isinstance(y, Value) and y.requires_grad:
            assert len(nodes(to_dot(y))) >= 2


def test_a_deep_graph_is_drawn_without_recursion() -> None:
    """Ten thousand nodes are no problem."""
    y = Value(1.0)
    for _ in range(10_000):
        y = y + 1.0

    assert len(arrows(to_dot(y))) == 10_000


def test_quotes_in_names_are_escaped() -> None:
    """A name may be any text."""
    x = Value(1.0)

    assert r'label="a \"b\" \\ c\n() float64"' in to_dot(x, **{'a "b" \\ c': x})


@pytest.mark.skipif(shutil.which("dot") is None, reason="Graphviz is not installed")
def test_graphviz_accepts_the_text() -> None:
    """The program draws it."""
    x = Value(1.0)
    dot = to_dot((x * x).tanh(), **{'"': x})

    svg = subprocess.run(["dot", "-Tsvg"], input=dot, capture_output=True, text=True, check=True).stdout

    assert svg.count('class="node"') == 3


def _freed() -> Any:
    y = Value(2.0) * 3.0
    y.backward()
    return y


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: np.ones(2), "to_dot draws the graph of Values; root is 'ndarray'"),
        (lambda: Value(1.0, requires_grad=False), "needs no gradient: there is no graph behind it to draw"),
        (_freed, "Pass retain_graph=True"),
    ],
)
def test_what_cannot_be_drawn_is_refused(make: Any, said: str) -> None:
    """The error says what was given, and what to do."""
    with pytest.raises(AutodiffError, match=said):
        to_dot(make())

"""Loops that Numba compiles: they are used, agree with NumPy's functions, warn where those do, and can be missing."""

from __future__ import annotations

import os
import subprocess
import sys
import warnings
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import autodiff_nn as nn
from autodiff import Value, ops
from autodiff.testing import check_op
from autodiff_numpy import blocks, loops
from autodiff_numpy.kernels import ARRAY_RULES

_ROWS, _WIDTH = 700, 300
_LABELS = np.random.default_rng(2).integers(0, _WIDTH, _ROWS)
_PLACES = np.random.default_rng(3).integers(-_WIDTH, _WIDTH, (_ROWS, _WIDTH))


def _attention(x: Any) -> Any:
    return nn.scaled_dot_product_attention(x[:, :100], x[:, 100:200], x[:, 200:])


#: A call, how many arrays it is given beside the first, and the loops that it runs forward and backward.
_CALLS: dict[str, tuple[Callable[..., Any], int, str]] = {
    "layer_norm": (nn.layer_norm, 2, "layer_norm layer_norm_rule"),
    "cross_entropy": (lambda x: nn.cross_entropy_with_logits(x, _LABELS), 0, "exponential_sums exponentials"),
    "softmax": (lambda x: ops.softmax(x, axis=1), 0, "softmax softmax_rule"),
    "log_softmax": (lambda x: ops.log_softmax(x, axis=1), 0, "exponential_sums exponentials shift"),
    "logsumexp": (lambda x: ops.logsumexp(x, axis=1), 0, "exponential_sums exponentials"),
    "prod": (lambda x: ops.prod(x, axis=1), 0, "product product_rule"),
    "cumulative_sum": (lambda x: ops.cumulative_sum(x, axis=1), 0, "running_sum"),
    "cumulative_prod": (lambda x: ops.cumulative_prod(x, axis=1), 0, "running_product running_product_rule"),
    "tanh": (ops.tanh, 0, "tanh_rule"),
    "tanh_double": (
        lambda x: ops.astype(ops.tanh(ops.astype(x, dtype=np.float64)), dtype=x.dtype),
        0,
        "tanh tanh_rule_in_place",
    ),
    "tanh_in_place": (lambda x: ops.tanh(x) * np.float32(2), 0, "tanh_rule_in_place"),
    "relu": (ops.relu, 0, "relu relu_rule"),
    "relu_in_place": (lambda x: ops.relu(x) * np.float32(2), 0, "relu relu_rule_in_place"),
    "cube": (lambda x: x * x * x, 0, "add_product"),
    "scatter_add": (
        lambda x: ops.scatter_add(x, shape=(90, _WIDTH), index=(_LABELS[: x.shape[0]] % 90,)),
        0,
        "add_rows",
    ),
    "gelu": (ops.gelu, 0, "gelu gelu_rule"),
    "gelu in place": (lambda x: 2.0 * ops.gelu(x), 0, "gelu gelu_rule"),
    "attention": (_attention, 0, "attention_weights attention_slopes"),
    "take_along_axis": (lambda x: ops.take_along_axis(x, _PLACES, axis=1), 0, "add_at take"),
}
#: The loops for float64, where they are others.
_DOUBLE = {
    "tanh": "tanh tanh_rule",
    "tanh_double": "tanh tanh_rule",
    "tanh_in_place": "tanh tanh_rule_in_place",
    "cross_entropy": "scale shift",
    "softmax": "share_out shift softmax_rule",
    "log_softmax": "scale shift",
    "logsumexp": "scale shift",
    "gelu": "",
    "gelu in place": "",
    "attention": "",
}
_SPECIAL = {
    "plain": None,
    "zero": 0.0,
    "minus": -0.0,
    "infinite": np.inf,
    "less": -np.inf,
    "nan": np.nan,
    "huge": 3e38,
    "tiny": 1e-44,
}


def _arrays(name: str, dtype: Any, special: Any = None) -> list[Any]:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((_ROWS, _WIDTH))
    x = 1 + x / 100 if "prod" in name else x
    if special is not None:
        x[5, 7] = x[-1, -1] = special
    return [x.astype(dtype), *rng.standard_normal((_CALLS[name][1], _WIDTH)).astype(dtype)]


def _run(name: str, arrays: list[Any]) -> list[Any]:
    """Return the value and the gradients."""
    values = [Value(a) for a in arrays]
    y = _CALLS[name][0](*values)
    y.backward(np.random.default_rng(1).standard_normal(y.shape).astype(arrays[0].dtype.type))
    return [y.data, *(v.grad for v in values)]


@pytest.fixture
def _numba() -> None:
    pytest.importorskip("numba")


@pytest.mark.usefixtures("_numba")
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", _CALLS)
def test_loops_are_used(name: str, dtype: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Large rows go through the loops, and these find nothing unusual."""
    seen: dict[str, bool] = {}

    def noted(loop_name: str) -> Callable[..., Any]:
        def call(*args: Any) -> Any:
            done = found(loop_name)(*args)
            seen[loop_name] = seen.get(loop_name, True) and done
            return done

        return call

    found = loops._compiled
    monkeypatch.setattr(loops, "_compiled", noted)
    _run(name, _arrays(name, dtype))

    used = _CALLS[name][2] if dtype == np.float32 else _DOUBLE.get(name, _CALLS[name][2])
    assert seen == dict.fromkeys(used.split(), True)


@pytest.mark.usefixtures("_numba")
def test_running_sums_from_the_end_go_through_the_same_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of rows that are turned round; forward they are not."""
    found, turned = loops._compiled, set()

    def noted(loop_name: str) -> Callable[..., Any]:
        def call(x: Any, *rest: Any) -> Any:
            turned.add((loop_name, x.strides[1] < 0))
            return found(loop_name)(x, *rest)

        return call

    monkeypatch.setattr(loops, "_compiled", noted)
    _run("cumulative_sum", _arrays("cumulative_sum", np.float32))

    assert turned == {("running_sum", False), ("running_sum", True)}


def test_every_loop_has_a_call() -> None:
    """The table above leaves none out."""
    used = [*(used for *_, used in _CALLS.values()), *_DOUBLE.values()]
    assert {loop for names in used for loop in names.split()} == set(loops._PLAIN)


@pytest.mark.usefixtures("_numba")
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("special", _SPECIAL)
@pytest.mark.parametrize("name", _CALLS)
def test_loops_agree_with_numpy(name: str, special: str, dtype: Any) -> None:
    """In value and gradient, where NaN is, and which infinities are where."""
    results = []
    for block in (loops.without(), nullcontext()):
        with block, np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            results.append(_run(name, _arrays(name, dtype, _SPECIAL[special])))
    tolerance = {np.float32: 1e-5, np.float64: 1e-13}[dtype]

    for expected, actual in zip(*results, strict=True):
        assert actual.dtype == dtype
        assert np.array_equal(np.isnan(actual), np.isnan(expected))
        finite = np.isfinite(expected)
        assert np.array_equal(actual[~finite], expected[~finite], equal_nan=True)
        scale = np.abs(expected[finite]).max(initial=0)
        np.testing.assert_allclose(actual[finite], expected[finite], rtol=tolerance, atol=tolerance * scale)


@pytest.mark.usefixtures("_numba")
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("special", _SPECIAL)
@pytest.mark.parametrize("name", ["relu", "relu_in_place", "cube", "scatter_add"])
@pytest.mark.parametrize("rows", [_ROWS, 50])
def test_elementwise_loops_agree_bit_for_bit(name: str, special: str, dtype: Any, rows: int) -> None:
    """Each step is rounded as NumPy rounds it, signs of zeros included, in large arrays and in smaller ones."""
    results = []
    for block in (loops.without(), nullcontext()):
        with block, np.errstate(all="ignore"):
            results.append(_run(name, [a[:rows] for a in _arrays(name, dtype, _SPECIAL[special])]))

    for expected, actual in zip(*results, strict=True):
        assert np.array_equal(actual, expected, equal_nan=True)
        assert np.array_equal(np.signbit(actual), np.signbit(expected))


@pytest.mark.usefixtures("_numba")
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("special", _SPECIAL)
@pytest.mark.parametrize("rows", [_ROWS, 50])
@pytest.mark.parametrize("in_place", [False, True])
def test_the_rule_of_tanh_agrees_bit_for_bit(special: str, dtype: Any, rows: int, in_place: bool) -> None:
    """The same for the rule alone, as what it reads, the result of the op, is not the same to the last bit."""
    (rule,) = ARRAY_RULES["autodiff_ops.tanh"]
    y, g = (a[:rows] for a in (np.tanh(_arrays("tanh", dtype)[0]), _arrays("tanh", dtype, _SPECIAL[special])[0]))
    results = []
    for block in (loops.without(), nullcontext()):
        own = g.copy()
        with block, np.errstate(all="ignore"):
            results.append(rule(own, y, out=own) if in_place else rule(own, y))

    assert np.array_equal(*results, equal_nan=True)
    assert np.array_equal(*map(np.signbit, results))


@pytest.mark.usefixtures("_numba")
@pytest.mark.parametrize("size", [0, 7, 8191, 8192, 131_072, 131_073, 300_000])
@pytest.mark.parametrize("offset", [0, 3])
def test_tanh_of_float64_is_right_to_the_last_digits(size: int, offset: int) -> None:
    """Of any size, wherever it begins in memory: next to what NumPy has with more digits."""
    if np.finfo(np.longdouble).nmant <= np.finfo(np.float64).nmant:
        pytest.skip("NumPy has no longer numbers here")
    rng = np.random.default_rng(0)
    x = (rng.standard_normal(size + offset) * 10.0 ** rng.uniform(-12, 2, size + offset))[offset:]

    y = ops.tanh(x)
    expected = np.tanh(x.astype(np.longdouble))

    assert y.shape == x.shape
    assert float((np.abs(y - expected) / np.spacing(np.abs(y))).max(initial=0)) < 2.7


@pytest.mark.usefixtures("_numba")
def test_tanh_of_float64_keeps_what_is_special() -> None:
    """Zeros with their signs, infinities, NaN, the smallest numbers: bit for bit what NumPy has for them."""
    x = np.resize([0.0, -0.0, np.inf, -np.inf, np.nan, 5e-324, -1e-310, 1e-200, -1e300, 40.0, -19.07], 10_000)
    with loops.without():
        expected = ops.tanh(x)
    with np.errstate(all="raise"):
        actual = ops.tanh(x)

    assert np.array_equal(actual, expected, equal_nan=True)
    assert np.array_equal(np.signbit(actual), np.signbit(expected))


@pytest.mark.usefixtures("_numba")
@pytest.mark.parametrize("special", ["infinite", "less", "nan", "huge"])
@pytest.mark.parametrize("name", _CALLS)
def test_numpys_error_state_is_obeyed(name: str, special: str) -> None:
    """What NumPy raises, raises with the loops too, and nothing else does."""

    def outcome() -> Any:
        try:
            with np.errstate(over="raise", invalid="raise", divide="raise"), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                _CALLS[name][0](*_arrays(name, np.float32, _SPECIAL[special]))
        except Exception as exc:
            return type(exc), type(exc.__cause__)
        return None

    with loops.without():
        expected = outcome()

    assert outcome() == expected


@pytest.mark.usefixtures("_numba")
@pytest.mark.parametrize(("numbers", "what"), [((np.inf, -np.inf), "invalid"), ((3e38, 3e38), "over")])
def test_sums_of_rows_that_meet_raise_as_numpys_do(numbers: tuple[float, float], what: str) -> None:
    """Two rows at one place have a sum that is infinite, or none."""
    x = np.ones((100, 300), np.float32)
    x[[3, 70], 5] = numbers
    places = np.arange(100) % 67
    with np.errstate(all="ignore"):
        quiet = ops.scatter_add(x, shape=(67, 300), index=(places,))
        expected = x[3, 5] + x[70, 5]

    assert np.array_equal(quiet[3, 5], expected, equal_nan=True)
    assert quiet[3, 6] == 2
    assert np.array_equal(np.delete(quiet, 5, axis=1).sum(axis=1), np.bincount(places) * 299.0)
    with np.errstate(**{what: "raise"}), pytest.raises(FloatingPointError):
        ops.scatter_add(x, shape=(67, 300), index=(places,))


@pytest.mark.usefixtures("_numba")
@pytest.mark.parametrize("op", ["softmax", "logsumexp", "prod", "cumulative_sum"])
def test_ops_conform_by_loops(op: str) -> None:
    """Each sample of each op in tiny blocks, all dtypes."""
    with blocks.tiny():
        check_op(op)


@pytest.mark.usefixtures("_numba")
@pytest.mark.parametrize("op", [ops.cumulative_prod, ops.take_along_axis, nn.layer_norm, nn.cross_entropy_with_logits])
def test_more_ops_conform_by_loops(op: Any) -> None:
    """The same for those with several inputs, and running products."""
    with blocks.tiny():
        check_op(op)


@pytest.mark.parametrize("name", _CALLS)
def test_arrays_of_all_kinds_are_taken(name: str, tmp_path: Path) -> None:
    """Read-only ones, of the other byte order, of files, and not in order in memory."""
    first, *rest = _arrays(name, np.float32)
    frozen = first.copy()
    frozen.flags.writeable = False
    mapped = np.memmap(tmp_path / "x", np.float32, "w+", shape=first.shape)
    mapped[...] = first
    expected = _run(name, [first, *rest])
    for x in (frozen, mapped, np.asfortranarray(first), first.astype(first.dtype.newbyteorder())):
        for a, b in zip(_run(name, [x, *rest]), expected, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4 * np.abs(b).max())


def test_layer_norm_keeps_digits_far_from_zero() -> None:
    """A mean of 1e8 is taken out before anything is squared, in large arrays too."""
    x = np.random.default_rng(0).standard_normal((400, 500))

    np.testing.assert_allclose(nn.layer_norm(x + 1e8, 1.0, 0.0), nn.layer_norm(x, 1.0, 0.0), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("by", ["numpy", "numba"])
def test_layer_norm_does_not_depend_on_the_number_of_threads(by: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Bit for bit: sums over rows are those of blocks, and blocks are cut by shape alone."""
    if by == "numba":
        pytest.importorskip("numba")
    arrays = [np.random.default_rng(0).standard_normal(s).astype(np.float32) for s in ((5000, 300), (300,), (300,))]
    results = []
    for count in (1, 2, 3):
        monkeypatch.setattr(blocks, "threads", lambda count=count: count)
        values = [Value(a) for a in arrays]
        with loops.without() if by == "numpy" else nullcontext():
            y = nn.layer_norm(*values)
            y.backward(arrays[0][::-1].copy())
        results.append([y.data, *(v.grad for v in values)])

    for other in results[1:]:
        assert all(np.array_equal(a, b) for a, b in zip(results[0], other, strict=True))


_SCRIPT = """
import sys, numpy as np
{before}
import autodiff, autodiff_nn as nn
from autodiff_numpy import loops
x = autodiff.Value(np.random.default_rng(0).standard_normal((700, 300)))
nn.layer_norm(x, 1.0, 0.0).backward(np.ones((700, 300)))
print(loops._compiler() is None, "numba" in sys.modules and sys.modules["numba"] is not None, abs(x.grad).max() < 1e-9)
"""
_ABSENT = {
    "switched off": ("", {"AUTODIFF_NUMBA": "0"}),
    "not installed": ("sys.modules['numba'] = None", {}),
    "not for this NumPy": ("import builtins; builtins.__import__ = {broken}", {}),
}
_SILENT = ("switched off", "not installed")
_BROKEN = """(lambda own: lambda name, *rest, **more: (_ for _ in ()).throw(SystemError(name)) if name == 'numba' else
own(name, *rest, **more))(builtins.__import__)"""


@pytest.mark.parametrize("how", _ABSENT)
def test_nothing_depends_on_numba(how: str) -> None:
    """Without it, and where importing it fails, NumPy does all the work; a broken one is told of."""
    before, environment = _ABSENT[how]
    script = _SCRIPT.format(before=before.replace("{broken}", _BROKEN.replace("\n", " ")))
    done = subprocess.run(
        [sys.executable, "-W", "error" if how in _SILENT else "default", "-c", script],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        env={**os.environ, **environment},
    )

    assert done.stdout.split() == ["True", "False", "True"], done.stderr
    assert done.stderr.count("Numba is installed but cannot be imported (SystemError: numba)") == (how not in _SILENT)


@pytest.mark.usefixtures("_numba")
def test_a_cache_that_cannot_be_written_is_done_without(monkeypatch: pytest.MonkeyPatch) -> None:
    """Numba refuses to make one where no folder is writable; the loop is compiled all the same."""
    own = loops._compiler()

    def without_cache(**options: Any) -> Any:
        if options.pop("cache", False):
            raise RuntimeError("cannot cache function: no locator available")
        return own(**options)

    monkeypatch.setattr(loops, "_compiler", lambda: without_cache)
    x, y = np.ones((2, 3)), np.empty((2, 3))

    assert loops._compiled.__wrapped__("running_sum")(x, 1e300, y)
    assert y.tolist() == [[1, 2, 3]] * 2


@pytest.mark.usefixtures("_numba")
@pytest.mark.parametrize("content", [b"", b"text"])
@pytest.mark.parametrize("kind", ["nbi", "nbc"])
def test_a_damaged_cache_is_done_without(kind: str, content: bytes, tmp_path: Path) -> None:
    """Files that a full disk or a crash has cut short: the loop is compiled all the same."""
    script = """
import numpy as np
from autodiff_numpy import loops
x, y = np.ones((2, 3)), np.empty((2, 3))
print([loops._compiled("running_sum")(x, 1e300, y) and y.tolist() for _ in range(2)])
"""
    for _ in range(2):
        done = subprocess.run(
            [sys.executable, "-W", "error", "-c", script],
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
            env={**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)},
        )
        assert done.stdout.strip() == str([[[1.0, 2.0, 3.0]] * 2] * 2), done.stderr
        made = list(tmp_path.rglob(f"*.{kind}"))
        assert made
        for file in made:
            file.write_bytes(content)

"""Blocks and threads: what is cut, by whom it is done, and that nothing is lost on the way."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from contextlib import nullcontext
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from autodiff import Value, ops
from autodiff_numpy import blocks


@pytest.fixture
def with_threads(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return a function that sets how many threads work, whatever the machine has."""

    def use(count: int) -> None:
        monkeypatch.setattr(blocks, "threads", lambda: count)
        blocks._helpers.cache_clear()

    yield use
    blocks._helpers.cache_clear()


@pytest.mark.parametrize("count", [1, 2, 3])
def test_each_block_is_done_once(with_threads: Any, count: int) -> None:
    """Whoever takes it, each block is taken by one."""
    with_threads(count)
    done: list[int] = []
    blocks.in_blocks(done.append, range(1000))

    assert sorted(done) == list(range(1000))


def test_several_threads_take_part(with_threads: Any) -> None:
    """Two blocks that wait for each other both end: they run at the same time."""
    with_threads(2)
    meet = threading.Barrier(2, timeout=20)
    blocks.in_blocks(lambda block: meet.wait(), range(2))

    assert not meet.broken


@pytest.mark.parametrize("where", ["first", "last"])
def test_an_error_in_a_block_arrives(with_threads: Any, where: str) -> None:
    """The first blocks are the caller's, the last those of helpers; afterwards all goes on."""
    with_threads(2)
    bad = 0 if where == "first" else 99
    met = threading.Barrier(2, timeout=20)

    def work(block: int) -> None:
        if block in (0, 99):
            met.wait()
        if block == bad:
            raise ValueError("a bad block")

    with pytest.raises(ValueError, match="a bad block"):
        blocks.in_blocks(work, range(100))
    done: list[int] = []
    blocks.in_blocks(done.append, range(10))
    assert sorted(done) == list(range(10))


def test_after_an_error_the_others_stop(with_threads: Any) -> None:
    """A helper finishes its block, and does not go through all that are left."""
    with_threads(2)
    met, raised = threading.Barrier(2, timeout=20), threading.Event()
    done: list[int] = []

    def work(block: int) -> None:
        if block in (0, 99):
            met.wait()
        if block == 0:
            raised.set()
            raise ValueError("a bad block")
        raised.wait(20)
        time.sleep(0.05)
        done.append(block)

    with pytest.raises(ValueError, match="a bad block"):
        blocks.in_blocks(work, range(100))

    assert done[0] == 99
    assert len(done) < 50


def test_an_exit_in_a_helper_arrives(with_threads: Any) -> None:
    """What is no Exception ends neither the helper nor the wait for it."""
    with_threads(2)
    met = threading.Barrier(2, timeout=20)
    seen: list[str] = []

    def call() -> None:
        caller = threading.get_ident()

        def work(block: int) -> None:
            met.wait()
            if threading.get_ident() != caller:
                raise SystemExit("an exit")

        for _ in range(2):
            try:
                blocks.in_blocks(work, range(2))
            except SystemExit as exc:
                seen.append(str(exc))

    thread = threading.Thread(target=call, daemon=True)  # which is left behind if it waits for ever
    thread.start()
    thread.join(20)

    assert seen == ["an exit"] * 2


def test_blocks_may_have_blocks(with_threads: Any) -> None:
    """A call from within a block waits for nobody who waits for it."""
    with_threads(2)
    done: list[tuple[int, int]] = []
    blocks.in_blocks(lambda i: blocks.in_blocks(lambda j: done.append((i, j)), range(5)), range(5))

    assert sorted(done) == [(i, j) for i in range(5) for j in range(5)]


def test_many_callers_share_the_helpers(with_threads: Any) -> None:
    """Calls from several threads do not wait for each other, and each gets its own result."""
    with_threads(2)
    x = np.random.default_rng(0).standard_normal((600, 700)).astype(np.float32)
    expected = ops.softmax(x)
    results: list[Any] = []
    callers = [threading.Thread(target=lambda: results.append(ops.softmax(x))) for _ in range(8)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join(60)

    assert len(results) == 8
    assert all(np.array_equal(y, expected) for y in results)


def test_helpers_work_in_the_callers_context(with_threads: Any) -> None:
    """NumPy's error state, which is part of the context, holds in helpers too."""
    with_threads(2)
    seen: list[str] = []
    met = threading.Barrier(2, timeout=20)

    def work(block: int) -> None:
        met.wait()
        seen.append(np.geterr()["over"])

    with np.errstate(over="raise"):
        blocks.in_blocks(work, range(2))

    assert seen == ["raise", "raise"]


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({"AUTODIFF_NUM_THREADS": "3", "OMP_NUM_THREADS": "1"}, 3),
        ({"OMP_NUM_THREADS": "2,4"}, 2),
        ({"OMP_NUM_THREADS": "many"}, None),
        ({"AUTODIFF_NUM_THREADS": "500"}, 8),
    ],
)
def test_the_environment_says_how_many_threads(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], expected: int | None
) -> None:
    """The own variable before the common one, and nonsense is ignored."""
    for name in ("AUTODIFF_NUM_THREADS", "OMP_NUM_THREADS"):
        monkeypatch.delenv(name, raising=False)
    alone = blocks.threads.__wrapped__()
    for name, value in environment.items():
        monkeypatch.setenv(name, value)

    assert blocks.threads.__wrapped__() == (alone if expected is None else expected)


_ENDINGS = {
    "fork": """
import os, threading, warnings, numpy as np
warnings.simplefilter("ignore")  # newer Pythons warn of threads at a fork
import autodiff
from autodiff_numpy.blocks import in_blocks
x = np.ones((1000, 1000)); autodiff.ops.softmax(x)
meet = threading.Barrier(2, timeout=20)
pid = os.fork()
if pid == 0:
    try:
        in_blocks(lambda block: meet.wait(), range(2))  # needs two threads
        os._exit(0 if abs(autodiff.ops.softmax(x).sum() - 1000) < 1e-6 else 1)
    finally:
        os._exit(2)
print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
""",
    "exit": """
import atexit, numpy as np, autodiff
x = np.ones((1000, 1000)); autodiff.ops.softmax(x)
atexit.register(lambda: print(round(autodiff.ops.softmax(x).sum()) - 1000))
""",
}


@pytest.mark.parametrize("name", _ENDINGS)
def test_threads_survive_endings(name: str) -> None:
    """In a child process, and while the interpreter ends, large arrays are computed all the same."""
    if name == "fork" and not hasattr(os, "fork"):
        pytest.skip("this system does not fork")
    done = subprocess.run(
        [sys.executable, "-c", _ENDINGS[name]],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
        env={**os.environ, "AUTODIFF_NUM_THREADS": "3"},
    )

    assert done.stdout.split() == ["0"], done.stderr


@pytest.mark.parametrize("shape", [(300, 700), (7, 300, 100), (100_000,), (3, 50_000), (50_000, 3), (1000, 1, 200)])
def test_results_do_not_depend_on_the_number_of_threads(with_threads: Any, shape: tuple[int, ...]) -> None:
    """Bit for bit: how an array is cut depends on its shape alone."""
    x = np.random.default_rng(0).uniform(0.9, 1.1, shape).astype(np.float32)
    calls = [lambda v: v.sum(), *(_along(name, a) for name in _NAMES for a in range(len(shape)))]
    results = []
    for count in (1, 2, 3):
        with_threads(count)
        values = [(call, Value(x)) for call in calls]
        outputs = [call(v) for call, v in values]
        for y in outputs:
            y.backward(np.ones(y.shape, np.float32))
        results.append([part for (_, v), y in zip(values, outputs, strict=True) for part in (y.data, v.grad)])

    for other in results[1:]:
        for a, b in zip(results[0], other, strict=True):
            assert np.array_equal(a, b)


_NAMES = (
    "sum",
    "mean",
    "max",
    "prod",
    "logsumexp",
    "softmax",
    "log_softmax",
    "cumulative_sum",
    "cumulative_prod",
    "sort",
)


def _along(name: str, axis: int) -> Any:
    return lambda v: ops[name](v, axis=axis)


@pytest.mark.parametrize(("count", "width"), [(0, 3), (7, 0), (50, 3), (512, 768), (4096, 768), (3, 10**6), (10**6, 1)])
def test_rows_are_cut_into_equal_parts(count: int, width: int) -> None:
    """Each row is in one part; large arrays have an even number of parts, as far as there are rows, small ones one."""
    parts = [range(count)[part] for part in blocks.rows(count, width)]

    assert [row for part in parts for row in part] == [*range(count)]
    size = count * width
    if size < blocks.LARGE:
        assert len(parts) == min(count, 1)
    elif count > 3:
        assert len(parts) % 2 == 0
        assert max(map(len, parts)) * width <= max(blocks.BLOCK, width)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("size", [1, 131_072, 131_073, 1_000_003])
@pytest.mark.parametrize("small", [False, True])
def test_blocks_begin_with_cache_lines(size: int, dtype: Any, small: bool) -> None:
    """All but the first, wherever the array begins; each element is in one."""
    size = 1 + size % 50 if small else size
    whole = np.empty(size + 20, dtype)
    with blocks.tiny() if small else nullcontext():
        for start in range(20):
            x = whole[start : start + size]
            cuts = blocks._lines(x)
            assert cuts[0].start == 0
            assert cuts[-1].stop == size
            assert all(a.stop == b.start < b.stop for a, b in pairwise(cuts))
            assert all(x[cut].ctypes.data % blocks._LINE == 0 for cut in cuts[1:])
            assert max(cut.stop - cut.start for cut in cuts) < blocks.BLOCK + 2 * blocks._LINE


@pytest.mark.parametrize("start", range(4))
@pytest.mark.parametrize("shape", [(400_001,), (3, 100_003), (0, 5)])
def test_arithmetic_wherever_an_array_begins(shape: tuple[int, ...], start: int) -> None:
    """Of arrays that begin at different places of their cache lines, and one that does not begin with an element."""
    size = int(np.prod(shape))
    rng = np.random.default_rng(0)
    a = rng.standard_normal(size + 4)[start : start + size].reshape(shape)
    b = rng.standard_normal(size + 9)[9 - start :][:size].reshape(shape)
    c = np.frombuffer(b"\0" * (start + 1) + b.tobytes(), np.uint8)[start + 1 :].view(np.float64).reshape(shape)
    for op, ufunc in ((ops.add, np.add), (ops.multiply, np.multiply), (ops.maximum, np.maximum)):
        assert np.array_equal(op(a, b), ufunc(a, b))
        assert np.array_equal(op(a, c), ufunc(a, b))

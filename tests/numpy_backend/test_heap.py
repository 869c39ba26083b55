"""What glibc is told to keep: enough for the next pass, no more than the machine can spare, and nothing unasked."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

from autodiff_numpy import heap

MIB = 1 << 20

glibc = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another allocator")

_FAULTS = """
import resource, sys, numpy as np, autodiff
faults = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_minflt
size, count, passes = map(int, sys.argv[1:])
x = autodiff.Value(np.ones(size))
def run():
    arrays = [x.data + 1 for i in range(count)]
run(); run()
before = faults()
for _ in range(passes):
    run()
print(faults() - before)
"""


def _environment(**given: str) -> dict[str, str]:
    ours = ("MALLOC_", "GLIBC_TUNABLES", "AUTODIFF_KEEP_MIB")
    return {k: v for k, v in os.environ.items() if not k.startswith(ours)} | given


def _printed(code: str, *args: int, **given: str) -> int:
    command = [sys.executable, "-c", code, *map(str, args)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=_environment(**given))
    return int(done.stdout)


@glibc
@pytest.mark.parametrize(("size", "count", "passes"), [(50_000, 40, 10), (500_000, 60, 2)])
def test_the_heap_keeps_what_the_next_pass_needs(size: int, count: int, passes: int) -> None:
    """The memory of arrays, of 16 MB and of 240 MB together, is not returned to the system after each pass."""
    kept = _printed(_FAULTS, size, count, passes, AUTODIFF_KEEP_MIB="512")
    left_alone = _printed(_FAULTS, size, count, passes, AUTODIFF_KEEP_MIB="0")

    assert kept < 2000, "each array has 98 pages, or 977"
    assert left_alone > 10_000, "what this test is about"


@glibc
@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ({"AUTODIFF_KEEP_MIB": "100"}, 100 * MIB),
        ({"AUTODIFF_KEEP_MIB": "4096"}, 2**31 - 1),
        ({"AUTODIFF_KEEP_MIB": "0"}, 0),
        ({"AUTODIFF_KEEP_MIB": "much"}, 128 * MIB),
        ({}, 128 * MIB),
        ({"MALLOC_TRIM_THRESHOLD_": "1000000"}, 0),
        ({"MALLOC_MMAP_THRESHOLD_": "1000000", "AUTODIFF_KEEP_MIB": "100"}, 0),
        ({"GLIBC_TUNABLES": "glibc.malloc.trim_threshold=1000000"}, 0),
        ({"GLIBC_TUNABLES": "glibc.malloc.check=0"}, 128 * MIB),
        ({"MALLOC_ARENA_MAX": "2"}, 128 * MIB),
    ],
)
def test_variables_decide(given: dict[str, str], kept: int) -> None:
    """Ours, unless glibc has been told by its own; what is no number counts as nothing."""
    code = "from autodiff_numpy import heap; heap._usable = lambda: 2 << 30; print(heap.keep_freed())"

    assert _printed(code, **given) == kept


@pytest.mark.parametrize(("usable", "kept"), [(0, 64), (256 * MIB, 64), (8 << 30, 512), (1 << 40, 1024)])
def test_a_share_of_the_memory_is_kept(usable: int, kept: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Within limits."""
    told: dict[int, int] = {}

    class Library:
        def __init__(self, name: None) -> None:
            pass

        def mallopt(self, option: int, value: int) -> int:
            told[option] = value
            return 1

    monkeypatch.setattr("ctypes.CDLL", Library)
    monkeypatch.setattr(heap, "_usable", lambda: usable)
    for name in set(os.environ) - set(_environment()):
        monkeypatch.delenv(name)

    assert heap.keep_freed() == kept * MIB
    assert told == {-1: kept * MIB, -3: 32 * MIB}  # of malloc.h: M_TRIM_THRESHOLD, M_MMAP_THRESHOLD


def test_a_library_without_the_option_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the C library has no such function, and where none can be asked."""
    monkeypatch.setattr("ctypes.CDLL", lambda name: object())
    assert heap.keep_freed() == 0

    def refuse(name: None) -> None:
        raise TypeError

    monkeypatch.setattr("ctypes.CDLL", refuse)
    assert heap.keep_freed() == 0


def test_a_container_has_what_its_limit_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The least of the machine's memory and the limits that can be read."""
    limit = tmp_path / "memory.max"
    monkeypatch.setattr(heap, "_LIMITS", (str(tmp_path / "missing"), str(limit)))
    machine = heap._usable()
    for text, expected in (("max\n", machine), ("1048576\n", MIB), (f"{1 << 62}\n", machine)):
        limit.write_text(text)
        assert heap._usable() == expected

"""Each asv benchmark still runs: once, on its smallest parameters."""

from __future__ import annotations

import importlib
import inspect
import itertools
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from asv_bench import benchmarks

FOLDER = Path(benchmarks.__file__).parent
KINDS = ("time_", "timeraw_", "track_", "peakmem_", "mem_")


def classes() -> dict[str, Any]:
    """Return the benchmark classes by name, of every module in the folder."""
    modules: list[ModuleType] = [
        importlib.import_module(f"asv_bench.benchmarks.{path.stem}")
        for path in sorted(FOLDER.glob("*.py"))
        if path.stem != "__init__"
    ]
    return {
        f"{module.__name__.rpartition('.')[2]}.{name}": cls
        for module in modules
        for name, cls in inspect.getmembers(module, inspect.isclass)
        if cls.__module__ == module.__name__
    }


CLASSES = classes()


def smallest(cls: Any) -> list[tuple[Any, ...]]:
    """Return the combinations of parameters, of the numbers the first alone."""
    params = getattr(cls, "params", ())
    several = params if params and isinstance(params[0], list | tuple) else [params] if params else []
    names = getattr(cls, "param_names", ())
    assert len(names) == len(several)
    return list(itertools.product(*(p[:1] if isinstance(p[0], int) else p for p in several)))


def methods(cls: Any) -> list[str]:
    """Return what asv measures of a class."""
    return [name for name in dir(cls) if name.startswith(KINDS)]


def test_every_module_has_benchmarks() -> None:
    """The modules are found, and none of their classes is without a benchmark."""
    modules = ["derivatives", "importing", "memory", "operations", "overhead", "scaling", "training"]
    assert sorted({name.partition(".")[0] for name in CLASSES}) == modules
    assert [name for name, cls in CLASSES.items() if not methods(cls)] == []


@pytest.mark.parametrize("name", CLASSES)
def test_benchmark_runs(name: str) -> None:
    """Setup and each method run, and a tracked figure is a finite number."""
    cls = CLASSES[name]
    ran = set()
    for params in smallest(cls):
        for method in methods(cls):
            benchmark = cls()
            if params in getattr(getattr(benchmark, method), "skip_params", ()):
                continue
            if method.endswith(("_bytecodes", "_allocated")) and (name != "overhead.Single" or method in ran):
                continue  # counting is slow, and the same everywhere: what is counted is what is timed
            try:
                getattr(benchmark, "setup", lambda *params: None)(*params)
            except NotImplementedError:  # asv's way to skip: a backend that is not there, an op without a gradient
                continue
            ran.add(method)
            result = getattr(benchmark, method)(*params)
            if method.startswith("timeraw_"):
                exec(result, {})  # in a process of its own under asv
            elif method.startswith("track_"):
                assert np.isfinite(result)
                assert result >= 0
    assert ran >= {method for method in methods(cls) if not method.endswith(("_bytecodes", "_allocated"))}


def test_every_registered_op_is_benchmarked() -> None:
    """The parameters of the generated benchmarks are the registry's ops and backends."""
    from autodiff.registry import registry

    for cls in (CLASSES["operations.Forward"], CLASSES["operations.Backward"]):
        backends, ops, sizes = cls.params
        assert backends[0] == "numpy"
        assert {name for name, b in registry.backends.items() if b.unavailable() is None} == set(backends)
        assert sorted(registry.ops) == ops
        assert sizes[0] == 1


def test_peers_takes_a_turn() -> None:
    """The comparison with other libraries runs a row by itself, and prints how long it took."""
    command = [sys.executable, "-m", "asv_bench.peers", "--turn", "S1", "autodiff"]

    done = subprocess.run(command, check=True, capture_output=True, text=True, cwd=FOLDER.parents[1])

    assert done.stderr == ""
    assert 0 < float(done.stdout) < 10

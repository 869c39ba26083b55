"""The coverage table: what the kit verified of each op, on each backend, in each dtype, to which order, in both modes.

``python tests/coverage_table.py numpy strict`` runs the kit and writes ``docs/coverage/NAME.json``, one for each
backend, and the page ``docs/coverage.md`` from all of them; without names the page alone. For CuPy without a GPU:
``PYTHONPATH=tests python -c "import cuda_on_cpu.emulation, coverage_table; coverage_table.main('cupy')"``.
Tests run the kit again and compare.
"""

from __future__ import annotations

import json
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

from autodiff import ops
from autodiff.registry import registry
from autodiff.testing import DTYPES, ConformanceError, check_op
from autodiff.testing.derived import one_of_each_kind

__all__ = ["FOLDER", "PAGE", "ours", "read", "render", "verified", "write"]

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "coverage.md"
FOLDER = ROOT / "docs" / "coverage"

#: Each backend with the distribution whose arrays it has, and on what the kit runs there.
BACKENDS = {"numpy": "numpy", "strict": "array-api-strict", "cupy": "cupy-cuda13x"}
#: Where each sample is run, and not one of each kind.
WHOLE = {"numpy"}

HEAD = """# Coverage

What the [conformance kit](conformance-kit.md) has verified, op by op.
It is written from runs, not from declarations, and the tests compare it with runs of their own.

A cell says up to which order derivatives are right, in reverse and in forward mode: `3/3`.
`0/0` says that values are, and that there is no derivative, of booleans, integers and steps for instance.
An empty cell says that nothing is verified: the op has no sample in that dtype, or does not work in it.
The kit goes to the third order for elementwise ops, to the second for others; nothing is known of higher ones.

| backend | ran | samples |
| --- | --- | --- |
"""


def ours() -> list[Any]:
    """Return the ops that autodiff ships."""
    shipped = ("autodiff", "autodiff_ops", "autodiff_activations", "autodiff_nn")
    return [op for op in ops if op.plugin in shipped]


def verified(op: Any, backend: str) -> dict[str, list[int]]:
    """Run the kit on an op; return orders in reverse and forward mode for each dtype in which it passes."""
    samples = None if backend in WHOLE else one_of_each_kind(op)
    found: dict[str, list[int]] = {}
    for dtype in (*DTYPES, "int64", "bool"):
        for order in (None, 2, 1):
            try:
                reached = check_op(op, samples, backend=backend, dtypes=[dtype], order=order)
            except ConformanceError:
                continue
            if dtype in reached:
                found[dtype] = [reached[dtype]["rev"], reached[dtype]["fwd"]]
            break
    return found


def read(backend: str) -> dict[str, Any]:
    """Return what was recorded of a backend."""
    found: dict[str, Any] = json.loads((FOLDER / f"{backend}.json").read_text())
    return found


def write(backend: str) -> None:
    """Run the kit on each op, and record it."""
    rows = {op.id: verified(op, backend) for op in sorted(ours(), key=lambda op: op.id)}
    lines = ",\n".join(f"  {json.dumps(op)}: {json.dumps(row)}" for op, row in rows.items())
    ran = f"{BACKENDS[backend]} {version(BACKENDS[backend])}"
    if "cuda_on_cpu.emulation" in sys.modules:
        ran += ", on the CPU"
    samples = "all" if backend in WHOLE else "one of each kind of numbers and range"
    head = f' "backend": {json.dumps(backend)},\n "ran": {json.dumps(ran)},\n "samples": {json.dumps(samples)}'
    FOLDER.mkdir(exist_ok=True)
    (FOLDER / f"{backend}.json").write_text(f'{{\n{head},\n "ops": {{\n{lines}\n }}\n}}\n')


def render() -> str:
    """Return the page, from what was recorded."""
    records = [read(backend) for backend in BACKENDS if (FOLDER / f"{backend}.json").exists()]
    page = HEAD + "".join(f"| {r['backend']} | {r['ran']} | {r['samples']} |\n" for r in records)
    dtypes = {
        r["backend"]: [d for d in (*DTYPES, "int64", "bool") if any(d in row for row in r["ops"].values())]
        for r in records
    }
    columns = [(r["backend"], dtype) for r in records for dtype in dtypes[r["backend"]]]
    page += "\n| op | " + " | ".join(f"{backend} {dtype}" for backend, dtype in columns) + " |\n"
    page += "| --- |" + " --- |" * len(columns) + "\n"
    by_name = {r["backend"]: r["ops"] for r in records}
    for op in sorted({op for r in records for op in r["ops"]}):
        cells = [by_name[backend].get(op, {}).get(dtype) for backend, dtype in columns]
        page += f"| `{op}` | " + " | ".join(f"{cell[0]}/{cell[1]}" if cell else "" for cell in cells) + " |\n"
    return page


def main(*backends: str) -> None:
    """Record these backends, and write the page."""
    registry.load()
    if "strict" in backends:
        from strict_backend import StrictBackend

        registry.register_backend(StrictBackend())
    for backend in backends:
        write(backend)
    PAGE.write_text(render())


if __name__ == "__main__":
    main(*sys.argv[1:])

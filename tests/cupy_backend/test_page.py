"""The page on CuPy runs: every python block of it, on the device."""

from __future__ import annotations

from pathlib import Path

import pytest

test_docs = pytest.importorskip("test_docs", reason="needs PYTHONPATH=tests")


def test_the_code_of_the_page_runs_and_prints_what_it_says(cupy, monkeypatch, tmp_path):
    """As `tests/test_docs.py` runs the others."""
    page = Path(__file__).parents[2] / "docs" / "cupy.md"
    monkeypatch.chdir(tmp_path)
    namespace = test_docs.module("cupy_page", monkeypatch).__dict__
    blocks = test_docs.blocks(page)
    checked = [result for block in blocks for result in test_docs.run(block, namespace, page)]
    assert len(blocks) == 3
    assert [(line, printed) for line, _, printed in checked] == [(line, said) for line, said, _ in checked]
    assert len(checked) == 2

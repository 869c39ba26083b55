"""Every registered op passes the conformance kit, and `docs/coverage.md` says how far."""

from __future__ import annotations

import pytest
from coverage_table import PAGE, ours, read, render, verified

from autodiff import ops
from autodiff.registry import registry
from autodiff.testing import check_op

IDS = [op.id for op in ops]
OURS = [op.id for op in ours()]
RENEW = "if that is meant: python tests/coverage_table.py numpy strict"


@pytest.fixture
def strict():
    """Register the backend of array_api_strict for one test."""
    pytest.importorskip("array_api_strict")
    from strict_backend import StrictBackend

    with registry.scoped() as scoped:
        scoped.register_backend(StrictBackend())
        yield


@pytest.mark.parametrize("op_id", IDS)
def test_op_conforms(op_id):
    """The op does on NumPy what it promises, on each of its samples, in every dtype, as far as the table says."""
    reached = check_op(op_id)
    if op_id in OURS:
        found = {dtype: [orders["rev"], orders["fwd"]] for dtype, orders in reached.items()}
        assert found == read("numpy")["ops"].get(op_id), RENEW


@pytest.mark.parametrize("op_id", IDS)
def test_op_conforms_on_other_numbers(op_id):
    """And on another draw of them, where differences are exact enough to compare with."""
    check_op(op_id, seed=1, dtypes=["float64", "complex128"])


@pytest.mark.filterwarnings("ignore")  # array_api_strict warns of what it then refuses
@pytest.mark.parametrize("op_id", OURS)
def test_op_conforms_on_the_strict_library_as_far_as_the_table_says(op_id, strict):
    """With nothing but what the array API standard promises; what does not work there is an empty cell."""
    assert verified(ops[op_id], "strict") == read("strict")["ops"].get(op_id), RENEW


@pytest.mark.parametrize("backend", ["numpy", "strict", "cupy"])
def test_the_table_has_a_row_for_each_op_and_no_other(backend):
    """No op is missing, and none that is gone is left."""
    assert sorted(read(backend)["ops"]) == sorted(OURS)


def test_the_page_is_that_of_the_records():
    """The page is written from the records, by `python tests/coverage_table.py`."""
    assert PAGE.read_text() == render()


def test_a_fault_would_be_seen_in_the_table(strict, monkeypatch):
    """An op that no longer works loses its cells."""
    tanh = ops.tanh
    assert verified(tanh, "strict")["float64"] == [3, 3]
    with registry.scoped() as scoped:
        scoped.register_kernel(tanh, "strict", lambda x: x * 2.0)
        assert verified(tanh, "strict") == {}

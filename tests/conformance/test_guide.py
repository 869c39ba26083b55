"""The guide `docs/conformance-kit.md`: the failures that it shows are those that the kit prints."""

from __future__ import annotations

import contextlib
import io
import re
import sys
import types
from pathlib import Path

import pytest

GUIDE = Path(__file__).parents[2] / "docs" / "conformance-kit.md"
_FENCED = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)


def shown(monkeypatch):
    """Run the python blocks of the guide; return what each printed beside the text under it, where there is one."""
    namespace = types.ModuleType("my_plugin")
    monkeypatch.setitem(sys.modules, "my_plugin", namespace)
    blocks = _FENCED.findall(GUIDE.read_text())
    found = []
    for (language, source), (below, text) in zip(blocks, [*blocks[1:], ("", "")], strict=True):
        if language == "python":
            printed = io.StringIO()
            with contextlib.redirect_stdout(printed):
                exec(compile(source, str(GUIDE), "exec"), namespace.__dict__)
            if below == "text":
                found.append((printed.getvalue(), text))
    return found


def rounded(text):
    """Return a message with its numbers to four digits: the last ones differ from machine to machine."""
    return re.sub(r"-?\d+\.\d+(e[+-]?\d+)?|\b\d+e-\d+", lambda m: f"{float(m[0]):.4g}", text)


def test_the_failures_in_the_guide_are_those_that_the_kit_prints(monkeypatch):
    """Five faults, each found by another check, and every word of what is said of them."""
    pairs = shown(monkeypatch)
    checks = [re.search(r"^  check +(\w+)$", printed, re.MULTILINE)[1] for printed, _ in pairs]
    assert len(pairs) == len({*checks}) == 5
    for printed, text in pairs:
        assert rounded(printed) == rounded(text)


@pytest.mark.parametrize(("one", "other"), [("at 1.0", "at 1.001"), ("step 6e-06", "step 7e-06"), ("seed 0", "seed 1")])
def test_a_wrong_number_in_the_guide_would_be_seen(one, other):
    """Rounding hides the last digits and no more."""
    assert rounded(one) != rounded(other)
    assert rounded("0.27392337464") == rounded("0.27392337499")


def test_every_check_is_in_the_guide():
    """The table has each check, in the order in which they run."""
    from autodiff.testing.op_checks import CHECKS

    listed = re.findall(r"`(check_\w+)`", "".join(re.findall(r"^\| (`check_[^|]*)\|", GUIDE.read_text(), re.MULTILINE)))
    assert listed == ["check_declaration", *(check.run.__name__ for check in CHECKS)]

"""``autodiff selftest --backend cupy``, as a user with a card runs it."""

from __future__ import annotations

import subprocess
import sys

import pytest

COMMAND = """
import cuda_on_cpu.emulation, sys
from autodiff_cli import main
{planted}
sys.exit(main(["selftest", "--backend", "cupy", "--op", "relu", "--op", "solve", "--dtype", "float64"]))
"""
#: A kernel that forgets what is negative.
WRONG = """
import autodiff_cupy.kernels as kernels
kernels.FUSED["autodiff_activations.relu"] = lambda generic, x: x
"""


@pytest.mark.parametrize(("planted", "code", "verdict"), [("", 0, "**all passed**"), (WRONG, 1, "**1 failed**")])
def test_selftest_reports_what_the_card_does(planted, code, verdict):
    """The report names CuPy, CUDA and the devices, and what failed with the kit's own words."""
    command = [sys.executable, "-c", COMMAND.format(planted=planted)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, verdict in done.stdout) == (code, True), done.stdout + done.stderr
    assert done.stdout.startswith("## autodiff selftest: cupy\n")
    assert "- CuPy: 14.2" in done.stdout
    assert "- devices: " in done.stdout
    assert "(sm_" in done.stdout
    assert ("autodiff_activations.relu" in done.stdout) is bool(planted)

"""The pytest plugin: ``pytest --autodiff-conformance=my_plugin`` makes the conformance kit's tests of a plugin.

Pytest imports this module whenever it starts: until the option is given it imports nothing, neither autodiff nor NumPy.
"""

from __future__ import annotations

import pytest

__all__ = ["pytest_addoption", "pytest_configure"]

#: What the ids of the tests begin with, in the place of a file's name.
NODE = "autodiff-conformance"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare the options."""
    group = parser.getgroup("autodiff", "autodiff's conformance kit")
    group.addoption(
        "--autodiff-conformance",
        action="append",
        default=[],
        metavar="PLUGIN",
        help="test what a plugin brings, named by its module, its entry point or its distribution; "
        f"may be repeated. To run these tests alone, pass {NODE} in the place of a file.",
    )
    group.addoption(
        "--autodiff-backends", metavar="NAMES", help="on which backends, separated by commas; by default on all"
    )
    group.addoption(
        "--autodiff-dtypes", metavar="NAMES", help="in which dtypes, separated by commas; by default in all"
    )
    group.addoption("--autodiff-seed", type=int, default=0, metavar="N", help="the seed of all draws; by default 0")


def pytest_configure(config: pytest.Config) -> None:
    """Add the tests if they are asked for."""
    if config.getoption("--autodiff-conformance"):
        from autodiff_pytest.conformance import Conformance

        config.pluginmanager.register(Conformance(config), NODE)
        return
    for option in ("--autodiff-backends", "--autodiff-dtypes"):
        if config.getoption(option):
            raise pytest.UsageError(
                f"{option} says where to run the tests of --autodiff-conformance=PLUGIN: give that too"
            )

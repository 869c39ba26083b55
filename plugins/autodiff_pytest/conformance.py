"""The tests themselves: one for each op, backend, dtype and sample; imported once they are asked for."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Generator, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from autodiff.testing import DTYPES, ConformanceError, check_backend, missing_dtype, op_tests
from autodiff_pytest import NODE
from autodiff_pytest.selection import SelectionError, named_backends, named_dtypes, named_plugin

__all__ = ["Conformance"]


class Conformance:
    """Adds the tests to those that pytest found.

    Raises
    ------
    UsageError
        An option names what there is not.
    """

    def __init__(self, config: pytest.Config) -> None:
        self.seed: int = config.getoption("--autodiff-seed")
        try:
            self.selections = [
                named_plugin(part) for name in config.getoption("--autodiff-conformance") for part in name.split(",")
            ]
            self.backends = named_backends(config.getoption("--autodiff-backends"))
            self.dtypes = named_dtypes(config.getoption("--autodiff-dtypes"))
        except SelectionError as exc:
            raise pytest.UsageError(f"autodiff's conformance kit: {exc}") from exc
        self.wanted = _own_arguments(config)

    @pytest.hookimpl(wrapper=True)
    def pytest_make_collect_report(
        self, collector: pytest.Collector
    ) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
        """Put the tests beside the files."""
        report = yield
        if isinstance(collector, pytest.Session) and report.passed:
            report.result = [*(report.result or ()), _Kit.from_parent(collector, name=NODE, nodeid=NODE, source=self)]
        return report

    def chosen(self, kit: pytest.Collector) -> list[pytest.Item]:
        """Return the tests whose ids were given, or all."""
        found = list(self.tests(kit))
        if not self.wanted:
            return found
        for wanted in self.wanted:
            if not any(_is_meant(item.nodeid, wanted) for item in found):
                raise pytest.Collector.CollectError(
                    f"not found: {wanted} (--collect-only -q {NODE} lists what there is)"
                )
        return [item for item in found if any(_is_meant(item.nodeid, wanted) for wanted in self.wanted)]

    def tests(self, kit: pytest.Collector) -> Iterator[pytest.Item]:
        """Return the tests; a backend that cannot run, or has no such dtype, is one that is skipped."""
        usable = []
        for backend in self.backends:
            reason = backend.unavailable()
            if reason is not None:
                yield _Test.from_parent(kit, name=f"{backend.name}[unavailable]", run=_skipper(reason), place=backend)
                continue
            usable.append(backend)
            for dtype in self.dtypes or DTYPES:
                missing = missing_dtype(backend, dtype)
                if missing:
                    yield _Test.from_parent(kit, name=f"{backend.name}[{dtype}]", run=_skipper(missing), place=backend)
        for backend in dict.fromkeys(backend for selection in self.selections for backend in selection.backends):
            if backend in usable:
                interface = partial(check_backend, backend.name, ops=())
                yield _Test.from_parent(kit, name=f"{backend.name}[interface]", run=interface, place=backend)
        pairs = dict.fromkeys(pair for selection in self.selections for pair in selection.pairs(usable))
        for op in dict.fromkeys(op for op, _ in pairs):
            backends = [backend for other, backend in pairs if other is op]
            yield from self._of_op(kit, op, backends)

    def _of_op(self, kit: pytest.Collector, op: Any, backends: list[Any]) -> Iterator[pytest.Item]:
        for backend in backends:
            for test in op_tests(op, backend=backend, dtypes=self.dtypes, seed=self.seed):
                if test.name.endswith("[declaration]") and backend is not backends[0]:
                    continue  # the same on every backend
                yield _Test.from_parent(kit, name=test.name, run=test.run, reason=test.reason, place=op)


def _skipper(reason: str) -> Callable[[], None]:
    return lambda: pytest.skip(reason)


def _own_arguments(config: pytest.Config) -> list[str]:
    """Take the ids of our tests out of the arguments, which pytest would look for among the files, and return them."""
    wanted = [arg for arg in config.args if arg == NODE or arg.startswith(f"{NODE}::")]
    config.args[:] = [arg for arg in config.args if arg not in wanted]
    return wanted


def _is_meant(nodeid: str, wanted: str) -> bool:
    # With -v pytest shows the dots of a name as it shows classes: that may be pasted, too.
    own, *rest = wanted.split("::")
    wanted = "::".join([own, ".".join(rest)]) if rest else own
    return wanted == NODE or nodeid == wanted or nodeid.startswith(f"{wanted}[")


class _Kit(pytest.Collector):
    """What the tests belong to, in the place of a file."""

    def __init__(self, *, source: Conformance, **keywords: Any) -> None:
        super().__init__(**keywords)
        self.source = source

    def collect(self) -> list[pytest.Item]:
        """Make the tests."""
        return self.source.chosen(self)


class _Test(pytest.Item):
    """One test."""

    def __init__(self, *, run: Callable[[], Any], place: Any, reason: str | None = None, **keywords: Any) -> None:
        super().__init__(**keywords)
        self.run = run
        self.place = place
        self.reason = reason

    def runtest(self) -> None:
        """Run it; what is declared to be unsupported is an expected failure, and a failure once it works."""
        self.run()
        if self.reason is not None:
            pytest.xfail(self.reason)

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """Say what is wrong without a traceback through the kit; of an exception in the op show its own."""
        error = excinfo.value
        if not isinstance(error, ConformanceError):
            return super().repr_failure(excinfo, style)
        if error.__cause__ is None:
            return str(error)
        cause = pytest.ExceptionInfo.from_exception(error.__cause__)
        return f"{super().repr_failure(cause, 'short')}\n\n{error}"

    def reportinfo(self) -> tuple[Path, int | None, str]:
        """Say where the op is written."""
        try:
            function = inspect.unwrap(self.place.function)
            return Path(inspect.getsourcefile(function) or ""), inspect.getsourcelines(function)[1] - 1, self.name
        except (AttributeError, OSError, TypeError):
            return self.path, None, self.name

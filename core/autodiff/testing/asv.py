"""Benchmarks for asv, for autodiff's own and for those of plugins.

- `Benchmark`: a base class with the backend as first parameter, warm-up, synchronisation, and exact counts.
- `OpForward`, `OpBackward`: each op of a plugin on each backend at several sizes, generated from the registry.
- `OpCase`: one op at one size, ready to be called.

In the ``asv_bench/benchmarks/`` of a plugin this is enough to follow all its ops::

    from autodiff.testing import asv

    class Forward(asv.OpForward):
        plugin = "my_plugin"

    class Backward(asv.OpBackward):
        plugin = "my_plugin"

asv itself is not imported.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import wraps
from itertools import islice, product
from math import log
from typing import Any, ClassVar

import numpy as np

from autodiff.errors import ArgumentError, AutodiffError, BackendUnavailableError
from autodiff.plugins import normal_name, records
from autodiff.registry import registry
from autodiff.samples import Array, Sample
from autodiff.testing.drawing import draw, draw_like
from autodiff.testing.metrics import count
from autodiff.testing.scaling import candidates, elements, largest
from autodiff.value import Value, unwrap

__all__ = ["Benchmark", "OpBackward", "OpCase", "OpForward", "ops_of_plugin"]

#: By how much a sample grows at first.
_STEP = 3

#: What an op says of inputs that are not for it.
_REFUSALS = (AutodiffError, ArithmeticError, IndexError, TypeError, ValueError)


class Benchmark:
    """What the benchmarks of a class share: a backend, a warm-up, and a clock that waits for the device.

    A subclass is written as asv has it, with ``params``, ``param_names``, ``setup`` and methods ``time_*``. Before its
    own parameters comes the backend, each that can run here; `setup` finds it as ``self.backend``, and its namespace as
    ``self.xp``. After `setup` each timed method has run once, so that plugins are loaded and memory is touched,
    and each waits for the device. Beside each stand ``track_*_bytecodes`` and ``track_*_allocated``, which are exact
    where time is noise.

    Examples
    --------
    >>> from autodiff import Value
    >>> from autodiff.testing import asv
    >>> class Squares(asv.Benchmark):
    ...     params, param_names = ([10, 1000],), ("size",)
    ...     def setup(self, backend, size):
    ...         self.x = Value(self.xp.ones(size))
    ...     def time_square(self, backend, size):
    ...         self.x * self.x
    >>> Squares.param_names
    ('backend', 'size')
    >>> squares = Squares()
    >>> squares.setup("numpy", 10)
    >>> squares.time_square("numpy", 10)
    >>> squares.track_square_bytecodes("numpy", 10) > 0
    True
    """

    params: ClassVar[Any] = ()
    param_names: ClassVar[Any] = ()
    backend: Any
    xp: Any
    _timed: ClassVar[tuple[str, ...]] = ()

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        own = dict(vars(cls))
        if "params" in own or not cls.params:
            params = own.get("params", ())
            if params and not isinstance(params[0], list | tuple):  # a single parameter, which asv lets stand alone
                params = (params,)
            names = own.get("param_names", ())
            cls.params = (_backends(), *params)
            cls.param_names = ("backend", *((names,) if isinstance(names, str) else names))
        if "setup" in own:
            cls.setup = _prepared(own["setup"])  # type: ignore[method-assign]  # what a subclass writes is completed
        timed = [name for name in own if name.startswith("time_")]
        cls._timed = (*cls._timed, *timed)
        for name in timed:
            setattr(cls, name, _timed(own[name]))
            for figure in ("bytecodes", "allocated"):
                setattr(cls, f"track_{name.removeprefix('time_')}_{figure}", _tracked(own[name], figure))

    def setup(self, backend: str, *params: Any) -> None:
        """Choose the backend.

        Raises
        ------
        NotImplementedError
            It cannot run here; asv reports the benchmark as skipped.
        """
        try:
            self.backend = registry.backend(backend)
        except BackendUnavailableError as exc:
            raise NotImplementedError(str(exc)) from exc
        self.xp = self.backend.xp


def _backends() -> list[str]:
    """Return the backends that can run here, the default first."""
    found = [name for name, backend in registry.load().backends.items() if backend.unavailable() is None]
    return sorted(found, key=lambda name: (name != registry.default_backend, name))


# `wraps` lets asv find the source and the parameters of what the subclass wrote.


def _prepared(setup: Callable[..., None]) -> Callable[..., None]:
    @wraps(setup)
    def prepared(self: Benchmark, backend: str, *params: Any) -> None:
        Benchmark.setup(self, backend)
        setup(self, backend, *params)
        for name in self._timed:
            getattr(self, name)(backend, *params)

    return prepared


def _timed(method: Callable[..., Any]) -> Callable[..., None]:
    @wraps(method)
    def timed(self: Benchmark, *params: Any) -> None:
        method(self, *params)
        self.backend.synchronize()

    return timed


def _tracked(method: Callable[..., Any], figure: str) -> Callable[..., int]:
    @wraps(method)
    def tracked(self: Benchmark, *params: Any) -> int:
        return int(getattr(count(lambda: method(self, *params)), figure))

    tracked.unit = "bytes" if figure == "allocated" else figure  # type: ignore[attr-defined]  # where asv looks for it
    return tracked


class OpCase:
    """One op on one sample on one backend: Values, and calls forward and backward.

    Parameters
    ----------
    op : op or str
        An op, or its id or short name.
    sample : Sample
        Inputs and attributes.
    backend : str
        Where to run.
    dtype : str
        Of floating inputs; complex ones have parts of it.
    seed : int
        For the inputs and the cotangents.

    Attributes
    ----------
    values : list
        The inputs.
    differentiable : bool
        Whether there is anything for `backward` to do.
    elements : int
        How many elements the largest array has, of inputs and outputs.

    Examples
    --------
    >>> from autodiff.testing.asv import OpCase
    >>> case = OpCase.of_size("matmul", 10_000)
    >>> y = case.forward()
    >>> case.backward()
    >>> 5_000 < case.elements < 20_000
    True
    """

    def __init__(
        self, op: Any, sample: Sample, *, backend: str = "numpy", dtype: str = "float64", seed: int = 0
    ) -> None:
        self.op: Any = registry.op(op) if isinstance(op, str) else op
        self.sample = sample
        self.backend: Any = registry.backend(backend)
        self.attrs = dict(sample.attrs)
        if "generator" in self.op.attrs:
            self.attrs["generator"] = getattr(self.backend.xp, "random", np.random).default_rng(seed)
        rng = np.random.default_rng(seed)
        self.values = [self._value(draw(spec, rng), np.dtype(dtype)) for spec in sample.inputs]
        outputs = self.forward()
        self._leaves = [v for v in self.values if isinstance(v, Value) and v.requires_grad]
        self._seeds = {i: _cotangent(y, rng) for i, y in enumerate(outputs) if isinstance(y, Value) and y.requires_grad}
        self._roots = outputs
        shapes = [getattr(unwrap(y), "shape", ()) for y in outputs]
        self.elements = max(largest(sample), *map(elements, shapes))

    @classmethod
    def of_size(cls, op: Any, size: int, **options: Any) -> OpCase:
        """Return the op on its most telling sample, scaled up until the largest array has about `size` elements.

        Of an op whose samples cannot be scaled, and with a `size` of 1, the sample is as declared.

        Parameters
        ----------
        op : op or str
            An op, or its id or short name.
        size : int
            How many elements.
        **options
            Those of the class.

        Raises
        ------
        ArgumentError
            The op declares no samples, or runs on none of them.
        """
        op = registry.op(op) if isinstance(op, str) else op
        samples = sorted(op.samples, key=_promise, reverse=True)
        cases = (case for sample in samples if (case := cls._tried(op, sample, **options)))
        first = next(cases, None)
        if first is None:
            where = options.get("backend", "numpy")
            raise ArgumentError(
                f"{op.id!r} has {len(samples)} samples and runs on none of them on {where!r}: there is nothing to time"
            )
        if size <= first.elements:
            return first
        for case in (first, *cases):
            larger = case._scaled(size, **options)
            if larger is not None:
                return larger
        return first

    def _scaled(self, size: int, **options: Any) -> OpCase | None:
        """Return the op on a larger sample, found step by step: how inputs and outputs grow together, it must show."""
        best: OpCase | None = None
        for kind in range(sum(1 for _ in candidates(self.sample, _STEP))):
            factor, step, before = 1.0, float(_STEP), self.elements
            for _ in range(8):
                (sample,) = islice(candidates(self.sample, factor * step), kind, kind + 1)
                case = self._tried(self.op, sample, **options)
                if case is None or case.elements <= before:
                    break
                factor *= step
                best = case if best is None or case.elements > best.elements else best
                if case.elements > 0.7 * size:
                    return case
                power = log(case.elements / before) / log(step)
                before = case.elements
                step = min(max((size / before) ** (1 / power), 1.2), 2.0 * _STEP)
        return best

    @classmethod
    def _tried(cls, op: Any, sample: Sample, **options: Any) -> OpCase | None:
        """Return the op on a sample, run forward and backward, or None if it refuses."""
        try:
            with np.errstate(all="ignore"):  # ranges that suit a few numbers may not suit the product of many
                case = cls(op, sample, **options)
                case.backward()
        except _REFUSALS:
            return None
        return case

    def forward(self) -> list[Any]:
        """Call the op, record it, and return its outputs."""
        result = self.op(*self.values, **self.attrs)
        return list(result) if isinstance(result, tuple | list) else [result]

    def backward(self) -> None:
        """Run a backward pass from each output of a call that was made before; the graph is kept."""
        for leaf in self._leaves:
            leaf.grad = None
        for i, seed in self._seeds.items():
            self._roots[i].backward(seed, retain_graph=True)

    @property
    def differentiable(self) -> bool:
        """Whether a gradient flows from an output to an input."""
        return bool(self._seeds)

    def _value(self, x: Any, dtype: Any) -> Any:
        if not isinstance(x, np.ndarray):
            return x
        if x.dtype.kind in "fc":
            x = x.astype(dtype if x.dtype.kind == "f" else np.result_type(dtype, np.complex64))
        return Value(self.backend.asarray(x), requires_grad=x.dtype.kind in "fc")


def _cotangent(y: Value, rng: np.random.Generator) -> Any:
    """Return a cotangent for an output, which may be of another backend than the inputs."""
    home: Any = registry.backend_of(type(y.data))
    return home.asarray(draw_like(np.asarray(home.to_numpy(y.data)), rng))


def _promise(sample: Sample) -> tuple[int, bool, int, int]:
    """Say how much a sample tells about speed: by its floating arrays, and their dimensions.

    Those without broadcasting come first: what is summed over it may be far larger than what is seen.
    """
    arrays = [x for x in sample.inputs if isinstance(x, Array)]
    floating = sum(x.kind in ("float", "complex") and elements(x.shape) > 1 for x in arrays)
    return floating, not any(1 in x.shape for x in arrays), sum(len(x.shape) for x in arrays), largest(sample)


def ops_of_plugin(plugin: str | None = None) -> list[str]:
    """Return the ids of the ops of a plugin, or of all, sorted.

    Parameters
    ----------
    plugin : str, optional
        Its module, its entry-point name, or its distribution.

    Raises
    ------
    ArgumentError
        No plugin of this name brought ops; the message lists those that did.

    Examples
    --------
    >>> from autodiff.testing.asv import ops_of_plugin
    >>> ops_of_plugin("activations")[:2]
    ['autodiff_activations.celu', 'autodiff_activations.elu']
    """
    known = registry.load().ops
    if plugin is None:
        return sorted(known)
    found = {op.id for op in known.values() if normal_name(op.plugin) == normal_name(plugin)}
    for record in records:
        if record.is_called(plugin):
            found |= set(record.brought) & set(known)
    if not found:
        those = ", ".join(sorted({op.plugin for op in known.values()}))
        raise ArgumentError(f"No plugin {plugin!r} brought any op; those that did are {those}")
    return sorted(found)


class _Ops(Benchmark, ABC):
    """What the generated benchmarks share. Abstract, so that asv passes over it where a module imports it."""

    #: How many elements the largest array has; 1 leaves samples as they are declared.
    sizes: ClassVar[tuple[int, ...]] = (1, 10_000, 1_000_000)
    #: Wrapped in asv's timing: there are many benchmarks, so that each is short.
    repeat: ClassVar[tuple[int, int, float]] = (1, 5, 1.0)
    warmup_time: ClassVar[float] = 0.0

    @property
    @abstractmethod
    def plugin(self) -> str | None:
        """Whose ops: a plugin's module, entry-point name or distribution; None for all that are registered."""

    def __init_subclass__(cls, **options: Any) -> None:
        if "plugin" in vars(cls):
            cls.params, cls.param_names = (ops_of_plugin(vars(cls)["plugin"]), list(cls.sizes)), ("op", "size")
        super().__init_subclass__(**options)
        if "plugin" in vars(cls):
            backends, ops, sizes = cls.params
            # Bytecodes hardly depend on the size, and of the smallest arrays bytes tell little.
            for figure, skipped in (("bytecodes", sizes[1:]), ("allocated", sizes[:-1])):
                for name in [name for name in dir(cls) if name.startswith("track_") and name.endswith(figure)]:
                    track = _copied(getattr(cls, name))
                    track.skip_params = list(product(backends, ops, skipped))  # type: ignore[attr-defined]  # asv's
                    setattr(cls, name, track)


def _copied(method: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(method)
    def copied(*args: Any) -> Any:
        return method(*args)

    return copied


class OpForward(_Ops):
    """Calls of each op of a plugin, recorded, on each backend at each of the `sizes`.

    A subclass names the ``plugin``.

    Examples
    --------
    >>> from autodiff.testing import asv
    >>> class Forward(asv.OpForward):
    ...     plugin = "autodiff_activations"
    ...     sizes = (1, 1000)
    >>> Forward.param_names
    ('backend', 'op', 'size')
    >>> forward = Forward()
    >>> forward.setup("numpy", "autodiff_activations.gelu", 1000)
    >>> forward.time_forward("numpy", "autodiff_activations.gelu", 1000)
    """

    def setup(self, backend: str, op: str, size: int) -> None:
        """Scale a sample of the op up to the size."""
        self.case = OpCase.of_size(op, size, backend=backend)

    def time_forward(self, backend: str, op: str, size: int) -> None:
        """Call the op."""
        self.case.forward()


class OpBackward(_Ops):
    """Backward passes through each op of a plugin, on each backend at each of the `sizes`.

    A subclass names the ``plugin``. Ops that no gradient flows through are skipped.
    """

    def setup(self, backend: str, op: str, size: int) -> None:
        """Scale a sample of the op up to the size, and call the op on it."""
        self.case = OpCase.of_size(op, size, backend=backend)
        if not self.case.differentiable:
            raise NotImplementedError(f"no gradient flows through {op!r}")

    def time_backward(self, backend: str, op: str, size: int) -> None:
        """Run the pass."""
        self.case.backward()

"""`Case`: one op on one sample on one backend, with what every check needs of it: inputs, calls, gradients."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from autodiff.registry import registry
from autodiff.standard import standard
from autodiff.testing.drawing import LAYOUTS, draw, draw_like, fingerprint
from autodiff.testing.dtypes import cast, dtypes_of
from autodiff.testing.report import Report
from autodiff.value import Value, unwrap

__all__ = ["Case", "Run"]


@dataclass
class Run:
    """One forward and one backward pass: arrays and Values, and what was read off them as NumPy arrays.

    `grads` has an entry for each input that needed a gradient: zeros where none arrived. `raw_grads` are the
    ``.grad`` as they are, `seeds` the cotangents that the passes started from, `cotangents` copies of them.
    """

    inputs: list[Any]
    values: list[Any]
    outputs: list[Any]
    seeds: list[Any]
    cotangents: list[Any]
    numbers: list[Any]
    grads: dict[int, Any]
    raw_grads: dict[int, Any]


@dataclass
class Case:
    """One op on one sample.

    Attributes
    ----------
    op, backend, sample
        What is tested, where, on what.
    arrays, others : list
        Two draws of the inputs: NumPy arrays, and Python numbers and lists as they are.
    attributes : dict
        Those of the sample, copied, so that an op which writes into them spoils no other case.
    untouched
        The `fingerprint` of `attributes` before the first call.
    seed : int
        Of the draws, and of the generator that a random op is handed.
    report : Report
        Raises failures.
    dtype : str
        One of `dtypes_of` the sample.
    """

    op: Any
    backend: Any
    sample: Any
    seed: int
    report: Report
    dtype: str = ""
    attributes: dict[str, Any] = field(init=False)
    untouched: Any = field(init=False)
    arrays: list[Any] = field(init=False)
    others: list[Any] = field(init=False)
    cotangents: list[Any] = field(init=False)

    def __post_init__(self) -> None:
        rng = np.random.default_rng(self.seed)
        self.dtype = self.dtype or dtypes_of(self.sample)[0]
        self.attributes = deepcopy(dict(self.sample.attrs))
        self.untouched = fingerprint(self.attributes, self.backend)
        self.arrays = [cast(draw(spec, rng), self.dtype) for spec in self.sample.inputs]
        self.others = [cast(draw(spec, rng), self.dtype) for spec in self.sample.inputs]
        ys = [self.numpy(y) for y in self.outputs_of(self.call(self.raw()))]
        self.cotangents = [draw_like(y, rng) for y in ys]

    # ---- inputs -----------------------------------------------------------------------------------------

    @property
    def has_backend_rules(self) -> bool:
        """Whether the backend has rules of its own for the op."""
        return self.op.kind != "composite" and any(own is self.backend for own, *_ in registry.vjp_kernels(self.op))

    @property
    def has_invariants(self) -> bool:
        """Whether the op is looked at through its invariants."""
        return self.op.invariants is not None and self.dtype.startswith("complex")

    @property
    def floating(self) -> list[int]:
        """The inputs that are arrays of floating or complex numbers."""
        return [i for i, x in enumerate(self.arrays) if isinstance(x, np.ndarray) and x.dtype.kind in "fc"]

    @property
    def differentiable(self) -> list[int]:
        """The inputs among `floating` that a gradient can flow to: with a rule, and an output that is floating."""
        if all(c is None for c in self.cotangents):
            return []
        rules = self.op.vjps
        joint = self.op.joint_vjp is not None or not rules
        return [i for i in self.floating if joint or rules[i] is not None]

    def name(self, position: int) -> str:
        """Return the name of an input."""
        inputs = self.op.inputs
        return inputs[position] if position < len(inputs) else f"{self.op.variadic}[{position - len(inputs)}]"

    def raw(self, arrays: Sequence[Any] | None = None, layout: str = "plain") -> list[Any]:
        """Return new arrays of the backend, laid out in one of the ways of `LAYOUTS`."""
        return [self.lay(x, layout) for x in (self.arrays if arrays is None else arrays)]

    def lay(self, x: Any, layout: str = "plain") -> Any:
        """Return a NumPy array as a new array of the backend; anything else as it is."""
        return LAYOUTS[layout](x, self.backend) if isinstance(x, np.ndarray) else x

    def attrs(self) -> dict[str, Any]:
        """Return the attributes of the call; a random op gets a generator in the same state every time."""
        attrs = dict(self.attributes)
        if "generator" in self.op.attrs:
            random = getattr(self.backend.xp, "random", None)
            attrs["generator"] = getattr(random, "default_rng", np.random.default_rng)(self.seed)
        return attrs

    # ---- calls ------------------------------------------------------------------------------------------

    def call(self, inputs: Sequence[Any]) -> Any:
        """Call the op on arrays or Values; of complex ones return what its `invariants` are, if it has some.

        What they leave open, the phase of a vector for instance, has no derivative that differences could confirm.
        """
        return self.determined(self.op(*inputs, **self.attrs()))

    def determined(self, result: Any) -> Any:
        """Return the invariants of the outputs, where the op has some and the inputs are complex; else the outputs."""
        if not self.has_invariants:
            return result
        return tuple(self.outputs_of(self.op.invariants(*self.outputs_of(result))))

    @staticmethod
    def outputs_of(result: Any) -> list[Any]:
        """Return the outputs of a call as a list."""
        return list(result) if isinstance(result, tuple | list) else [result]

    def function(self, *xs: Any) -> list[Any]:
        """Call the op on arrays or Values of its differentiable inputs, the others as drawn; only floating outputs."""
        return self.function_at(self.arrays)(*xs)

    def function_at(self, arrays: Sequence[Any]) -> Callable[..., list[Any]]:
        """Return `function` for other draws than `arrays`."""

        def function(*xs: Any) -> list[Any]:
            inputs = self.raw(arrays)
            for i, x in zip(self.differentiable, xs, strict=True):
                inputs[i] = x
            return self.floating_outputs(inputs)

        return function

    def floating_outputs(self, inputs: Sequence[Any]) -> list[Any]:
        """Call the op, and return its floating outputs; those that it moved to another backend are moved back."""
        outputs = zip(self.outputs_of(self.call(inputs)), self.cotangents, strict=True)
        home = self.backend.name
        return [y if self.is_array(unwrap(y)) else standard.to(y, device=home) for y, c in outputs if c is not None]

    def run(
        self,
        inputs: list[Any] | None = None,
        *,
        needs: Collection[int] | None = None,
        layout: str = "plain",
        record: bool = False,
        retain: bool = False,
        seeds: Sequence[Any] | None = None,
    ) -> Run:
        """Call the op on Values, and start one backward pass from each of its outputs, with its own cotangents."""
        inputs = self.raw(layout=layout) if inputs is None else inputs
        needs = self.differentiable if needs is None else needs
        values = [Value(x, requires_grad=i in needs) if self.is_array(x) else x for i, x in enumerate(inputs)]
        outputs = self.outputs_of(self.call(values))
        numbers = [self.numpy(y) for y in outputs]
        starts = [
            (y, c.astype(number.dtype))
            for y, c, number in zip(outputs, self.cotangents if seeds is None else seeds, numbers, strict=True)
            if c is not None and y.requires_grad
        ]
        laid = [
            self.lay(c, layout) if self.is_array(y.data) else registry.backend_of(type(y.data)).asarray(c)  # type: ignore[union-attr]  # an op moved it to another backend
            for y, c in starts
        ]
        for (y, _), seed in zip(starts, laid, strict=True):
            y.backward(seed, retain_graph=retain or len(outputs) > 1, create_graph=record)
        raw_grads = {i: v.grad for i, v in enumerate(values) if type(v) is Value}
        grads = {i: self.gradient(raw_grads[i], inputs[i]) for i in needs}
        return Run(inputs, values, outputs, laid, [c for _, c in starts], numbers, grads, raw_grads)

    def gradient(self, grad: Any, x: Any) -> Any:
        """Return a ``.grad`` as a NumPy array; None stands for zeros."""
        return np.zeros_like(self.numpy(x)) if grad is None else self.numpy(grad)

    def is_array(self, x: Any) -> bool:
        """Tell whether `x` is a raw array of the backend."""
        return registry.backend_of(type(x)) is self.backend

    def numpy(self, y: Any) -> Any:
        """Return an array, a Value or a number as a NumPy array of its own."""
        data = y.data if type(y) is Value else y
        return np.array(self.backend.to_numpy(data) if self.is_array(data) else data)

"""Schedules of the learning rate: `StepLR`, `ExponentialLR`, `CosineAnnealingLR`, `LinearLR`, `LambdaLR`,
`SequentialLR`.

Each is a formula for the rate after so many steps, so that a schedule is restored by its count alone.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from autodiff.extend import ArgumentError, ArgumentTypeError
from autodiff_nn.checks import brief, mapping, number, one_number, told
from autodiff_nn.optim import Optimizer

__all__ = ["CosineAnnealingLR", "ExponentialLR", "LambdaLR", "LinearLR", "Schedule", "SequentialLR", "StepLR"]


class Schedule:
    """Base of the schedules: a subclass writes `rate`.

    Making one sets the rate for no steps; each call of `step`, after the optimiser's, sets the next. The rates
    that the optimiser had when its first schedule was made are those that all schedules start from.

    Attributes
    ----------
    count : int
        The number of steps so far.
    """

    def __init__(self, optimizer: Optimizer) -> None:
        if not isinstance(optimizer, Optimizer):
            raise ArgumentTypeError(
                f"{type(self).__name__} takes an optimiser; it was given a {type(optimizer).__name__}"
            )
        self.optimizer = optimizer
        for group in optimizer.groups:
            group.setdefault("initial_lr", group["lr"])
        self.count = 0
        self._apply()

    def rate(self, initial: float, count: int) -> float:
        """Return the learning rate after `count` steps, for a group that starts from `initial`."""
        raise NotImplementedError(f"{type(self).__name__} has no method rate: write it")

    def step(self) -> None:
        """Count one step, and set the rates of the optimiser's groups."""
        self.count += 1
        self._apply()

    def _apply(self) -> None:
        for group in self.optimizer.groups:
            group["lr"] = self.rate(group["initial_lr"], self.count)

    def rates(self) -> list[float]:
        """Return the current learning rate of each group."""
        return [group["lr"] for group in self.optimizer.groups]

    def state_dict(self) -> dict[str, Any]:
        """Return what is needed to go on later: the count, and the rates at the start."""
        import numpy as np

        started = {f"initial_lr.{i}": np.asarray(g["initial_lr"]) for i, g in enumerate(self.optimizer.groups)}
        return {"count": np.asarray(self.count), **started}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state_dict` returned.

        Raises
        ------
        ArgumentError
            It is the state of another number of groups.
        """
        names = ["count", *(f"initial_lr.{i}" for i in range(len(self.optimizer.groups)))]
        where = f"{type(self).__name__}.load_state_dict"
        if sorted(mapping(where, state)) != sorted(names):
            raise ArgumentError(f"{where}: expected {names}; it was given {sorted(state)}")
        numbers = {name: one_number(f"{where}: {name}", state[name]) for name in names}
        if not numbers["count"] >= 0 or numbers["count"] % 1:
            raise ArgumentError(f"{where}: count is a number of steps; it was given {numbers['count']}")
        for i, group in enumerate(self.optimizer.groups):
            group["initial_lr"] = numbers[f"initial_lr.{i}"]
        self.count = int(numbers["count"])
        self._apply()

    def __repr__(self) -> str:
        options = "".join(f", {k}={v!r}" for k, v in vars(self).items() if k not in ("optimizer", "count"))
        return f"{type(self).__name__}(count={self.count}{options})"


def _count(where: str, **counts: Any) -> None:
    for name, count in counts.items():
        if not isinstance(count, int) or count < 1:
            raise ArgumentError(f"{where}: {name} is a positive number of steps; it was given {told(count)}")


class StepLR(Schedule):
    """Multiply the rate by `gamma` every `step_size` steps.

    Examples
    --------
    >>> import autodiff_nn as nn
    >>> from autodiff import Value
    >>> schedule = nn.StepLR(nn.SGD([Value(1.0)], lr=1.0), step_size=2, gamma=0.5)
    >>> [schedule.rate(1.0, count) for count in range(5)]
    [1.0, 1.0, 0.5, 0.5, 0.25]
    """

    def __init__(self, optimizer: Optimizer, step_size: int, gamma: float = 0.1) -> None:
        _count("StepLR", step_size=step_size)
        number("StepLR", 0.0, gamma=gamma)
        self.step_size, self.gamma = step_size, gamma
        super().__init__(optimizer)

    def rate(self, initial: float, count: int) -> float:
        return initial * float(self.gamma ** (count // self.step_size))


class ExponentialLR(Schedule):
    """Multiply the rate by `gamma` at every step.

    Examples
    --------
    >>> import autodiff_nn as nn
    >>> from autodiff import Value
    >>> schedule = nn.ExponentialLR(nn.SGD([Value(1.0)], lr=1.0), gamma=0.5)
    >>> [schedule.rate(1.0, count) for count in range(4)]
    [1.0, 0.5, 0.25, 0.125]
    """

    def __init__(self, optimizer: Optimizer, gamma: float) -> None:
        number("ExponentialLR", 0.0, gamma=gamma)
        self.gamma = gamma
        super().__init__(optimizer)

    def rate(self, initial: float, count: int) -> float:
        return initial * float(self.gamma**count)


class CosineAnnealingLR(Schedule):
    """Let the rate fall to `eta_min` within `t_max` steps, as half a cosine; afterwards it rises again.

    References
    ----------
    I. Loshchilov, F. Hutter, "SGDR: stochastic gradient descent with warm restarts", ICLR 2017.

    Examples
    --------
    >>> import autodiff_nn as nn
    >>> from autodiff import Value
    >>> schedule = nn.CosineAnnealingLR(nn.SGD([Value(1.0)], lr=1.0), t_max=4)
    >>> [round(schedule.rate(1.0, count), 4) for count in range(5)]
    [1.0, 0.8536, 0.5, 0.1464, 0.0]
    """

    def __init__(self, optimizer: Optimizer, t_max: int, eta_min: float = 0.0) -> None:
        _count("CosineAnnealingLR", t_max=t_max)
        number("CosineAnnealingLR", 0.0, eta_min=eta_min)
        self.t_max, self.eta_min = t_max, eta_min
        super().__init__(optimizer)

    def rate(self, initial: float, count: int) -> float:
        return self.eta_min + (initial - self.eta_min) * (1 + math.cos(math.pi * count / self.t_max)) / 2


class LinearLR(Schedule):
    """Multiply the rate by a factor that goes from `start_factor` to `end_factor` in `total_iters` steps: a warm-up.

    References
    ----------
    P. Goyal et al., "Accurate, large minibatch SGD: training ImageNet in 1 hour", arXiv:1706.02677 (2017).

    Examples
    --------
    >>> import autodiff_nn as nn
    >>> from autodiff import Value
    >>> schedule = nn.LinearLR(nn.SGD([Value(1.0)], lr=1.0), start_factor=0.25, total_iters=3)
    >>> [schedule.rate(1.0, count) for count in range(5)]
    [0.25, 0.5, 0.75, 1.0, 1.0]
    """

    def __init__(
        self, optimizer: Optimizer, start_factor: float = 1 / 3, end_factor: float = 1.0, total_iters: int = 5
    ) -> None:
        _count("LinearLR", total_iters=total_iters)
        number("LinearLR", 0.0, start_factor=start_factor, end_factor=end_factor)
        self.start_factor, self.end_factor, self.total_iters = start_factor, end_factor, total_iters
        super().__init__(optimizer)

    def rate(self, initial: float, count: int) -> float:
        done = min(count, self.total_iters) / self.total_iters
        return initial * (self.start_factor + (self.end_factor - self.start_factor) * done)


class LambdaLR(Schedule):
    """Multiply the rate by a function of the number of steps.

    Examples
    --------
    >>> import autodiff_nn as nn
    >>> from autodiff import Value
    >>> schedule = nn.LambdaLR(nn.SGD([Value(1.0)], lr=0.5), lambda count: 1 / (1 + count))
    >>> schedule.step()
    >>> schedule.rates()
    [0.25]
    """

    def __init__(self, optimizer: Optimizer, factor: Callable[[int], float]) -> None:
        if not callable(factor):
            raise ArgumentTypeError(f"LambdaLR takes a function of the number of steps; it was given {told(factor)}")
        self.factor = factor
        super().__init__(optimizer)

    def rate(self, initial: float, count: int) -> float:
        return initial * self.factor(count)


class SequentialLR(Schedule):
    """One schedule after another: the next one begins, from 0, at each of the `milestones`.

    Examples
    --------
    >>> import autodiff_nn as nn
    >>> from autodiff import Value
    >>> optimizer = nn.SGD([Value(1.0)], lr=1.0)
    >>> warm_up = nn.LinearLR(optimizer, start_factor=0.5, total_iters=2)
    >>> decay = nn.ExponentialLR(optimizer, gamma=0.5)
    >>> schedule = nn.SequentialLR(optimizer, [warm_up, decay], milestones=[2])
    >>> [schedule.rate(1.0, count) for count in range(5)]
    [0.5, 0.75, 1.0, 0.5, 0.25]
    """

    def __init__(self, optimizer: Optimizer, schedules: Sequence[Schedule], milestones: Sequence[int]) -> None:
        for what, given in (("schedules", schedules), ("milestones", milestones)):
            if not isinstance(given, list | tuple):
                raise ArgumentTypeError(f"SequentialLR: {what} is a list; it was given {brief(given)}")
        if not all(isinstance(count, int) for count in milestones):
            raise ArgumentTypeError(
                f"SequentialLR: milestones are numbers of steps; they were given as {brief(milestones)}"
            )
        if len(schedules) != len(milestones) + 1 or list(milestones) != sorted({*milestones}):
            raise ArgumentError(
                f"SequentialLR takes one schedule more than milestones, which rise; it was given {len(schedules)} and "
                f"{list(milestones)}"
            )
        if any(getattr(s, "optimizer", None) is not optimizer for s in schedules):
            raise ArgumentError("SequentialLR: each of the schedules must be one of the same optimiser")
        self.schedules, self.milestones = list(schedules), list(milestones)
        super().__init__(optimizer)

    def rate(self, initial: float, count: int) -> float:
        place = bisect_right(self.milestones, count)
        return self.schedules[place].rate(initial, count - (self.milestones[place - 1] if place else 0))

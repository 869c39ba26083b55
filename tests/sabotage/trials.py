"""Trials: each mutant in a process of its own, which ends with it; two at a time."""

from __future__ import annotations

import contextlib
import math
import multiprocessing
import os
import resource
import signal
import time
import warnings
from collections.abc import Callable, Iterable, Iterator
from multiprocessing.connection import Connection, wait
from typing import Any

__all__ = ["trials"]

#: A mutant may take so much memory, and then fails like any other.
_MEMORY = 6 << 30

#: A mutant may take so many times longer than its processor time: it may share the machine, or wait for itself.
_WAITING = 20


def trials(
    jobs: Iterable[Any], work: Callable[[Any], Any], *, seconds: float, processes: int = 2
) -> Iterator[tuple[Any, Any, float]]:
    """Yield each job with what ``work(job)`` returns in a forked process, and how long it took.

    It may take so many `seconds` of processor time, so that what else the machine does changes no result. A process
    that dies or takes too long returns ``("crash", ...)`` or ``("hang", ...)``.
    """
    waiting = iter(jobs)
    running: dict[Any, tuple[Any, Any, float]] = {}
    context = multiprocessing.get_context("fork")
    while True:
        while len(running) < processes:
            job = next(waiting, None)
            if job is None:
                break
            receiver, sender = context.Pipe(duplex=False)
            process = context.Process(target=_run, args=(work, job, sender, seconds), daemon=True)
            with warnings.catch_warnings():
                # Python from 3.12 on, and JAX once it is imported, warn where threads run: work here starts none, and
                # needs no lock that one of theirs may hold.
                warnings.filterwarnings("ignore", r".*fork\(\)", category=DeprecationWarning)
                warnings.filterwarnings("ignore", r".*fork\(\)", category=RuntimeWarning)
                process.start()
            sender.close()
            running[receiver] = (job, process, time.monotonic())
        if not running:
            return
        ready = wait(list(running), timeout=0.5)
        now = time.monotonic()
        for receiver, (job, process, began) in list(running.items()):
            if receiver in ready:
                result = _received(receiver)
            elif now - began > _WAITING * seconds:
                process.kill()
                result = ("hang", f"longer than {_WAITING * seconds:.0f} s")
            else:
                continue
            del running[receiver]
            receiver.close()
            process.join()
            if process.exitcode == -signal.SIGXCPU:
                result = ("hang", f"longer than {seconds:.0f} s of processor time")
            yield job, result if result is not None else ("crash", f"exit code {process.exitcode}"), now - began


def _received(receiver: Connection) -> Any:
    try:
        return receiver.recv()
    except EOFError:
        return None


def _run(work: Callable[[Any], Any], job: Any, sender: Connection, seconds: float) -> None:
    limit = math.ceil(seconds)
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_CPU, (limit, limit + 5))
        resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    null = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(null, stream)
    warnings.simplefilter("ignore")
    try:
        result = work(job)
    except BaseException as exc:  # whatever a mutant makes of it is a result
        result = ("error", f"{type(exc).__name__}: {exc}"[:300])
    sender.send(result)
    sender.close()
    os._exit(0)

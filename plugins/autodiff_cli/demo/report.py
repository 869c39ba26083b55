"""What the demonstration prints and saves; it draws with `pictures`."""

from __future__ import annotations

import json
import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

import autodiff
import autodiff_nn as nn
from autodiff.plugins import records
from autodiff.registry import registry
from autodiff_cli.demo import pictures
from autodiff_cli.demo.data import SIDE, Digits
from autodiff_cli.demo.model import SIZES, Classifier
from autodiff_cli.demo.train import Epoch, GradientCheck
from autodiff_cli.errors import CannotRunError

__all__ = ["Reporter", "write"]


class Reporter:
    """Tells the user of one run, and keeps its results in the folder `out`.

    Raises
    ------
    CannotRunError
        `out` is no folder that can be written.
    """

    def __init__(self, out: Path) -> None:
        try:
            out.mkdir(parents=True, exist_ok=True)
        except OSError as exc:
            raise CannotRunError(
                f"{str(out)!r} cannot be made a folder ({exc.strerror}). Choose another with --out."
            ) from exc
        self.checkpoint = out / "model.safetensors"
        self.curves = out / "loss.png"
        self.predictions = out / "predictions.png"
        self.epochs: list[Epoch] = []
        self.console = Console(highlight=False)

    def begin(self, digits: Digits, classifier: Classifier, *, preferred: bool, seed: int) -> None:
        """Print what is in use."""
        op = classifier.activation
        why = "" if preferred else "; that of the example package autodiff-robust-losses is not there"
        count = sum(parameter.size for parameter in classifier.parameters())
        images = len(digits.train_images), len(digits.test_images)
        self._tell(
            {
                "plugins": ", ".join(
                    f"{r.name} ({r.origin}{'' if r.status == 'loaded' else f', {r.status.upper()}: {r.cause}'})"
                    for r in records
                ),
                "backends": ", ".join(
                    f"{name} ({'in use' if name == classifier.backend else b.unavailable() or 'not used'})"
                    for name, b in registry.backends.items()
                ),
                "data": f"{sum(images)} digits of {SIDE}x{SIDE} pixels: {images[0]} to train on, {images[1]} to test with",
                "model": f"{'-'.join(map(str, SIZES))}, {count} parameters, seed {seed}",
                "activation": f"{op.id}, from {registry.op_origins[op.id]}{why}",
            }
        )

    def gradient(self, check: GradientCheck) -> None:
        """Print one element of the gradient, computed twice."""
        verdict = "they agree" if check.agrees else "THEY DISAGREE"
        self._tell(
            {
                "gradient": f"of the loss, for {check.element}:\n"
                f"backward pass      {check.backward:+.12f}\n"
                f"finite differences {check.differences:+.12f}; {verdict} to {check.error:.0e}"
            }
        )

    @contextmanager
    def progress(self, epochs: int) -> Iterator[Callable[[Epoch], None]]:
        """Show a bar on a terminal, and some lines elsewhere; yield what is to be called after each epoch."""
        moving = self.console.is_terminal and not self.console.is_dumb_terminal
        columns = (
            TextColumn("training"),
            BarColumn(20),
            MofNCompleteColumn(),
            TextColumn("{task.fields[told]}"),
            TimeElapsedColumn(),
        )
        bar = Progress(*columns, console=self.console, disable=not moving)
        task = bar.add_task("", total=epochs, told="")
        every = max(1, epochs // 10)

        def advance(epoch: Epoch) -> None:
            told = f"loss {epoch.train_loss:.4f}  test accuracy {epoch.test_accuracy:.2%}"
            bar.update(task, advance=1, told=told)
            if not moving and (epoch.number % every == 0 or epoch.number in (1, epochs)):
                self.console.print(f"epoch {epoch.number:{len(str(epochs))}}/{epochs}  {told}")

        with bar:
            yield advance

    def save(self, classifier: Classifier, epoch: Epoch, *, seed: int) -> None:
        """Replace the checkpoint by that of `epoch`, so that there is a complete one at every moment."""
        told = {
            "autodiff": autodiff.__version__,
            "activation": classifier.activation.id,
            "sizes": list(SIZES),
            "seed": seed,
            "epoch": epoch.number,
            "test_accuracy": epoch.test_accuracy,
        }
        # One entry: safetensors orders several by chance, and two runs with one seed are to give the same file.
        with _uninterrupted():
            with _writing(self.checkpoint):
                nn.save(self.checkpoint, classifier, {"demo": json.dumps(told)})
            self.epochs.append(epoch)

    def finish(self, classifier: Classifier, digits: Digits, *, seconds: float) -> None:
        """Print the result, draw the pictures, and say where everything is."""
        predicted = classifier.predict(digits.test_images)
        right = int((predicted == digits.test_labels).sum())
        count = len(predicted)
        self._tell(
            {
                "test accuracy": f"{right / count:.2%}: {right} of {count}, after {len(self.epochs)} epochs in {seconds:.1f} s"
            }
        )
        write(self.curves, pictures.curves(self.epochs))
        write(self.predictions, pictures.predictions(digits.test_images, digits.test_labels, predicted))
        for path in (self.curves, self.predictions, self.checkpoint):
            # Not in a table, which would break a long path.
            self.console.print(Text.assemble(("written        ", "bold"), str(path)), soft_wrap=True)

    def interrupted(self) -> None:
        """Say what an interrupted run leaves behind."""
        kept = f"{self.checkpoint} holds epoch {len(self.epochs)}" if self.epochs else "no epoch was complete"
        self.console.print(Text(f"Interrupted: {kept}."), soft_wrap=True)

    def _tell(self, facts: dict[str, str]) -> None:
        table = Table.grid(padding=(0, 2))
        table.add_column(style="bold", no_wrap=True, width=13)
        table.add_column(overflow="fold")
        for label, text in facts.items():
            table.add_row(label, Text(text))
        self.console.print(table)


def write(path: Path, content: bytes) -> None:
    """Write a whole file or none: whoever reads it, or ends the program, meets the old content or the new.

    Raises
    ------
    CannotRunError
        The folder cannot be written.
    """
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    with _writing(path):
        try:
            with part.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Have Ctrl-C wait: amid this it would leave a file open, or name an epoch before the one that was saved."""
    if threading.current_thread() is not threading.main_thread():  # no other is interrupted
        yield
        return
    came: list[tuple[Any, ...]] = []
    before = signal.signal(signal.SIGINT, lambda *args: came.append(args))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
    if came and callable(before):
        before(*came[0])


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as exc:
        raise CannotRunError(f"{str(path)!r} cannot be written ({exc.strerror}). Choose a folder with --out.") from exc

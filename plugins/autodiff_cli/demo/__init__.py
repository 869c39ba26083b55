"""The demonstration: train a classifier of hand-written digits with autodiff_nn.

- `data`: 1,797 real images, a fixed split.
- `model`: the classifier, a module of autodiff_nn.
- `train`: the epochs, and the check of one gradient against finite differences.
- `report`: what is printed, drawn and saved.
"""

from __future__ import annotations

import importlib
import importlib.util
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import autodiff
from autodiff.errors import BackendUnavailableError, UnknownBackendError
from autodiff.registry import registry
from autodiff_cli.errors import CannotRunError
from autodiff_cli.tables import load_plugins

if TYPE_CHECKING:
    from autodiff_cli.demo.report import Reporter

__all__ = ["run"]

#: What the extra `demo` installs, by the names that are imported.
EXTRA = {"sklearn": "scikit-learn", "matplotlib": "matplotlib", "safetensors": "safetensors"}

#: The activation of the example package, and ours for when that is not installed.
PREFERRED, OURS = "autodiff_robust_losses.bent_identity", "autodiff_activations.relu"

NEEDED = ("autodiff_nn.linear", "autodiff_nn.cross_entropy_with_logits", "autodiff_ops.mean")


def run(*, seed: int, epochs: int, backend: str | None, out: Path) -> int:
    """Train, report, write to the folder `out`, and return the exit code.

    Raises
    ------
    CannotRunError
        The backend is unknown or cannot run here, an op or a package is missing, `out` cannot be written.
    """
    load_plugins()
    try:
        chosen = registry.backend(backend).name
    except (UnknownBackendError, BackendUnavailableError) as exc:
        raise CannotRunError(f"{exc} Choose another with --backend; `autodiff plugins` lists them.") from None
    activation = _find_activation()
    _require_extra()
    # Not before: they import what the extra installs.
    from autodiff_cli.demo.report import Reporter

    reporter = Reporter(out)
    try:
        return _run(reporter, activation, seed, epochs, chosen)
    except KeyboardInterrupt:
        reporter.interrupted()
        return 130


def _run(reporter: Reporter, activation: Any, seed: int, epochs: int, backend: str) -> int:
    import numpy as np

    from autodiff_cli.demo import data, model, train

    digits = data.load()
    generator = np.random.default_rng(seed)
    classifier = model.Classifier(activation, generator, backend)
    reporter.begin(digits, classifier, preferred=activation.id == PREFERRED, seed=seed)
    check = train.check_gradient(classifier, digits)
    reporter.gradient(check)
    start = time.perf_counter()
    # The products are small. A second thread would win nothing, and where another program has its processor, BLAS
    # waits for it at each of them: tried, 50 s in place of 5. By name, since it comes with scikit-learn and has no types.
    threads = importlib.import_module("threadpoolctl").threadpool_limits(1)
    with threads, reporter.progress(epochs) as advance:
        for epoch in train.train(classifier, digits, epochs=epochs, generator=generator):
            reporter.save(classifier, epoch, seed=seed)
            advance(epoch)
    reporter.finish(classifier, digits, seconds=time.perf_counter() - start)
    return 0 if check.agrees else 1


def _find_activation() -> Any:
    preferred = PREFERRED in autodiff.ops
    missing = [op for op in (*NEEDED, *(() if preferred else (OURS,))) if op not in autodiff.ops]
    if missing:
        raise CannotRunError(
            f"The demo needs {', '.join(map(repr, missing))}: the plugin that brings it is disabled or failed to load. "
            f"`autodiff plugins` says which and why."
        )
    return autodiff.ops[PREFERRED if preferred else OURS]


def _require_extra() -> None:
    missing = [name for module, name in EXTRA.items() if importlib.util.find_spec(module) is None]
    if missing:
        raise CannotRunError(
            f"The demo needs {', '.join(missing)}, not installed here. Install what it needs with\n"
            f"    python -m pip install {' '.join(EXTRA.values())}"
        )

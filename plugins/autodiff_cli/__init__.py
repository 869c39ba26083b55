"""The command ``autodiff``: what is installed, what each op is and how fast, and a demonstration.

- ``autodiff plugins``: every plugin, what it brought or why it failed, and the backends.
- ``autodiff ops [NAME]``: every op, or all about one.
- ``autodiff bench``: how long each op takes, forward and backward; saved, and compared.
- ``autodiff selftest``: the conformance kit on a backend, as it is installed here, and a report of it.
- ``autodiff demo``: train a classifier of hand-written digits and write pictures and a checkpoint.

Exit codes: 0, 1 if the demo's gradient check or a selftest fails, 2 for what cannot be done as asked, 130 after Ctrl-C.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import autodiff
from autodiff_cli.errors import CannotRunError

__all__ = ["main"]


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command with the arguments `argv`, by default those of the process, and return its exit code."""
    args = _parser().parse_args(argv)
    try:
        return _run(args)
    except CannotRunError as exc:
        print(f"autodiff {args.command}: {exc}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"autodiff {args.command}: interrupted", file=sys.stderr)
        return 130


def _run(args: argparse.Namespace) -> int:
    # Imported when asked for: `--help` needs neither tables nor plugins.
    if args.command == "demo":
        from autodiff_cli import demo

        return demo.run(seed=args.seed, epochs=args.epochs, backend=args.backend, out=args.out)
    if args.command == "bench":
        from autodiff_cli import bench

        return bench.run(
            plugin=args.plugin,
            ops=args.op,
            backends=args.backend,
            sizes=args.size or bench.SIZES,
            dtype=args.dtype,
            rounds=args.rounds,
            save=args.save,
            compare=args.compare,
        )
    if args.command == "selftest":
        from autodiff_cli import selftest

        return selftest.run(backend=args.backend, names=args.op, full=args.full, dtypes=args.dtype)
    from autodiff_cli import tables

    if args.command == "plugins":
        tables.show_plugins()
    elif args.name is None:
        tables.show_ops()
    else:
        tables.show_op(args.name)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="autodiff", description="Plugins, ops, their speed, and a demonstration of autodiff."
    )
    parser.add_argument("--version", action="version", version=f"autodiff {autodiff.__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    commands.add_parser("plugins", help="list the plugins, what each brought or why it failed, and the backends")
    ops = commands.add_parser("ops", help="list the ops, or show all about one")
    ops.add_argument(
        "name", nargs="?", metavar="NAME", help="short name or id of an op, such as tanh or autodiff_ops.tanh"
    )
    bench = commands.add_parser("bench", help="measure how long ops take, forward and backward, and what they allocate")
    bench.add_argument("--plugin", metavar="NAME", help="the ops of this plugin: entry point, module or distribution")
    bench.add_argument("--op", action="append", default=[], metavar="NAME", help="this op; may be given several times")
    bench.add_argument(
        "--backend", action="append", default=[], metavar="NAME", help="on this backend, not on all that run here"
    )
    bench.add_argument(
        "--size",
        action="append",
        type=_whole(1),
        metavar="N",
        help="with about so many elements in the largest array; 1 for the samples as they are (default: 1, 10000)",
    )
    bench.add_argument("--dtype", choices=("float32", "float64"), default="float64", help="of floating numbers")
    bench.add_argument("--rounds", type=_whole(3), default=9, metavar="N", help="turns of each op (default: 9)")
    bench.add_argument("--save", type=Path, metavar="FILE", help="write the figures to this file, as JSON")
    bench.add_argument("--compare", type=Path, metavar="FILE", help="compare with the figures that this file has")
    selftest = commands.add_parser("selftest", help="check every op on a backend, and print a report")
    selftest.add_argument("--backend", default="numpy", metavar="NAME", help="which (default: numpy)")
    selftest.add_argument(
        "--op", action="append", default=[], metavar="NAME", help="this op; may be given several times"
    )
    selftest.add_argument("--dtype", action="append", default=[], metavar="NAME", help="in this dtype; likewise")
    selftest.add_argument("--full", action="store_true", help="on all samples, not on one of each kind and range")
    demo = commands.add_parser("demo", help="train a classifier of hand-written digits")
    demo.add_argument("--seed", type=_whole(0), default=0, metavar="N", help="seed of weights and batches (default: 0)")
    demo.add_argument("--epochs", type=_whole(1), default=60, metavar="N", help="passes over the data (default: 60)")
    demo.add_argument("--backend", metavar="NAME", help="where to compute, such as numpy or cupy (default: numpy)")
    demo.add_argument(
        "--out",
        type=Path,
        default=Path("autodiff-demo"),
        metavar="DIR",
        help="where to write (default: ./autodiff-demo)",
    )
    return parser


def _whole(least: int) -> Callable[[str], int]:
    """Return a parser of whole numbers from `least` on."""

    def parse(text: str) -> int:
        number = int(text) if text.removeprefix("-").isdecimal() else None
        if number is None or number < least:
            raise argparse.ArgumentTypeError(f"expected a whole number of at least {least}, was given {text!r}")
        return number

    return parse

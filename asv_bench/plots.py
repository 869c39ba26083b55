"""Pictures of what `asv_bench.peers` printed: ``python -m asv_bench.plots FILE.md FOLDER``.

It reads the tables, of a run that was kept or of ``docs/benchmarks.md``, so that pictures and tables cannot differ.
Of a row that is measured several times the first counts, since the newest run comes first.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import NamedTuple

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter

__all__ = ["Bar", "bars", "draw", "main"]

#: A line of a table: row, workload, time, peer, its time, ratio, quartiles, must, verdict.
_LINE = re.compile(
    r"^\| (?P<row>\w+) \| (?P<text>[^|]+) \| [\d.]+ \w+ \| (?P<peer>[\w.]+) \| [\d.]+ \w+ "
    r"\| (?P<ratio>[\d.]+) \| (?P<low>[\d.]+) to (?P<high>[\d.]+) \|",
    re.MULTILINE,
)

#: Two colours that readers with any colour vision tell apart.
BLUE, ORANGE = "#0072b2", "#d55e00"


class Bar(NamedTuple):
    """The ratio of autodiff's time to a peer's on one row, and its quartiles."""

    row: str
    text: str
    peer: str
    ratio: float
    low: float
    high: float


def bars(markdown: str) -> list[Bar]:
    """Return the comparisons in the tables of a page, each row and peer once."""
    found: dict[tuple[str, str, str], Bar] = {}
    for match in _LINE.finditer(markdown):
        text = match["text"].replace("`", "").strip()
        ratio, low, high = (float(match[name]) for name in ("ratio", "low", "high"))
        found.setdefault((match["row"], text, match["peer"]), Bar(match["row"], text, match["peer"], ratio, low, high))
    return list(found.values())


def described(chosen: list[Bar]) -> str:
    """Return the bars of a picture as text, one a line."""
    return "\n".join(f"{bar.row} {bar.text} {bar.peer} {bar.ratio} {bar.low} {bar.high}" for bar in chosen)


def draw(chosen: list[Bar], title: str) -> Figure:
    """Draw ratios as bars from 1, to the left where autodiff is faster, with their quartiles."""
    figure = Figure(figsize=(9, 1.2 + 0.26 * len(chosen)), layout="constrained")
    axes = figure.subplots()
    places = range(len(chosen), 0, -1)
    floor = 0.01  # what is measured as nothing has a place on the axis too
    for place, bar in zip(places, chosen, strict=True):
        ratio = max(bar.ratio, floor)
        axes.barh(place, ratio - 1, left=1, color=BLUE if ratio <= 1 else ORANGE)
        axes.plot([max(bar.low, floor), max(bar.high, floor)], [place, place], color="black", linewidth=1)
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter("{x:g}")
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.axvline(1, color="black", linewidth=0.8)
    several = len({bar.peer for bar in chosen}) > 1
    labels = [f"{bar.row}  {bar.peer if several else bar.text}" for bar in chosen]
    axes.set_yticks(list(places), labels, fontsize=8)
    axes.set_xlabel("time of autodiff over the peer's: left of 1 is faster, right is slower")
    axes.set_title(title)
    axes.grid(axis="x", alpha=0.3)
    return figure


def main(page: Path, folder: Path) -> list[Path]:
    """Write a picture of the rows that have several peers, and one of those against PyTorch alone."""
    found = bars(page.read_text())
    peers: dict[str, set[str]] = {}
    for bar in found:
        peers.setdefault(bar.row, set()).add(bar.peer)
    groups = {
        "peers": ([bar for bar in found if len(peers[bar.row]) > 1], "Side by side with other libraries"),
        "torch": (
            [bar for bar in found if peers[bar.row] == {"torch"}],
            "Large arrays and long graphs, against PyTorch",
        ),
    }
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name, (chosen, title) in groups.items():
        if chosen:
            figure = draw(chosen, title)
            FigureCanvasAgg(figure)
            path = folder / f"{name}.png"
            # What is drawn stands in the file too, so that a test finds a picture that is older than its table.
            figure.savefig(path, dpi=100, metadata={"Software": "", "Description": described(chosen)})
            written.append(path)
    return written


if __name__ == "__main__":
    print(*main(Path(sys.argv[1]), Path(sys.argv[2])), sep="\n")

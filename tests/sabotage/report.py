"""The score: caught of planted, by op and by kind, as tables and as a page."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

__all__ = ["page", "scores", "show", "write"]

#: What a mutant may come to, and the column that it counts in.
COLUMNS = {
    "caught": "caught",
    "caught by the page of kinks": "caught",
    "crash": "caught",
    "hang": "caught",
    "error": "survived",
    "equivalent": "equivalent",
    "rounding": "rounding",
    "survived": "survived",
    "unplanted": "survived",
    "unreached": "survived",
}
_NAMES = ("planted", "caught", "equivalent", "rounding", "survived")
Results = list[dict[str, Any]]


def scores(results: Results, by: str) -> dict[str, dict[str, int]]:
    """Return for each op or kind how many were planted, caught, equivalent and survived."""
    found: dict[str, dict[str, int]] = defaultdict(lambda: dict.fromkeys(_NAMES, 0))
    for result in results:
        row = found[result[by]]
        row["planted"] += 1
        row[COLUMNS[result["outcome"]]] += 1
    return dict(sorted(found.items()))


def total(results: Results) -> dict[str, int]:
    """Return the score of all."""
    every = scores([{**r, "all": "all"} for r in results], "all")
    return next(iter(every.values()), dict.fromkeys(_NAMES, 0))


def summary(results: Results, wanted: int) -> str:
    """Return the score in a sentence."""
    row = total(results)
    real = row["planted"] - row["equivalent"]
    told = f"caught {row['caught']} of {real} faults ({row['equivalent']} more change no gradient)"
    return told + (f"; {wanted - len(results)} of {wanted} not planted yet" if len(results) < wanted else "")


def show(results: Results, wanted: int, console: Console) -> None:
    """Print the tables, and every survivor."""
    for by in ("where", "kind"):
        table = Table("op" if by == "where" else by, *_NAMES, "score")
        for name, row in scores(results, by).items():
            real = row["planted"] - row["equivalent"]
            style = "red" if row["survived"] else ""
            table.add_row(name, *map(str, row.values()), f"{row['caught'] / real:.0%}" if real else "-", style=style)
        console.print(table)
    for result in _of(results, "survived", "unplanted", "unreached", "rounding"):
        console.print(f"{result['outcome']}: {_line(result)}", markup=False, soft_wrap=True)
    console.print(summary(results, wanted))


def _of(results: Results, *outcomes: str) -> Results:
    return [r for r in results if r["outcome"] in outcomes]


def _line(result: dict[str, Any]) -> str:
    return f"{result['mutant']}" + (f" ({result['told']})" if result["told"] else "")


def write(results: Results, wanted: int, folder: Path, copy: Path | None = None) -> None:
    """Write ``sabotage.json`` and ``sabotage.md``."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "sabotage.json").write_text(json.dumps({"total": total(results), "mutants": results}, indent=1))
    for path in [folder / "sabotage.md", *([copy] if copy else [])]:
        path.write_text(page(results, wanted))


def page(results: Results, wanted: int) -> str:
    """Return the report as Markdown, with one table for each of rules and scheduler."""
    commits = Counter(r["commit"] for r in results)
    made = ", ".join(f"{count:,} of {commit}" for commit, count in commits.most_common())
    lines = [
        "# Sabotage",
        "",
        "Faults of gradient rules and of the engine are planted one at a time; the first table has how many of which were.",
        "[Its README](../tests/sabotage/README.md) says which, and what has to catch them.",
        "`nox -s sabotage -- --page docs/sabotage.md` makes this page.",
        f"Planted: {len(results):,} of {wanted:,}.",
        f"Results by commit: {made}.",
        "",
        "- *caught*: the kit fails; for the engine the kit or a test, for a choice at a kink its row in [kinks.md](kinks.md).",
        "- *equivalent*: gradients are bitwise equal on 1,000 random inputs.",
        "- *rounding*: they are not, but agree within the tolerance of the kit on all of them; not caught.",
        "- *survived*: they differ by more on some input, or nothing comes to the place of the fault; not caught.",
        "",
        *_table({part: _of_part(results, part) for part in ("rules", "scheduler")}, "part"),
        f"By outcome: {', '.join(f'{name} {n:,}' for name, n in Counter(r['outcome'] for r in results).most_common())}.",
        "",
    ]
    for by, title in (("kind", "By kind of fault"), ("where", "By op, or function that several ops use")):
        grouped: dict[str, Results] = defaultdict(list)
        for result in results:
            grouped[result[by]].append(result)
        lines += [f"## {title}", "", *_table(dict(sorted(grouped.items())), by if by == "kind" else "op")]
    for outcome, title in (
        ("survived", "Survived"),
        ("unplanted", "Could not be planted"),
        ("unreached", "Where nothing comes"),
        ("rounding", "Differ by rounding"),
        ("equivalent", "Equivalent"),
    ):
        found = sorted(_of(results, outcome), key=lambda r: str(r["mutant"]))
        if found:
            lines += [f"## {title}", "", *[f"- `{_line(r).replace('`', chr(39))}`" for r in found], ""]
    return "\n".join(lines).rstrip() + "\n"


def _of_part(results: Results, part: str) -> Results:
    return [r for r in results if r["part"] == part]


def _table(groups: dict[str, Results], by: str) -> list[str]:
    lines = [f"| {by} | {' | '.join(_NAMES)} |", f"| --- |{' --- |' * len(_NAMES)}"]
    lines += [
        f"| {name} | {' | '.join(f'{n:,}' for n in total(found).values())} |" for name, found in groups.items() if found
    ]
    return [*lines, ""]

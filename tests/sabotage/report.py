"""The score: caught of planted, by op and by kind, as tables and as files."""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

__all__ = ["show", "write"]

#: What a mutant may come to. Caught by the kit: all but the last two.
CAUGHT = ("caught", "crash", "hang", "error")


def scores(results: list[dict[str, Any]], by: str) -> dict[str, dict[str, int]]:
    """Return for each op or kind how many were planted, caught, equivalent and survived."""
    found: dict[str, dict[str, int]] = defaultdict(
        lambda: dict.fromkeys(("planted", "caught", "equivalent", "survived"), 0)
    )
    for result in results:
        row = found[result[by]]
        row["planted"] += 1
        row["caught" if result["outcome"] in CAUGHT else result["outcome"]] += 1
    return dict(sorted(found.items()))


def total(results: list[dict[str, Any]]) -> dict[str, int]:
    """Return the score of all."""
    return next(iter(scores([{**r, "all": "all"} for r in results], "all").values()), {"planted": 0})


def show(results: list[dict[str, Any]], console: Console) -> None:
    """Print the tables, and every survivor."""
    for by in ("where", "kind"):
        table = Table("op" if by == "where" else by, "planted", "caught", "equivalent", "survived", "score")
        for name, row in scores(results, by).items():
            real = row["planted"] - row["equivalent"]
            style = "red" if row["survived"] else ""
            table.add_row(name, *map(str, row.values()), f"{row['caught'] / real:.0%}" if real else "-", style=style)
        console.print(table)
    for result in results:
        if result["outcome"] == "survived":
            console.print(f"survived: {result['mutant']} ({result['told']})", markup=False, soft_wrap=True)
    row = total(results)
    real = row["planted"] - row.get("equivalent", 0)
    console.print(
        f"caught {row.get('caught', 0)} of {real} faults ({row.get('equivalent', 0)} more change no gradient)"
    )


def write(results: list[dict[str, Any]], folder: Path) -> None:
    """Write ``sabotage.json`` and ``sabotage.md``."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "sabotage.json").write_text(json.dumps({"total": total(results), "mutants": results}, indent=1))
    lines = ["# Sabotage", "", "What was planted in rules and scheduler, and what was caught.", ""]
    for by in ("kind", "where"):
        lines += [f"| {by} | planted | caught | equivalent | survived |", "| --- | --- | --- | --- | --- |"]
        lines += [f"| {name} | {' | '.join(map(str, row.values()))} |" for name, row in scores(results, by).items()] + [
            ""
        ]
    survivors = [r for r in results if r["outcome"] == "survived"]
    lines += ["## Survivors", "", *[f"- {r['mutant']} ({r['told']})" for r in survivors]]
    (folder / "sabotage.md").write_text("\n".join(lines) + "\n")

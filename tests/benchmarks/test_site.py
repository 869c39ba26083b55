"""`asv_bench.site`: pages that need no server, with the benchmarks that were measured."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from asv_bench import site

PAGE = """<script language="javascript" type="text/javascript" src="https://elsewhere.example/1/{name}"></script>
<link href="https://elsewhere.example/bootstrap.min.css" rel="stylesheet">
<script src="graphdisplay.js"></script>
"""


def test_pages_load_their_libraries_from_beside_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Scripts and styles from elsewhere are fetched once and asked for in the page's own folder; the rest stays."""
    fetched = []
    monkeypatch.setattr(site, "_fetch", lambda package, path, target: fetched.append(package) or target.touch())
    index = tmp_path / "index.html"

    for _ in range(2):
        index.write_text(PAGE.format(name="md5.min.js"))
        site.vendor(tmp_path)

    text = index.read_text()
    assert "elsewhere" not in text
    assert '<script src="vendor/md5.min.js"></script>' in text
    assert '<link rel="stylesheet" href="vendor/bootstrap.min.css">' in text
    assert '<script src="graphdisplay.js">' in text
    assert fetched == ["blueimp-md5@2.19.0", "bootstrap@3.1.1"]


def test_library_that_is_not_known_is_named(tmp_path: Path) -> None:
    """A newer asv may ask for another: the page is not left half done."""
    index = tmp_path / "index.html"
    index.write_text(PAGE.format(name="new.min.js"))

    with pytest.raises(SystemExit, match=r"new\.min\.js.*does not know the npm package"):
        site.vendor(tmp_path)

    assert index.read_text() == PAGE.format(name="new.min.js")


def test_benchmarks_without_a_measurement_are_left_out(tmp_path: Path) -> None:
    """Of the pages and of what is returned."""
    (tmp_path / "graphs" / "machine").mkdir(parents=True)
    (tmp_path / "graphs" / "machine" / "overhead.time_op.json").touch()
    (tmp_path / "index.json").write_text(json.dumps({"benchmarks": {"overhead.time_op": {}, "gone.time_op": {}}}))

    assert site.prune(tmp_path) == ["overhead.time_op"]
    assert list(json.loads((tmp_path / "index.json").read_text())["benchmarks"]) == ["overhead.time_op"]

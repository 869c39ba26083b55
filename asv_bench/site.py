"""Make the pages of ``asv publish`` complete, and look at them in a browser: ``python -m asv_bench.site``.

asv's page loads its libraries from servers elsewhere. Here they are fetched as npm packages and put beside it, so that
the pages work from any disk. Then headless Chromium opens them, and the command fails unless they load without an
error on the console and the graphs are drawn. It needs ``npm``, ``chromium``, ``chromedriver`` and selenium.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tarfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

__all__ = ["look", "prune", "vendor"]

HTML = Path(__file__).parent / "html"

#: By the file that the page asks for: the npm package that has it, and where.
LIBRARIES = {
    "jquery-3.3.1.min.js": ("jquery@3.3.1", "dist/jquery.min.js"),
    "jquery.flot.min.js": ("flot-charts@0.8.3", "jquery.flot.js"),
    "jquery.flot.time.min.js": ("flot-charts@0.8.3", "jquery.flot.time.js"),
    "jquery.flot.selection.min.js": ("flot-charts@0.8.3", "jquery.flot.selection.js"),
    "jquery.flot.categories.min.js": ("flot-charts@0.8.3", "jquery.flot.categories.js"),
    "jquery.flot.orderBars.js": ("flot-orderbars@1.0.0", "js/jquery.flot.orderBars.js"),
    "stupidtable.min.js": ("stupid-table-plugin@1.1.3", "stupidtable.min.js"),
    "md5.min.js": ("blueimp-md5@2.19.0", "js/md5.min.js"),
    "bootstrap.min.js": ("bootstrap@3.1.1", "dist/js/bootstrap.min.js"),
    "bootstrap.min.css": ("bootstrap@3.1.1", "dist/css/bootstrap.min.css"),
}

_ELSEWHERE = re.compile(r'<(?:script|link)[^>]*?(?:src|href)="(https://[^"]+)"[^>]*>')

#: How many pixels of the canvases have a colour, neither white nor grey, as lines and points of a graph have.
_COLOURED = """
let count = 0;
for (const canvas of document.querySelectorAll("canvas")) {
    if (!canvas.width || !canvas.height || !canvas.offsetParent) continue;
    const data = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
    for (let i = 0; i < data.length; i += 4)
        if (data[i + 3] > 0 && Math.max(data[i], data[i + 1], data[i + 2]) - Math.min(data[i], data[i + 1], data[i + 2]) > 60)
            count++;
}
return count;
"""


def vendor(html: Path = HTML) -> None:
    """Put the libraries that the page loads from elsewhere beside it, and have it load those.

    Raises
    ------
    SystemExit
        asv's page wants a library that is not in `LIBRARIES`, or npm cannot fetch one.
    """
    index = html / "index.html"
    page = index.read_text()
    folder = html / "vendor"
    folder.mkdir(exist_ok=True)

    def local(match: re.Match[str]) -> str:
        name = match[1].rpartition("/")[2]
        if name not in LIBRARIES:
            raise SystemExit(f"asv's page loads {match[1]!r}, of which asv_bench/site.py does not know the npm package")
        if not (folder / name).exists():
            _fetch(*LIBRARIES[name], folder / name)
        if name.endswith(".css"):
            return f'<link rel="stylesheet" href="vendor/{name}">'
        return f'<script src="vendor/{name}">'

    index.write_text(_ELSEWHERE.sub(local, page))


def prune(html: Path = HTML) -> list[str]:
    """Leave out of the pages whatever was measured on none of the commits; return the names of the rest."""
    path = html / "index.json"
    index = json.loads(path.read_text())
    measured = {file.name.removesuffix(".json") for file in (html / "graphs").rglob("*.json")}
    index["benchmarks"] = {name: entry for name, entry in index["benchmarks"].items() if name in measured}
    path.write_text(json.dumps(index))
    return sorted(index["benchmarks"])


def _fetch(package: str, path: str, target: Path) -> None:
    """Take one file out of an npm package."""
    npm = shutil.which("npm")
    if npm is None:
        raise SystemExit("npm is not installed: it fetches the libraries of asv's pages")
    with TemporaryDirectory() as folder:
        subprocess.run([npm, "pack", "--silent", package], cwd=folder, check=True, stdout=subprocess.DEVNULL)
        (archive,) = Path(folder).glob("*.tgz")
        with tarfile.open(archive) as files:
            member: Any = files.extractfile(f"package/{path}")
            target.write_bytes(member.read())


class _Quiet(SimpleHTTPRequestHandler):
    """Serves files and says nothing."""

    def log_message(self, *args: Any) -> None:
        pass


@contextmanager
def _served(html: Path) -> Iterator[str]:
    """Serve a folder, and give its address."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(html)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        server.server_close()


@contextmanager
def _browser() -> Iterator[Any]:
    """Start headless Chromium."""
    from selenium import webdriver

    programs = {name: shutil.which(name) for name in ("chromium", "chromedriver")}
    missing = [name for name, path in programs.items() if path is None]
    if missing:
        raise SystemExit(f"{' and '.join(missing)} not installed; on Debian: apt-get install chromium chromium-driver")
    options = webdriver.ChromeOptions()
    options.binary_location = str(programs["chromium"])
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--window-size=1400,1000"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options, webdriver.ChromeService(str(programs["chromedriver"])))
    try:
        yield driver
    finally:
        driver.quit()


def _commits(html: Path, benchmark: str) -> int:
    """Return on how many commits a benchmark was measured."""
    summary = html / "graphs" / "summary" / f"{benchmark}.json"
    return len(json.loads(summary.read_text())) if summary.exists() else 0


def look(benchmarks: list[str], html: Path = HTML) -> list[str]:
    """Open the pages and some graphs, save a picture of each beside them, and return what is wrong."""
    pages = {"grid": "#/", "list": "#/summarylist", "regressions": "#/regressions"}
    for kind in ("time_", "track_"):
        those = [name for name in benchmarks if name.rpartition(".")[2].startswith(kind)]
        those.sort(key=partial(_commits, html), reverse=True)
        pages |= {f"graph-{kind}{i}": f"#{name}" for i, name in enumerate(those[:2])}
    faults = []
    with _served(html) as address, _browser() as driver:
        from selenium.common.exceptions import TimeoutException
        from selenium.webdriver.support.ui import WebDriverWait

        for name, page in pages.items():
            driver.get("about:blank")
            driver.get(address + page)
            drawn = name == "grid" or name.startswith("graph")
            try:
                WebDriverWait(driver, 30).until(
                    lambda driver, drawn=drawn: (
                        driver.execute_script(_COLOURED) > 20
                        if drawn
                        else len(driver.find_element("tag name", "body").text) > 200
                    )
                )
            except TimeoutException:
                faults.append(f"{page}: {'no graph is drawn' if drawn else 'it stays empty'}")
            driver.save_screenshot(str(html / f"{name}.png"))
            entries = driver.get_log("browser")
            faults += [f"{page}: {entry['message']}" for entry in entries if entry["level"] in ("SEVERE", "ERROR")]
            pixels = driver.execute_script(_COLOURED)
            print(f"{page}: {pixels:,} coloured pixels, {len(entries)} lines on the console", flush=True)
    return faults


def main() -> int:
    """Complete the pages and look at them; return 1 if something is wrong."""
    vendor()
    faults = look(prune())
    print("\n".join(faults) or "the pages load, the graphs are drawn, and there is no error on the console")
    return int(bool(faults))


if __name__ == "__main__":
    sys.exit(main())

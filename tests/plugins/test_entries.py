"""Entry points that are read without `importlib.metadata` are those that it finds."""

from __future__ import annotations

import sys
from importlib import metadata
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pytest

from autodiff import entries

_POINTS = """\
[console_scripts]
other = nothing:here

# a comment
[autodiff]
one = some.module
  two=some.module:thing.part [extra]
# three = commented.out

[autodiff.more]
four = some.module
"""


def _by_metadata(group: str) -> list[tuple[Any, ...]]:
    found = metadata.entry_points(group=group)
    return sorted((p.name, p.value, p.dist.metadata["Name"] or "", p.dist.version) for p in found if p.dist)


def _ours(group: str) -> list[tuple[Any, ...]]:
    return sorted((p.name, p.value, p.distribution, p.version) for p in entries.entries(group))


def _install(folder: Path, info: str, points: str = _POINTS, *, headers: str = "METADATA", name: str = "a") -> None:
    (folder / info).mkdir(parents=True)
    (folder / info / "entry_points.txt").write_text(points)
    text = f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.2\n\nName: of the text\n"
    (folder / info / headers).write_text(text)


@pytest.fixture
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Return two folders that are the whole path."""
    found = [tmp_path / "first", tmp_path / "second"]
    for folder in found:
        folder.mkdir()
    monkeypatch.setattr(sys, "path", [str(folder) for folder in found])
    monkeypatch.setattr(sys, "meta_path", [finder for finder in sys.meta_path if finder is entries.PathFinder])
    return found


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have `importlib.metadata` not asked."""

    def refuse(group: str) -> Any:
        raise AssertionError("importlib.metadata was asked")

    monkeypatch.setattr(entries, "_by_metadata", refuse)


@pytest.mark.usefixtures("alone")
def test_folders_may_be_paths_of_other_types(folders: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """Python ignores them when it imports, `importlib.metadata` does not."""
    _install(folders[0], "a-1.2.dist-info")
    expected = _ours("autodiff")
    monkeypatch.setattr(sys, "path", folders)

    assert _ours("autodiff") == expected
    assert len(expected) == 2


def test_those_that_are_installed_here_are_found() -> None:
    """Of all groups that there are, with names and versions of their distributions."""
    groups = {point.group for dist in metadata.distributions() for point in dist.entry_points}

    assert {"autodiff", "console_scripts"} <= groups
    for group in groups:
        assert _ours(group) == _by_metadata(group)


@pytest.mark.usefixtures("alone")
def test_sections_and_comments_are_read(folders: list[Path]) -> None:
    """Only the section of the group, without what is commented out."""
    _install(folders[1], "a-1.2.dist-info")

    assert _ours("autodiff") == _by_metadata("autodiff")
    assert _ours("autodiff") == [
        ("one", "some.module", "a", "1.2"),
        ("two", "some.module:thing.part [extra]", "a", "1.2"),
    ]
    assert _ours("nothing") == []


@pytest.mark.usefixtures("alone")
@pytest.mark.parametrize("second", ["a_b-3.dist-info", "A.B-3.dist-info", "a__b-3.dist-info", "a_b.egg-info"])
def test_the_first_of_a_name_hides_the_others(folders: list[Path], second: str) -> None:
    """However its name is spelt, and even if the first has no entry points."""
    (folders[0] / "a_b-1.2.dist-info").mkdir()
    (folders[0] / "a_b-1.2.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: a.b\nVersion: 1.2\n")
    _install(folders[1], second)

    assert _ours("autodiff") == _by_metadata("autodiff") == []


@pytest.mark.usefixtures("alone")
def test_older_metadata_are_read(folders: list[Path]) -> None:
    """Folders of eggs that are developed in place, files in place of folders, and folders without metadata."""
    _install(folders[0], "a.egg-info", headers="PKG-INFO")
    (folders[0] / "b-1.egg-info").write_text("Metadata-Version: 1.0\nName: b\nVersion: 1\n")
    (folders[1] / "c-1.dist-info").mkdir()
    sys.path.append(str(folders[0] / "missing"))

    assert _ours("autodiff") == _by_metadata("autodiff")
    assert [name for name, *_ in _ours("autodiff")] == ["one", "two"]


@pytest.mark.usefixtures("alone")
def test_what_cannot_be_read_hides_nothing_else(folders: list[Path]) -> None:
    """A file that is no text, which `importlib.metadata` stops at, and a distribution without a name."""
    _install(folders[0], "a-1.2.dist-info")
    (folders[0] / "b-1.dist-info").mkdir()
    (folders[0] / "b-1.dist-info" / "entry_points.txt").write_bytes(b"\xff\xfe\n[autodiff]\nthree = \xff\n")

    assert [(name, owner) for name, _, owner, _ in _ours("autodiff")] == [("one", "a"), ("three", ""), ("two", "a")]


def test_a_zip_file_and_an_egg_on_the_path_are_left_to_the_library(folders: list[Path]) -> None:
    """What it finds in them is found."""
    with ZipFile(folders[0] / "packed.zip", "w") as file:
        file.writestr("a-1.2.dist-info/entry_points.txt", _POINTS)
        file.writestr("a-1.2.dist-info/METADATA", "Metadata-Version: 2.1\nName: a\nVersion: 1.2\n")
    _install(folders[1] / "b.egg", "EGG-INFO", headers="PKG-INFO", name="b")
    for place in (folders[0] / "packed.zip", folders[1] / "b.egg"):
        sys.path.append(str(place))

        assert _ours("autodiff") == _by_metadata("autodiff") != []
        sys.path.pop()


def test_a_finder_of_somebody_else_is_asked(folders: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """As the path is not all that there is then."""
    _install(folders[0] / "elsewhere", "a-1.2.dist-info")

    class Finder(metadata.DistributionFinder):
        def find_distributions(self, context: Any = None) -> Any:
            return iter([metadata.Distribution.at(folders[0] / "elsewhere" / "a-1.2.dist-info")])

        def find_spec(self, *args: Any) -> None:
            return None

    assert _ours("autodiff") == []
    monkeypatch.setattr(sys, "meta_path", [*sys.meta_path, Finder()])
    assert [name for name, *_ in _ours("autodiff")] == ["one", "two"]


def test_modules_and_what_is_in_them_are_loaded() -> None:
    """As entry points name them, with spaces and extras."""
    for value in ("pathlib", "pathlib:Path", "pathlib : Path.cwd", "pathlib:Path [extra]"):
        point = metadata.EntryPoint("name", value, "group")

        assert entries.described([point])[0].load() == point.load()
    with pytest.raises(AttributeError, match="nothing"):
        entries.Entry("name", "pathlib:nothing", "", "").load()

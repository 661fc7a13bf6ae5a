"""Settings and annotations from strangers: what never ends, or nests for ever, is refused at once and in one line."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tracker.analytics import load_rules
from tracker.config import read_settings
from tracker.config.expansion import is_too_deep
from tracker.errors import TrackerError
from tracker.formats.core.class_names import read_yaml
from tracker.formats.core.parsing import read_text
from tracker.formats.core.xml_tree import read_xml as read_tree
from tracker.watch.camera_set import read_cameras


def read_xml(path: Path) -> object:
    return read_tree(path, "annotations")


READERS: list[Callable[[Path], object]] = [read_settings, load_rules, read_cameras, read_text, read_yaml, read_xml]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="pipes with names are Unix's")
@pytest.mark.parametrize("read", READERS, ids=lambda read: read.__name__)
@pytest.mark.parametrize("suffix", [".toml", ".yaml"])
def test_a_pipe_that_nobody_writes_to_is_not_waited_for(
    tmp_path: Path, read: Callable[[Path], object], suffix: str
) -> None:
    pipe = tmp_path / f"settings{suffix}"
    os.mkfifo(pipe)
    with pytest.raises(TrackerError, match="a pipe or a device, not a file"):
        read(pipe)


@pytest.mark.skipif(not Path("/dev/zero").exists(), reason="a file without end is Unix's")
@pytest.mark.parametrize("read", READERS, ids=lambda read: read.__name__)
def test_a_file_without_end_is_not_read(tmp_path: Path, read: Callable[[Path], object]) -> None:
    (tmp_path / "zero.toml").symlink_to("/dev/zero")
    with pytest.raises(TrackerError, match="a pipe or a device, not a file"):
        read(tmp_path / "zero.toml")


@pytest.mark.parametrize(
    ("suffix", "text"),
    [
        (".toml", "a = " + "[" * 100_000 + "]" * 100_000),
        (".toml", "[" + ".".join("a" * 50_000) + "]"),
        (".toml", ".".join("a" * 50_000) + " = 1"),
        (".toml", "a = " + "{ a = " * 20_000 + "1" + "}" * 20_000),
        (".yaml", "[" * 100_000),
        (".yaml", "- " * 100_000),
        (".yaml", "? " * 100_000),
    ],
    ids=["lists", "header", "dotted", "tables", "flow", "block", "keys"],
)
def test_what_nests_for_ever_is_refused_before_it_is_parsed(tmp_path: Path, suffix: str, text: str) -> None:
    path = tmp_path / f"deep{suffix}"
    path.write_text(text)
    with pytest.raises(TrackerError, match="deeper than 200 levels"):
        read_settings(path)
    if suffix == ".yaml":
        with pytest.raises(TrackerError, match="nested too deeply"):
            read_yaml(path)


def test_what_people_write_is_not_deep() -> None:
    assert not is_too_deep("polygon = [" + "[1.5, 2.5], " * 10_000 + "]")
    assert not is_too_deep("- " + ", ".join("a.b" for _ in range(10_000)))
    assert not is_too_deep("[[camera]]\n" * 10_000)

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from tracker.errors import FormatError
from tracker.formats.core.class_names import NAME_FILES, is_null, names_beside, names_of, parse_yaml

WRITTEN = [
    "no",
    "yes",
    "on",
    "007",
    "1e3",
    "12:30",
    "null",
    "2024-01-01",
    "2024-99-99",
    "0x1F",
    "1_000",
    "~",
    "3.10",
    "=",
]


@pytest.mark.parametrize(
    "text",
    [
        "names: [" + ", ".join(WRITTEN) + "]",
        "names:\n" + "".join(f"  - {word}\n" for word in WRITTEN),
        "names:\n" + "".join(f"  {place}: {word}\n" for place, word in enumerate(WRITTEN)),
        "names:\n" + "".join(f"  - '{word}'\n" for word in WRITTEN),
    ],
)
def test_names_stay_as_they_are_written(text: str) -> None:
    assert names_of(parse_yaml(text, "data.yaml")["names"], "data.yaml") == tuple(WRITTEN)


@given(st.lists(st.text(st.characters(categories=("L", "N", "P", "Zs")), min_size=1), min_size=1, unique=True))
def test_what_yaml_writes_is_read_back(names: list[str]) -> None:
    names = [name for name in names if name.strip()] or ["car"]
    text = yaml.safe_dump({"names": dict(enumerate(names))}, allow_unicode=True)
    assert names_of(parse_yaml(text, "data.yaml")["names"], "data.yaml") == tuple(names)


def test_merged_tables_and_anchors_are_followed() -> None:
    text = "base: &base {names: [a, no]}\nuse:\n  <<: *base\n  nc: 2\n"
    assert parse_yaml(text, "data.yaml")["use"] == {"names": ["a", "no"], "nc": "2"}


@pytest.mark.parametrize("text", ["val:", "val: null", "val: ~", "val: ''"])
def test_nothing_is_known_for_what_it_is(text: str) -> None:
    assert is_null(parse_yaml(text, "data.yaml")["val"])


@pytest.mark.parametrize("file", [*NAME_FILES, "coco.names"])
def test_names_are_found_beside_the_labels(file: str, tmp_path: Path) -> None:
    categories = '{"categories": [{"id": 1, "name": "no entry"}, {"id": 0, "name": "on"}]}'
    (tmp_path / file).write_text(categories if file == "notes.json" else "\ufeffon\nno entry\n\n", encoding="utf-8")
    assert names_beside([tmp_path / "labels", tmp_path]) == ("on", "no entry")


def test_two_files_of_other_names_are_refused(tmp_path: Path) -> None:
    (tmp_path / "classes.txt").write_text("cat\ndog\n")
    (tmp_path / "obj.names").write_text("cat\ndog\n")
    assert names_beside([tmp_path]) == ("cat", "dog")
    (tmp_path / "obj.names").write_text("dog\ncat\n")
    with pytest.raises(FormatError, match=r"obj\.names and classes\.txt give different class names"):
        names_beside([tmp_path])


def test_the_labels_of_an_image_called_labels_are_no_names(tmp_path: Path) -> None:
    (tmp_path / "labels.txt").write_text("")
    (tmp_path / "labels.jpg").write_bytes(b"\xff\xd8\xff")
    (tmp_path / "classes.txt").write_text("0 0.5 0.5 0.1 0.1\n")
    assert names_beside([tmp_path]) == ()


def test_a_gap_among_names_is_refused(tmp_path: Path) -> None:
    (tmp_path / "classes.txt").write_text("cat\n\ndog\n")
    with pytest.raises(FormatError, match="is empty"):
        names_beside([tmp_path])

from __future__ import annotations

from pathlib import Path, PureWindowsPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracker.formats.core.image_names import find_image, is_elsewhere, relative_names, relative_parts

ELSEWHERE = [
    r"..\..\media\upload\4\a.jpg",
    r"C:\Users\me\set\images\a.jpg",
    "C:/set/images/a.jpg",
    r"\\server\share\images\a.jpg",
    "/home/me/set/images/a.jpg",
    "https://example.org/images/a.jpg?size=3",
    "file:///home/me/images/a.jpg",
    "s3://bucket/images/a.jpg",
    "/data/../../images/a.jpg",
]


@pytest.mark.parametrize("name", ELSEWHERE)
def test_an_image_named_on_another_machine_is_found_by_the_end_of_its_name(name: str, tmp_path: Path) -> None:
    assert is_elsewhere(name)
    assert relative_names([name]) == ["a.jpg"]
    (tmp_path / "a.jpg").touch()
    assert find_image(name, [tmp_path]) == tmp_path / "a.jpg"
    (tmp_path / "images").mkdir()
    (tmp_path / "images/a.jpg").touch()
    if "images" in name:
        assert find_image(name, [tmp_path]) == tmp_path / "images/a.jpg"
    assert find_image(name.replace("a.jpg", "b.jpg"), [tmp_path]) is None


@pytest.mark.parametrize("name", ["images/a.jpg", r"images\a.jpg", r".\images\a.jpg", "./images//a.jpg"])
def test_a_name_in_its_folder_keeps_it(name: str) -> None:
    assert not is_elsewhere(name)
    assert relative_names([name]) == ["images/a.jpg"]


def test_names_with_a_colon_or_dots_are_plain_names() -> None:
    names = ["12:30:00.jpg", "a:b.jpg", "a..b.jpg", "..a.jpg", "cam:1 a.jpg"]
    assert relative_names(names) == names
    assert not any(map(is_elsewhere, names))


def test_label_studio_addresses_tell_the_file() -> None:
    assert relative_parts("/data/local-files/?d=set%20one/a.jpg")[-1] == "a.jpg"
    assert relative_parts("http://localhost:8080/data/local-files/?d=set%20one/a.jpg") == ("set one", "a.jpg")


def test_only_what_all_names_elsewhere_have_in_common_goes() -> None:
    names = [r"C:\set\left\a.jpg", r"C:\set\right\a.jpg", "own/b.jpg"]
    assert relative_names(names) == ["left/a.jpg", "right/a.jpg", "own/b.jpg"]


def test_names_that_would_become_one_stay_apart() -> None:
    assert relative_names(["/set/images/a.jpg", "a.jpg"]) == ["set/images/a.jpg", "a.jpg"]


@given(st.text(st.sampled_from("ab./\\:C?"), max_size=12))
def test_no_name_leads_out_of_its_folder(name: str) -> None:
    (relative,) = relative_names([name])
    assert not relative.startswith("/")
    assert ".." not in relative.split("/")
    assert not PureWindowsPath(relative).root

"""What the user types decides which source is opened; what cannot be is refused."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.video.synthetic import write_clip
from tests.video.test_image_source import write_image
from tracker.errors import SourceError
from tracker.video import FileSource, ImageSource, open_source


def test_files_are_told_by_content_not_by_suffix(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "clip.mp4", frames=3)
    picture = write_image(tmp_path / "picture.jpg", 3)
    shutil.copy(clip, tmp_path / "really-a-video.jpg2")
    shutil.copy(picture, tmp_path / "really-an-image.mp4")
    assert isinstance(open_source(str(clip)), FileSource)
    assert isinstance(open_source(clip.as_uri()), FileSource)
    assert isinstance(open_source(tmp_path / "really-a-video.jpg2"), FileSource)
    assert isinstance(open_source(tmp_path / "really-an-image.mp4"), ImageSource)


def test_folders_globs_lists_and_single_images_are_image_sources(tmp_path: Path) -> None:
    for number in range(3):
        write_image(tmp_path / f"{number}.jpg", number)
    for spec, count in [
        (str(tmp_path), 3),
        (str(tmp_path / "*.jpg"), 3),
        (str(tmp_path / "[01].jpg"), 2),
        (str(tmp_path / "1.jpg"), 1),
        (f"{tmp_path / '2.jpg'},{tmp_path / '0.jpg'}", 2),
    ]:
        source = open_source(spec)
        assert isinstance(source, ImageSource)
        assert len(list(source)) == count


def test_a_name_with_brackets_is_a_file_if_there_is_one(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "night [1].mp4", frames=3)
    assert isinstance(open_source(str(clip)), FileSource)


def test_a_file_named_like_a_camera_index_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_clip(tmp_path / "clip.mp4", frames=3).rename(tmp_path / "0")
    monkeypatch.chdir(tmp_path)
    assert isinstance(open_source("0"), FileSource)


@pytest.mark.parametrize(
    ("spec", "reason"),
    [
        ("", "no source given"),
        ("no/such/file.mp4", "no such file or folder"),
        ("nothing.avi", "no such file or folder"),
        ("nothing/*.jpg", "no images match this pattern"),
        ("91", "camera 91: this camera does not open"),
        ("no such camera", "no such camera"),
        ("rtsp://user:secret@127.0.0.1:9/x", "rtsp://127.0.0.1:9/x: it does not open"),
    ],
)
def test_what_does_not_open_is_refused_in_one_line(spec: str, reason: str) -> None:
    with pytest.raises(SourceError, match=reason) as refusal:
        open_source(spec)
    assert "\n" not in str(refusal.value)
    assert "secret" not in str(refusal.value)

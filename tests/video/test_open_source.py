"""What the user types decides which source is opened; what cannot be is refused."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.video.synthetic import write_clip
from tests.video.test_image_source import write_image
from tracker.errors import SourceError
from tracker.video import FileSource, ImageSource, open_source


def test_files_are_reported_by_content_not_by_suffix(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "clip.mp4", frames=3)
    image = write_image(tmp_path / "frame.jpg", 3)
    shutil.copy(clip, tmp_path / "really-a-video.jpg2")
    shutil.copy(image, tmp_path / "really-an-image.mp4")
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
    assert isinstance(open_source(clip.as_uri()), FileSource)


def test_a_file_named_like_a_camera_index_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_clip(tmp_path / "clip.mp4", frames=3).rename(tmp_path / "0")
    monkeypatch.chdir(tmp_path)
    assert isinstance(open_source("0"), FileSource)


@pytest.mark.parametrize(
    "name",
    ["12:30:00.mp4", "cam:1 a.mp4", "file:x.mp4", "concat:a.mp4", "http:x.mp4", "cam-%03d.mp4", "a#b?c=1&d.mp4"],
)
def test_a_name_that_looks_like_an_address_or_a_pattern_is_read(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    check_name(name, tmp_path, monkeypatch)


@pytest.mark.parametrize(
    "name",
    [" lead.mp4", "trail .mp4 ", "-dash.mp4", "~tilde.mp4", "$HOME.mp4", "*", "a\\b.mp4", "é" * 123 + ".mp4"],
)
def test_an_odd_name_is_read_as_it_stands(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    check_name(name, tmp_path, monkeypatch)


def check_name(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_clip(tmp_path / "clip.mp4", frames=3).rename(tmp_path / name)
    monkeypatch.chdir(tmp_path)
    source = open_source(name)
    assert isinstance(source, FileSource)
    assert (source.name, len(list(source))) == (name, 3)
    source.close()


@pytest.mark.parametrize(
    ("spec", "reason"),
    [
        ("", "no source given"),
        ("no/such/file.mp4", "no such file or folder"),
        ("nothing.avi", "no such file or folder"),
        ("nothing/*.jpg", "no images match this pattern"),
        ("x" * 300, "no such camera"),
        ("/dev/video91", "camera 91: this camera does not open"),
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


@pytest.mark.parametrize(
    "content",
    [
        "#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n",
        "ffconcat version 1.0\nfile '/etc/passwd'\n",
        "v=0\no=- 0 0 IN IP4 127.0.0.1\nm=video 5004 RTP/AVP 96\n",
        '<?xml version="1.0"?><MPD><BaseURL>http://127.0.0.1/</BaseURL></MPD>',
    ],
)
def test_a_playlist_opens_nothing(tmp_path: Path, content: str) -> None:
    path = tmp_path / "list.mp4"
    path.write_text(content)
    with pytest.raises(SourceError, match="a list of other files"):
        open_source(path)


@pytest.mark.parametrize("name", ["12:30.mp4", "tcp:127.0.0.1:9.mp4", "concat:a.mp4", "rtsp:host.mp4"])
def test_a_file_named_like_a_protocol_is_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    write_clip(tmp_path / "clip.mp4", frames=3).rename(tmp_path / name)
    monkeypatch.chdir(tmp_path)
    assert len(list(open_source(name))) == 3


@pytest.mark.parametrize("spec", ["htp://me:s3cret@gate/live", "rstp://me:s3cret@gate/live?token=s3cret"])
def test_a_misspelt_protocol_is_told_without_the_password(spec: str) -> None:
    """It was taken for a file's name, which is shown whole."""
    with pytest.raises(SourceError, match=r"//gate/live.*: no protocol of that name; expected rtsp,") as told:
        open_source(spec)
    assert "s3cret" not in str(told.value)

"""Seeking lands on exactly the frame that reading from the start numbers so."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.video.synthetic import irregular_ticks, read_number, write_clip
from tracker.errors import SourceError
from tracker.types import Frame
from tracker.video import FileSource


def fingerprint(frame: Frame) -> tuple[int, float, bytes]:
    return frame.index, frame.time, frame.image[::5, ::5].tobytes()


def count_wrong_seeks(path: Path, *, seeks: int, threads: int = 0) -> int:
    truth = [fingerprint(frame) for frame in FileSource(path)]
    source = FileSource(path, threads=threads)
    wanted = np.random.default_rng(1).integers(0, len(truth), seeks)
    assert source.times() == pytest.approx([time for _, time, _ in truth], abs=1e-9)
    return sum(fingerprint(source.frame_at(int(index))) != truth[index] for index in wanted)


def test_no_seek_of_a_hundred_is_wrong_on_variable_frame_rate(tmp_path: Path) -> None:
    ticks = irregular_ticks(150, first=700)
    clip = write_clip(tmp_path / "vfr.mp4", frames=150, ticks=ticks, b_frames=3, key_every=24)
    source = FileSource(clip)
    for index in np.random.default_rng(0).integers(0, 150, 100).tolist():
        frame = source.frame_at(index)
        assert (frame.index, read_number(frame.image)) == (index, index)
        assert frame.time == pytest.approx(ticks[index] / 1000, abs=1e-9)


@pytest.mark.parametrize("suffix", [".mkv", ".avi", ".ts", ".flv", ".mov", ".h264"])
def test_no_seek_is_wrong_in_any_container(tmp_path: Path, suffix: str) -> None:
    clip = write_clip(tmp_path / f"clip{suffix}", frames=60, b_frames=2)
    assert count_wrong_seeks(clip, seeks=25) == 0


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("open_gop.mp4", {"b_frames": 3, "options": {"x264-params": "open-gop=1"}}),
        ("open_gop.avi", {"b_frames": 3, "options": {"x264-params": "open-gop=1"}}),
        ("xvid.avi", {"codec": "mpeg4", "b_frames": 2}),
        ("mjpeg.avi", {"codec": "mjpeg", "pixel_format": "yuvj420p"}),
        ("hidden_frames.webm", {"codec": "libvpx", "options": {"auto-alt-ref": "1", "lag-in-frames": "16"}}),
        ("dvd.mpg", {"codec": "mpeg2video", "b_frames": 2}),
        ("hevc.mp4", {"codec": "libx265", "options": {"x265-params": "log-level=none:bframes=3"}}),
    ],
)
def test_no_seek_is_wrong_with_awkward_groups_of_frames(tmp_path: Path, name: str, settings: dict) -> None:
    clip = write_clip(tmp_path / name, frames=60, **settings)
    assert count_wrong_seeks(clip, seeks=25, threads=2) == 0


@pytest.mark.shared
@pytest.mark.parametrize(
    "name",
    [
        "avi_sample.avi",
        "flv_sample.flv",
        "mkv_sample.mkv",
        "mp4_sample_android_slow_motion.mp4",
        "mp4_sample_av1.mp4",
        "mp4_sample_fragmented.mp4",
        "nasa_13013.mp4",
        "ts_bbb_2500ms.ts",
        "ts_sample_h262_mpeg_audio.ps",
    ],
)
def test_no_seek_is_wrong_in_real_files(shared: Path, name: str) -> None:
    assert count_wrong_seeks(shared / "data/media" / name, seeks=12) == 0


def test_iteration_goes_on_from_the_sought_frame_once(tmp_path: Path) -> None:
    source = FileSource(write_clip(tmp_path / "clip.mp4", frames=30, b_frames=2))
    source.seek(17)
    assert [frame.index for frame in source] == list(range(17, 30))
    assert [read_number(frame.image) for frame in source] == list(range(30))


def test_seeking_a_time_finds_the_frame_shown_then(tmp_path: Path) -> None:
    ticks = [0, 100, 1000, 1040, 1080]
    source = FileSource(write_clip(tmp_path / "clip.mp4", frames=5, ticks=ticks))
    assert [source.index_at(time) for time in (-1.0, 0.0, 0.09, 0.1, 0.999, 1.0, 1.05, 99.0)] == [
        0,
        0,
        0,
        1,
        1,
        2,
        3,
        4,
    ]
    assert source.seek_time(1.05) == 3
    assert next(iter(source)).index == 3


def test_a_frame_that_is_not_there_is_refused(tmp_path: Path) -> None:
    source = FileSource(write_clip(tmp_path / "clip.mp4", frames=5))
    for index in (-1, 5):
        with pytest.raises(SourceError, match=r"no frame -?\d, it has 5"):
            source.frame_at(index)


def test_seeking_in_a_damaged_file_agrees_with_reading_it(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "clip.mp4", frames=80, b_frames=2)
    content = bytearray(clip.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 900] = bytes(900)
    clip.write_bytes(content)
    source = FileSource(clip)
    truth = [fingerprint(frame) for frame in source]
    assert source.damage
    for index in range(0, len(truth), 7):
        assert fingerprint(source.frame_at(index))[:2] == truth[index][:2]

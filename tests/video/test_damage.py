"""Damaged files: everything before and after the damage is read, and the damage is counted."""

from __future__ import annotations

import os
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.video.synthetic import read_number, write_clip
from tracker.errors import SourceError
from tracker.video import FileSource
from tracker.video.completeness import is_cut_off
from tracker.video.framing_check import faults_in

FRAMES = 100


def written(path: Path, **settings: object) -> Path:
    return write_clip(path, frames=FRAMES, b_frames=2, **settings)  # type: ignore[arg-type]


def numbers(source: FileSource) -> list[int]:
    return [read_number(frame.image) for frame in source]


@pytest.mark.parametrize("threads", [1, 4])
@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".avi", ".flv"])
def test_a_cut_off_file_gives_what_it_holds_and_counts_as_damaged(tmp_path: Path, suffix: str, threads: int) -> None:
    clip = written(tmp_path / f"clip{suffix}", muxer_options={"movflags": "faststart"} if suffix == ".mp4" else {})
    content = clip.read_bytes()
    clip.write_bytes(content[: len(content) * 6 // 10])
    source = FileSource(clip, threads=threads)
    found = numbers(source)
    assert 40 < len(found) < 70
    assert found[:48] == list(range(48))
    assert source.damage >= 1


def test_more_threads_lose_no_frame_before_the_damage(tmp_path: Path) -> None:
    clip = written(tmp_path / "clip.mp4", muxer_options={"movflags": "faststart"})
    clip.write_bytes(clip.read_bytes()[:10_000])
    assert numbers(FileSource(clip, threads=4)) == numbers(FileSource(clip, threads=1))


@pytest.mark.parametrize("name", ["clip.mp4", "clip.mkv", "clip.webm", "clip.avi", "clip.flv", "clip.ts", "clip.mpg"])
def test_reading_goes_on_after_damage_in_the_middle(tmp_path: Path, name: str) -> None:
    codec = {"clip.webm": "libvpx-vp9", "clip.mpg": "mpeg2video"}.get(name, "libx264")
    options = {"cpu-used": "8"} if codec == "libvpx-vp9" else None
    clip = write_clip(tmp_path / name, frames=FRAMES, codec=codec, options=options)
    content = bytearray(clip.read_bytes())
    middle, length = len(content) // 2, len(content) // 10
    content[middle : middle + length] = np.random.default_rng(5).integers(0, 256, length, np.uint8).tobytes()
    clip.write_bytes(content)
    source = FileSource(clip)
    frames = list(source)
    found = [read_number(frame.image) for frame in frames]
    assert found[:30] == list(range(30))
    assert found[-10:] == list(range(FRAMES - 10, FRAMES))
    assert source.damage >= 1
    assert (np.diff([frame.time for frame in frames]) > 0).all()


@pytest.mark.parametrize("name", ["clip.mp4", "clip.mkv", "clip.webm", "clip.avi", "clip.flv", "clip.ts", "clip.mpg"])
def test_an_intact_file_has_no_damage(tmp_path: Path, name: str) -> None:
    codec = {"clip.webm": "libvpx-vp9", "clip.mpg": "mpeg2video"}.get(name, "libx264")
    audio = {"clip.webm": "libopus", "clip.mpg": "mp2"}.get(name, "aac")
    clip = write_clip(tmp_path / name, frames=FRAMES, codec=codec, audio_codec=audio)
    source = FileSource(clip)
    assert numbers(source) == list(range(FRAMES))
    assert source.damage == 0


def test_audio_that_outlasts_the_video_is_no_damage(tmp_path: Path) -> None:
    for suffix in (".mp4", ".mkv", ".avi"):
        source = FileSource(write_clip(tmp_path / f"clip{suffix}", frames=20, audio_codec="aac", audio_s=4.0))
        assert len(list(source)) == 20
        assert source.damage == 0


def test_long_pauses_are_no_damage(tmp_path: Path) -> None:
    ticks = [40 * number + (5000 if number > 20 else 0) for number in range(40)]
    for suffix in (".mp4", ".mkv", ".flv"):
        source = FileSource(write_clip(tmp_path / f"clip{suffix}", frames=40, ticks=ticks))
        assert len(list(source)) == 40
        assert source.damage == 0


def test_damage_is_counted_anew_on_each_pass(tmp_path: Path) -> None:
    clip = written(tmp_path / "clip.mkv")
    clip.write_bytes(clip.read_bytes()[:8000])
    source = FileSource(clip)
    counts = []
    for _ in range(2):
        assert list(source)
        counts.append(source.damage)
    assert counts[0] == counts[1] > 0


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_random_damage_raises_nothing_but_source_error(tmp_path_factory: pytest.TempPathFactory, seed: int) -> None:
    random = np.random.default_rng(seed)
    folder = tmp_path_factory.mktemp("damage")
    suffix = [".mp4", ".mkv", ".avi", ".ts", ".flv"][seed % 5]
    clip = write_clip(folder / f"clip{suffix}", frames=30, width=64, height=48, b_frames=2)
    content = bytearray(clip.read_bytes())
    for _ in range(random.integers(1, 6)):
        begin = int(random.integers(0, len(content)))
        length = min(int(random.integers(1, 600)), len(content) - begin)
        content[begin : begin + length] = random.integers(0, 256, length, np.uint8).tobytes()
    clip.write_bytes(content[: random.integers(len(content) // 3, len(content) + 1)])
    try:
        source = FileSource(clip, threads=2)
    except SourceError:
        return
    times = [frame.time for frame in source]
    assert (np.diff(times) > 0).all()
    source.close()


def test_an_open_ended_recording_makes_no_promise(tmp_path: Path) -> None:
    live = write_clip(tmp_path / "live.mkv", frames=30, muxer_options={"live": "1"})
    assert not is_cut_off(live)
    live.write_bytes(live.read_bytes()[:-300])
    assert not is_cut_off(live)


def test_damage_behind_the_frame_that_was_sought_is_counted(tmp_path: Path) -> None:
    clip = written(tmp_path / "clip.mp4", muxer_options={"movflags": "faststart"})
    content = clip.read_bytes()
    clip.write_bytes(content[: len(content) * 6 // 10])
    source = FileSource(clip)
    source.seek(10)
    found = numbers(source)
    assert found[:30] == list(range(10, 40))
    assert source.damage >= 1


@pytest.mark.parametrize(
    ("suffix", "settings"),
    [
        (".mkv", {"b_frames": 2}),
        (".mkv", {"audio_codec": "aac"}),
        (".mkv", {"muxer_options": {"live": "1"}}),
        (".mkv", {"muxer_options": {"cluster_time_limit": "250"}}),
        (".webm", {"codec": "libvpx-vp9", "options": {"cpu-used": "8"}}),
        (".webm", {"codec": "libvpx", "options": {"auto-alt-ref": "1", "lag-in-frames": "16"}}),
        (".flv", {"audio_codec": "aac"}),
        (".avi", {}),
        (".ts", {"audio_codec": "aac"}),
    ],
)
def test_ranges_that_are_doubled_or_moved_are_damage(tmp_path: Path, suffix: str, settings: dict[str, object]) -> None:
    clip = write_clip(tmp_path / f"clip{suffix}", frames=40, **settings)  # type: ignore[arg-type]
    assert faults_in(clip, "mpegts" if suffix == ".ts" else "") == 0
    content = clip.read_bytes()
    unreported = []
    for seed in range(9):
        random = np.random.default_rng(seed)
        length = int(random.integers(len(content) // 20, len(content) // 4))
        first, second = (int(place) for place in random.integers(600, len(content) - length, 2))
        changed = bytearray(content)
        if seed % 3 == 0:
            changed[second : second + length] = content[first : first + length]
        elif seed % 3 == 1:
            changed[second:second] = content[first : first + length]
        else:
            del changed[second : second + length]
        clip.write_bytes(changed)
        source = FileSource(clip)
        if numbers(source) != list(range(40)) and not source.damage:
            unreported.append(seed)
    assert unreported == []


@pytest.mark.shared
@pytest.mark.parametrize(
    "name",
    [
        "media/mkv_sample.mkv",
        "media/mkv_full_blocks.mkv",
        "media/vp9_bear-vp9-odd-dimensions.webm",
        "media/flv_sample.flv",
        "media/avi_sample.avi",
        "media/ts_bbb_2500ms.ts",
        "media/ts_sample_with_sdt.ts",
        "video/vtest.avi",
    ],
)
def test_real_files_are_sound(shared: Path, name: str) -> None:
    assert faults_in(shared / "data" / name, "mpegts" if name.endswith(".ts") else "") == 0


@pytest.mark.parametrize("suffix", [".mkv", ".avi", ".mp4"])
def test_a_file_emptied_while_it_is_read_is_damaged(tmp_path: Path, suffix: str) -> None:
    clip = write_clip(tmp_path / f"clip{suffix}", frames=400, width=640, height=384)
    source = FileSource(clip)
    frames = iter(source)
    next(frames)
    with clip.open("r+b") as file:
        file.truncate(0)
    assert len(list(frames)) < 399
    assert source.damage


def test_readers_of_earlier_seeks_are_let_go(tmp_path: Path) -> None:
    psutil = pytest.importorskip("psutil")
    path = written(tmp_path / "clip.mp4")
    with closing(FileSource(path)) as source:
        for index in range(0, 60, 5):
            source.seek(index)
            frames = iter(source)
            next(frames)
        open_files = [Path(file.path) for file in psutil.Process().open_files()]
    assert 1 <= open_files.count(path.resolve()) <= 2


@pytest.mark.skipif(os.name != "posix", reason="elsewhere an open file cannot be deleted")
def test_a_file_deleted_while_it_is_read_is_read_to_its_end_and_then_missed(tmp_path: Path) -> None:
    path = written(tmp_path / "gone.mp4")
    with closing(FileSource(path)) as whole:
        expected = numbers(whole)
    with closing(FileSource(path)) as source:
        frames = iter(source)
        seen = [read_number(next(frames).image)]
        path.unlink()
        seen += [read_number(frame.image) for frame in frames]
        assert seen == expected
        with pytest.raises(SourceError, match="no such file"):
            list(source)

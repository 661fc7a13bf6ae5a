"""FileSource against what the files are known to hold, and against a plain PyAV loop."""

from __future__ import annotations

import json
import os
import threading
import time
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from tests.video.synthetic import irregular_ticks, numbered_image, read_number, write_clip
from tracker.errors import SourceError
from tracker.video import FileSource

# name: (frames, width, height after rotation, first time, last time)
KNOWN = {
    "media/avi_sample.avi": (96, 960, 400, 0.0, 97 * 1001 / 24000),
    "media/flv_sample.flv": (30, 1080, 720, 0.067, 1.034),
    "media/h264_10bits.mp4": (30, 200, 200, 0.0, 29 / 30),
    "media/h265_video.mp4": (10, 128, 128, 0.0, 0.9),
    "media/mkv_sample.mkv": (30, 1080, 720, 0.067, 1.034),
    "media/mp4_portrait_4k60.mp4": (18, 2160, 3840, 0.0, 25476 / 90000),
    "media/mp4_sample.mp4": (30, 1080, 720, 0.0, 29 * 1001 / 30000),
    "media/mp4_sample_android_slow_motion.mp4": (7, 1280, 720, 0.0, 44281 / 90000),
    "media/mp4_sample_av1.mp4": (30, 1080, 720, 0.0, 29 * 1001 / 30000),
    "media/mp4_sample_fragmented.mp4": (30, 1080, 720, 2002 / 30000, 31031 / 30000),
    "media/mp4_sample_mdat_too_long.mp4": (30, 1080, 720, 0.0, 29 * 1001 / 30000),
    "media/mp4_sample_with_increasing_timestamps.mp4": (30, 1920, 1080, 0.0, 29 / 30),
    "media/nasa_13013.mp4": (390, 480, 270, 0.0, 389 * 1001 / 30000),
    "media/ts_bbb_2500ms.ts": (58, 1920, 1080, 1.525, 358500 / 90000),
    "media/ts_sample_h262_mpeg_audio.ps": (3, 640, 426, 1.0, 1.08),
    "media/vp9_bear-vp9-odd-dimensions.webm": (30, 161, 121, 0.0, 0.968),
    "video/car-detection.mp4": (377, 768, 432, 0.0, 30.08),
    "video/cctv.mp4": (641, 640, 360, 0.0, 640640 / 30000),
    "video/vtest.avi": (795, 480, 360, 0.0, 79.4),
}
REFUSED = {
    "media/mkv_full_blocks.mkv": "no video stream",
    "media/mp4_sample_opus.mp4": "no video stream",
    "media/mkv_subsample_encrypted_altref.webm": "encrypted",
    "media/vp9_invalid-bitstream.webm": "nothing in its vp9 video stream decodes",
    "media/mp4_sample_fragmented_sideloaded_track.mp4": "not a video",
    "media/ts_sample_with_sdt.ts": "0 x 0",
    "media/LICENSE": "not a video",
}


@pytest.mark.shared
@pytest.mark.parametrize("name", KNOWN)
def test_real_files_give_every_frame_at_its_own_time_and_size(shared: Path, name: str) -> None:
    count, width, height, first, last = KNOWN[name]
    source = FileSource(shared / "data" / name)
    times = []
    for index, frame in enumerate(source):
        assert frame.index == index
        assert frame.image.shape == (height, width, 3)
        times.append(frame.time)
    assert (source.info.width, source.info.height) == (width, height)
    assert len(times) == count
    assert times[0] == pytest.approx(first, abs=1e-9)
    assert times[-1] == pytest.approx(last, abs=1e-9)
    assert (np.diff(times) > 0).all()
    assert source.damage == 0


@pytest.mark.shared
@pytest.mark.parametrize("name", [name for name in KNOWN if not name.endswith((".avi", "4k60.mp4"))])
def test_times_equal_a_plain_pyav_loop(shared: Path, name: str) -> None:
    path = shared / "data" / name
    with av.open(str(path)) as container:
        stream = container.streams.best("video")
        expected = [float(frame.pts * stream.time_base) for frame in container.decode(stream)]
    assert [frame.time for frame in FileSource(path)] == pytest.approx(expected, abs=1e-9)


@pytest.mark.shared
@pytest.mark.parametrize("stream", [0, 3])
def test_times_equal_the_published_ones_to_the_microsecond(shared: Path, stream: int) -> None:
    truth = json.loads((shared / f"data/media/nasa_13013.mp4.stream{stream}.all_frames_info.json").read_text())
    source = FileSource(shared / "data/media/nasa_13013.mp4", stream=stream)
    assert [f"{frame.time:.6f}" for frame in source] == [row["pts_time"] for row in truth]


@pytest.mark.shared
@pytest.mark.parametrize("name", REFUSED)
def test_files_without_a_playable_video_are_refused_by_name_and_reason(shared: Path, name: str) -> None:
    began = time.monotonic()
    with pytest.raises(SourceError, match=REFUSED[name]) as refusal:
        FileSource(shared / "data" / name)
    assert Path(name).name in str(refusal.value)
    assert "\n" not in str(refusal.value)
    assert time.monotonic() - began < 10


def test_which_of_several_videos_is_read_is_told_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    one, two = tmp_path / "one.mp4", tmp_path / "two.mkv"
    write_clip(one)
    with av.open(str(one)) as clip, av.open(str(two), "w") as container:
        (video,) = clip.streams.video
        copies = [container.add_stream_from_template(video) for _ in range(2)]
        for packet in clip.demux(video):
            if packet.dts is not None:
                content, stamps = bytes(packet), (packet.pts, packet.dts)
                for copy in copies:
                    twin = av.Packet(content)
                    twin.pts, twin.dts = stamps
                    twin.time_base, twin.stream, twin.is_keyframe = video.time_base, copy, packet.is_keyframe
                    container.mux(twin)
    with FileSource(two) as source:
        assert len(list(source)) == 30
        assert source.frame_at(3).index == 3
    (warning,) = caplog.messages
    assert warning.startswith("two.mkv: stream 0 is read, one of its 2 videos; to read another (1), ")
    caplog.clear()
    for chosen in (FileSource(two, stream=1), FileSource(one)):
        chosen.close()
    assert not caplog.messages


def test_missing_empty_and_odd_paths_are_refused(tmp_path: Path) -> None:
    (tmp_path / "empty.mp4").touch()
    os.mkfifo(tmp_path / "pipe.mp4")
    for name, reason in [("none.mp4", "no such file"), ("empty.mp4", "empty"), ("pipe.mp4", "not a regular file")]:
        with pytest.raises(SourceError, match=reason):
            FileSource(tmp_path / name)


def test_a_recording_without_its_header_is_refused(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "whole.mp4")
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(clip.read_bytes()[:-1500])
    with pytest.raises(SourceError, match="cut off before it was finished"):
        FileSource(broken)


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".avi", ".ts", ".flv", ".mov", ".h264"])
@pytest.mark.parametrize("b_frames", [0, 3])
def test_frames_come_in_order_with_even_times_from_every_container(tmp_path: Path, suffix: str, b_frames: int) -> None:
    source = FileSource(write_clip(tmp_path / f"clip{suffix}", frames=40, b_frames=b_frames))
    frames = list(source)
    assert [read_number(frame.image) for frame in frames] == list(range(40))
    times = np.array([frame.time for frame in frames])
    assert times - times[0] == pytest.approx(np.arange(40) / 25, abs=1e-3 if suffix in (".mkv", ".flv") else 1e-9)


@pytest.mark.parametrize("codec", ["mpeg4", "mjpeg", "libx265", "libvpx", "libvpx-vp9", "mpeg2video"])
def test_frames_come_in_order_from_every_codec(tmp_path: Path, codec: str) -> None:
    options = {"libx265": {"x265-params": "log-level=none", "preset": "ultrafast"}, "libvpx-vp9": {"cpu-used": "8"}}
    suffix = {"mpeg4": "avi", "mjpeg": "avi", "libx265": "mp4", "mpeg2video": "mpg"}.get(codec, "webm")
    clip = write_clip(
        tmp_path / f"clip.{suffix}",
        codec=codec,
        b_frames=2 if codec in ("mpeg4", "mpeg2video") else 0,
        pixel_format="yuvj420p" if codec == "mjpeg" else "yuv420p",
        options=options.get(codec),
    )
    frames = list(FileSource(clip))
    assert [read_number(frame.image) for frame in frames] == list(range(30))
    times = np.array([frame.time for frame in frames])
    assert times - times[0] == pytest.approx(np.arange(30) / 25, abs=1e-9)


def test_irregular_times_and_a_late_start_are_kept(tmp_path: Path) -> None:
    ticks = irregular_ticks(50, first=1500)
    source = FileSource(write_clip(tmp_path / "vfr.mp4", frames=50, ticks=ticks, b_frames=2))
    assert [frame.time for frame in source] == pytest.approx([tick / 1000 for tick in ticks], abs=1e-9)


@pytest.mark.parametrize("degrees", [90, 180, -90])
def test_rotated_video_comes_out_upright(tmp_path: Path, degrees: int) -> None:
    source = FileSource(write_clip(tmp_path / "turned.mp4", rotation=degrees, frames=3))
    expected = np.rot90(numbered_image(0), degrees // 90)  # counter-clockwise, as the metadata says
    image = next(iter(source)).image
    assert (source.info.height, source.info.width) == image.shape[:2] == expected.shape[:2]
    assert np.abs(image.astype(int) - expected).mean() < 12


def test_images_are_read_only_contiguous_rgb(tmp_path: Path) -> None:
    for width in (160, 150, 98):
        image = next(iter(FileSource(write_clip(tmp_path / f"{width}.mp4", width=width, frames=2)))).image
        assert image.dtype == np.uint8
        assert image.shape == (96, width, 3)
        assert image.flags.c_contiguous
        assert not image.flags.writeable


def test_iterating_again_starts_over(tmp_path: Path) -> None:
    source = FileSource(write_clip(tmp_path / "clip.mp4", frames=6))
    for _ in range(3):
        assert [read_number(frame.image) for frame in source] == list(range(6))


def test_stride_skips_frames_and_keeps_their_index_and_time(tmp_path: Path) -> None:
    source = FileSource(write_clip(tmp_path / "clip.mp4", frames=10), vid_stride=3)
    assert [(frame.index, round(frame.time, 6)) for frame in source] == [(0, 0.0), (3, 0.12), (6, 0.24), (9, 0.36)]


def test_cover_art_is_not_taken_for_the_video(tmp_path: Path) -> None:
    path = tmp_path / "cover.mp4"
    with av.open(str(path), "w") as container:
        cover = container.add_stream("mjpeg", rate=1)
        cover.width, cover.height, cover.pix_fmt = 640, 480, "yuvj420p"
        cover.disposition = av.stream.Disposition.attached_pic
        video = container.add_stream("libx264", rate=25)
        video.width, video.height = 64, 64
        art = av.VideoFrame(640, 480, "yuvj420p")
        art.pts = 0
        container.mux(cover.encode(art))
        container.mux(cover.encode(None))
        for number in range(5):
            blank = av.VideoFrame(64, 64, "yuv420p")
            blank.pts, blank.time_base = number, Fraction(1, 25)
            container.mux(video.encode(blank))
        container.mux(video.encode(None))
    source = FileSource(path)
    assert (source.info.width, source.info.height) == (64, 64)
    assert len(list(source)) == 5


def test_info_gives_rate_count_clock_and_audio(tmp_path: Path) -> None:
    info = FileSource(write_clip(tmp_path / "clip.mp4", frames=25, audio_codec="aac")).info
    assert (info.rate, info.frame_count, info.time_base, info.has_audio) == (25, 25, Fraction(1, 12800), True)
    assert info.duration_s == pytest.approx(1.0)


def test_closing_ends_a_running_iteration_from_another_thread(tmp_path: Path) -> None:
    source = FileSource(write_clip(tmp_path / "clip.mp4", frames=200))
    seen = []

    def read() -> None:
        for frame in source:
            seen.append(frame.index)
            time.sleep(0.005)

    reader = threading.Thread(target=read)
    reader.start()
    while len(seen) < 3:
        time.sleep(0.005)
    source.close()
    source.close()
    reader.join(1.0)
    assert not reader.is_alive()
    assert len(seen) < 200
    assert list(source) == []


def test_a_source_may_be_closed_while_another_thread_stops_reading(tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    write_clip(path, frames=40)
    for pause in range(30):
        source = FileSource(path)
        reading = threading.Event()

        def read(source: FileSource = source, reading: threading.Event = reading, frames: int = pause % 5) -> None:
            for frame in source:
                reading.set()
                if frame.index >= frames:
                    break

        thread = threading.Thread(target=read)
        thread.start()
        assert reading.wait(10)
        source.close()
        thread.join(10)
        assert not thread.is_alive()

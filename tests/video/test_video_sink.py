"""VideoSink: stamps, sizes, colours and audio as in the source; playable after a kill; clear refusals."""

from __future__ import annotations

import errno
import os
import resource
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from tests.file_limits import files_up_to
from tests.video.synthetic import irregular_ticks, numbered_image, read_number, write_clip
from tracker.errors import SinkError
from tracker.types import Detections, Frame, FrameResult, Image, Tracks
from tracker.video import FileSource, VideoSink


def result(image: Image, index: int, seconds: float, canvas: Image | None = None) -> FrameResult:
    frame = Frame(image, index, seconds, "test")
    return FrameResult(frame, Detections.empty(), Tracks.empty(), (), canvas=canvas)


def copy(source: FileSource, path: Path, **settings: object) -> list[float]:
    """Write every frame of `source` unchanged, as the program does; its times."""
    options = {"rate": source.info.rate, "time_base": source.info.time_base, "pixel_aspect": source.info.pixel_aspect}
    sink = VideoSink(path, **(options | settings))  # type: ignore[arg-type]
    times = []
    for frame in source:
        sink.write(FrameResult(frame, Detections.empty(), Tracks.empty(), ()))
        times.append(frame.time)
    sink.close()
    return times


def audio_packets(path: Path) -> list[tuple[str, int, float, float]]:
    """Codec, number of packets, first and last time of each audio track."""
    tracks = []
    with av.open(str(path)) as container:
        for index in range(len(container.streams.audio)):
            with av.open(str(path)) as again:
                stream = again.streams.audio[index]
                times = [float(packet.pts * packet.time_base) for packet in again.demux(stream) if packet.size]
                tracks.append((stream.codec_context.name, len(times), times[0], times[-1]))
    return tracks


VARIABLE_RATE = [
    {"ticks": irregular_ticks(60), "time_base": Fraction(1, 1000)},
    {"ticks": irregular_ticks(60, first=3141), "time_base": Fraction(1, 90_000)},
    {"ticks": irregular_ticks(60, first=7), "time_base": Fraction(1, 1_000_000)},
    {"ticks": [1001 * number for number in range(60)], "time_base": Fraction(1, 30_000)},
    {"ticks": list(range(60)), "time_base": Fraction(1001, 24_000)},
    {"ticks": [tick * tick for tick in range(1, 61)], "time_base": Fraction(1, 600)},
]


@pytest.mark.parametrize("clock", VARIABLE_RATE, ids=lambda clock: f"{clock['time_base']}, from {clock['ticks'][0]}")
@pytest.mark.parametrize("live", [False, True])
def test_stamps_are_kept_to_the_microsecond(tmp_path: Path, clock: dict, live: bool) -> None:
    times = [float(tick * clock["time_base"]) for tick in clock["ticks"]]
    sink = VideoSink(tmp_path / "copy.mp4", time_base=clock["time_base"], live=live)
    for index, seconds in enumerate(times):
        sink.write(result(numbered_image(index, width=64, height=48), index, seconds))
    sink.close()
    with av.open(str(tmp_path / "copy.mp4")) as container:
        stream = container.streams.video[0]
        found = [float(frame.pts * stream.time_base) for frame in container.decode(stream)]
    assert found == pytest.approx(times, abs=5e-7)


@pytest.mark.shared
@pytest.mark.parametrize(
    "name",
    [
        "media/avi_sample.avi",
        "media/flv_sample.flv",
        "media/mkv_sample.mkv",
        "media/mp4_sample_android_slow_motion.mp4",
        "media/mp4_sample_fragmented.mp4",
        "media/nasa_13013.mp4",
        "media/ts_sample_h262_mpeg_audio.ps",
        "video/vtest.avi",
    ],
)
def test_a_copy_of_a_real_file_has_its_frames_stamps_and_audio(shared: Path, tmp_path: Path, name: str) -> None:
    path = shared / "data" / name
    source = FileSource(path)
    times = copy(source, tmp_path / "copy.mp4", audio_from=path if source.info.has_audio else None)
    found = FileSource(tmp_path / "copy.mp4")
    assert [frame.time for frame in found] == pytest.approx(times, abs=5e-7)
    assert found.damage == 0
    for (_, count, begin, end), (_, expected, first, last) in zip(
        audio_packets(tmp_path / "copy.mp4"), audio_packets(path), strict=True
    ):
        assert count == expected
        assert (begin, end) == pytest.approx((first, last), abs=1e-3)


def test_the_canvas_is_written_where_there_is_one(tmp_path: Path) -> None:
    plain, drawn = numbered_image(3), numbered_image(5)
    sink = VideoSink(tmp_path / "drawn.mp4")
    sink.write(result(plain, 0, 0.0))
    sink.write(result(plain, 1, 0.04, canvas=drawn))
    sink.close()
    assert [read_number(frame.image) for frame in FileSource(tmp_path / "drawn.mp4")] == [3, 5]


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".mov", ".m4v"])
def test_frames_survive_in_every_container(tmp_path: Path, suffix: str) -> None:
    clip = FileSource(write_clip(tmp_path / "clip.mp4", frames=40, audio_codec="aac"))
    times = copy(clip, tmp_path / f"copy{suffix}", audio_from=tmp_path / "clip.mp4")
    found = list(FileSource(tmp_path / f"copy{suffix}"))
    assert [read_number(frame.image) for frame in found] == list(range(40))
    assert [frame.time for frame in found] == pytest.approx(times, abs=6e-4 if suffix == ".mkv" else 5e-7)
    assert len(audio_packets(tmp_path / f"copy{suffix}")) == 1


@pytest.mark.parametrize(("width", "height"), [(161, 121), (160, 121), (161, 120), (2, 2), (3, 3)])
def test_odd_sizes_gain_a_repeated_edge(tmp_path: Path, width: int, height: int) -> None:
    image = np.full((height, width, 3), (200, 60, 30), np.uint8)
    sink = VideoSink(tmp_path / "odd.mp4", quality=10)
    for index in range(3):
        sink.write(result(image, index, index / 25))
    sink.close()
    found = next(iter(FileSource(tmp_path / "odd.mp4"))).image
    assert found.shape == (height + height % 2, width + width % 2, 3)
    assert np.abs(found.astype(int) - (200, 60, 30)).max() < 12


def test_frames_of_another_size_are_fitted_into_the_first(tmp_path: Path) -> None:
    sink = VideoSink(tmp_path / "mixed.mp4")
    for index, (height, width) in enumerate([(96, 160), (200, 100), (50, 300), (97, 161)]):
        sink.write(result(np.full((height, width, 3), 150, np.uint8), index, index / 25))
    sink.close()
    images = [frame.image for frame in FileSource(tmp_path / "mixed.mp4")]
    assert [image.shape for image in images] == [(96, 160, 3)] * 4
    assert images[1][48, 80].mean() > 120  # the frame, upright in the middle
    assert images[1][48, 5].mean() < 40  # black beside it


def test_colours_are_tagged_and_come_back(tmp_path: Path) -> None:
    colours = [(220, 40, 40), (40, 200, 60), (50, 60, 210), (230, 220, 40), (128, 128, 128), (16, 16, 16), (240,) * 3]
    sink = VideoSink(tmp_path / "colours.mp4", quality=8)
    for index, colour in enumerate(colours):
        sink.write(result(np.full((96, 160, 3), colour, np.uint8), index, index / 25))
    sink.close()
    for colour, frame in zip(colours, FileSource(tmp_path / "colours.mp4"), strict=True):
        assert np.abs(frame.image.reshape(-1, 3).mean(0) - colour).max() < 5
    with av.open(str(tmp_path / "colours.mp4")) as container:
        context = container.streams.video[0].codec_context
        assert (context.colorspace, context.color_range, context.pix_fmt) == (6, 1, "yuv420p")


def test_pixel_aspect_is_kept(tmp_path: Path) -> None:
    sink = VideoSink(tmp_path / "wide.mp4", pixel_aspect=Fraction(16, 15))
    sink.write(result(numbered_image(0), 0, 0.0))
    sink.close()
    assert FileSource(tmp_path / "wide.mp4").info.pixel_aspect == Fraction(16, 15)


def test_without_x264_mpeg4_is_written(tmp_path: Path) -> None:
    sink = VideoSink(tmp_path / "plain.mp4", codec="not-in-this-build", time_base=Fraction(1, 90_000))
    for index in range(10):
        sink.write(result(numbered_image(index), index, index / 30))
    sink.close()
    found = list(FileSource(tmp_path / "plain.mp4"))
    assert [read_number(frame.image) for frame in found] == list(range(10))
    assert [frame.time for frame in found] == pytest.approx([index / 30 for index in range(10)], abs=1e-5)


@pytest.mark.parametrize(
    ("clip", "audio", "kept"),
    [
        ("clip.mp4", "aac", "aac"),
        ("clip.mkv", "libopus", "opus"),
        ("clip.avi", "libmp3lame", "mp3float"),
        ("clip.ts", "aac", "aac"),  # ADTS frames
        ("clip.mov", "pcm_s16le", "pcm_s16le"),
        ("clip.mov", "pcm_mulaw", "aac"),  # MP4 cannot hold it
    ],
)
def test_audio_is_copied_or_encoded_anew_in_step(tmp_path: Path, clip: str, audio: str, kept: str) -> None:
    path = write_clip(tmp_path / clip, frames=60, audio_codec=audio, audio_begin_s=0.5)
    times = copy(FileSource(path), tmp_path / "copy.mp4", audio_from=path)
    assert len(times) == 60
    [(codec, count, begin, end)] = audio_packets(tmp_path / "copy.mp4")
    [(_, expected, first, last)] = audio_packets(path)
    assert codec == kept
    assert begin == pytest.approx(first, abs=0.03)
    assert end == pytest.approx(last, abs=0.06)
    if kept != "aac" or audio == "aac":
        assert count == expected
    with av.open(str(tmp_path / "copy.mp4")) as container:
        loudness = max(np.abs(frame.to_ndarray().astype(float)).max() for frame in container.decode(audio=0))
    assert loudness > 0.01


def test_audio_stops_where_an_unfinished_video_stops(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "clip.mp4", frames=150, audio_codec="aac")
    source = FileSource(path)
    sink = VideoSink(tmp_path / "half.mp4", time_base=source.info.time_base, audio_from=path)
    for frame in source:
        if frame.time >= 2.0:
            break
        sink.write(FrameResult(frame, Detections.empty(), Tracks.empty(), ()))
    sink.close()
    [(_, _, begin, end)] = audio_packets(tmp_path / "half.mp4")
    assert begin == pytest.approx(0, abs=0.03)
    assert end == pytest.approx(2.0, abs=0.1)


def test_audio_starts_where_a_later_start_of_the_video_is(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "clip.mp4", frames=150, audio_codec="aac")
    source = FileSource(path)
    source.seek(75)
    copy(source, tmp_path / "late.mp4", audio_from=path)
    [(_, _, begin, _)] = audio_packets(tmp_path / "late.mp4")
    assert begin == pytest.approx(3.0, abs=0.05)


def test_audio_that_cannot_be_read_leaves_the_video_whole(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "noise.mp4").write_bytes(bytes(1000))
    copy(FileSource(write_clip(tmp_path / "clip.mp4")), tmp_path / "copy.mp4", audio_from=tmp_path / "noise.mp4")
    assert len(list(FileSource(tmp_path / "copy.mp4"))) == 30
    assert "audio cannot be read" in caplog.text


def test_times_that_stand_still_are_pushed_on(tmp_path: Path) -> None:
    sink = VideoSink(tmp_path / "still.mp4", time_base=Fraction(1, 1000))
    for index, seconds in enumerate([0.0, 0.1, 0.1, 0.05, 0.2]):
        sink.write(result(numbered_image(index), index, seconds))
    sink.close()
    assert [frame.time for frame in FileSource(tmp_path / "still.mp4")] == pytest.approx([0, 0.1, 0.101, 0.102, 0.2])


KILLED = """
    import sys, time
    from fractions import Fraction
    from tests.video.synthetic import numbered_image
    from tests.video.test_video_sink import result
    from tracker.video import VideoSink
    sink = VideoSink(sys.argv[1], rate=Fraction(30), time_base=Fraction(1, 30), live=sys.argv[2] == "live")
    for index in range(1000):
        sink.write(result(numbered_image(index, width=320, height=240), index, index / 30))
        print(index, flush=True)
"""


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
@pytest.mark.parametrize("kind", ["file", "live"])
def test_a_killed_process_leaves_all_but_the_last_half_second(tmp_path: Path, suffix: str, kind: str) -> None:
    path = tmp_path / f"killed{suffix}"
    command = [sys.executable, "-c", textwrap.dedent(KILLED), str(path), kind]
    with subprocess.Popen(command, cwd=Path(__file__).parents[2], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        last = -1
        for line in process.stdout:
            last = int(line)
            if last >= 150:
                process.send_signal(signal.SIGKILL)
                break
        last = max([last, *(int(line) for line in process.stdout.read().split())])
    found = [read_number(frame.image) for frame in FileSource(path)]
    assert found == list(range(len(found)))
    assert len(found) >= last - 15


def test_what_cannot_be_written_is_refused_at_once(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for path, reason in [
        (tmp_path / "file" / "out.mp4", "cannot write"),
        (tmp_path / "out.xyz", "no video format"),
        (Path("/proc/nowhere/out.mp4"), "cannot write"),
    ]:
        with pytest.raises(SinkError, match=reason):
            VideoSink(path)


def test_the_source_is_never_overwritten(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "clip.mp4", audio_codec="aac")
    before = clip.read_bytes()
    with pytest.raises(SinkError, match="overwrite its own source"):
        VideoSink(clip, audio_from=clip)
    assert clip.read_bytes() == before


@pytest.fixture
def small_disk() -> Iterator[None]:
    """Files may not grow beyond 60 kB, as on a disk that is almost full."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    previous = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, hard))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    signal.signal(signal.SIGXFSZ, previous)


def test_a_full_disk_is_reported_in_one_line(tmp_path: Path, small_disk: None) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (240, 320, 3), np.uint8)
    sink = VideoSink(tmp_path / "full.mp4")
    with pytest.raises(SinkError, match=os.strerror(errno.EFBIG)) as refusal:  # noqa: PT012  (any of the writes)
        for index in range(200):
            sink.write(result(np.roll(noise, index, 1), index, index / 25))
        sink.close()
    assert "\n" not in str(refusal.value)
    sink.close()
    with pytest.raises(SinkError, match="closed"):
        sink.write(result(noise, 0, 0.0))


@pytest.mark.parametrize("live", [True, False])
@pytest.mark.parametrize("frames", [5, 30])
def test_wherever_the_disk_is_full_it_is_told_and_no_half_file_stays(tmp_path: Path, live: bool, frames: int) -> None:
    """Of a live recording FFmpeg does not say that the last fragment was not written."""
    whole, path = tmp_path / "whole.mp4", tmp_path / "full.mp4"

    def write(path: Path) -> str:
        try:
            sink = VideoSink(path, live=live)
            for index in range(frames):
                sink.write(result(numbered_image(index), index, index / 20))
            sink.close()
        except SinkError as error:
            return str(error)
        return ""

    assert write(whole) == ""
    size = whole.stat().st_size
    for limit in {*range(0, size, size // 40), size - 1}:
        with files_up_to(limit):
            reason = write(path)
        assert os.strerror(errno.EFBIG) in reason, limit
        if path.exists():
            kept = FileSource(path)
            assert 0 < len(list(kept)) <= frames
            assert kept.damage == 0, limit


def test_no_frame_leaves_no_file(tmp_path: Path) -> None:
    VideoSink(tmp_path / "empty.mp4").close()
    assert not (tmp_path / "empty.mp4").exists()


def test_missing_folders_are_made(tmp_path: Path) -> None:
    sink = VideoSink(tmp_path / "a" / "b" / "out.mp4")
    sink.write(result(numbered_image(0), 0, 0.0))
    sink.close()
    assert (tmp_path / "a" / "b" / "out.mp4").exists()

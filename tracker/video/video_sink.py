"""Results as a playable video file: source time stamps, source audio, safe against being killed.

H.264 in fragments of a quarter second; a clean close turns the file into an ordinary indexed MP4. All stages share
the cores, so what counts is processor time, for a 1080p frame: x264 ultrafast at constant quantiser 23 takes 3.7 ms
(45 dB), at constant rate factor 23 5.5 ms (47 dB, for its analysis), superfast 11 ms. Colours are converted by cv2
with the BT.601 matrix, and tagged so: 0.7 ms; swscale takes 3 to 5 ms, with any matrix. An odd width or height gets
one repeated column or row, right or below, because 4:2:0 video is even.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import os
from collections import deque
from fractions import Fraction
from pathlib import Path
from typing import cast

import av
import cv2
import numpy as np
from av.container import OutputContainer
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from jaxtyping import UInt8
from numpy import ndarray

from tracker.errors import SinkError, why_unwritable
from tracker.protocols import Sink
from tracker.types import FrameResult, Image
from tracker.video.audio_copy import AudioCopy
from tracker.video.fragments import cut_to_whole, missing_bytes

__all__ = ["VideoSink"]

log = logging.getLogger(__name__)

SUFFIXES = (".mp4", ".m4v", ".mov", ".mkv")
MATROSKA_TIME_BASE = Fraction(1, 1000)
DEFAULT_TIME_BASE = Fraction(1, 90000)
DEFAULT_RATE = Fraction(25)
FRAGMENT_MS = 250
KEY_FRAME_EVERY_S = 2
MOST_THREADS = 4
LEAST_TIMESCALE, LARGEST_TIMESCALE = 10_000, 2**31 - 1
BT601, BT709, LIMITED_RANGE = 6, 1, 1  # FFmpeg's AVColorSpace, AVColorPrimaries and -Transfer, AVColorRange


class VideoSink(Sink):
    """Writes each result's canvas, or its plain frame where nothing was drawn, under the frame's own time.

    The first frame sets the size; later ones of another size are fitted into it. `time_base` is the source's clock:
    with it MP4 keeps the stamps exactly (MKV rounds to milliseconds). `audio_from` names the file whose audio is
    copied. `rate` is a hint. `pixel_aspect` is the width to height of one pixel. A `live` recording may last for
    days: its file stays fragmented, so that no index grows in memory.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        rate: Fraction | None = None,
        time_base: Fraction | None = None,
        audio_from: str | Path | None = None,
        pixel_aspect: Fraction | None = None,
        codec: str = "libx264",
        quality: int = 23,
        live: bool = False,
    ):
        self.path = Path(path)
        self.frames_written = 0
        self._matroska = self.path.suffix.lower() == ".mkv"
        self._rate = (rate or DEFAULT_RATE).limit_denominator(1001)
        self._time_base = MATROSKA_TIME_BASE if self._matroska else _mp4_time_base(time_base)
        self._pixel_aspect = pixel_aspect
        self._codec = codec if codec in av.codecs_available else "mpeg4"
        self._quality = quality
        self._live = live
        self._audio_from = Path(audio_from) if audio_from is not None else None
        self._audio: AudioCopy | None = None
        self._container: OutputContainer | None = None
        self._stream: VideoStream | None = None
        self._closed = False
        self._ticks: deque[int] = deque()
        self._last_ticks: int | None = None
        self._claim_path()

    def write(self, result: FrameResult) -> None:
        if self._closed:
            raise SinkError(f"{self.path}: the video is closed, frame {result.frame.index} cannot be added.")
        image = result.frame.image if result.canvas is None else result.canvas
        try:
            stream = self._stream or self._start(image, result.frame.time)
            ticks = round(Fraction(result.frame.time) / self._time_base)
            if self._last_ticks is not None:
                ticks = max(ticks, self._last_ticks + 1)
            self._last_ticks = ticks
            self._ticks.append(ticks)
            yuv = _to_yuv(image, stream.width, stream.height)
            yuv.pts = self.frames_written
            yuv.time_base = 1 / self._rate
            self._mux(stream.encode(yuv))
            self.frames_written += 1
        except (av.FFmpegError, OSError) as error:
            self._abandon()
            self._remove_unless_playable()
            raise self._refusal(error) from error

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        try:
            if self._stream is not None and self._container is not None:
                self._mux(self._stream.encode(None))
                if self._audio is not None:
                    for packet in self._audio.rest(float((self._last_ticks or 0) * self._time_base)):
                        self._container.mux(packet)
                self._container.close()
                self._raise_if_cut()
            else:
                self.path.unlink(missing_ok=True)
        except (av.FFmpegError, OSError) as error:
            self._abandon()
            self._remove_unless_playable()
            raise self._refusal(error) from error
        finally:
            self._abandon()

    def discard(self) -> None:
        """Let go after an error elsewhere: the frames written so far stay playable, an empty file is removed."""
        if self._closed:
            return
        nothing = self._container is None
        self._abandon()
        if nothing:
            self.path.unlink(missing_ok=True)

    def _claim_path(self) -> None:
        """Refuse before any work is done what cannot be written."""
        if self.path.suffix.lower() not in SUFFIXES:
            raise SinkError(
                f"{self.path}: no video format for '{self.path.suffix}', expected one of {', '.join(SUFFIXES)}. "
                "Rename the output."
            )
        if self._audio_from is not None and self.path.exists() and self.path.samefile(self._audio_from):
            raise SinkError(f"{self.path}: the output would overwrite its own source. Choose another folder or name.")
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self.path.open("wb").close()
        except OSError as error:
            raise self._refusal(error) from error

    def _start(self, image: Image, first_time: float) -> VideoStream:
        height, width = image.shape[:2]
        self._container = av.open(str(self.path.absolute()), "w", container_options=self._muxer_options())
        options = {"preset": "ultrafast", "qp": str(self._quality)} if self._codec == "libx264" else {}
        stream = cast(VideoStream, self._container.add_stream(self._codec, rate=self._rate, options=options))
        stream.width, stream.height, stream.pix_fmt = width + width % 2, height + height % 2, "yuv420p"
        context = stream.codec_context
        context.time_base = 1 / self._rate
        context.gop_size = max(1, round(KEY_FRAME_EVERY_S * self._rate))
        context.max_b_frames = 0
        context.thread_count = max(1, min(MOST_THREADS, (os.cpu_count() or 2) // 2))
        context.thread_type = "SLICE"
        context.colorspace, context.color_range = BT601, LIMITED_RANGE
        context.color_primaries = context.color_trc = BT709
        if self._pixel_aspect is not None:
            context.sample_aspect_ratio = self._pixel_aspect
        if self._codec == "mpeg4":
            context.qmin, context.qmax = 2, 6
        stream.time_base = self._time_base
        self._stream = stream
        if self._audio_from is not None:
            self._audio = AudioCopy(
                self._audio_from, self._container, first_time, not_before_s=0.0 if self._matroska else float("-inf")
            )
        return stream

    def _muxer_options(self) -> dict[str, str]:
        options = {"flush_packets": "1", "max_interleave_delta": str(FRAGMENT_MS * 1000)}
        if self._matroska:
            return options | {"cluster_time_limit": str(FRAGMENT_MS)}
        return options | {
            "movflags": "delay_moov+" + ("default_base_moof" if self._live else "hybrid_fragmented"),
            "frag_duration": str(FRAGMENT_MS * 1000),
            "movie_timescale": str(_mp4_timescale(self._time_base)),
        }

    def _mux(self, packets: list[Packet[VideoStream]]) -> None:
        assert self._container is not None
        for packet in packets:
            packet.pts = packet.dts = self._ticks.popleft()
            packet.time_base = self._time_base
            packet.duration = 0
            if self._audio is not None:
                for audio_packet in self._audio.until(float(packet.pts * self._time_base)):
                    self._container.mux(audio_packet)
            self._container.mux(packet)

    def _abandon(self) -> None:
        """Let go of everything after success or failure; what reached the disk stays."""
        self._closed = True
        if self._audio is not None:
            self._audio.close()
            self._audio = None
        container, self._container, self._stream = self._container, None, None
        if container is not None:
            try:
                container.close()
            except (av.FFmpegError, OSError) as error:
                log.debug("%s: closing after a failure: %s", self.path, error)

    def _raise_if_cut(self) -> None:
        """Raise the OSError that FFmpeg keeps to itself where it cannot write the last fragment of a live recording."""
        missing = missing_bytes(self.path) if self._live and not self._matroska else 0
        if not missing:
            return
        size = self.path.stat().st_size
        try:
            with self.path.open("ab") as file:
                file.write(bytes(missing))
        finally:
            os.truncate(self.path, size)
        raise OSError(errno.EIO, os.strerror(errno.EIO))  # by now there is room, and the frames are lost

    def _remove_unless_playable(self) -> None:
        """Delete a file that was cut off before its first frame was whole: nobody can use it. Of others the half
        fragment at their end goes."""
        if not self._matroska:
            with contextlib.suppress(OSError):
                cut_to_whole(self.path)
        try:
            with av.open(str(self.path.absolute())) as container:
                next(container.decode(video=0))
        except (av.FFmpegError, StopIteration, IndexError):
            with contextlib.suppress(OSError):
                self.path.unlink(missing_ok=True)

    def _refusal(self, error: Exception) -> SinkError:
        if isinstance(error, OSError):
            return SinkError(f"{self.path}: cannot write the video: {why_unwritable(error)}")
        return SinkError(f"{self.path}: cannot write the video ({error}). Choose another format or folder.")


def _mp4_time_base(source: Fraction | None) -> Fraction:
    if source is None or source <= 0 or source.denominator > LARGEST_TIMESCALE:
        return DEFAULT_TIME_BASE
    return Fraction(1, source.denominator)


def _mp4_timescale(time_base: Fraction) -> int:
    """Ticks per second of the MP4 track, as FFmpeg's muxer derives it from the stream's time base."""
    timescale = time_base.denominator
    while timescale < LEAST_TIMESCALE:
        timescale *= 2
    return timescale


def _to_yuv(image: Image, width: int, height: int) -> VideoFrame:
    """The frame as planar 4:2:0, BT.601 in limited range, of exactly the given even size."""
    missing_rows, missing_columns = height - image.shape[0], width - image.shape[1]
    if not (0 <= missing_rows <= 1 and 0 <= missing_columns <= 1):
        image = _fit(image, width, height)
    elif missing_rows or missing_columns:
        image = cv2.copyMakeBorder(image, 0, missing_rows, 0, missing_columns, cv2.BORDER_REPLICATE)
    planes: UInt8[ndarray, "rows width"] = cv2.cvtColor(image, cv2.COLOR_RGB2YUV_I420).astype(np.uint8, copy=False)
    if height % 4:  # PyAV shares only arrays whose chroma planes fill whole rows
        return VideoFrame.from_ndarray(planes, format="yuv420p")
    return VideoFrame.from_numpy_buffer(planes, format="yuv420p")


def _fit(image: Image, width: int, height: int) -> np.ndarray:
    """The whole frame scaled into the middle of a black one."""
    scale = min(width / image.shape[1], height / image.shape[0])
    columns, rows = max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale))
    fitted = np.zeros((height, width, 3), np.uint8)
    top, left = (height - rows) // 2, (width - columns) // 2
    fitted[top : top + rows, left : left + columns] = cv2.resize(image, (columns, rows), interpolation=cv2.INTER_AREA)
    return fitted

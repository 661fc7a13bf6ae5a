"""One pass over a video file: the container, its chosen stream, and decoded frames with their ticks."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
from av.container import InputContainer
from av.packet import Packet
from av.stream import Discard, Disposition
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from tracker.errors import SourceError
from tracker.types import SourceInfo
from tracker.video.completeness import has_shrunk, is_contiguous, is_cut_off
from tracker.video.decoding import StreamDecoder, frame_rate, has_coded_order, nominal_step, use_threads
from tracker.video.hardware import Accelerator
from tracker.video.pixels import orientation

__all__ = ["FileReader"]

log = logging.getLogger(__name__)

PROBE_LIMIT_S = 6.0
PROMISE_TOLERANCE_S = 0.1
ATTACHED_IMAGES = Disposition.attached_pic | Disposition.timed_thumbnails
HEAD_BYTES = 1024
PLAYLISTS = (
    *(b"#EXTM3U", b"ffconcat", b"v=0\r\n", b"v=0\n", b"[playlist]", b"[Reference]"),
    *(b"<asx", b"<ASX", b"rtsp://", b"http://"),
)
ENCRYPTED_TAGS = {"encv", "drmi"}


class FileReader:
    """An open video file, read once: from its start, or from a key packet."""

    def __init__(self, path: Path, *, threads: int = 0, stream: int | None = None, hardware: Accelerator | None = None):
        self.path = path
        self.hardware = hardware
        self.container = _open(path, hardware)
        self._opened = path.stat()
        self.stop = False
        """Set from any thread to end all iteration at the next packet."""
        self._deadline: float | None = None
        try:
            self.stream = _choose_stream(self.container, path, stream)
            use_threads(self.stream, threads)
            self.decoder = StreamDecoder(self.container, self.stream)
        except BaseException:
            self.container.close()
            raise
        self.time_base = Fraction(self.stream.time_base or Fraction(1, 1000))
        self.coded_order = has_coded_order(self.container)

    def other_videos(self) -> list[int]:
        """The numbers of the video streams that are not read."""
        return [stream.index for stream in _videos(self.container) if stream.index != self.stream.index]

    def frames(self) -> Iterator[tuple[VideoFrame, int]]:
        """Decoded frames in presentation order with their ticks."""
        last: int | None = None
        for frame, ticks in self.decoder.frames(self.packets()):
            yield frame, ticks
            last = ticks
        if last is not None and not self.coded_order and not self.stop and self.decoder.unseen_after(last):
            yield from self._tail(last)

    def frames_from(self, key_stamp: int) -> Iterator[VideoFrame]:
        """Frames from the key packet with this stamp on, its own first; none if seeking does not find it."""
        self.decoder = StreamDecoder(self.container, self.stream, resumed=True)
        try:
            self.container.seek(key_stamp, stream=self.stream)
        except av.FFmpegError as error:
            log.debug("%s: seeking to %d failed: %s", self.path, key_stamp, error)
            return
        key: list[Packet[VideoStream]] = []
        reached = False
        for frame, _ in self.decoder.frames(self._packets_from(key_stamp, key)):
            reached = reached or frame.pts == key[0].pts
            if reached:
                yield frame

    def packets(self) -> Iterator[Packet[VideoStream]]:
        """The stream's packets, going on after places that cannot be read, until the end or the probe's time limit."""
        for packet in self.decoder.packets():
            if self.stop or (self._deadline is not None and time.monotonic() > self._deadline):
                return
            yield packet

    def first_frame(self, frames: Iterator[tuple[VideoFrame, int]]) -> tuple[VideoFrame, int]:
        """The first of `frames`; SourceError when nothing decodes within a few seconds."""
        self._deadline = time.monotonic() + PROBE_LIMIT_S
        first = next(frames, None)
        self._deadline = None
        if first is None:
            raise SourceError(
                f"{self.path}: nothing in its {self.stream.codec_context.name} video stream decodes. It is encrypted, "
                "damaged, or not the codec it claims to be; check that it plays, or convert it to H.264."
            )
        return first

    def info(self, first: VideoFrame) -> SourceInfo:
        """What the container and its first decoded frame tell."""
        transpose, _, _ = orientation(first)
        width, height = (first.height, first.width) if transpose else (first.width, first.height)
        duration_s = None
        if self.stream.duration is not None:
            duration_s = float(self.stream.duration * self.time_base)
        elif self.container.duration is not None:
            duration_s = self.container.duration / av.time_base
        return SourceInfo(
            width=width,
            height=height,
            rate=frame_rate(self.stream),
            frame_count=self.stream.frames or None,
            duration_s=duration_s,
            time_base=self.time_base,
            has_audio=bool(self.container.streams.audio),
            pixel_aspect=self._pixel_aspect(first),
            path=self.path,
        )

    def _pixel_aspect(self, first: VideoFrame) -> Fraction | None:
        """Width to height of one pixel after turning upright, None where square or unknown."""
        aspect = self.stream.sample_aspect_ratio
        if not aspect or aspect == 1:
            return None
        transpose, _, _ = orientation(first)
        return 1 / Fraction(aspect) if transpose else Fraction(aspect)

    def lacks_after(self, last_ticks: int) -> bool:
        """Whether the container promised more than a file whose last frame is at `last_ticks`."""
        if is_cut_off(self.path) or has_shrunk(self.path, self._opened):
            return True
        if self.stream.duration is None:
            promised_s = (self.container.duration or 0) / av.time_base
            return "flv" in self.container.format.name and promised_s - self.decoder.latest_s > PROMISE_TOLERANCE_S
        step = nominal_step(self.stream)
        missing_s = float((self._start_ticks() + self.stream.duration - last_ticks - step) * self.time_base)
        return missing_s > float(step * self.time_base) + PROMISE_TOLERANCE_S

    def _start_ticks(self) -> int:
        """Where the container's duration counts from: Matroska counts from 0, the others from the first frame."""
        return 0 if "matroska" in self.container.format.name else self.stream.start_time or 0

    def close(self) -> None:
        self.container.close()

    def _tail(self, last: int) -> Iterator[tuple[VideoFrame, int]]:
        """Frames after `last`, decoded once more by one thread.

        Where the last packets are damaged, a decoder with several threads drops the good frames it still holds.
        """
        threads = self.stream.codec_context.thread_count
        if threads > 1 and self.decoder.last_key_pts is not None:
            reader = FileReader(self.path, threads=1, stream=self.stream.index)
            for frame in reader.frames_from(self.decoder.last_key_pts):
                if frame.pts is not None and frame.pts > last:
                    yield frame, frame.pts
            reader.close()

    def stamp(self, packet: Packet[VideoStream]) -> int | None:
        """The stamp that a packet is sought by: of presentation where the container knows it, else of decoding."""
        return packet.dts if self.coded_order else packet.pts

    def _packets_from(self, key_stamp: int, key: list[Packet[VideoStream]]) -> Iterator[Packet[VideoStream]]:
        """Packets from the key packet with this stamp, which also goes into `key`; none if it is not met."""
        for packet in self.packets():
            stamp = self.stamp(packet)
            if not key and packet.is_keyframe and stamp is not None and packet.size > 0:
                if stamp > key_stamp:
                    return
                if stamp == key_stamp:
                    key.append(packet)
            if key:
                yield packet


def _open(path: Path, hardware: Accelerator | None = None) -> InputContainer:
    if not path.exists():
        raise SourceError(f"{path}: no such file. Check the spelling; relative paths start at {Path.cwd()}.")
    if not path.is_file():
        raise SourceError(f"{path}: not a regular file. Give a video file, a folder of images, a camera or an address.")
    if path.stat().st_size == 0:
        raise SourceError(f"{path}: the file is empty (0 bytes). Copy or record it again.")
    try:
        with path.open("rb") as file:
            head = file.read(HEAD_BYTES).lstrip(b"\xef\xbb\xbf \t\r\n")
    except OSError as error:
        raise SourceError(f"{path}: cannot be read: {error.strerror}. Change its permissions, or copy it.") from error
    if head.startswith(PLAYLISTS) or b"<MPD" in head:
        raise SourceError(
            f"{path}: a list of other files or addresses, no video; what it names is not opened. Give the video itself."
        )
    try:
        # An absolute path, else a colon in the name would part off a protocol.
        accelerated = None if hardware is None else hardware.settings
        return av.open(str(path.absolute()), options={"protocol_whitelist": "file"}, hwaccel=accelerated)
    except PermissionError as error:
        raise SourceError(f"{path}: not allowed to read it. Change its permissions, or copy it.") from error
    except (av.FFmpegError, OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or type(error).__name__
        raise SourceError(
            f"{path}: not a video this program can open ({reason}). It is another kind of file, or its header is "
            "missing (a recording cut off before it was finished); check that it plays."
        ) from error


def _videos(container: InputContainer) -> list[VideoStream]:
    """The streams that are videos, and not the cover of an album or thumbnails."""
    return [stream for stream in container.streams.video if not stream.disposition & ATTACHED_IMAGES]


def _choose_stream(container: InputContainer, path: Path, chosen: int | None) -> VideoStream:
    streams = _videos(container)
    if chosen is not None:
        streams = [stream for stream in streams if stream.index == chosen]
    if not streams:
        found = ", ".join(f"{stream.index}: {stream.type}" for stream in container.streams) or "none"
        asked = "video stream" if chosen is None else f"video stream {chosen}"
        raise SourceError(f"{path}: no {asked} in it (streams found: {found}). Choose another file.")
    best = container.streams.best("video")
    stream = best if best in streams else streams[0]
    for other in container.streams:
        if other.index != stream.index and not is_contiguous(container):
            other.discard = Discard.all
    if stream.codec_context is None:
        raise SourceError(f"{path}: no decoder for the codec of its video stream. Convert it to H.264.")
    if stream.codec_tag in ENCRYPTED_TAGS:
        raise SourceError(f"{path}: the video is encrypted ({stream.codec_tag}). Use a copy without protection.")
    if stream.width <= 0 or stream.height <= 0:
        raise SourceError(
            f"{path}: its video has no size (0 x 0): no frame header was found. The file is cut too short or "
            "damaged; record or copy it again."
        )
    return stream

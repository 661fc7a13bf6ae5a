"""A video file as Frames: true presentation times, upright frames, frame-exact seeking."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from threading import RLock

from av.video.frame import VideoFrame
from jaxtyping import Float64
from numpy import ndarray

from tracker.config import HardwareChoice
from tracker.errors import SourceError
from tracker.protocols import FrameSource
from tracker.types import Frame
from tracker.video.file_reader import FileReader
from tracker.video.framing_check import faults_in
from tracker.video.hardware import SOFTWARE, accelerator, decoder_of
from tracker.video.one_size import SizeFitter
from tracker.video.pixels import RgbConverter, orientation
from tracker.video.seek_index import SeekIndex
from tracker.video.transport_check import ReadFrames

__all__ = ["FileSource"]

log = logging.getLogger(__name__)

LONGEST_WALK = 32
"""Frames further ahead than this are sought, nearer ones reached by decoding on."""
KEYS_TRIED = 3

NumberedFrame = tuple[VideoFrame, int, int]


class FileSource(FrameSource):
    """Every frame of a video file, in order, with the container's own time stamps.

    Opening decodes the first frame, so that a file of which nothing decodes is refused at once. Iterating starts at
    the beginning, or once at the frame chosen by `seek`; `vid_stride` yields each n-th frame under its true index.
    `stream` picks a video stream by its number in the container, by default the best one. `threads` are the
    decoder's; 0 chooses by the number of cores. `hwaccel` is the device that decodes where it can, else software does.

    After iterating to the end `damage` also counts video that the container promised and did not hold.
    """

    live = False

    def __init__(
        self,
        path: str | Path,
        *,
        vid_stride: int = 1,
        threads: int = 0,
        stream: int | None = None,
        hwaccel: HardwareChoice = "none",
    ):
        self.path = Path(path)
        self.name = self.path.name
        self.damage = 0
        self._stride = max(1, vid_stride)
        self._threads = threads
        self._stream = stream
        self._lock = RLock()
        self._closed = False
        self._readers: list[FileReader] = []
        self._rgb = RgbConverter()
        self._start = 0
        self._index: SeekIndex | None = None
        self._seek_reader: FileReader | None = None
        self._cursor: tuple[int, Iterator[NumberedFrame]] | None = None

        self._hardware = accelerator(hwaccel, self.name)
        self._probe: FileReader | None = None
        self._first: tuple[VideoFrame, int] | None = None
        self._probe, self._probed_frames, self._first = self._open_first()
        if stream is None and (others := self._probe.other_videos()):
            log.warning(
                "%s: stream %d is read, one of its %d videos; to read another (%s), copy it into a file of its own: "
                "ffmpeg -i FILE -map 0:N -c copy OUT",
                self.name, self._probe.stream.index, 1 + len(others), ", ".join(map(str, others)),
            )  # fmt: skip
        self._decoder = decoder_of(self._probe.stream.codec_context, self._first[0], self._hardware, self.name)
        if self._decoder == SOFTWARE:
            self._hardware = None
        self._turn = orientation(self._first[0])
        self.info = self._probe.info(self._first[0])
        self._fit = SizeFitter(self.name, (self.info.width, self.info.height))
        self._first_ticks = self._first[1]
        self._time_base = self._probe.time_base

    @property
    def decoder(self) -> str:
        """What decodes: a device such as cuda, or `software`."""
        return self._decoder

    def __iter__(self) -> Iterator[Frame]:
        start, self._start = self._start, 0
        frames = self._decode_after_seek(start) if start else self._decode_all()
        while True:
            with self._lock:
                numbered = None if self._closed else next(frames, None)
                if numbered is None:
                    return
                if numbered[1] % self._stride:
                    continue
                frame = self._frame(numbered)
            yield frame

    @property
    def seekable(self) -> bool:
        """Whether any frame can be begun at: always."""
        return True

    def frame_at(self, index: int) -> Frame:
        """The frame that iterating would number `index`; neighbours ahead of the last one come fastest."""
        with self._lock:
            self._check_index(index)
            if self._cursor is None or not 0 <= index - self._cursor[0] <= LONGEST_WALK:
                self._seek_reader = self._seek_reader or self._open_reader()
                self._cursor = index, self._decode_from(index, self._seek_reader)
            for numbered in self._cursor[1]:
                self._cursor = numbered[1] + 1, self._cursor[1]
                if numbered[1] == index:
                    return self._frame(numbered)
        raise SourceError(f"{self.path}: frame {{0}} does not decode. Seek to another one.", frames=(index,))

    def seek(self, index: int) -> None:
        """The next iteration starts at frame `index`."""
        with self._lock:
            self._check_index(index)
            self._start = index

    def seek_time(self, seconds: float) -> int:
        """The next iteration starts at the frame shown at `seconds`, whose index is returned."""
        with self._lock:
            self._start = self.index_at(seconds)
            return self._start

    def index_at(self, seconds: float) -> int:
        """Index of the frame shown at `seconds`; the first before the start, the last after the end."""
        return self._seek_index().frame_shown_at(round(seconds / self._time_base))

    def times(self) -> Float64[ndarray, " n"]:
        """Presentation time of every frame in seconds; the first call reads the whole file's packets."""
        ticks = self._seek_index().ticks
        return ticks * self._time_base.numerator / self._time_base.denominator

    def close(self) -> None:
        self._closed = True
        for reader in self._readers:
            reader.stop = True
        with self._lock:
            self._cursor = None
            for reader in self._readers:
                reader.close()
            self._readers.clear()

    def _frame(self, numbered: NumberedFrame) -> Frame:
        decoded, index, ticks = numbered
        time = ticks * self._time_base.numerator / self._time_base.denominator
        return Frame(self._fit(self._rgb.upright(decoded, self._turn)), index, time, self.name)

    def _open_reader(self) -> FileReader:
        reader = FileReader(self.path, threads=self._threads, stream=self._stream, hardware=self._hardware)
        self._readers.append(reader)
        return reader

    def _open_first(self) -> tuple[FileReader, Iterator[tuple[VideoFrame, int]], tuple[VideoFrame, int]]:
        """A reader at the file's start and its first frame; where the device gives none, by software."""
        try:
            reader = self._open_reader()
            frames = reader.frames()
            return reader, frames, reader.first_frame(frames)
        except (SourceError, RuntimeError) as error:
            if self._hardware is None:
                raise
            log.warning("%s: %s gives no frame; it is decoded in software.", self.name, self._hardware.device)
            log.debug("%s", error)
            self._hardware = None
            return self._open_first()

    def _close_reader(self, reader: FileReader) -> None:
        """Close it once, whether its iteration or `close` comes first: an iteration may end on a thread of its own."""
        with self._lock:
            if reader in self._readers:
                self._readers.remove(reader)
                reader.close()

    def _decode_all(self) -> Iterator[NumberedFrame]:
        """All frames from the start, the first time with the reader and the frame that opening left behind."""
        if self._probe is not None:
            reader, frames, pending = self._probe, self._probed_frames, [self._first]
            self._probe = self._first = None
        else:
            reader = self._open_reader()
            frames, pending = reader.frames(), []
        last_ticks, index, first_ticks, interlaced = None, 0, None, False
        try:
            while found := pending.pop() if pending else next(frames, None):
                decoded, last_ticks = found
                self.damage = reader.decoder.damage
                first_ticks = decoded.pts if index == 0 else first_ticks
                interlaced = interlaced or decoded.interlaced_frame
                yield decoded, index, last_ticks
                index += 1
            self.damage = reader.decoder.damage
            read = ReadFrames(reader.stream.id, first_ticks, index - 1, interlaced) if first_ticks is not None else None
            self._judge_end(reader, last_ticks, read)
        finally:
            self._close_reader(reader)

    def _decode_after_seek(self, index: int) -> Iterator[NumberedFrame]:
        """Frames from `index` on with a reader of their own; damage before it is not counted."""
        reader, last_ticks = self._open_reader(), None
        try:
            for numbered in self._decode_from(index, reader):
                self.damage, last_ticks = reader.decoder.damage, numbered[2]
                yield numbered
            self.damage = reader.decoder.damage
            self._judge_end(reader, last_ticks)
        finally:
            self._close_reader(reader)

    def _judge_end(self, reader: FileReader, last_ticks: int | None, read: ReadFrames | None = None) -> None:
        if last_ticks is None or reader.stop:
            return
        if reader.lacks_after(last_ticks):
            self.damage += 1
            log.warning("%s ends before its promised end: it was cut off or damaged.", self.name)
        elif not self.damage and (faults := faults_in(self.path, reader.container.format.name, read)):
            self.damage += faults
            log.warning("%s is not as it was written: parts of it are missing, doubled or out of place.", self.name)

    def _decode_from(self, index: int, reader: FileReader) -> Iterator[NumberedFrame]:
        """Frames from `index` on, decoded from the nearest key packet that can be found."""
        seek_index = self._seek_index()
        ticks = seek_index.ticks.tolist()
        for key in seek_index.keys_before(index)[:KEYS_TRIED]:
            number = key.frame
            for decoded in reader.frames_from(key.stamp):
                if number >= len(ticks):
                    return
                if not seek_index.by_decoding and decoded.pts != ticks[number]:
                    log.info("%s: packets and frames do not match; decoding it once to number the frames.", self.name)
                    self._index = self._decode_index()
                    yield from self._decode_from(max(index, number), reader)
                    return
                if number >= index:
                    yield decoded, number, ticks[number]
                number += 1
            if number > index:
                return
        yield from self._walk_to(index)

    def _walk_to(self, index: int) -> Iterator[NumberedFrame]:
        reader = self._open_reader()
        try:
            for number, (decoded, ticks) in enumerate(reader.frames()):
                if number >= index:
                    yield decoded, number, ticks
        finally:
            self._close_reader(reader)

    def _seek_index(self) -> SeekIndex:
        with self._lock:
            if self._index is None:
                reader = self._open_reader()
                try:
                    found = None if self.damage else SeekIndex.from_packets(reader, self._first_ticks)
                finally:
                    self._close_reader(reader)
                self._index = found or self._decode_index()
            return self._index

    def _decode_index(self) -> SeekIndex:
        reader = self._open_reader()
        try:
            return SeekIndex.from_decoding(reader)
        finally:
            self._close_reader(reader)

    def _check_index(self, index: int) -> None:
        if self._closed:
            raise SourceError(f"{self.path}: the source is closed. Open it again to seek.")
        count = len(self._seek_index())
        if not 0 <= index < count:
            words = f"{self.path}: no frame {{0}}, it has {count} ({{1}} to {{2}})."
            raise SourceError(words, frames=(index, 0, count - 1))

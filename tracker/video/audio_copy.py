"""A file's audio, packet by packet, for the video written beside it."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any, cast

import av
from av.audio.stream import AudioStream
from av.container import InputContainer, OutputContainer
from av.packet import Packet

__all__ = ["AudioCopy"]

log = logging.getLogger(__name__)

SAME_PLACE_S = 1.0
"""Video that begins or ends this near to the source's own begin or end is taken as the whole."""
FALLBACK_CODEC = "aac"
ADTS_HEADER = 7
MOST_READ_AHEAD = 2000


class AudioCopy:
    """All audio tracks of `path`, added to `output`, handed out in step with the video.

    Packets are copied as they are, under their own stamps; where the output format cannot hold the codec the track
    is encoded anew as AAC. Packets before `not_before_s` are left out, for formats without negative stamps. Audio that
    cannot be read ends early with a warning; it never stops the video.
    """

    def __init__(
        self, path: Path, output: OutputContainer, first_video_time: float, *, not_before_s: float = float("-inf")
    ):
        self._path = path
        self._input: InputContainer | None = None
        self._early: deque[Packet[Any]] = deque()
        self._packets: Iterator[Packet[Any]] = iter(())
        self._tracks: dict[int, _CopiedTrack | _EncodedTrack] = {}
        self._video_end_s: float | None = None
        self._not_before_s = not_before_s
        try:
            self._input = av.open(str(path.absolute()))
        except (av.FFmpegError, OSError) as error:
            log.warning("%s: its audio cannot be read (%s); the video goes without.", path.name, error)
            return
        streams = [stream for stream in self._input.streams.audio if stream.codec_context is not None]
        if streams:
            self._packets = self._input.demux(streams)
            supported = output.supported_codecs
            for stream in streams:
                self._tracks[stream.index] = self._track(stream, output, supported)
        for video in self._input.streams.video[:1]:
            time_base = Fraction(video.time_base or Fraction(1, 1000))
            start = video.start_time or 0
            if first_video_time > float(start * time_base) + SAME_PLACE_S:
                self._not_before_s = first_video_time
            if video.duration is not None:
                self._video_end_s = float((start + video.duration) * time_base)

    def until(self, seconds: float) -> Iterator[Packet[Any]]:
        """The packets, ready to be muxed, that begin before `seconds`."""
        while (packet := self._next()) is not None:
            begin = _begin_s(packet)
            if begin is not None and begin >= seconds:
                self._early.appendleft(packet)
                return
            if begin is not None and begin >= self._not_before_s:
                yield from self._tracks[packet.stream.index].take(packet)

    def rest(self, last_video_time: float) -> Iterator[Packet[Any]]:
        """What is left: all of it after a whole video, as far as `last_video_time` after an unfinished one."""
        whole = self._video_end_s is None or last_video_time + SAME_PLACE_S >= self._video_end_s
        yield from self.until(float("inf") if whole else last_video_time)
        for track in self._tracks.values():
            yield from track.finish()

    def close(self) -> None:
        self._packets = iter(())
        self._early.clear()
        if self._input is not None:
            self._input.close()

    def _next(self) -> Packet[Any] | None:
        return self._early.popleft() if self._early else self._read()

    def _read(self) -> Packet[Any] | None:
        try:
            return next(self._packets, None)
        except (av.FFmpegError, OSError) as error:
            log.warning("%s: its audio ends early (%s).", self._path.name, error)
            return None

    def _track(self, stream: AudioStream, output: OutputContainer, supported: set[str]) -> _CopiedTrack | _EncodedTrack:
        if stream.codec_context.codec.name not in supported:
            return _EncodedTrack(stream, output)
        if stream.codec_context.name != "aac" or stream.codec_context.extradata:
            return _CopiedTrack(stream, output)
        header = self._first_bytes_of(stream)
        config = adts_to_config(header)
        return _EncodedTrack(stream, output) if config is None else _CopiedTrack(stream, output, config)

    def _first_bytes_of(self, stream: AudioStream) -> bytes:
        """The start of the track's first packet, read ahead; what is read is kept for later."""
        for early in self._early:
            if early.stream.index == stream.index:
                return bytes(early)[:ADTS_HEADER]
        while len(self._early) < MOST_READ_AHEAD and (packet := self._read()) is not None:
            self._early.append(packet)
            if packet.stream.index == stream.index and packet.size:
                return bytes(packet)[:ADTS_HEADER]
        return b""


class _CopiedTrack:
    """One track handed on as it is; AAC in ADTS framing loses the frame headers, which `config` replaces."""

    def __init__(self, source: AudioStream, output: OutputContainer, config: bytes | None = None):
        self._output = output.add_stream_from_template(source)
        self._last_dts: int | None = None
        self._adts = config is not None
        if config is not None:
            self._output.codec_context.extradata = config

    def take(self, packet: Packet[Any]) -> list[Packet[Any]]:
        stamp = packet.dts if packet.dts is not None else packet.pts
        if not packet.size or stamp is None or (self._last_dts is not None and stamp <= self._last_dts):
            return []
        self._last_dts = stamp
        copy: Packet[Any] = _without_adts_header(packet) if self._adts else packet
        copy.dts, copy.pts = stamp, stamp if packet.pts is None else packet.pts
        copy.stream = self._output
        return [copy]

    def finish(self) -> list[Packet[Any]]:
        return []


class _EncodedTrack:
    """One track decoded and encoded anew, under its own times."""

    def __init__(self, source: AudioStream, output: OutputContainer):
        self._source = source
        output_stream = output.add_stream(FALLBACK_CODEC, rate=source.codec_context.sample_rate)
        self._output = cast(AudioStream, output_stream)
        self._output.codec_context.layout = source.codec_context.layout

    def take(self, packet: Packet[Any]) -> list[Packet[Any]]:
        try:
            frames = self._source.decode(packet)
        except av.FFmpegError as error:
            log.debug("an audio packet at %s does not decode: %s", packet.pts, error)
            return []
        return [encoded for frame in frames for encoded in self._output.encode(frame)]

    def finish(self) -> list[Packet[Any]]:
        return self._output.encode(None)


def _begin_s(packet: Packet[Any]) -> float | None:
    stamp = packet.pts if packet.pts is not None else packet.dts
    return None if stamp is None else float(stamp * packet.time_base)


def adts_to_config(header: bytes) -> bytes | None:
    """The AudioSpecificConfig (ISO 14496-3, 1.6.2.1) an ADTS frame header stands for; None where there is none."""
    if len(header) < ADTS_HEADER or header[0] != 0xFF or header[1] & 0xF6 != 0xF0:
        return None
    object_type = (header[2] >> 6) + 1
    rate_index = header[2] >> 2 & 0xF
    channels = (header[2] & 1) << 2 | header[3] >> 6
    if channels == 0:  # described inside the stream
        return None
    return (object_type << 11 | rate_index << 7 | channels << 3).to_bytes(2, "big")


def _without_adts_header(packet: Packet[Any]) -> Packet[Any]:
    payload = bytes(packet)
    has_checksum = not payload[1] & 1
    bare: Packet[Any] = Packet(payload[ADTS_HEADER + 2 * has_checksum :])
    bare.time_base, bare.duration = packet.time_base, packet.duration
    return bare

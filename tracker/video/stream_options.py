"""What FFmpeg is given for a network address, and what its containers can be trusted with."""

from __future__ import annotations

import av
from av.container import InputContainer

from tracker.video.pacing import SEGMENTED_FORMATS

__all__ = [
    "has_clock",
    "is_broadcast",
    "is_recorded",
    "names_end",
    "options_of",
    "with_longer_probe",
]

BROADCAST_SCHEMES = ("rtsp", "rtsps", "rtmp", "rtmps", "udp", "rtp", "srt", "tcp")
NO_TIMESTAMPS = 0x80  # FFmpeg's AVFMT_NOTIMESTAMPS
BRIEF = {"fpsprobesize": "0", "analyzeduration": "500000"}
"""The frame rate is not waited for: times come from stamps, or from the frames' arrival."""
FIRST_PROBE = {"formatprobesize": "4096"}
"""Of bare JPEG images that are small, or have no JFIF header, FFmpeg is never sure: it would probe a megabyte."""
SECOND_PROBE = {"formatprobesize": "16384"}
"""What the middle of small JPEG images and of MPEG-2 needs; from its first byte on every kind is known in 4 KB."""
LOW_RATE = {"framerate": "5"}
"""FFmpeg numbers bare images by it and probes half a second: three of them, not twelve. Their time is arrival."""
MIDDLE_NEEDS_MORE = ("mpegts", "mpeg")
"""Joined in the middle these say late that there is video."""
MISTAKEN = ("h263", "vvc")
"""What the middle of other video is taken for by a brief probe; nobody streams these bare."""

LONGEST_FRAGMENT_S = 10
"""FFmpeg gives the duration of the first fragment of a live MP4, which is a few seconds: longer is the whole of it."""

NEWEST_SEGMENT = "-1"
"""Of a live list FFmpeg would begin with the third from the end, and stay so far behind."""


def is_broadcast(address: str) -> bool:
    """Whether the address's protocol is one of live streams only."""
    return address.partition(":")[0].lower() in BROADCAST_SCHEMES


def has_clock(container: InputContainer) -> bool:
    """Whether the container's format has time stamps at all; images one after another are only numbered."""
    return not container.format.flags & NO_TIMESTAMPS and not container.format.name.endswith("_pipe")


def is_recorded(container: InputContainer) -> bool | None:
    """Whether what an address gives has an end; None where only the pace at which it comes can tell.

    A server states a recording's length, but for some. Of live FLV, Matroska and MP4 FFmpeg gives a duration
    too: what the camera's program passed on, or of MP4 in fragments what has come so far.
    """
    if container.duration is None:
        return False
    long = has_sample_table(container) and container.duration > LONGEST_FRAGMENT_S * av.time_base
    return None if has_no_length(container) and not long else True


def has_no_length(container: InputContainer) -> bool:
    """Whether it comes at one go, without a length from the server; a list of segments does not."""
    return container.size < 0 and not container.format.name.startswith(SEGMENTED_FORMATS)


def names_end(container: InputContainer) -> bool:
    """Whether the duration of what has no length is that of all of it, if it has an end: not that of some fragments."""
    fragments = "mp4" in container.format.name.split(",") and not has_sample_table(container)
    return has_no_length(container) and container.duration is not None and not fragments


def has_sample_table(container: InputContainer) -> bool:
    """Whether an MP4 begins with a list of its frames, of all or of a first fragment."""
    video = container.streams.video
    return "mp4" in container.format.name.split(",") and bool(video) and video[0].frames > 0


def options_of(address: str, *, rtsp_transport: str = "tcp") -> dict[str, str]:
    """Options for opening the address: bounded in time, and nothing but the video asked for."""
    scheme = address.partition(":")[0].lower()
    if scheme in ("http", "https"):
        again = {"reconnect": "1", "reconnect_delay_max": "2"}
        return BRIEF | FIRST_PROBE | LOW_RATE | again | {"live_start_index": NEWEST_SEGMENT}
    if scheme in ("rtsp", "rtsps"):
        return BRIEF | {"probesize": "4096", "rtsp_transport": rtsp_transport, "allowed_media_types": "video"}
    if scheme == "tcp":
        return BRIEF | FIRST_PROBE | {"probesize": "4096"}
    return dict(BRIEF)


def with_longer_probe(options: dict[str, str], found: InputContainer | None) -> dict[str, str]:
    """The options to open with once more, for a longer probe; the same ones where `found`, or None, is believed.

    Bare video joined in the middle is like nothing within 4 KB and mostly 16 KB, or like sound: of 3196 places in
    H.264, HEVC, MPEG-2 and MPEG-4 116 were recognized in 16 KB, 2764 called nothing, 314 sound or text, 2 H.263.
    """
    is_video = found is not None and bool(found.streams.video)
    name = "" if found is None else found.format.name
    if name in MISTAKEN or (not is_video and name not in MIDDLE_NEEDS_MORE):
        if options.items() >= FIRST_PROBE.items():
            return options | SECOND_PROBE
        if options.items() >= SECOND_PROBE.items():
            return _without(options, "formatprobesize")
    if found is not None and not is_video and has_clock(found):
        return _without(options, "probesize")
    return options


def _without(options: dict[str, str], name: str) -> dict[str, str]:
    return {key: value for key, value in options.items() if key != name}

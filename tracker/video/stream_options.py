"""What FFmpeg is given for a network address, and what its containers can be trusted with."""

from __future__ import annotations

from av.container import InputContainer

__all__ = ["has_clock", "is_broadcast", "is_recorded", "options_of"]

BROADCAST_SCHEMES = ("rtsp", "rtsps", "rtmp", "rtmps", "udp", "rtp", "srt", "tcp")
NO_TIMESTAMPS = 0x80  # FFmpeg's AVFMT_NOTIMESTAMPS
BRIEF = {"fpsprobesize": "0", "analyzeduration": "500000"}
"""The frame rate is not waited for: times come from stamps, or from the frames' arrival."""

NEWEST_SEGMENT = "-1"
"""Of a live list FFmpeg would begin with the third from the end, and stay so far behind."""


def is_broadcast(address: str) -> bool:
    """Whether the address's protocol is one of live streams only."""
    return address.partition(":")[0].lower() in BROADCAST_SCHEMES


def has_clock(container: InputContainer) -> bool:
    """Whether the container's format has time stamps at all."""
    return not container.format.flags & NO_TIMESTAMPS


def is_recorded(container: InputContainer) -> bool:
    """Whether what an address gives has an end.

    A server of live FLV passes on the duration that the camera's program wrote; a recording's length is told beside it.
    """
    return container.duration is not None and not ("flv" in container.format.name and container.size < 0)


def options_of(address: str, *, rtsp_transport: str = "tcp") -> dict[str, str]:
    """Options for opening the address: bounded in time, and nothing but the video asked for."""
    scheme = address.partition(":")[0].lower()
    if scheme in ("http", "https"):
        return BRIEF | {"reconnect": "1", "reconnect_delay_max": "2", "live_start_index": NEWEST_SEGMENT}
    if scheme in ("rtsp", "rtsps"):
        return BRIEF | {"probesize": "4096", "rtsp_transport": rtsp_transport, "allowed_media_types": "video"}
    if scheme == "tcp":
        return BRIEF | {"probesize": "4096"}
    return dict(BRIEF)

"""Decoding on a graphics device, where FFmpeg and the machine have one for it; in software everywhere else."""

from __future__ import annotations

import logging
from functools import cache
from typing import NamedTuple

import av
from av.codec.codec import Codec
from av.codec.hwaccel import HWAccel
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame

from tracker.config import HardwareChoice

__all__ = ["SOFTWARE", "Accelerator", "accelerator", "decoder_of"]

log = logging.getLogger(__name__)

DEVICES: tuple[HardwareChoice, ...] = ("cuda", "vaapi", "videotoolbox", "d3d11va")
SOFTWARE = "software"
PROBED_CODEC = "h264"
"""What every device that decodes video decodes."""
DOWNLOADED_FORMATS = ("nv", "p0")
"""Beginnings of the formats in which devices hand frames over; decoders in software have planes of their own."""


class Accelerator(NamedTuple):
    """A device that decodes, and what PyAV is given for it."""

    device: str
    settings: HWAccel


def accelerator(choice: HardwareChoice, name: str) -> Accelerator | None:
    """What decodes on the chosen device, or on the first there is for `auto`; None for software.

    A device that was named and is not there is reported in a warning about `name`.
    """
    if choice == "none":
        return None
    for device in DEVICES if choice == "auto" else (choice,):
        problem = _problem_of(device)
        if not problem:
            return Accelerator(device, HWAccel(device, allow_software_fallback=True))
        if choice != "auto":
            log.warning("%s: no decoding by %s here (%s); it is decoded in software.", name, device, problem)
    return None


def decoder_of(codec: VideoCodecContext, first: VideoFrame, wanted: Accelerator | None, name: str) -> str:
    """What decoded the stream's first frame: a device, or `software`, which is reported where a device was wanted."""
    if wanted is None:
        return SOFTWARE
    if codec.is_hwaccel and first.format.name.startswith(DOWNLOADED_FORMATS):
        return wanted.device
    log.warning("%s: %s does not decode this %s; it is decoded in software.", name, wanted.device, codec.name)
    return SOFTWARE


@cache
def _problem_of(device: str) -> str:
    """Why nothing can be decoded there; empty where it can."""
    try:
        HWAccel(device).create(Codec(PROBED_CODEC, "r"))
    except NotImplementedError:
        return "this FFmpeg was built without it"
    except (av.FFmpegError, OSError, RuntimeError) as error:
        return getattr(error, "strerror", None) or str(error) or type(error).__name__
    return ""

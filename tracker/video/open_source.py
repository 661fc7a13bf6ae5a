"""One door to everything that yields frames: what the user typed decides."""

from __future__ import annotations

import glob
import logging
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from threading import Event
from urllib.parse import unquote

from numpy import ndarray

from tracker.config import HardwareChoice
from tracker.ending import raise_if_interrupted
from tracker.errors import SourceError, UnreachableError
from tracker.image_file import is_image
from tracker.paths import exists, typed_path
from tracker.protocols import FrameSource
from tracker.video.address import SCHEMES, holds_account, is_address, redact, redact_within
from tracker.video.array_source import ArraySource
from tracker.video.backoff import Backoff
from tracker.video.camera_source import CameraSource
from tracker.video.file_source import FileSource
from tracker.video.image_source import ImageSource
from tracker.video.stream_source import StreamSource

__all__ = ["open_source", "wait_for_source"]

log = logging.getLogger(__name__)

FILE_SCHEME = "file://"
WITH_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
CAMERA_DEVICE = re.compile(r"/dev/video(\d+)")
"""What Linux calls the camera of that index."""


def open_source(
    spec: str | Path | int | Iterable[ndarray] | FrameSource,
    *,
    vid_stride: int = 1,
    threads: int = 0,
    rtsp_transport: str = "tcp",
    hwaccel: HardwareChoice = "none",
) -> FrameSource:
    """The source that `spec` names, opened.

    A network address (rtsp://, http://, udp:// ...), an existing file (image or video, by its content), a folder or
    pattern of images, several images parted by commas, a camera's index, or, if no such file exists, a camera's name.
    An existing name is taken as it stands, blanks, colons and ~ included. From Python also arrays, RGB bytes (h, w, 3),
    one or any iterable of them, and a source that is open already, which has its own stride.
    SourceError says what is wrong with anything else.
    """
    if not isinstance(spec, str | Path | int):
        return _open_arrays(spec, vid_stride)
    text = str(spec)
    if not exists(text):  # a name may begin or end with a blank
        text = text.strip()
    if is_address(text):
        return StreamSource(
            text, vid_stride=vid_stride, threads=threads, rtsp_transport=rtsp_transport, hwaccel=hwaccel
        )
    if WITH_SCHEME.match(text) and not text.startswith(FILE_SCHEME) and not exists(text):
        raise SourceError(f"{redact(text)}: no protocol of that name; expected {', '.join(SCHEMES)} or file.")
    path = typed_path(unquote(text.removeprefix(FILE_SCHEME)) if text.startswith(FILE_SCHEME) else text)
    if not text:
        raise SourceError("no source given. Name a file, a folder, a camera or an address.")
    if path.suffix.lower() == ".sqlite":  # never opened by hand: see tracker.store.schema
        raise SourceError(f"{text}: a recording, not a video. Name the video it was made from, or use report on it.")
    if exists(path) and path.is_file():
        if is_image(path):
            return ImageSource(path, vid_stride=vid_stride)
        return FileSource(path, vid_stride=vid_stride, threads=threads, hwaccel=hwaccel)
    if exists(path) and path.is_dir():
        return ImageSource(path, vid_stride=vid_stride)
    if glob.has_magic(text):
        return ImageSource(str(path), vid_stride=vid_stride)
    device = CAMERA_DEVICE.fullmatch(text)
    if text.isdecimal() or device is not None:
        return CameraSource(int(device.group(1) if device is not None else text), vid_stride=vid_stride)
    several = [Path(part.strip()) for part in text.split(",")]
    if len(several) > 1 and all(exists(part) and part.is_file() for part in several):
        return ImageSource(several, vid_stride=vid_stride)
    if exists(path):
        raise SourceError(f"{text}: a pipe or a device, not a file. Read it into a file, or name its address.")
    if holds_account(text):
        raise SourceError(f"{redact_within(text)}: an address begins with its protocol, such as rtsp:// or http://.")
    if path.suffix or len(path.parts) > 1:
        raise SourceError(
            f"{redact_within(text)}: no such file or folder. Check the spelling; relative paths start at {Path.cwd()}."
        )
    return CameraSource(text, vid_stride=vid_stride)


def wait_for_source(
    open_it: Callable[[], FrameSource], *, stop: Event | None = None, on_refusal: Callable[[str], None] | None = None
) -> FrameSource:
    """What `open_it` opens, tried again with growing pauses, at most 1 s, while it does not answer.

    Each new reason is logged and handed to `on_refusal`. Raises what `open_it` raises once `stop` is set, and at once
    what waiting cannot mend.
    """
    stop, backoff, reported = stop or Event(), Backoff(), ""
    while True:
        raise_if_interrupted()
        try:
            source = open_it()
        except UnreachableError as error:
            if str(error) != reported:
                reported = str(error)
                log.warning("%s Waiting for it.", error)
                if on_refusal is not None:
                    on_refusal(reported)
            if not backoff.wait(stop, at_least_s=error.retry_s):
                raise
        else:
            if reported:
                log.warning("%s is there.", source.name)
            return source


def _open_arrays(spec: Iterable[ndarray] | FrameSource, vid_stride: int) -> FrameSource:
    if isinstance(spec, FrameSource):
        return spec
    if isinstance(spec, ndarray) and (spec.ndim == 2 or (spec.ndim == 3 and spec.shape[2] == 3)):
        return ArraySource([spec], vid_stride=vid_stride, name="array")
    if not isinstance(spec, Iterable):
        raise SourceError(f"{type(spec).__name__}: expected a name, a path, a camera's number, arrays or a source")
    return ArraySource(spec, vid_stride=vid_stride)

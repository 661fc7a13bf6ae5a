"""One door to everything that yields frames: what the user typed decides."""

from __future__ import annotations

import glob
import logging
import re
from collections.abc import Callable
from pathlib import Path
from threading import Event
from urllib.parse import unquote

from tracker.errors import SourceError, UnreachableError
from tracker.image_file import is_image
from tracker.paths import exists, typed_path
from tracker.protocols import FrameSource
from tracker.video.address import is_address
from tracker.video.backoff import Backoff
from tracker.video.camera_source import CameraSource
from tracker.video.file_source import FileSource
from tracker.video.image_source import ImageSource
from tracker.video.stream_source import StreamSource

__all__ = ["open_source", "wait_for_source"]

log = logging.getLogger(__name__)

FILE_SCHEME = "file://"
CAMERA_DEVICE = re.compile(r"/dev/video(\d+)")
"""What Linux calls the camera of that index."""


def open_source(spec: str | Path, *, vid_stride: int = 1, threads: int = 0, rtsp_transport: str = "tcp") -> FrameSource:
    """The source that `spec` names, opened.

    A network address (rtsp://, http://, udp:// ...), an existing file (image or video, by its content), a folder or
    pattern of images, several images parted by commas, a camera's index, or, if no such file exists, a camera's name.
    An existing name is taken as it stands, blanks, colons and ~ included.
    SourceError says what is wrong with anything else.
    """
    text = str(spec)
    if not exists(text):  # a name may begin or end with a blank
        text = text.strip()
    if is_address(text):
        return StreamSource(text, vid_stride=vid_stride, threads=threads, rtsp_transport=rtsp_transport)
    path = typed_path(unquote(text.removeprefix(FILE_SCHEME)) if text.startswith(FILE_SCHEME) else text)
    if not text:
        raise SourceError("no source given. Name a file, a folder, a camera or an address.")
    if path.suffix.lower() == ".sqlite":  # never opened by hand: see tracker.store.schema
        raise SourceError(f"{text}: a recording, not a video. Name the video it was made from, or use report on it.")
    if exists(path) and path.is_file():
        if is_image(path):
            return ImageSource(path, vid_stride=vid_stride)
        return FileSource(path, vid_stride=vid_stride, threads=threads)
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
    if path.suffix or len(path.parts) > 1:
        raise SourceError(f"{text}: no such file or folder. Check the spelling; relative paths start at {Path.cwd()}.")
    return CameraSource(text, vid_stride=vid_stride)


def wait_for_source(open_it: Callable[[], FrameSource], *, stop: Event | None = None) -> FrameSource:
    """What `open_it` opens, tried again with growing pauses, at most 2 s, while it does not answer.

    Each new reason is logged. Raises what `open_it` raises once `stop` is set, and at once what waiting cannot mend.
    """
    stop, backoff, told = stop or Event(), Backoff(), ""
    while True:
        try:
            source = open_it()
        except UnreachableError as error:
            if str(error) != told:
                told = str(error)
                log.warning("%s Waiting for it.", error)
            if not backoff.wait(stop):
                raise
        else:
            if told:
                log.warning("%s is there.", source.name)
            return source

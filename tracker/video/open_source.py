"""One door to everything that yields frames: what the user typed decides."""

from __future__ import annotations

import glob
from pathlib import Path

from tracker.errors import SourceError
from tracker.protocols import FrameSource
from tracker.video.address import is_address
from tracker.video.camera_source import CameraSource
from tracker.video.file_source import FileSource
from tracker.video.image_source import IMAGE_SUFFIXES, ImageSource
from tracker.video.stream_source import StreamSource

__all__ = ["open_source"]

IMAGE_SIGNATURES = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"BM", b"II*\x00", b"MM\x00*")
FILE_SCHEME = "file://"


def open_source(spec: str | Path, *, vid_stride: int = 1, threads: int = 0) -> FrameSource:
    """The source that `spec` names, opened.

    A network address (rtsp://, http://, udp:// ...), an existing file (image or video, by its content), a folder or
    pattern of images, several images parted by commas, a camera's index, or, if no such file exists, a camera's name.
    SourceError says what is wrong with anything else.
    """
    text = str(spec).strip()
    if is_address(text):
        return StreamSource(text, vid_stride=vid_stride, threads=threads)
    path = Path(text.removeprefix(FILE_SCHEME)).expanduser()
    if not text:
        raise SourceError("no source given. Name a file, a folder, a camera or an address.")
    if path.suffix.lower() == ".sqlite":  # never opened by hand: see tracker.store.schema
        raise SourceError(f"{text}: a recording, not a video. Name the video it was made from, or use report on it.")
    if path.is_file():
        if _is_image(path):
            return ImageSource(path, vid_stride=vid_stride)
        return FileSource(path, vid_stride=vid_stride, threads=threads)
    if path.is_dir():
        return ImageSource(path, vid_stride=vid_stride)
    if glob.has_magic(text):
        return ImageSource(str(path), vid_stride=vid_stride)
    if text.isdecimal():
        return CameraSource(int(text), vid_stride=vid_stride)
    several = [Path(part.strip()) for part in text.split(",")]
    if len(several) > 1 and all(part.is_file() for part in several):
        return ImageSource(several, vid_stride=vid_stride)
    if path.suffix or len(path.parts) > 1:
        raise SourceError(f"{text}: no such file or folder. Check the spelling; relative paths start at {Path.cwd()}.")
    return CameraSource(text, vid_stride=vid_stride)


def _is_image(path: Path) -> bool:
    """Whether the content is a still image; an unreadable or empty file goes by its suffix."""
    try:
        with path.open("rb") as file:
            start = file.read(16)
    except OSError:
        start = b""
    if start.startswith(IMAGE_SIGNATURES) or (start[:4] == b"RIFF" and start[8:12] == b"WEBP"):
        return True
    return path.suffix.lower() in IMAGE_SUFFIXES

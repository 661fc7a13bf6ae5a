"""Frames in, frames out: files, folders, cameras and streams become Frames; results become a video file.

May import types, errors, protocols, geometry and config, never torch or Qt.
"""

from tracker.video.address import redact
from tracker.video.array_source import ArraySource
from tracker.video.camera_source import CameraSource
from tracker.video.file_source import FileSource
from tracker.video.image_source import ImageSource
from tracker.video.one_size import OneSize
from tracker.video.open_source import open_source, wait_for_source
from tracker.video.stream_source import StreamSource
from tracker.video.video_sink import VideoSink

__all__ = [
    "ArraySource",
    "CameraSource",
    "FileSource",
    "ImageSource",
    "OneSize",
    "StreamSource",
    "VideoSink",
    "open_source",
    "redact",
    "wait_for_source",
]

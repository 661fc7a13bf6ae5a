"""Sources whose images change in size: boxes, lines and the video stay in the pixels of the first."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest

from tests.video.cameras import ReplacedCamera
from tests.video.synthetic import read_number, write_clip
from tracker.types import Frame
from tracker.video import FileSource, OneSize, StreamSource


def test_a_camera_that_comes_back_with_another_size_and_codec_keeps_its_first_size(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.WARNING)
    frames: list[Frame] = []
    with ReplacedCamera(10) as camera:
        source = OneSize(StreamSource(camera.address))
        before = 0
        for frame in source:
            frames.append(frame)
            if len(frames) == 5:
                camera.down()
                camera.replaced = True
                camera.up()
            before += source.reconnects == 0
            if len(frames) >= before + 8:
                break
        source.close()
    assert {frame.image.shape for frame in frames} == {(96, 160, 3)}
    assert source.reconnects == 1
    assert (np.diff([frame.time for frame in frames]) > 0).all()
    said = [record.getMessage() for record in caplog.records if "pixels now" in record.getMessage()]
    assert len(said) == 1
    assert f"{source.name}: its images have 320 x 192 pixels now; they are scaled to 160 x 96" in said[0]


def test_a_file_that_changes_its_size_gives_frames_of_the_first(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    parts = [
        write_clip(tmp_path / f"{width}.ts", frames=20, width=width, height=height)
        for width, height in ((160, 96), (320, 192))
    ]
    joined = tmp_path / "joined.ts"
    joined.write_bytes(b"".join(part.read_bytes() for part in parts))
    source = FileSource(joined)
    frames = list(source)
    assert {frame.image.shape for frame in frames} == {(96, 160, 3)}
    assert len(frames) >= 35
    assert "320 x 192 pixels now; they are scaled to 160 x 96" in caplog.text
    assert read_number(frames[3].image) == 3
    source.close()

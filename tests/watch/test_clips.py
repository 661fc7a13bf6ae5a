"""What is kept of live input has the scene's lines and zones where it is drawn, and nothing where it is plain."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.overlay.scenes import crowd
from tracker.overlay import Figure, Overlay, OverlayConfig
from tracker.types import Detections, Event, EventKind, Frame, FrameResult, Image, Tracks
from tracker.video import open_source
from tracker.watch.clips import ClipKeeper, Recorder, privacy_only, save_snapshot

WIDTH, HEIGHT = 160, 128
LINE: Figure = (((80.0, 0.0), (80.0, 127.0)), False, "")


def result_at(tick: int, *, events: tuple[Event, ...] = ()) -> FrameResult:
    frame = Frame(np.full((HEIGHT, WIDTH, 3), 30, np.uint8), tick, tick / 10, "camera")
    return FrameResult(frame, Detections.empty(), Tracks.empty(), (), events=events)


def has_line(image: Image) -> bool:
    return bool(image[40:120, 79:82].max(axis=(1, 2)).min() > 150)


def images(path: Path) -> list[Image]:
    source = open_source(str(path))
    try:
        return [frame.image.copy() for frame in source]
    finally:
        source.close()


def test_lines_are_in_the_drawn_video_and_not_in_the_plain_one(tmp_path: Path) -> None:
    recorder = Recorder("camera", OverlayConfig(), figures=lambda: [LINE])
    recorder.start(tmp_path, annotated=True, raw=True)
    for tick in range(12):
        recorder.write(result_at(tick))
    drawn, plain = (path for path in recorder.stop() if path.suffix == ".mp4")
    assert all(map(has_line, images(drawn)))
    assert not any(map(has_line, images(plain)))


def test_nothing_at_all_is_drawn_into_the_plain_video() -> None:
    everything = OverlayConfig(trails=True, counts=True, blur_regions=((0.0, 0.0, 0.5, 0.5),))
    result = crowd(480, 270)
    hidden = Overlay(OverlayConfig(boxes=False, masks=False, class_names=False, ids=False, scores=False,
                                   blur_regions=everything.blur_regions))(result)  # fmt: skip
    assert (Overlay(privacy_only(everything))(result) == hidden).all()


def test_a_clip_has_the_lines_as_they_were_when_its_frames_came(tmp_path: Path) -> None:
    figures: list[Figure] = []
    keeper = ClipKeeper("camera", OverlayConfig(), lambda: tmp_path, before_s=1.0, after_s=1.0, figures=lambda: figures)
    keeper.arm(armed=True)
    event = Event(EventKind.LINE, "gate", 1, 0, 1.0, 1.0)
    for tick in range(30):
        figures = [LINE] if tick >= 10 else []
        keeper.write(result_at(tick, events=(event,) if tick == 10 else ()))
    keeper.close()
    (clip,) = tmp_path.glob("*.mp4")
    seen = [has_line(image) for image in images(clip)]
    assert seen == sorted(seen)
    assert (seen.count(False), seen.count(True)) == (10, 11)


@pytest.mark.parametrize("figures", [(), (LINE,)])
def test_a_snapshot_has_the_lines_it_is_given(figures: tuple[Figure, ...], tmp_path: Path) -> None:
    path = save_snapshot(result_at(0), OverlayConfig(), tmp_path, "camera", figures)
    assert has_line(cv2.imread(str(path))[:, :, ::-1]) == bool(figures)

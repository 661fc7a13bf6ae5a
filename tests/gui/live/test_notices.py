"""What is kept of an event: one thumbnail for all events of a frame, the object large, nothing that is to be hidden."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from PyQt6.QtWidgets import QDialog, QLabel
from pytestqt.qtbot import QtBot

from gui.canvas.renderer import FrameRenderer
from gui.live.events_panel import EventsPanel
from gui.live.notices import notices_of
from gui.qt.background import Background
from tracker.overlay import OverlayConfig
from tracker.types import Detections, Event, Frame, FrameResult, Tracks, TrackState
from tracker.watch.thumbnails import THUMBNAIL

WIDTH, HEIGHT = 1200, 800
BOX = (600, 200, 680, 360)
PLAIN = OverlayConfig(boxes=False, class_names=False, ids=False, scores=False)


def one_person(width: int, height: int) -> FrameResult:
    """Two events of somebody on plain grey."""
    image = np.full((height, width, 3), 90, np.uint8)
    boxes = np.array([BOX], np.float32) * np.float32(width / WIDTH)
    detections = Detections(boxes, np.ones(1, np.float32), np.zeros(1, np.int32))
    zeros = np.zeros(1, np.float32)
    states = np.array([TrackState.CONFIRMED], np.uint8)
    tracks = Tracks(
        np.array([7]), boxes, np.zeros((1, 2), np.float32), zeros, detections.class_ids, states, zeros, zeros,
        np.zeros(1, np.int32),
    )  # fmt: skip
    events = tuple(Event("line", name, 1.0, 7, 0, 1.0) for name in ("in", "out"))
    return FrameResult(Frame(image, 0, 1.0, "camera"), detections, tracks, ("person",), events=events)


@pytest.fixture
def result() -> FrameResult:
    """The same, the box filled with a red chequer."""
    plain = one_person(WIDTH, HEIGHT)
    x1, y1, x2, y2 = BOX
    rows, columns = np.mgrid[y1:y2, x1:x2] // 8
    plain.frame.image[y1:y2, x1:x2] = np.where(((rows + columns) % 2)[..., None], (255, 0, 0), (0, 0, 0))
    return plain


def decoded(still: bytes) -> np.ndarray:
    """Blue, green, red."""
    pixels = cv2.imdecode(np.frombuffer(still, np.uint8), cv2.IMREAD_COLOR)
    assert pixels is not None
    return pixels


@pytest.mark.parametrize("watched", [False, True])
def test_a_thumbnail_is_filled_by_the_object_and_the_still_shows_all(result: FrameResult, *, watched: bool) -> None:
    rendered = None
    if watched:
        renderer = FrameRenderer(PLAIN)
        renderer.fit((WIDTH // 2, HEIGHT // 2))
        rendered = renderer(result)
    first, second = notices_of(result, rendered, PLAIN, source="camera", clip=None)
    assert (first.event.name, second.event.name) == ("in", "out")
    assert first.label == "person"
    assert first.still is second.still
    assert decoded(first.still).shape[1] == (WIDTH // 2 if watched else 960)
    wide, high = THUMBNAIL
    assert first.thumbnail.shape == (high, wide, 4)
    middle = first.thumbnail[high // 3 : -high // 3, wide * 2 // 5 : wide * 3 // 5]
    assert middle[..., 2].mean() > 100 > 20 > middle[..., 1].mean(), "red, of the chequer"
    assert np.abs(first.thumbnail[:3, :, :3].astype(int) - 90).max() < 12, "the grey around it"


@pytest.mark.parametrize("config", [
    OverlayConfig(blur_classes=("person",)),
    OverlayConfig(blur_regions=((0.5, 0.2, 0.6, 0.5),)),
])  # fmt: skip
def test_what_is_to_be_hidden_is_hidden_while_nobody_looks(result: FrameResult, config: OverlayConfig) -> None:
    open_notice = notices_of(result, None, PLAIN, source="camera", clip=None)[0]
    hidden_notice = notices_of(result, None, config, source="camera", clip=None)[0]
    scale = 960 / WIDTH
    x1, y1, x2, y2 = (round(side * scale) for side in BOX)
    inside = slice(y1 + 12, y2 - 12), slice(x1 + 12, x2 - 12), 2
    assert decoded(open_notice.still)[inside].std() > 60
    assert decoded(hidden_notice.still)[inside].std() < 20


def test_a_listed_event_opens_as_the_frame_it_was(qtbot: QtBot, result: FrameResult) -> None:
    panel = EventsPanel(Background())
    qtbot.addWidget(panel)
    notice = notices_of(result, None, PLAIN, source="camera", clip=None)[0]
    panel.add(notice)
    panel.show()
    item = panel._list.item(0)
    assert item is not None
    panel._list.itemActivated.emit(item)
    moment = panel.findChild(QDialog)
    assert moment is not None
    pixmap = moment.findChildren(QLabel)[0].pixmap()
    assert (pixmap.width(), pixmap.height()) == decoded(notice.still).shape[1::-1]
    moment.close()


def test_names_are_as_large_on_a_dense_screen() -> None:
    """The tag beside a box, in units of the window, also where the frame has fewer pixels than the place for it."""
    areas = []
    for density, enlarged in ((1, 1.0), (2, 1.0), (2, 1.5)):
        size = round(300 * density / enlarged), round(200 * density / enlarged)
        renderer = FrameRenderer(OverlayConfig(boxes=False, masks=False))
        renderer.fit((300 * density, 200 * density), density)
        rendered = renderer(one_person(*size))
        assert rendered is not None
        assert rendered.pixels.shape[1::-1] == size
        tagged = np.any(np.abs(rendered.pixels[..., :3].astype(int) - 90) > 8, axis=2)
        areas.append(tagged.sum() * (enlarged / density) ** 2)
    assert areas[1:] == pytest.approx([areas[0]] * 2, rel=0.25)

"""What events looked like: the right part of the frame, and nothing that is to be hidden."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np

from tests.world import ScriptedDetector, World
from tracker.overlay import OverlayConfig
from tracker.pipeline import Pipeline
from tracker.track.engine import TrackingEngine
from tracker.types import Event, EventKind, Frame, FrameResult
from tracker.watch.clips import privacy_only
from tracker.watch.thumbnails import surroundings, thumbnails_of


def noticed(*, track: int | None = None) -> FrameResult:
    """A frame of noise, black at the place of a track that something is noticed of."""
    world = World(seconds=1)
    pipeline = Pipeline(ScriptedDetector(world), TrackingEngine())
    image = np.random.default_rng(0).integers(0, 256, (360, 640, 3), np.uint8)
    for index in range(10):
        [seen] = pipeline.detect([image])
        result = pipeline.follow(Frame(image, index, index / 25, "world"), seen)
    number = int(result.tracks.ids[0]) if track is None else track
    event = Event(EventKind.ZONE_ENTER, "door", 0.4, number, 0)
    return replace(result, events=(event,))


def grey(jpeg: bytes) -> np.ndarray:
    image = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_GRAYSCALE)
    assert image is not None
    assert image.shape == (84, 112)
    return image.astype(float)


def test_regions_that_are_hidden_are_hidden_in_thumbnails() -> None:
    plain = privacy_only(OverlayConfig())
    [shown] = thumbnails_of(noticed(), plain)
    [hidden] = thumbnails_of(noticed(), replace(plain, blur_regions=((0.0, 0.0, 1.0, 1.0),)))
    assert grey(hidden).std() < grey(shown).std() / 3


def test_a_thumbnail_shows_the_object_and_without_one_the_frame() -> None:
    image = np.zeros((360, 640, 3), np.uint8)
    image[100:200, 50:90] = 255
    around = surroundings(image, np.array([50, 100, 90, 200], np.float32))
    rows, columns = np.nonzero(around[:, :, 0] > 127)
    assert abs(np.ptp(rows) + 1 - 84 / 1.3) < 3
    assert abs(np.ptp(columns) + 1 - 40 / 130 * 84) < 3
    whole = surroundings(image, None)
    assert abs(float(whole.mean()) - float(image.mean())) < 2
    [gone] = thumbnails_of(noticed(track=999), privacy_only(OverlayConfig()))
    [seen] = thumbnails_of(noticed(), privacy_only(OverlayConfig()))
    assert grey(gone).std() < grey(seen).std()  # noise made smaller is grey

"""A clip with known truth: a moving camera over two real photographs, so every person's true path is exact.

The photographs come with the installed ultralytics package. One hand-drawn box a person, moved by the camera's own
path, is the truth for every frame.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import Float64
from numpy import ndarray

from tracker.errors import SourceError
from tracker.geometry import Boxes, clip
from tracker.types import Frame, Image

__all__ = ["HEIGHT", "RATE", "WIDTH", "frames", "true_boxes"]

WIDTH, HEIGHT, RATE = 1280, 720, 30


@dataclass(frozen=True, slots=True)
class _Shot:
    """One photograph and the camera's way over it; positions are centre x, centre y and width of the view in pixels
    of the photograph, passed at equal intervals."""

    photograph: str
    seconds: float
    views: tuple[tuple[float, float, float], ...]
    people: tuple[tuple[float, float, float, float], ...]
    """Hand-drawn, xyxy in pixels of the photograph."""

    def to_view(self, second: float) -> Float64[ndarray, "2 3"]:
        """The map from pixels of the photograph to pixels of the clip, `second` after the shot's start."""
        stations = np.array(self.views)
        position = np.clip(second / self.seconds, 0, 1) * (len(stations) - 1)
        station = min(int(position), len(stations) - 2)
        step = position - station
        eased = step * step * (3 - 2 * step)
        x, y, width = stations[station] * (1 - eased) + stations[station + 1] * eased
        scale = WIDTH / width
        return np.array([[scale, 0, WIDTH / 2 - scale * x], [0, scale, HEIGHT / 2 - scale * y]])


SHOTS = (
    _Shot(
        "zidane.jpg",
        5.0,
        views=((640, 360, 1280), (740, 390, 1060), (600, 400, 1000), (640, 360, 1280)),
        people=((121, 202, 1153, 720), (750, 42, 1136, 720)),
    ),
    _Shot(
        "bus.jpg",
        7.0,
        views=((405, 560, 1800), (330, 640, 1250), (480, 620, 1150), (405, 560, 1700)),
        people=((52, 400, 246, 899), (225, 406, 345, 860), (669, 400, 810, 880), (0, 560, 78, 872)),
    ),
)
FRAME_COUNT = round(sum(shot.seconds for shot in SHOTS) * RATE)


def frames() -> Iterator[Frame]:
    """The clip, one frame after another. Raises SourceError when the photographs are not installed."""
    canvases = [_spread(_read(shot.photograph)) for shot in SHOTS]
    for index in range(FRAME_COUNT):
        number, second = _shot_at(index)
        canvas, origin = canvases[number]
        to_view = SHOTS[number].to_view(second)
        to_view[:, 2] -= to_view[:, :2] @ origin
        image = cv2.warpAffine(canvas, to_view, (WIDTH, HEIGHT), flags=cv2.INTER_LINEAR)
        image.flags.writeable = False
        yield Frame(image, index, index / RATE, "demo")


def true_boxes(index: int) -> tuple[ndarray, Boxes]:
    """Ids and boxes of the people in a frame, as far as they are inside it."""
    number, second = _shot_at(index)
    first_id = 1 + sum(len(shot.people) for shot in SHOTS[:number])
    scale_x, _, shift_x, _, scale_y, shift_y = SHOTS[number].to_view(second).ravel()
    boxes = np.array(SHOTS[number].people)
    boxes = boxes * [scale_x, scale_y, scale_x, scale_y] + [shift_x, shift_y, shift_x, shift_y]
    return first_id + np.arange(len(boxes)), clip(boxes, WIDTH, HEIGHT)


def _shot_at(index: int) -> tuple[int, float]:
    second = index / RATE
    for number, shot in enumerate(SHOTS):
        if second < shot.seconds or number == len(SHOTS) - 1:
            return number, second
        second -= shot.seconds
    raise AssertionError("there is always a last shot")


def _read(name: str) -> Image:
    package = importlib.util.find_spec("ultralytics")
    folders = list(package.submodule_search_locations or ()) if package else []
    for folder in folders:
        path = Path(folder) / "assets" / name
        image = cv2.imread(str(path)) if path.is_file() else None
        if image is not None:
            return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)
    raise SourceError(f'{name}: the photograph comes with ultralytics: pip install "sightline[ultralytics]"')


def _spread(photograph: Image) -> tuple[Image, ndarray]:
    """A wide canvas with the photograph in its middle and a dim blur of it around, and the photograph's place on it."""
    height, width = photograph.shape[:2]
    wide = max(width, -(-height * WIDTH // HEIGHT)) + 400
    tall = max(height, wide * HEIGHT // WIDTH)
    small = cv2.resize(photograph, (48, 27), interpolation=cv2.INTER_AREA)
    canvas = cv2.resize(cv2.GaussianBlur(small, (0, 0), 3), (wide, tall), interpolation=cv2.INTER_CUBIC) // 2
    left, top = (wide - width) // 2, (tall - height) // 2
    canvas[top : top + height, left : left + width] = photograph
    return canvas, np.array([left, top], np.float64)

"""FrameResult -> image: privacy first, then masks, trails, boxes and, over all of it, name tags.

Every object is drawn inside its own box; the only full-size work is the one copy of the frame that becomes the canvas.
Sizes follow the frame's shorter side, so that 360p and 4K look alike.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np

from tracker.overlay import shapes
from tracker.overlay.legend import legend
from tracker.overlay.palette import LABEL_PALETTE, WHITE, Colour, colour_of
from tracker.overlay.shapes import Corners
from tracker.overlay.text import Pen, Tag, draw_tag, place_tag, printable
from tracker.types import FrameResult, Image, Tracks, TrackState

__all__ = ["AskFigures", "Figure", "Overlay", "OverlayConfig"]

Figure: TypeAlias = tuple[tuple[tuple[float, float], ...], bool, str]
"""Something of the scene rather than of an object: its points, whether they close, and its text."""
AskFigures: TypeAlias = Callable[[], Sequence[Figure]]
"""Lines and zones with their counts as they are now, as `Analytics.figures` gives them."""

_LEAST_STEP = 2
"""Line widths a trail must grow by before a new point is kept: standing objects then cost nothing."""


@dataclass(frozen=True, slots=True)
class OverlayConfig:
    """What is drawn onto the frame, and how."""

    show: Literal["tracks", "detections"] = "tracks"
    """Whose boxes are drawn: tracks with their ids, or the detector's raw boxes coloured by class."""
    boxes: bool = True
    """Draw the rectangle around each object."""
    masks: bool = True
    """Tint the pixels of each object where the network gives its outline."""
    mask_opacity: float = 0.4
    """How strongly a mask tints, 0 to 1."""
    class_names: bool = True
    """Write the class into the name tag."""
    ids: bool = True
    """Write the track id into the name tag."""
    scores: bool = True
    """Write the detector's score into the name tag."""
    counts: bool = False
    """Write into the corner how many objects of each class are seen."""
    trails: bool = False
    """Draw the path each object's foot point has taken."""
    trail_s: float = 2.0
    """Seconds until a trail has faded out."""
    coasting_s: float = 0.5
    """Seconds for which an object that is not seen stays drawn, dashed, where it is expected; 0 hides it at once."""
    tentative: bool = False
    """Draw tracks that are not confirmed yet."""
    colour_by: Literal["track", "class"] = "track"
    """Whether each track or each class has its own colour."""
    scale: float = 1.0
    """Size of lines and text relative to what suits the frame's size."""
    semantic_opacity: float = 0.45
    """How strongly per-pixel labels tint the frame, where they are computed; 0 to 1."""
    semantic_legend: bool = True
    """Name the colours of the per-pixel labels that occur, in the lower left corner."""
    blur_classes: tuple[str, ...] = ()
    """Classes made unrecognisable wherever they are found, such as person."""
    blur_shape: Literal["box", "mask"] = "box"
    """Whether the whole box is made unrecognisable, or only the outline and a rim around it where there is one."""
    blur_regions: tuple[tuple[float, float, float, float], ...] = ()
    """Rectangles that are always unrecognisable: left, top, right, bottom as shares of width and height."""

    def __post_init__(self) -> None:
        for name, value in (("mask_opacity", self.mask_opacity), ("semantic_opacity", self.semantic_opacity)):
            if not 0 <= value <= 1:
                raise ValueError(f"{name} must be from 0 to 1, found {value}")
        for name, value in (("trail_s", self.trail_s), ("coasting_s", self.coasting_s)):
            if not 0 <= value < float("inf"):
                raise ValueError(f"{name} must be 0 seconds or more, found {value}")
        if not 0.1 <= self.scale <= 10:
            raise ValueError(f"scale must be from 0.1 to 10, found {self.scale}")
        for left, top, right, bottom in self.blur_regions:
            if not (0 <= left < right <= 1 and 0 <= top < bottom <= 1):
                raise ValueError(
                    f"blur_regions need 0 <= left < right <= 1 and 0 <= top < bottom <= 1, "
                    f"found {(left, top, right, bottom)}"
                )


@dataclass(frozen=True, slots=True)
class _Shown:
    """One object about to be drawn."""

    corners: Corners
    texts: tuple[str, ...]
    colour: Colour
    detection_row: int
    dashed: bool

    @property
    def size(self) -> int:
        x1, y1, x2, y2 = self.corners
        return (x2 - x1) * (y2 - y1)


class Overlay:
    """Draws results of one source. It remembers only the trails of living tracks; one instance per source.

    A jump back in time forgets what came after it, so a player may seek.
    """

    def __init__(
        self,
        config: OverlayConfig | None = None,
        figures: AskFigures | None = None,
        *,
        density: float = 1.0,
    ) -> None:
        """`figures` is asked for each frame.

        A frame for a dense screen, with `density` pixels where others have one, looks as on any other screen.
        """
        self.config = config or OverlayConfig()
        self.density = density
        self._figures = figures
        self._trails: dict[int, deque[tuple[float, float, float]]] = {}
        self._pen: Pen | None = None

    def __call__(self, result: FrameResult) -> Image:
        """The frame with its overlay, as a new image."""
        canvas = result.frame.image.copy()
        self.draw(result, canvas)
        return canvas

    def draw(self, result: FrameResult, canvas: Image) -> None:
        """Draw onto `canvas`, a writable image of the frame's size; saves the copy where the caller has one."""
        frame_size = width, height = shapes.size_of(canvas)
        line, text_size = self._sizes(min(width, height))
        if self._pen is None or self._pen.size != text_size:
            self._pen = Pen(text_size)
        self._hide(result, canvas)
        if result.semantic is not None and self.config.semantic_opacity > 0:
            shapes.blend_labels(canvas, result.semantic, LABEL_PALETTE, opacity=self.config.semantic_opacity)
        shown = self._choose_tracks(result, frame_size)
        if self.config.show == "detections":
            shown = self._choose_detections(result, frame_size)
        shown.sort(key=lambda item: -item.size)  # small ones on top: they would vanish below large ones
        masks = result.detections.masks
        if self.config.masks and masks is not None:
            self._draw_masks(result, shown, canvas, outline=max(1, line // 2))
        if self.config.trails and self.config.show == "tracks":
            self._draw_trails(result, canvas, line)
        if self.config.boxes:
            for item in shown:
                paint = shapes.draw_dashed_box if item.dashed else shapes.draw_box
                paint(canvas, item.corners, item.colour, line=line)
        placed = self._draw_figures(canvas, line, self._pen) if self._figures is not None else []
        if result.semantic is not None and self.config.semantic_legend and self.config.semantic_opacity > 0:
            placed += legend(result.semantic, result.semantic_labels, canvas, self._pen)
        if self.config.counts:
            placed += self._count_tags(result, canvas, self._pen)
        self._draw_tags(shown, placed, canvas, line, self._pen)

    def reset(self) -> None:
        """Forget all trails."""
        self._trails.clear()

    def _sizes(self, shorter_side: int) -> tuple[int, int]:
        """Line width and text height in pixels: 2 and 10 at 360p, 3 and 21 at 1080p, 5 and 36 at 4K."""
        scale, side = self.config.scale * self.density, shorter_side / self.density
        return max(1, round(scale * (1.1 + side * 0.0018))), max(9, round(scale * (5 + side * 0.0144)))

    def _hide(self, result: FrameResult, canvas: Image) -> None:
        """Pixelate what privacy asks for: every detection of the classes, and every track, sure or not."""
        config = self.config
        frame_size = width, height = shapes.size_of(canvas)
        for left, top, right, bottom in config.blur_regions:
            # outwards to whole pixels: a region must not leave a seam
            region = int(left * width), int(top * height), -int(-right * width // 1), -int(-bottom * height // 1)
            shapes.pixelate(canvas, region)
        if not config.blur_classes:
            return
        hidden = [number for number, name in enumerate(result.labels) if name in config.blur_classes]
        detections, tracks = result.detections, result.tracks
        masks = detections.masks if config.blur_shape == "mask" else None
        for row in np.flatnonzero(np.isin(detections.class_ids, hidden)).tolist():
            corners = shapes.to_pixels(detections.boxes[row].tolist(), frame_size)
            if corners is not None:
                shapes.pixelate(canvas, corners, None if masks is None else masks[row])
        unseen = np.isin(tracks.class_ids, hidden) & ((tracks.detection_rows < 0) | (masks is None))
        for box in tracks.boxes[unseen].tolist():
            corners = shapes.to_pixels(box, frame_size)
            if corners is not None:
                shapes.pixelate(canvas, corners)

    def _choose_tracks(self, result: FrameResult, frame_size: tuple[int, int]) -> list[_Shown]:
        tracks = result.tracks
        chosen = self._visible(tracks)
        columns = zip(
            tracks.ids[chosen].tolist(),
            tracks.boxes[chosen].tolist(),
            tracks.class_ids[chosen].tolist(),
            tracks.scores[chosen].tolist(),
            tracks.detection_rows[chosen].tolist(),
            strict=True,
        )
        shown = []
        for track_id, box, class_id, score, detection_row in columns:
            corners = shapes.to_pixels(box, frame_size)
            if corners is None:
                continue
            number = track_id if self.config.colour_by == "track" else class_id + 1
            seen = detection_row >= 0
            texts = self._texts(result.labels, class_id, track_id, score if seen else None)
            shown.append(_Shown(corners, texts, colour_of(number), detection_row, dashed=not seen))
        return shown

    def _choose_detections(self, result: FrameResult, frame_size: tuple[int, int]) -> list[_Shown]:
        detections = result.detections
        shown = []
        for row, (box, class_id, score) in enumerate(
            zip(detections.boxes.tolist(), detections.class_ids.tolist(), detections.scores.tolist(), strict=True)
        ):
            corners = shapes.to_pixels(box, frame_size)
            if corners is not None:
                texts = self._texts(result.labels, class_id, None, score)
                shown.append(_Shown(corners, texts, colour_of(class_id + 1), row, dashed=False))
        return shown

    def _visible(self, tracks: Tracks) -> np.ndarray:
        config = self.config
        tentative = tracks.states == TrackState.TENTATIVE
        coasting = tracks.detection_rows < 0
        chosen = np.isfinite(tracks.boxes).all(axis=1)
        if not config.tentative:
            chosen &= ~tentative
        rows: np.ndarray = np.flatnonzero(chosen & (~coasting | (tracks.unseen < config.coasting_s)))
        return rows

    def _texts(
        self, labels: Sequence[str], class_id: int, track_id: int | None, score: float | None
    ) -> tuple[str, ...]:
        """The label, longest form first; empty where nothing is to be written."""
        config = self.config
        name = ""
        if config.class_names:
            name = printable(labels[class_id]) if 0 <= class_id < len(labels) else f"class {class_id}"
        number = str(track_id) if config.ids and track_id is not None else ""
        confidence = f"{score:.2f}" if config.scores and score is not None else ""
        forms = (
            " ".join(filter(None, parts)) for parts in ((name, number, confidence), (name, number), (number or name,))
        )
        return tuple(dict.fromkeys(form for form in forms if form))

    def _draw_masks(self, result: FrameResult, shown: Sequence[_Shown], canvas: Image, *, outline: int) -> None:
        masks, boxes = result.detections.masks, result.detections.boxes
        assert masks is not None
        frame_size = shapes.size_of(canvas)
        for item in shown:
            if item.detection_row < 0:
                continue
            # a mask is stretched over the detector's box, not over the tracker's smoothed one
            corners = shapes.to_pixels(boxes[item.detection_row].tolist(), frame_size)
            if corners is not None:
                opacity = self.config.mask_opacity
                shapes.blend_mask(
                    canvas, masks[item.detection_row], corners, item.colour, opacity=opacity, line=outline
                )

    def _draw_trails(self, result: FrameResult, canvas: Image, line: int) -> None:
        now, length_s = result.frame.time, self.config.trail_s
        tracks = result.tracks
        living = {}
        for track_id, (x1, _, x2, y2) in zip(tracks.ids.tolist(), tracks.boxes.tolist(), strict=True):
            trail = living[track_id] = self._trails.get(track_id, deque())
            while trail and trail[-1][0] >= now:
                trail.pop()
            while trail and now - trail[0][0] > length_s:
                trail.popleft()
            x, y = (x1 + x2) / 2, y2
            if not trail or max(abs(trail[-1][1] - x), abs(trail[-1][2] - y)) >= _LEAST_STEP * line:
                trail.append((now, x, y))
        self._trails = living
        for row in self._visible(tracks).tolist():
            track_id = int(tracks.ids[row])
            times, xs, ys = np.array(living[track_id]).T
            number = track_id if self.config.colour_by == "track" else int(tracks.class_ids[row]) + 1
            faded = (now - times) / max(length_s, 1e-9)
            shapes.draw_trail(canvas, np.stack([xs, ys], axis=1), faded, colour_of(number), line=line)

    def _draw_figures(self, canvas: Image, line: int, pen: Pen) -> list[Tag]:
        """Lines and zones in white, their tags at their middle or first corner."""
        assert self._figures is not None
        tags = []
        width, height = shapes.size_of(canvas)
        for points, closed, text in self._figures():
            shapes.draw_figure(canvas, points, WHITE, closed=closed, line=line)
            text = printable(text)
            if not text:
                continue
            x, y = points[0] if closed else (np.array(points[0]) + points[-1]) / 2
            wide = pen.width(text)
            left = min(max(round(x) - (0 if closed else wide // 2), 0), max(width - wide, 0))
            top = min(max(round(y) - pen.height // 2, 0), max(height - pen.height, 0))
            tags.append(Tag(text, WHITE, left, top, wide, pen.height))
        return tags

    def _count_tags(self, result: FrameResult, canvas: Image, pen: Pen) -> list[Tag]:
        """One tag per class, below each other in the top left corner, as many as there is room for."""
        height, _ = canvas.shape[:2]
        texts = [printable(f"{name}: {count}") for name, count in result.counts().items()]
        fitting = texts[: max(0, height // pen.height)]
        return [Tag(text, WHITE, 0, row * pen.height, pen.width(text), pen.height) for row, text in enumerate(fitting)]

    def _draw_tags(self, shown: Sequence[_Shown], placed: list[Tag], canvas: Image, line: int, pen: Pen) -> None:
        """Tags of objects, out of the way of those already placed."""
        frame_size = shapes.size_of(canvas)
        for item in reversed(shown):  # small objects have the least room around them: they choose first
            if item.texts:
                tag = place_tag(
                    item.texts, item.corners, item.colour, pen=pen, line=line, taken=placed, frame_size=frame_size
                )
                placed.append(tag)
        for tag in placed:
            draw_tag(canvas, tag, pen)

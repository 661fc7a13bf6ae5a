"""Made-up annotations that use exactly what a format can hold."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from hypothesis import strategies as st

from tracker.formats.core.annotations import Annotations
from tracker.formats.core.collector import Collector
from tracker.formats.core.content import Segmentation
from tracker.formats.core.rle import rle_to_window, window_to_rle

WIDTH, HEIGHT = 24, 16
LABELS = ("person", "traffic light", "автомобиль", "a<b>&\"c'", "人")
PLAIN_LABELS = ("person", "car", "Fußgänger")


@dataclass(frozen=True)
class World:
    """What the annotations of a format may use."""

    tracked: bool = True
    untracked: bool = True
    labels: tuple[str, ...] = LABELS
    one_class: bool = False
    scores: bool | None = None
    """True: always, False: never, None: sometimes."""
    masks: bool = True
    polygons: int = 2
    """Most outlines of one object."""
    box_of_segmentation: bool = False
    disjoint: bool = False
    times: bool = True
    occluded: bool = True
    keyframes: bool = True
    crowds: bool = False
    empty_frames: bool = True
    contiguous: bool = False
    images: bool = True
    clipped: bool = False


@st.composite
def annotations(draw: st.DrawFn, world: World) -> Annotations:
    """Annotations of a small image."""
    count = draw(st.integers(1, 4))
    if world.contiguous:
        start = draw(st.integers(0, 3))
        indices = list(range(start, start + count))
    else:
        indices = sorted(draw(st.sets(st.integers(0, 2000), min_size=count, max_size=count)))
    as_images = world.images and draw(st.booleans())
    if as_images:
        indices = list(range(count))
    labels = world.labels[: 1 if world.one_class else draw(st.integers(1, len(world.labels)))]
    rows = Collector("made", source="" if as_images else "clip é.mp4", labels=labels)
    filled = [draw(st.booleans()) or not world.empty_frames for _ in indices]
    if not world.empty_frames or world.contiguous:
        filled[0] = filled[-1] = True
    if not as_images and world.contiguous:
        filled = [True] * count
    for place, index in enumerate(indices):
        time = draw(st.floats(0, 1e5)) if world.times and draw(st.booleans()) else math.nan
        name = f"part {place}/img-{place}.jpg" if as_images else ""
        rows.frame(index, "made", time=time, width=WIDTH, height=HEIGHT, name=name)
        if not filled[place]:
            continue
        ids = sorted(draw(st.sets(st.integers(1, 4), max_size=3))) if world.tracked else []
        ids += [0] * draw(st.integers(0, 2)) if world.untracked else []
        if not ids and not world.empty_frames:
            ids = [1] if world.tracked else [0]
        for slot, track_id in enumerate(ids):
            _add(draw, world, rows, index, track_id, slot, len(labels))
    return rows.finish()


def _add(
    draw: st.DrawFn, world: World, rows: Collector, frame: int, track_id: int, slot: int, label_count: int
) -> None:
    segmentation: Segmentation | None = None
    kinds = ["mask"] * world.masks + ["polygon"] * (world.polygons > 0)
    if not world.disjoint:
        kinds.append("none")
    kind = draw(st.sampled_from(kinds))
    corner = draw(st.tuples(st.integers(-5000, 20000), st.integers(-5000, 12000)))
    size = draw(st.tuples(st.integers(0, 9000), st.integers(0, 9000)))
    x1, y1 = corner[0] / 1000, corner[1] / 1000
    box = (x1, y1, round(x1 + size[0] / 1000, 3), round(y1 + size[1] / 1000, 3))
    if world.clipped:
        box = (max(box[0], 0.0), max(box[1], 0.0), min(max(box[2], 0.0), WIDTH), min(max(box[3], 0.0), HEIGHT))
    if kind == "mask":
        left = 4 * slot if world.disjoint else draw(st.integers(0, 12))
        cells = draw(st.lists(st.booleans(), min_size=12, max_size=12))
        covered = np.array(cells, bool).reshape(3, 4)
        covered[draw(st.integers(0, 2)), draw(st.integers(0, 3))] = True
        code = window_to_rle(covered, left=left, top=draw(st.integers(0, 9)), width=WIDTH, height=HEIGHT)
        (down, across), _ = rle_to_window(code)
        segmentation = code["counts"]
        if world.box_of_segmentation:
            box = (across.start, down.start, across.stop, down.stop)
    elif kind == "polygon":
        xs, ys = st.integers(0, WIDTH * 100), st.integers(0, HEIGHT * 100)
        point = st.tuples(xs, ys)
        outlines = draw(st.lists(st.lists(point, min_size=3, max_size=5), min_size=1, max_size=world.polygons))
        segmentation = tuple(tuple(edge / 100 for point in outline for edge in point) for outline in outlines)
        if world.box_of_segmentation:
            flat = [edge for outline in segmentation for edge in outline]
            box = (min(flat[::2]), min(flat[1::2]), max(flat[::2]), max(flat[1::2]))
    scored = world.scores is True or (world.scores is None and draw(st.booleans()))
    rows.add(
        frame,
        box,
        "made",
        class_id=(track_id or slot) % label_count,
        track_id=track_id or None,
        score=draw(st.integers(0, 10000)) / 10000 if scored else math.nan,
        segmentation=segmentation,
        occluded=world.occluded and draw(st.booleans()),
        keyframe=not world.keyframes or draw(st.booleans()),
        crowd=world.crowds and draw(st.booleans()),
    )


def assert_same(found: Annotations, expected: Annotations, *, within: float = 1.5e-6) -> None:
    """Fail where the two differ; corners of boxes may differ by so many pixels, and outlines where it is more."""
    assert found.source == expected.source
    assert found.labels == expected.labels
    assert found.frames.indices.tolist() == expected.frames.indices.tolist()
    assert found.frames.names == expected.frames.names
    for column in ("times", "widths", "heights"):
        np.testing.assert_array_equal(getattr(found.frames, column), getattr(expected.frames, column), column)
    for column in ("frames", "track_ids", "class_ids", "scores", "occluded", "keyframes", "crowds"):
        np.testing.assert_array_equal(getattr(found.objects, column), getattr(expected.objects, column), column)
    np.testing.assert_allclose(found.objects.boxes, expected.objects.boxes, rtol=0, atol=within)
    for one, other in zip(found.objects.segmentations, expected.objects.segmentations, strict=True):
        if isinstance(one, tuple) and isinstance(other, tuple):
            for points, others in zip(one, other, strict=True):
                np.testing.assert_allclose(points, others, rtol=0, atol=within if within > 1e-5 else 0)
        else:
            assert one == other

"""Masks lie on their objects in video that is stored turned, squeezed or very wide, as in the upright one."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from pycocotools import mask as coco

from tracker.cli import main
from tracker.commands import demo_clip
from tracker.types import Image

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # pycocotools' own

WIDTH, HEIGHT = 432, 576


def people() -> Image:
    """Part of a photograph that people stand in, upright."""
    whole = demo_clip._read("bus.jpg")
    return np.asarray(cv2.resize(whole, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA), np.uint8)


def write(path: Path, image: Image, *, rotation: int = 0, aspect: Fraction | None = None) -> None:
    """A clip of three equal frames that a player turns by `rotation` degrees counter-clockwise."""
    raw = np.ascontiguousarray(np.rot90(image, -rotation // 90))
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=10, options={"crf": "8", "preset": "ultrafast"})
        stream.height, stream.width = raw.shape[:2]
        stream.pix_fmt = "yuv420p"
        if aspect is not None:
            stream.codec_context.sample_aspect_ratio = aspect
        if rotation:
            stream.set_display_rotation(rotation)
        for _ in range(3):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(raw, format="rgb24")))
        container.mux(stream.encode(None))


def found_in(folder: Path, name: str, size: int) -> tuple[tuple[int, int], list[tuple[np.ndarray, np.ndarray]]]:
    """Size of the recording, and the last frame's boxes and masks of people."""
    options = ["--project", str(folder), "--name", name, "--imgsz", str(size), "--save", "--progress", "none"]
    assert main(["track", str(folder / f"{name}.mp4"), *options]) == 0
    rows = [json.loads(line) for line in (folder / name / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()]
    with av.open(str(folder / name / f"{name}.mp4")) as video:
        frame = next(video.decode(video=0))
        assert (frame.width, frame.height) == (rows[0]["width"], rows[0]["height"]), "the annotated video is upright"
    objects = [item for item in rows[-1]["objects"] if item["class"] == "person" and item.get("segmentation")]
    masks = [coco.decode(item["segmentation"]).astype(bool) for item in objects]
    boxes = [np.array(item["bbox"]) for item in objects]
    return (rows[0]["width"], rows[0]["height"]), list(zip(boxes, masks, strict=True))


@pytest.fixture(scope="module")
def upright(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[np.ndarray, np.ndarray]]:
    folder = tmp_path_factory.mktemp("upright")
    write(folder / "plain.mp4", people())
    _, found = found_in(folder, "plain", 640)
    assert len(found) >= 3
    return found


@pytest.mark.parametrize("kind", ["turned 90", "turned 180", "turned -90", "squeezed", "wide"])
def test_masks_lie_where_they_lie_in_the_upright_clip(
    tmp_path: Path, upright: list[tuple[np.ndarray, np.ndarray]], kind: str
) -> None:
    image, left, size = people(), 0, 640
    if kind.startswith("turned"):
        write(tmp_path / "a.mp4", image, rotation=int(kind.split()[1]))
    elif kind == "squeezed":
        write(tmp_path / "a.mp4", image, aspect=Fraction(9, 8))
    else:
        left, size = WIDTH, 1280
        canvas = np.full((HEIGHT, 3 * WIDTH, 3), 60, np.uint8)
        canvas[:, left : left + WIDTH] = image
        write(tmp_path / "a.mp4", canvas)
    (width, height), found = found_in(tmp_path, "a", size)
    assert (width, height) == (3 * WIDTH if kind == "wide" else WIDTH, HEIGHT)
    best = []
    for _, mask in upright:
        overlaps = [(mask & other[:, left : left + WIDTH], mask | other[:, left : left + WIDTH]) for _, other in found]
        best.append(max(shared.sum() / max(either.sum(), 1) for shared, either in overlaps))
    assert sum(overlap > 0.7 for overlap in best) >= len(best) - (kind == "wide"), best
    for box, mask in found:
        x1, y1, x2, y2 = (int(value) for value in box)
        inside = mask[max(y1 - 2, 0) : y2 + 3, max(x1 - 2, 0) : x2 + 3].sum()
        assert inside / mask.sum() > 0.98

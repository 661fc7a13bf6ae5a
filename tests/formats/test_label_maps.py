"""Labels of every pixel come back equal: by the rules of COCO panoptic and of CVAT, and by Datumaro."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy import ndarray

from benchmarks.readers import ENVIRONMENT, environment
from main import main
from tracker.errors import FormatError, SinkError
from tracker.formats.label_maps import LABEL_MAP_FORMATS, LabelledFrame, label_colours
from tracker.observations import Observations
from tracker.store import RecordingInfo, RecordingWriter, SemanticMap

LABELS = ("road", "tree", "sky")
WIDTH, HEIGHT, FRAMES = 24, 16, 3
UNLABELLED = 1
"""The frame that has none."""


def truth(frame: int) -> ndarray:
    """At half of the frame's size; one pixel has a number beyond the labels."""
    pixels = np.random.default_rng(frame).integers(0, 3, (HEIGHT // 2, WIDTH // 2), np.uint8)
    pixels[0, 0] = 200
    return pixels


def whole(frame: int) -> ndarray:
    """The numbers as both formats count them, at the frame's size: 0 where nothing is labelled."""
    pixels = truth(frame).repeat(2, axis=0).repeat(2, axis=1).astype(int) + 1
    return np.where(pixels > len(LABELS), 0, pixels)


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Both formats of one recording, written over an older export with somebody's image in it."""
    folder = tmp_path_factory.mktemp("label-maps")
    writer = RecordingWriter.create(
        folder / "clip.sqlite", RecordingInfo({"name": "clip.mp4"}, WIDTH, HEIGHT, ("car",))
    )
    for frame in range(FRAMES):
        pixels = None if frame == UNLABELLED else SemanticMap(truth(frame), LABELS)
        writer.add(frame, frame / 25, Observations.empty(), semantic=pixels)
    writer.commit({})
    writer.close()
    image = folder / "out" / "clip.panoptic" / "images" / "default" / "clip_000001.jpg"
    image.parent.mkdir(parents=True)
    image.write_bytes(b"somebody's")
    formats = ",".join(LABEL_MAP_FORMATS)
    assert (
        main(["export-annotations", str(folder / "clip.sqlite"), "--format", formats, "--out", str(folder / "out")])
        == 0
    )
    assert image.read_bytes() == b"somebody's"
    return folder / "out"


def rgb(path: Path) -> ndarray:
    image = cv2.imread(str(path))
    assert image is not None
    return image[:, :, ::-1].astype(int)


def test_coco_panoptic_has_each_label_as_a_segment(exported: Path) -> None:
    folder = exported / "clip.panoptic" / "annotations"
    content = json.loads((folder / "panoptic_default.json").read_text())
    assert [(entry["id"], entry["name"], entry["isthing"]) for entry in content["categories"]] == [
        (1, "road", 0),
        (2, "tree", 0),
        (3, "sky", 0),
    ]
    assert [(entry["id"], entry["file_name"]) for entry in content["images"]] == [
        (1, "clip_000001.jpg"),
        (3, "clip_000003.jpg"),
    ]
    for entry in content["annotations"]:
        red, green, blue = np.moveaxis(rgb(folder / "panoptic_default" / entry["file_name"]), 2, 0)
        segments = red + 256 * green + 65536 * blue
        assert np.array_equal(segments, whole(entry["image_id"] - 1))
        assert {each["id"] for each in entry["segments_info"]} == set(np.unique(segments)) - {0}
        for each in entry["segments_info"]:
            covered = segments == each["id"]
            left, top, width, height = each["bbox"]
            assert each["category_id"] == each["id"]
            assert each["area"] == covered.sum() == covered[top : top + height, left : left + width].sum()
            assert covered[top].any()
            assert covered[:, left + width - 1].any()


def test_cvat_finds_each_label_by_its_colour(exported: Path) -> None:
    folder = exported / "clip.segmentationmask"
    lines = (folder / "labelmap.txt").read_text().splitlines()
    assert lines[0] == "# label:color_rgb:parts:actions"
    names, colours = zip(*(line.split(":")[:2] for line in lines[1:]), strict=True)
    assert names == ("background", *LABELS)
    assert (folder / "ImageSets" / "Segmentation" / "default.txt").read_text().split() == ["clip_000001", "clip_000003"]
    by_colour = {tuple(map(int, colour.split(","))): number for number, colour in enumerate(colours)}
    for kind in ("SegmentationClass", "SegmentationObject"):
        pixels = rgb(folder / kind / "clip_000003.png")
        numbers = [[by_colour[tuple(pixel)] for pixel in row] for row in pixels.tolist()]
        assert np.array_equal(numbers, whole(2))


def test_colours_are_those_of_pascal_voc_and_all_different() -> None:
    colours = label_colours(256)
    assert len(np.unique(colours, axis=0)) == 256
    assert colours[[0, 1, 2, 3, 8, 255]].tolist() == [
        [0, 0, 0],
        [128, 0, 0],
        [0, 128, 0],
        [128, 128, 0],
        [64, 0, 0],
        [224, 224, 192],
    ]


def no_frames() -> Iterator[LabelledFrame]:
    return iter(())


def test_what_cannot_be_written_is_refused(exported: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    writer = RecordingWriter.create(tmp_path / "none.sqlite", RecordingInfo({"name": "a.mp4"}, 8, 8, ("car",)))
    writer.add(0, 0.0, Observations.empty())
    writer.commit({})
    writer.close()
    command = [
        "export-annotations",
        str(tmp_path / "none.sqlite"),
        "--out",
        str(tmp_path / "out"),
        "--format",
        "panoptic",
    ]
    assert main(command) != 0
    assert "has no label per pixel to write as panoptic; annotate with --semantic gives them" in capsys.readouterr().err
    assert main([*command, "--images"]) == 2
    assert "--images: not for the formats panoptic, segmentationmask" in capsys.readouterr().err
    write = LABEL_MAP_FORMATS["segmentationmask"].write
    for name in ("a:b", "background"):
        with pytest.raises(FormatError, match="has no place for it"):
            write(tmp_path / "new", [name], no_frames())
    (tmp_path / "file").write_text("")
    with pytest.raises(SinkError):
        LABEL_MAP_FORMATS["panoptic"].write(tmp_path / "file" / "in", LABELS, no_frames())


SCRIPT = """
import json, sys
import datumaro
import numpy as np
found = datumaro.Dataset.import_from(sys.argv[1], sys.argv[2])
names = [label.name for label in found.categories()[datumaro.AnnotationType.label]]
frames = {}
for item in found:
    pixels = np.zeros((16, 24), object)
    for note in item.annotations:
        pixels[np.asarray(note.image) > 0] = names[note.label]
    frames[item.id] = pixels.tolist()
print(json.dumps(frames))
"""


@pytest.mark.slow
@pytest.mark.parametrize(("name", "form"), [("panoptic", "coco_panoptic"), ("segmentationmask", "voc_segmentation")])
def test_datumaro_reads_every_pixel(name: str, form: str, exported: Path) -> None:
    python = environment(ENVIRONMENT)
    done = subprocess.run(
        [python, "-c", SCRIPT, exported / f"clip.{name}", form], capture_output=True, text=True, check=True
    )
    frames = json.loads(done.stdout.splitlines()[-1])
    assert set(frames) == {"clip_000001", "clip_000003"}
    known = np.array([0 if name == "panoptic" else "background", *LABELS], object)
    for frame in (0, 2):
        read = np.array(frames[f"clip_{frame + 1:06d}"], object)
        wanted = known[whole(frame)]
        if name == "segmentationmask":
            read = np.where(read == 0, "background", read)  # Datumaro reads no mask of background
        assert np.array_equal(read, wanted)

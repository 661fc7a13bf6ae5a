"""Recordings of image folders: names and sizes of the images in every export, and annotations of them coming back."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import cv2
import numpy as np
import pytest

import main
from tests.annotate.test_run import annotate, request
from tests.annotate.tiny import BLOCK, COLOURS
from tracker.annotate.export import export_suffix
from tracker.errors import FormatError
from tracker.formats import find_format
from tracker.formats.core.annotations import ExternalInfo
from tracker.formats.core.rle import rle_to_window, window_to_rle
from tracker.observations import Observations
from tracker.store import ImageEntry, Recording, RecordingInfo, RecordingWriter

SIZES = {"a é.png": (160, 128), "b.jpg": (120, 96), "c.2.png": (160, 128), "d.png": (200, 64)}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Images of several sizes with one bright block each, further right from one to the next."""
    folder = tmp_path_factory.mktemp("data") / "set"
    folder.mkdir()
    for place, (name, (width, height)) in enumerate(SIZES.items()):
        image = np.full((height, width, 3), 20, np.uint8)
        image[20 : 20 + BLOCK, 30 + 6 * place : 30 + 6 * place + BLOCK] = COLOURS[0][::-1]
        _, encoded = cv2.imencode(".png", image)
        (folder / name).write_bytes(encoded.tobytes())
    return folder


def run(*arguments: object) -> int:
    return main.main([str(argument) for argument in arguments])


@pytest.mark.parametrize("name", ["coco", "yolo", "voc", "jsonl", "csv", "parquet"])
def test_an_export_of_a_folder_gives_its_images(name: str, folder: Path, tmp_path: Path, network: Path) -> None:
    assert annotate(folder, tmp_path, request(network, formats=name)).frames == 4
    with Recording(tmp_path / "set.sqlite") as recording:
        assert list(recording.images().values()) == [ImageEntry(image, *size) for image, size in SIZES.items()]
        rows = recording.observations_in(0, 9)
    assert len(np.unique(rows.frames)) > 1
    known = ExternalInfo(sizes={Path(image).stem: size for image, size in SIZES.items()})
    found = find_format(name).load().read(tmp_path / f"set{export_suffix(name)}", known)
    indices = found.frames.indices.tolist()
    assert indices == (np.unique(rows.frames).tolist() if name == "csv" else [0, 1, 2, 3])
    images = [list(SIZES)[index] for index in indices]
    if name == "yolo":
        assert [Path(image).stem for image in found.frames.names] == [Path(image).stem for image in images]
    else:
        assert list(found.frames.names) == images
    sizes = np.array([SIZES[image] for image in images])
    np.testing.assert_array_equal(np.column_stack([found.frames.widths, found.frames.heights]), sizes)
    assert found.frames.indices[found.objects.frames].tolist() == rows.frames.tolist()
    ends = np.tile(sizes[found.objects.frames], 2)
    inside = np.clip(rows.boxes, 0, ends) if name == "yolo" else rows.boxes
    np.testing.assert_allclose(np.sort(found.objects.boxes, axis=0), np.sort(inside, axis=0), atol=1e-3)


def test_masks_of_images_cover_each_its_own(tmp_path: Path) -> None:
    path = tmp_path / "set.sqlite"
    info = RecordingInfo({"path": "/set", "name": "set"}, 160, 128, ("person",))
    writer = RecordingWriter.create(path, info)
    for frame, (name, (width, height)) in enumerate(SIZES.items()):
        code = window_to_rle(np.ones((6, 5 + frame), bool), left=width - 9, top=height - 7, width=width, height=height)
        rows = Observations.rounded(
            frame, tracks=np.array([1]), class_ids=np.array([0]), scores=np.array([0.5]),
            boxes=np.array([[width - 9, height - 7, width - 4 + frame, height - 1]]), masks=[code["counts"]],
        )  # fmt: skip
        writer.add(frame, frame / 30, rows, image_entry=ImageEntry(name, width, height))
    writer.commit({})
    writer.complete_with(None)
    writer.close()
    assert run("export-annotations", path, "--format", "coco,jsonl,csv,parquet,mots,yolo", "--out", tmp_path) == 0
    for name in ("coco", "jsonl", "csv", "parquet", "mots"):
        found = (
            find_format(name)
            .load()
            .read(tmp_path / f"set{export_suffix(name)}", ExternalInfo(labels=("person",) * (name == "mots")))
        )
        areas = []
        for row, counts in enumerate(found.objects.segmentations):
            size = [int(side[found.objects.frames[row]]) for side in (found.frames.heights, found.frames.widths)]
            (down, across), covered = rle_to_window({"size": size, "counts": counts})
            assert [across.start, down.start] == [size[1] - 9, size[0] - 7]
            areas.append(int(covered.sum()))
        assert areas == [30, 36, 42, 48]


def test_twins_of_a_folder_are_not_written_over_each_other(folder: Path, tmp_path: Path, network: Path) -> None:
    twins = tmp_path / "twins"
    twins.mkdir()
    for name in ("a.png", "a.jpg"):
        (twins / name).write_bytes((folder / "b.jpg").read_bytes())
    annotate(twins, tmp_path / "out", request(network, formats="coco"))
    images = json.loads((tmp_path / "out" / "twins.json").read_text())["images"]
    assert [image["file_name"] for image in images] == ["a.jpg", "a.png"]
    with pytest.raises(FormatError, match=r"a.jpg and a.png would share one file"):
        annotate(twins, tmp_path / "out", request(network, formats="yolo"))


@pytest.mark.parametrize("name", ["yolo", "voc"])
def test_a_new_export_keeps_what_people_put_into_the_folder(
    name: str, folder: Path, tmp_path: Path, network: Path
) -> None:
    annotate(folder, tmp_path, request(network, formats=name))
    written = tmp_path / f"set.{name}"
    expected = {path.relative_to(written): path.read_bytes() for path in written.rglob("*") if path.is_file()}
    (written / "images").mkdir(exist_ok=True)
    (written / "images" / "a.jpg").write_bytes(b"mine")
    (written / "notes.txt").write_text("mine")
    changed = next(path for path in expected if path.suffix in (".txt", ".xml"))
    (written / changed).write_text("old")
    (written / "gone.xml").write_text("of an image that is gone")
    for _ in range(2):
        assert run("export-annotations", tmp_path / "set.sqlite", "--format", name, "--out", tmp_path) == 0
        found = {path.relative_to(written): path.read_bytes() for path in written.rglob("*") if path.is_file()}
        assert found == {**expected, Path("images/a.jpg"): b"mine", Path("notes.txt"): b"mine"}
        written.replace(tmp_path / f"set.{name}.old")  # as a run that was killed leaves it


def test_annotations_come_back_to_the_images_of_their_names(folder: Path, tmp_path: Path) -> None:
    labels = tmp_path / "labels"
    labels.mkdir()
    for name, x in (("d", 0.25), ("b", 0.75)):  # none for a and c, which are empty
        (labels / f"{name}.txt").write_text(f"0 {x} 0.5 0.1 0.5\n")
    out = tmp_path / "set.sqlite"
    assert run("import-annotations", tmp_path, "--format", "yolo", "--video", folder, "--out", out) == 0
    with Recording(out) as recording:
        rows = recording.observations_in(0, 9)
        assert recording.images() == {
            place: ImageEntry(name, *size) for place, (name, size) in enumerate(SIZES.items())
        }
        assert rows.frames.tolist() == [1, 3]
        assert rows.boxes.tolist() == [[84, 24, 96, 72], [40, 16, 60, 48]]


def test_a_tampered_image_is_refused(folder: Path, tmp_path: Path, network: Path) -> None:
    annotate(folder, tmp_path, request(network, formats=""))

    with sqlite3.connect(tmp_path / "set.sqlite") as connection:
        connection.execute("UPDATE pictures SET width = -3 WHERE frame = 1")
    connection.close()
    with Recording(tmp_path / "set.sqlite") as recording, pytest.raises(FormatError, match="frame 1 is of the image"):
        recording.images()

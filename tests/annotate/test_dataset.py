"""Recordings as data sets with their images: what stands in them, what is refused, and that they teach."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml

import main
from tests.annotate.test_image_folders import SIZES
from tests.annotate.test_run import annotate, request
from tests.annotate.tiny import write_clip
from tracker.annotate import dataset
from tracker.formats import find_format
from tracker.formats.core.rle import rle_to_window, window_to_rle
from tracker.observations import Observations
from tracker.overlay.shapes import pixelate
from tracker.store import Recording, RecordingInfo, RecordingWriter
from tracker.video import FileSource


def run(*arguments: object) -> int:
    return main.main([str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory, clip: Path, network: Path) -> Path:
    out = tmp_path_factory.mktemp("dataset")
    annotate(clip, out, request(network, refine=True, formats="mot"))
    return out / "clip.sqlite"


def test_images_are_the_recorded_frames_and_split_by_time(recording: Path, clip: Path, tmp_path: Path) -> None:
    images = ("--images", "--every", 3, "--split", 0.75)
    assert run("export-annotations", recording, "--format", "yolo,coco,voc", *images, "--out", tmp_path) == 0
    with Recording(recording) as opened:
        count = opened.frame_count()
        rows = opened.observations_in(0, count)
    chosen = list(range(0, count, 3))
    ends = round(len(chosen) * 0.75)
    stems = [f"clip_{index + 1:06d}" for index in chosen]
    expected = {"train": stems[:ends], "val": stems[ends:]}
    yolo, coco, voc = (tmp_path / f"clip.{name}" for name in ("yolo", "coco", "voc"))
    settings = yaml.safe_load((yolo / "data.yaml").read_text())
    described = yaml.safe_load((coco / "data.yaml").read_text())
    for subset, names in expected.items():
        assert sorted(path.stem for path in (yolo / settings[subset]).iterdir()) == names
        assert sorted(path.stem for path in (yolo / "labels" / subset).iterdir()) == names
        content = json.loads((coco / described[subset]).read_text())
        assert [Path(image["file_name"]).stem for image in content["images"]] == names
        assert sorted(path.stem for path in (coco / "images" / subset).iterdir()) == names
        inside = np.isin(rows.frames, [int(name[-6:]) - 1 for name in names])
        assert len(content["annotations"]) == inside.sum()
        assert (voc / "ImageSets" / "Main" / f"{subset}.txt").read_text().split() == names
    assert sorted(path.stem for path in (voc / "JPEGImages").iterdir()) == stems
    assert sorted(path.stem for path in (voc / "Annotations").iterdir()) == stems
    frames = {frame.index: frame.image for frame in FileSource(clip)}
    for path in (yolo / "images").rglob("*.jpg"):
        image = cv2.imread(str(path))[:, :, ::-1].astype(float)
        assert np.abs(image - frames[int(path.stem[-6:]) - 1]).mean() < 4


def test_without_a_split_all_images_are_in_one_part(recording: Path, tmp_path: Path) -> None:
    assert run("export-annotations", recording, "--format", "yolo,coco", "--images", "--out", tmp_path) == 0
    settings = yaml.safe_load((tmp_path / "clip.yolo" / "data.yaml").read_text())
    assert settings["train"] == settings["val"] == "images"
    described = yaml.safe_load((tmp_path / "clip.coco" / "data.yaml").read_text())
    assert described["train"] == described["val"] == "annotations/instances_default.json"


def test_a_new_data_set_keeps_the_images_and_notes_of_people(recording: Path, tmp_path: Path) -> None:
    common = ("export-annotations", recording, "--format", "yolo", "--out", tmp_path)
    assert run(*common) == 0
    mine = tmp_path / "clip.yolo" / "images" / "mine.png"
    mine.write_bytes(b"mine")
    (tmp_path / "clip.yolo" / "labels" / "old.txt").write_text("")
    assert run(*common, "--images", "--every", 10, "--split", 0.5) == 0
    assert mine.read_bytes() == b"mine"
    assert not list(tmp_path.rglob("old.txt"))
    assert not list((tmp_path / "clip.yolo" / "labels").glob("*.txt"))


def test_images_of_a_folder_keep_their_names(tmp_path: Path, network: Path) -> None:
    folder = tmp_path / "set"
    folder.mkdir()
    for name, (width, height) in SIZES.items():
        cv2.imwrite(str(folder / name), np.full((height, width, 3), 90, np.uint8))
    annotate(folder, tmp_path / "out", request(network, formats="mot"))
    store = tmp_path / "out" / "set.sqlite"
    assert run("export-annotations", store, "--format", "yolo", "--images", "--out", tmp_path / "yolo") == 0
    found = {path.stem: cv2.imread(str(path)).shape[1::-1] for path in (tmp_path / "yolo").rglob("*.jpg")}
    assert found == {Path(name).stem: size for name, size in SIZES.items()}


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (("--format", "yolo", "--every", "2"), "--every: goes with --images"),
        (("--format", "yolo,mot", "--images"), "not for mot"),
        (("--format", "yolo", "--images", "--every", "0"), "--every 0"),
        (("--format", "yolo", "--images", "--split", "1"), "--split 1"),
        (("--format", "yolo", "--images", "--every", "100", "--split", "0.8"), "take more than one frame in 100"),
        (("--format", "mot", "--outlines"), "--outlines: for the format yolo or cvat only"),
        (("--format", "coco", "--boxes"), "--boxes: for the format yolo or cvat only"),
        (("--format", "yolo", "--class-column"), "--class-column: for the format mot only"),
        (("--format", "yolo", "--video", "a.mp4"), "--video: goes with --images"),
        (("--format", "yolo", "--images", "--video", "gone.mp4"), "gone.mp4"),
    ],
)
def test_what_does_not_go_together_is_refused_in_one_line(
    options: tuple[str, ...], reason: str, recording: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("export-annotations", recording, *options, "--out", tmp_path) == 2
    error = capsys.readouterr().err.strip().splitlines()
    assert reason in error[-1]
    assert not any(path.is_dir() and path.suffix in (".yolo", ".coco") for path in tmp_path.iterdir())


def test_regions_hidden_in_the_users_settings_are_hidden_in_every_image(
    recording: Path, clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SIGHTLINE_OVERLAY_BLUR_REGIONS", "[[0.0, 0.0, 1.0, 1.0]]")
    images = ("--images", "--every", 20)
    assert run("export-annotations", recording, "--format", "yolo", *images, "--out", tmp_path / "set") == 0
    tracks = tmp_path / "set" / "clip.yolo"
    assert run("export-annotations", recording, "--format", "mot", "--out", tmp_path) == 0
    converting = ("--from", "mot", "--to", "voc", "--video", clip, "--out", tmp_path / "voc")
    assert run("convert", tmp_path / "clip.txt", *converting) == 0
    assert run("report", recording, "--out", tmp_path / "page.html") == 0
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert page.count("data:image") == 1, "the heat map, over no frame"
    frames = {frame.index: frame.image for frame in FileSource(clip)}
    written = [*tracks.rglob("*.jpg"), *(tmp_path / "voc").rglob("*.jpg")]
    assert len(written) > 100
    for path in written:
        image, clear = cv2.imread(str(path))[:, :, ::-1].astype(float), frames[int(path.stem.rpartition("_")[2]) - 1]
        hidden = clear.copy()
        pixelate(hidden, (0, 0, clear.shape[1], clear.shape[0]))
        assert 3 * np.abs(image - hidden).mean() < np.abs(image - clear).mean(), "but for JPEG's own losses"


def test_no_image_is_written_while_the_users_settings_hide_a_class(
    recording: Path, clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("export-annotations", recording, "--format", "mot", "--out", tmp_path) == 0
    monkeypatch.setenv("SIGHTLINE_OVERLAY_BLUR_CLASSES", '["person"]')
    converting = ("convert", tmp_path / "clip.txt", "--from", "mot", "--to", "yolo", "--video", clip)
    for command in (("export-annotations", recording, "--format", "yolo", "--images"), converting):
        assert run(*command, "--out", tmp_path / "set") == 2
        assert "images with overlay.blur_classes (person)" in capsys.readouterr().err
        assert not list(tmp_path.rglob("*.jpg"))
    assert run("export-annotations", recording, "--format", "yolo", "--out", tmp_path / "set") == 0


def test_another_video_than_the_recorded_one_gives_no_images(
    recording: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = write_clip(tmp_path / "other.mp4", 12)
    common = ("export-annotations", recording, "--format", "yolo", "--images", "--out", tmp_path / "out")
    assert run(*common, "--video", other) == 2
    assert "not the file that was recorded" in capsys.readouterr().err


def test_a_video_that_was_moved_is_found_beside_its_recording(clip: Path, network: Path, tmp_path: Path) -> None:
    there = tmp_path / "there"
    there.mkdir()
    moved = Path(shutil.copy(clip, there / "moving.mp4"))
    annotate(moved, tmp_path / "out", request(network, formats="mot"))
    moved.rename(tmp_path / "out" / "moving.mp4")
    store = tmp_path / "out" / "moving.sqlite"
    common = ("export-annotations", store, "--format", "yolo", "--images", "--every", 20)
    assert run(*common, "--out", tmp_path / "set") == 0
    assert list((tmp_path / "set").rglob("*.jpg"))


@pytest.mark.parametrize("name", ["coco", "csv"])
def test_a_mask_reaches_out_of_its_box_only_where_both_are_told_apart(name: str, tmp_path: Path) -> None:
    path = tmp_path / "a.sqlite"
    writer = RecordingWriter.create(path, RecordingInfo({"path": "/a.mp4", "name": "a.mp4"}, 160, 128, ("person",)))
    code = window_to_rle(np.ones((20, 30), bool), left=10, top=10, width=160, height=128)
    boxes = np.array([[12.5, 8.0, 35.5, 27.0], [100.0, 100.0, 120.0, 120.0]])
    rows = Observations.rounded(
        0, tracks=np.array([1, 2]), class_ids=np.array([0, 0]), scores=np.array([0.5, 0.5]),
        boxes=boxes, masks=[code["counts"]] * 2,
    )  # fmt: skip
    writer.add(0, 0.0, rows)
    writer.commit({})
    writer.complete_with(None)
    writer.close()
    assert run("export-annotations", path, "--format", name, "--out", tmp_path) == 0
    found = find_format(name).load().read(tmp_path / f"a.{'json' if name == 'coco' else name}")
    masks = [counts and rle_to_window({"size": [128, 160], "counts": counts}) for counts in found.objects.segmentations]
    whole = (slice(10, 30), slice(10, 40))
    expected = [whole, whole] if name == "csv" else [(slice(10, 27), slice(12, 36)), None]
    assert [mask and mask[0] for mask in masks] == expected


def test_a_data_set_that_cannot_be_finished_leaves_nothing_behind(
    recording: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    common = ("export-annotations", recording, "--format", "yolo", "--images", "--every", 10, "--out", tmp_path)
    assert run(*common) == 0
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    monkeypatch.setattr(dataset, "save_images", lambda source, targets, hide: len(targets) - 1)
    assert run(*common) == 2
    assert "does not decode any more" in capsys.readouterr().err
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before
    assert [path.name for path in tmp_path.iterdir()] == ["clip.yolo"]

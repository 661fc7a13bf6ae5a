from __future__ import annotations

import argparse
import itertools
import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.annotate.tiny import write_clip
from tracker.commands.convert import add_parsers
from tracker.errors import ConfigError, FormatError, SinkError
from tracker.formats.jsonl import read as read_jsonl

ROWS = "1,1,10,20,30,40,0.9,-1,-1,-1\n2,1,12,20,30,40,0.8,-1,-1,-1\n2,2,50,60,10,10,0.7,-1,-1,-1\n"


def convert(*arguments: str) -> int:
    """Run the command as the command line does."""
    parser = argparse.ArgumentParser()
    add_parsers(parser.add_subparsers())
    options = parser.parse_args(["convert", *arguments])
    code: int = options.run(options)
    return code


@pytest.fixture
def rows(tmp_path: Path) -> str:
    """A small MOT file."""
    path = tmp_path / "rows.txt"
    path.write_text(ROWS)
    return str(path)


def test_rows_survive_a_chain_of_formats(rows: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    size = ("--size", "320x240")
    chain = ["mot", "coco", "jsonl", "parquet", "kitti", "csv", "mot"]
    source = rows
    for before, after in itertools.pairwise(chain):
        target = str(tmp_path / f"out.{after}")
        convert(source, "--from", before, "--to", after, "--out", target, *size)
        source = target
    assert (tmp_path / "out.mot").read_text().splitlines() == [
        "1,1,10.00,20.00,30.00,40.00,0.9000,-1,-1,-1",
        "2,1,12.00,20.00,30.00,40.00,0.8000,-1,-1,-1",
        "2,2,50.00,60.00,10.00,10.00,0.7000,-1,-1,-1",
    ]
    assert "2 frames, 3 objects, 2 tracks" in capsys.readouterr().out


def test_the_user_names_size_and_classes(rows: str, tmp_path: Path) -> None:
    arguments = ("--size", "320x240", "--classes", "person")
    convert(rows, "--from", "mot", "--to", "coco", "--out", str(tmp_path / "out.json"), *arguments)
    content = json.loads((tmp_path / "out.json").read_text())
    assert content["categories"] == [{"id": 1, "name": "person", "supercategory": ""}]
    assert content["images"][0]["width"] == 320


def test_yolo_without_a_size_says_what_to_give(rows: str, tmp_path: Path) -> None:
    with pytest.raises(FormatError, match="--size WxH"):
        convert(rows, "--from", "mot", "--to", "yolo", "--out", str(tmp_path / "out"))
    assert not (tmp_path / "out").exists()


def test_a_folder_that_is_not_empty_is_not_written_into(rows: str, tmp_path: Path) -> None:
    with pytest.raises(SinkError, match="not empty"):
        convert(rows, "--from", "mot", "--to", "voc", "--out", str(tmp_path))


@pytest.mark.parametrize(
    "arguments",
    [("--from", "mott", "--to", "coco"), ("--from", "mot", "--to", "coco", "--size", "big")],
)
def test_wrong_options_are_refused(rows: str, tmp_path: Path, arguments: tuple[str, ...]) -> None:
    with pytest.raises(ConfigError):
        convert(rows, "--out", str(tmp_path / "out"), *arguments)


@pytest.mark.shared
def test_the_video_gives_size_times_and_images(rows: str, tmp_path: Path, shared: Path) -> None:
    video = str(shared / "data" / "video" / "cctv.mp4")
    convert(rows, "--from", "mot", "--to", "jsonl", "--out", str(tmp_path / "out.jsonl"), "--video", video)
    found = read_jsonl(tmp_path / "out.jsonl")
    assert np.isfinite(found.frames.times).all()
    assert found.frames.times[1] > found.frames.times[0] == 0
    convert(rows, "--from", "mot", "--to", "yolo", "--out", str(tmp_path / "set"), "--video", video)
    image = cv2.imread(str(tmp_path / "set" / "images" / "cctv_000002.jpg"))
    assert image.shape[:2] == (found.frames.heights[0], found.frames.widths[0])
    assert (tmp_path / "set" / "labels" / "cctv_000002.txt").exists()
    assert len(list((tmp_path / "set" / "images").iterdir())) == 2


def test_images_of_any_suffix_and_case_give_size_and_name(tmp_path: Path) -> None:
    names = ["p0.JPG", "p1.PNG", "p2.JPEG", "p3.Bmp", "p4.TIF", "p5.gif", "p6.jp2"]
    for place in ("images", "labels"):
        (tmp_path / "set" / place).mkdir(parents=True)
    for name in names:
        content = cv2.imencode(Path(name).suffix.lower(), np.full((120, 160, 3), 40, np.uint8))[1]
        (tmp_path / "set" / "images" / name).write_bytes(content.tobytes())
        (tmp_path / "set" / "labels" / name).with_suffix(".txt").write_text("0 0.5 0.5 0.25 0.5\n")
    convert(str(tmp_path / "set"), "--from", "yolo", "--to", "coco", "--out", str(tmp_path / "a.json"))
    images = json.loads((tmp_path / "a.json").read_text())["images"]
    assert [image["file_name"] for image in images] == names
    assert {(image["width"], image["height"]) for image in images} == {(160, 120)}


@pytest.mark.parametrize(
    ("frames", "size", "what"),
    [(40, "320x240", "is about images of 320 x 240, but clip.mp4 is 160 x 128"), (1, "160x128", "has frames 0 to 0")],
)
@pytest.mark.parametrize(("form", "suffix"), [("coco", ".json"), ("cvat", ".xml"), ("labelstudio", ".json")])
def test_another_video_than_the_annotated_one_is_refused(
    form: str, suffix: str, frames: int, size: str, what: str, rows: str, tmp_path: Path
) -> None:
    source = str(tmp_path / f"made{suffix}")
    assert convert(rows, "--from", "mot", "--to", form, "--out", source, "--size", size) == 0
    clip, out = write_clip(tmp_path / "clip.mp4", frames), tmp_path / "out"
    with pytest.raises(FormatError, match=what):
        convert(source, "--from", form, "--to", "yolo", "--out", str(out), "--video", str(clip))
    assert not out.exists()

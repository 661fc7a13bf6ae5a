from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

import main
from tests.annotate.killing import ROOT
from tests.annotate.tiny import BLOCK, COLOURS, HEIGHT, WIDTH, write_clip


@pytest.mark.parametrize(
    ("files", "names"),
    [
        (("a.png", "b 1.png"), {"a", "b 1"}),
        (("x/a.png", "y/a.png"), {"x/a", "y/a"}),
        (("a.png", "a.bmp"), {"a.png", "a.bmp"}),
        (("x/a.png", "y/a.png", "y/a.bmp"), {"x/a.png", "y/a.png", "y/a.bmp"}),
    ],
)
def test_every_image_keeps_rows_and_an_image_of_its_own(
    files: tuple[str, ...], names: set[str], tmp_path: Path, network: Path
) -> None:
    image = np.full((HEIGHT, WIDTH, 3), 20, np.uint8)
    image[40 : 40 + BLOCK, 40 : 40 + BLOCK] = COLOURS[0]
    for file in files:
        (tmp_path / "in" / file).parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(tmp_path / "in" / file), image)
    out, drawn = tmp_path / "out.json", tmp_path / "drawn"
    arguments = ["detect", str(tmp_path / "in" / "**" / "*"), "--model", str(network), "--progress", "none"]
    assert main.main([*arguments, "--out", str(out), "--draw", str(drawn)]) == 0
    assert {row["image"] for row in json.loads(out.read_text())} == names
    assert {path.relative_to(drawn).as_posix() for path in drawn.rglob("*.jpg")} == {f"{name}.jpg" for name in names}


def test_images_that_cannot_be_read_whole_get_one_line_each(tmp_path: Path, network: Path) -> None:
    image = np.full((HEIGHT, WIDTH, 3), 20, np.uint8)
    for name in ("whole.png", "short.bmp", "torn.jp2"):
        content = cv2.imencode(name[-4:], image)[1].tobytes()
        (tmp_path / name).write_bytes(content if name == "whole.png" else content[: len(content) * 6 // 10])
    command = [sys.executable, "main.py", "detect", str(tmp_path), "--model", str(network), "--progress", "none"]
    done = subprocess.run(
        [*command, "--out", str(tmp_path / "out.json")], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 3
    assert sorted(done.stderr.splitlines()) == [
        f"sightline: {tmp_path / name} cannot be read as an image; skipped." for name in ("short.bmp", "torn.jp2")
    ], "nothing of OpenCV's own"
    assert done.stdout.startswith("1 images, 2 damaged or unreadable, 0 objects")


def test_several_images_and_folders_are_one_list(tmp_path: Path, network: Path) -> None:
    image = np.full((HEIGHT, WIDTH, 3), 20, np.uint8)
    image[40 : 40 + BLOCK, 40 : 40 + BLOCK] = COLOURS[0]
    for name in ("2.png", "10.jpg", "in/a.png", "in/b.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        cv2.imwrite(str(tmp_path / name), image)
    (tmp_path / "9.jpg").write_bytes(b"\xff\xd8\xff broken")
    names = ("2.png", "9.jpg", "10.jpg", "in", "in/a.png")
    arguments = ["detect", *(str(tmp_path / name) for name in names), "--model", str(network), "--progress", "none"]
    assert main.main([*arguments, "--out", str(tmp_path / "out.json")]) == 3
    rows = json.loads((tmp_path / "out.json").read_text())
    assert list(dict.fromkeys(row["image"] for row in rows)) == ["2", "10", "a", "b"], "in the order given"
    assert len({(row["image"], *row["bbox"]) for row in rows}) == len(rows), "each once"


def test_a_video_among_several_sources_is_refused(
    tmp_path: Path, network: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    clip = write_clip(tmp_path / "clip.mp4", 3)
    cv2.imwrite(str(tmp_path / "a.png"), np.zeros((HEIGHT, WIDTH, 3), np.uint8))
    out = tmp_path / "out.json"
    assert main.main(["detect", str(tmp_path / "a.png"), str(clip), "--model", str(network), "--out", str(out)]) == 2
    assert "clip.mp4: no image; of several sources all must be. Read a video by itself." in capsys.readouterr().err
    assert not out.exists()

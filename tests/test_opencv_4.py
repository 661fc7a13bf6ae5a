"""Packages that bring OpenCV 4 (datumaro, fiftyone, boxmot) cost letters, nothing else."""

from __future__ import annotations

import json
import subprocess
import sysconfig
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An interpreter that sees what this one sees, but OpenCV 4 in place of 5."""
    folder = tmp_path_factory.mktemp("opencv4")
    venv.create(folder, with_pip=True)
    packages = Path(sysconfig.get_path("purelib", vars={"base": str(folder)}))
    python = Path(sysconfig.get_path("scripts", vars={"base": str(folder)})) / "python"
    install = [str(python), "-m", "pip", "install", "-q", "--no-deps", "opencv-python-headless<5"]
    subprocess.run(install, check=True, capture_output=True)
    (packages / "beside.pth").write_text(sysconfig.get_path("purelib") + "\n")
    version = subprocess.run([python, "-c", "import cv2; print(cv2.__version__)"], capture_output=True, text=True)
    assert version.stdout.startswith("4.")
    return python


@pytest.mark.slow
def test_the_demo_and_images_of_every_kind(python: Path, tmp_path: Path) -> None:
    def run(*arguments: str) -> str:
        command = [str(python), str(ROOT / "main.py"), *arguments]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stderr

    assert "whose letters are ASCII only" in run("demo")
    assert len((tmp_path / "runs/demo/tracks.txt").read_text().splitlines()) > 1000
    run("detect", "runs/demo/preview.png", "--out", "a.json", "--draw", "drawn")
    assert json.loads((tmp_path / "a.json").read_text())
    run("annotate", "runs/demo/clip.mp4", "--out", "out", "--vid-stride", "10", "--save", "--format", "yolo,coco")
    run("report", "out/clip.sqlite", "--out", "clip.html")


@pytest.mark.slow
def test_the_tests_of_what_uses_it(python: Path) -> None:
    places = ["overlay", "video/test_image_source.py", "test_image_file.py", "track/test_camera_motion.py", "analytics"]
    command = [str(python), "-m", "pytest", *(f"tests/{place}" for place in places)]
    left_out = "not golden and not any_script"  # letters
    done = subprocess.run([*command, "-k", left_out], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-2000:]

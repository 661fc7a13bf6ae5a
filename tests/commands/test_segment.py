from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

import main
from tests.segment.test_labeller import NETWORKS, saved
from tests.video.synthetic import write_clip
from tracker.video import FileSource


def run(*arguments: object) -> int:
    return main.main([str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network exported by the command itself."""
    folder = tmp_path_factory.mktemp("network")
    assert run("export", saved(folder / "n.safetensors", NETWORKS["unet"]), "--out", folder / "n.onnx") == 0
    return folder / "n.onnx"


def test_images_and_videos_become_label_images_and_overlays(
    network: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "in").mkdir()
    image = np.random.default_rng(0).integers(0, 255, (50, 70, 3), np.uint8)
    cv2.imwrite(str(tmp_path / "in" / "a.png"), image)
    write_clip(tmp_path / "clip.mp4", frames=2)
    capsys.readouterr()
    out = tmp_path / "out"
    assert run("segment", tmp_path / "in", tmp_path / "clip.mp4", "--model", network, "--out", out) == 0
    assert (out / "classes.txt").read_text() == "road\nsky\ncar\n"
    assert sorted(path.name for path in (out / "labels").iterdir()) == ["a.png", "clip_000000.png", "clip_000001.png"]
    labels = cv2.imread(str(out / "labels" / "a.png"), cv2.IMREAD_UNCHANGED)
    assert labels.shape == (50, 70)
    assert set(np.unique(labels)) <= {0, 1, 2}
    drawn = cv2.imread(str(out / "overlays" / "a.jpg"))
    assert drawn.shape == image.shape
    assert np.abs(drawn.astype(int) - image).mean() > 10
    output = capsys.readouterr().out.splitlines()
    assert output[0].startswith("a: ")
    assert "%" in output[0]
    assert output[-1].startswith("3 images, ONNX Runtime")


def test_images_of_one_stem_in_several_folders_are_named_as_detect_names_them(network: Path, tmp_path: Path) -> None:
    for name in ("a/x.jpg", "b/x.jpg", "b/y.jpg"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        cv2.imwrite(str(tmp_path / name), np.zeros((8, 8, 3), np.uint8))
    sources = [tmp_path / "a", tmp_path / "b"]

    def names() -> list[str]:
        assert run("segment", *sources, "--model", network, "--out", out, "--no-overlay") == 0
        return [path.relative_to(out / "labels").as_posix() for path in sorted((out / "labels").rglob("*.png"))]

    out = tmp_path / "out"
    assert names() == ["a/x.png", "b/x.png", "b/y.png"]
    cv2.imwrite(str(tmp_path / "b/x.png"), np.zeros((8, 8, 3), np.uint8))
    out = tmp_path / "more"
    assert names() == ["a/x.jpg.png", "b/x.jpg.png", "b/x.png.png", "b/y.jpg.png"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--model", "sightline-stret"], "sightline-stret: no such segmentation network or file"),
        (["--model", "gone.onnx"], "gone.onnx: no such model file"),
        (["--opacity", "2"], "--opacity 2.0: expected 0 to 1"),
    ],
)
def test_what_cannot_be_used_is_one_line(
    arguments: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), np.zeros((8, 8, 3), np.uint8))
    assert run("segment", tmp_path / "a.png", "--out", tmp_path / "out", *arguments) == 2
    output = capsys.readouterr().err.splitlines()
    assert len(output) == 1
    assert message in output[0]


def test_a_detector_as_semantic_network_and_a_segmenter_as_detector_are_refused(
    network: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_clip(tmp_path / "clip.mp4", frames=2)
    arguments = ["track", tmp_path / "clip.mp4", "--project", tmp_path, "--progress", "none"]
    detector = Path(main.__file__).parent / "weights/sightline-nano.onnx"
    assert run(*arguments, "--semantic", detector) == 2
    assert "expected a segmenter, found a detector" in capsys.readouterr().err
    assert run(*arguments, "--model", network) == 2
    assert "segment" in capsys.readouterr().err


def test_tracking_lays_the_labels_over_the_video_and_says_where_they_are_missing(
    network: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_clip(tmp_path / "clip.mp4", frames=3)
    for name, extra in (("plain", []), ("labelled", ["--semantic", network, "--format", "mot"])):
        done = run("track", tmp_path / "clip.mp4", "--save", "--project", tmp_path, "--name", name, *extra)
        assert done == 0
    frames = {}
    for name in ("plain", "labelled"):
        with FileSource(tmp_path / name / "clip.mp4") as source:
            frames[name] = next(iter(source)).image.astype(int)
    assert np.abs(frames["plain"] - frames["labelled"]).mean() > 10
    assert "--format mot: no file of these has a label per pixel; add jsonl" in caplog.text

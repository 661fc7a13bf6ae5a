"""Appearance from the settings to the ids: what is built, what is refused, and that a run can be cut in two."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from itertools import islice
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch

import main
from tests.track.conftest import mot  # noqa: F401
from tracker.commands.demo_clip import frames
from tracker.errors import CheckpointError
from tracker.evaluate.mot_files import MotRows, read_rows
from tracker.evaluate.tracking import evaluate_sequence, prepare
from tracker.factory import Built, load_settings, make_pipeline
from tracker.nets.reid import ReidConfig, make_reid
from tracker.nets.saved import save_network
from tracker.store.state import pack_state, unpack_state
from tracker.track.engine import TrackingEngine
from tracker.track.presets import tracker_config
from tracker.types import Frame, Tracks
from tracker.video import open_source


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A re-identification network as `train reid` leaves it, untrained."""
    torch.manual_seed(0)
    config = ReidConfig(identities=3, dimensions=16, height=64, width=32)
    path = tmp_path_factory.mktemp("reid") / "people.safetensors"
    save_network(path, make_reid(config), kind="reid", description={"network": asdict(config)})
    return path


@pytest.fixture(scope="module")
def clip() -> list[Frame]:
    """The demo from the cut from two people to four, at half its size."""
    chosen = islice(frames(), 144, 160)
    return [replace(one, image=np.ascontiguousarray(one.image[::2, ::2])) for one in chosen]


def built(tracker: Mapping[str, Any]) -> Built:
    detector = {"imgsz": 256, "masks": False, "device": "cpu"}
    return make_pipeline(
        load_settings({"detector": detector, "tracker": dict(tracker)}, "test"), live=False, draw=False
    )


def same(one: Tracks, other: Tracks) -> bool:
    return all(np.array_equal(getattr(one, name), getattr(other, name)) for name in one.__slots__)


@pytest.mark.parametrize(
    ("preset", "appearance"), [("default", "native"), ("default", "reid"), ("deepsort", "reid"), ("botsort", "native")]
)
def test_a_run_cut_in_two_ends_as_an_unbroken_one(
    people: Path, clip: list[Frame], preset: str, appearance: str
) -> None:
    settings = {"preset": preset, "appearance": appearance, "reid_model": str(people)}
    whole, first, second = (built(settings).pipeline for _ in range(3))
    expected = [whole.process(frame).tracks for frame in clip]
    for frame in clip[:11]:
        first.process(frame)
    state = first.state()
    assert state["tracker"]["galleries"]["counts"].max() > 1
    second.restore(unpack_state(pack_state(state)))
    assert all(same(second.process(frame).tracks, want) for frame, want in zip(clip[11:], expected[11:], strict=True))


@pytest.mark.parametrize("preset", ["sort", "ocsort"])
def test_a_tracker_of_every_score_is_given_what_the_detector_counts(clip: list[Frame], preset: str) -> None:
    pipeline = built({"preset": preset}).pipeline
    found = pipeline.detect([clip[-1].image])[0].detections
    assert 0 < len(found) < 10
    assert found.scores.min() >= pipeline.detector.conf


@pytest.mark.parametrize("tracker", [{"preset": "deepsort"}, {"appearance": "reid"}])
def test_reid_without_a_network_takes_the_one_that_comes_with_the_program(
    tracker: Mapping[str, str], clip: list[Frame]
) -> None:
    pipeline = built(tracker).pipeline
    for frame in clip[:4]:
        tracks = pipeline.process(frame).tracks
    assert len(tracks) >= 2
    assert pipeline.state()["tracker"]["galleries"]["rings"].shape[2] == 256


def test_a_file_that_is_no_such_network_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"none\.safetensors: no such file"):
        built({"appearance": "reid", "reid_model": str(tmp_path / "none.safetensors")})
    detector = Path(__file__).parents[1] / "weights" / "sightline-nano.safetensors"
    with pytest.raises(CheckpointError, match=r"network, found a detector, which is for `detect`"):
        built({"appearance": "reid", "reid_model": str(detector)})


@pytest.mark.parametrize("appearance", ["native", "reid"])
def test_commands_that_track_take_it(
    people: Path, clip: list[Frame], tmp_path: Path, appearance: str, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--imgsz", "160", "--device", "cpu", "--progress", "none"]
    words += ["--appearance", appearance, "--reid-model", str(people)]
    images = tmp_path / "images"
    images.mkdir()
    for frame in clip[:4]:
        cv2.imwrite(str(images / f"{frame.index}.png"), frame.image[..., ::-1])
    assert main.main(["track", str(images), "--project", str(tmp_path), *words]) == 0
    assert f"appearance: {appearance}" in (tmp_path / "run" / "args.yaml").read_text()
    assert main.main(["annotate", str(images), "--out", str(tmp_path / "out"), *words]) == 0


@pytest.mark.parametrize("asked", [["--appearance", "reid"], []], ids=["reid", "a network alone"])
def test_the_command_line_gives_in_one_line_what_is_missing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], asked: list[str]
) -> None:
    cv2.imwrite(str(tmp_path / "0.png"), np.zeros((40, 60, 3), np.uint8))
    words = [*asked, "--reid-model", str(tmp_path / "none.onnx"), "--device", "cpu"]
    assert main.main(["track", str(tmp_path), *words]) == 2
    output = capsys.readouterr().err
    assert "none.onnx: no such model file" in output
    assert "Traceback" not in output


@pytest.mark.slow
@pytest.mark.shared
def test_native_looks_keep_people_apart_on_real_footage(shared: Path, mot: Path) -> None:  # noqa: F811
    """PETS09-S2L1 as vtest.avi: the same detections with and without their embeddings."""
    ground_truth = read_rows(mot / "MOT15" / "PETS09-S2L1" / "gt" / "gt.txt")
    ground_truth = replace(ground_truth, boxes=ground_truth.boxes * 0.625)
    detector = {"imgsz": 640, "classes": ["person"], "masks": False, "device": "cpu"}
    tree = {"detector": detector, "tracker": {"appearance": "native"}}
    pipeline = make_pipeline(load_settings(tree, "test"), live=False, draw=False).pipeline
    seen = [
        (frame.time, pipeline.detect([frame.image])[0].detections)
        for frame in open_source(str(shared / "data/video/vtest.avi"))
    ]
    scores = {}
    for appearance in ("none", "native"):
        tracker = TrackingEngine(
            tracker_config("default", {"appearance": appearance}).for_threshold(pipeline.detector.conf)
        )
        found = []
        for time, detections in seen:
            tracks = tracker.update(detections, time)
            found.append(tracks[tracker.reported(tracks)])
        count = [len(tracks) for tracks in found]
        rows = MotRows(
            np.repeat(np.arange(len(found)) + 1, count),
            np.concatenate([tracks.ids for tracks in found]),
            np.concatenate([tracks.boxes for tracks in found]).astype(np.float64),
            np.ones(sum(count)),
            np.ones(sum(count), np.int64),
            10,
        )
        scores[appearance] = evaluate_sequence(prepare(ground_truth, rows, len(found), rules="mot15", where="vtest"))
    assert scores["native"].hota >= scores["none"].hota
    assert scores["native"].idf1 >= scores["none"].idf1 + 0.03

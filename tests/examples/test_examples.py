"""The scripts of examples/, on clips whose truth is known."""

from __future__ import annotations

import re
import shutil
from contextlib import closing
from fractions import Fraction
from pathlib import Path
from types import ModuleType
from xml.etree import ElementTree

import numpy as np
import pytest

import tracker
from tests.annotate.tiny import COLOURS, HEIGHT, RATE, WIDTH, write_network
from tests.scripts import load_script
from tracker.types import Detections, Frame, FrameResult, Tracks
from tracker.video import VideoSink, open_source

FOLDER = Path(__file__).parents[2] / "examples"
SPEED = 2
"""Pixels a frame."""
WIDE, HIGH, PERSON_TOP, CAR_TOP = 16, 12, 14, 78
"""The tiny network sees such a block, so placed, once."""
ALL = sorted(FOLDER.glob("*.py"))
MANUAL = (FOLDER.parent / "docs" / "python.md").read_text(encoding="utf-8")
README = (FOLDER.parent / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```python\n(.*?)^```$", README + MANUAL, re.MULTILINE | re.DOTALL)


def person_left(index: int) -> int:
    """Where the person is in that frame."""
    return 20 + SPEED * index


def car_left(index: int) -> int:
    """Where the car is in that frame."""
    return WIDTH - 20 - WIDE - SPEED * index


def example(name: str) -> ModuleType:
    """The script as a module."""
    return load_script(FOLDER / f"{name}.py")


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A network that sees yellow blocks as people and cyan ones as cars."""
    return str(write_network(tmp_path_factory.mktemp("network") / "tiny.onnx"))


@pytest.fixture(scope="module")
def street(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two seconds: a person walks to the right, a car drives to the left, both across the middle."""
    path = tmp_path_factory.mktemp("street") / "street.mp4"
    with closing(VideoSink(path, rate=Fraction(RATE), time_base=Fraction(1, 12800))) as sink:
        for index in range(2 * RATE):
            image = np.full((HEIGHT, WIDTH, 3), 20, np.uint8)
            for top, left, colour in (
                (PERSON_TOP, person_left(index), COLOURS[0]),
                (CAR_TOP, car_left(index), COLOURS[1]),
            ):
                image[top : top + HIGH, left : left + WIDE] = colour
            frame = Frame(image, index, index / RATE, path.name)
            sink.write(FrameResult(frame, Detections.empty(), Tracks.empty(), ()))
    return path


def test_there_are_eight_and_each_is_listed_in_the_manual() -> None:
    assert len(ALL) == 8
    assert [path.name for path in ALL if f"examples/{path.name}" not in MANUAL] == []


@pytest.mark.parametrize("number", range(len(BLOCKS)))
def test_python_in_the_pages_runs(
    number: int, street: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, network: str
) -> None:
    if "pandas" in BLOCKS[number]:
        pytest.importorskip("pandas")
    shutil.copy(street, tmp_path)
    monkeypatch.chdir(tmp_path)
    names: dict[str, type] = {}
    exec(compile(BLOCKS[number], "python.md", "exec"), names)
    if "Strangers" in names:
        results = list(tracker.track("street.mp4", model=network, tracker=names["Strangers"]()))
        assert len({track_id for result in results for track_id in result.tracks.ids.tolist()}) > RATE


def test_who_crosses_the_gate_is_counted_by_class_and_way(street: Path, network: str) -> None:
    counts = example("count_at_gate").main([str(street), "--model", network])
    assert counts == {("person", "in"): 1, ("car", "out"): 1}


def test_a_detector_of_ones_own_is_tracked(street: Path) -> None:
    assert example("own_detector").main([str(street)]) == 2


def test_the_video_follows_one_object(street: Path, network: str, tmp_path: Path) -> None:
    out = tmp_path / "followed.mp4"
    arguments = [str(street), "--model", network, "--out", str(out), "--recordings", str(tmp_path / "recordings")]
    example("follow_one_person").main(arguments)
    with closing(open_source(out)) as source:
        centres = [frame.image[frame.image.shape[0] // 2, frame.image.shape[1] // 2] for frame in source]
    assert len(centres) > RATE
    assert min(centre.max() for centre in centres) > 200, "the block stays in the middle"


def test_nobody_of_the_class_can_be_recognised(street: Path, network: str, tmp_path: Path) -> None:
    out = tmp_path / "blurred.mp4"
    assert example("blur_people").main([str(street), "--model", network, "--out", str(out)]) == 2 * RATE
    with closing(open_source(street)) as before, closing(open_source(out)) as after:
        for plain, blurred in zip(before, after, strict=True):
            assert blurred.time == plain.time
            changes = np.abs(blurred.image.astype(int) - plain.image).mean(axis=2)
            person = changes[PERSON_TOP:, person_left(plain.index) :][:HIGH, :WIDE].mean()
            car = changes[CAR_TOP:, car_left(plain.index) :][:HIGH, :WIDE].mean()
            assert person > 8 > 3 > car, "encoding alone changes it by 1.3"


def test_what_was_corrected_in_cvat_comes_back(street: Path, network: str, tmp_path: Path) -> None:
    run = example("to_cvat_and_back").main
    common = [str(street), "--model", network, "--out", str(tmp_path)]
    assert run(common) == {}
    tree = ElementTree.parse(tmp_path / "street.xml")
    tracks = {track.get("label"): track for track in tree.getroot().iter("track")}
    tracks["car"].set("label", "person")
    tree.getroot().remove(tracks["person"])
    tree.write(tmp_path / "corrected.xml")
    changed = run([*common, "--corrected", str(tmp_path / "corrected.xml")])
    assert sorted(changed.values()) == ["deleted", "person"]
    assert (tmp_path / "street.json").exists()


def test_many_sources_share_one_network(street: Path, network: str) -> None:
    assert example("many_cameras").main([str(street), str(street), "--model", network]) == [2 * RATE] * 2


def test_speeds_are_those_on_the_ground(street: Path, network: str) -> None:
    speeds = example("speeds").main([str(street), "--model", network])
    kmh = SPEED * RATE * 20 / WIDTH * 3.6  # the image is 20 m wide
    assert len(speeds) == 2
    assert list(speeds.values()) == pytest.approx([kmh, kmh], rel=0.1)


def test_a_network_is_trained_on_drawn_images(tmp_path: Path) -> None:
    best = example("train_on_50_images").main(
        ["--out", str(tmp_path), "--images", "10", "--epochs", "1", "--size", "64"]
    )
    assert best.exists()

"""A folder of photographs: detected one by one, listed by name; frames of a film are followed."""

from __future__ import annotations

import tarfile
from pathlib import Path

import cv2
import numpy as np
import pytest

from gui.recording.annotation import stand_alone
from tests.annotate.tiny import COLOURS, HEIGHT, WIDTH
from tests.gui.conftest import App
from tracker.store import Recording

NAMES = ("beach.png", "cat 3.png", "IMG_0007.png", "IMG_2041.png", "old house.png")


def write_images(folder: Path, names: tuple[str, ...]) -> Path:
    """A bright block at one place in each."""
    folder.mkdir()
    image = np.full((HEIGHT, WIDTH, 3), 20, np.uint8)
    image[40:72, 60:92] = COLOURS[0]
    for name in names:
        cv2.imwrite(str(folder / name), image)
    return folder


@pytest.mark.parametrize(
    ("names", "alone"),
    [
        (NAMES, True),
        (("000000000139.jpg", "000000000285.jpg", "000000581781.jpg"), True),
        (("shot_0001.jpg", "shot_0002.jpg", "shot_0004.jpg"), False),
        (("1.jpg", "2.jpg", "10.jpg"), False),
        (("clip 7 frame 0.png", "clip 7 frame 10.png", "clip 7 frame 20.png"), False),
    ],
)
def test_photographs_are_told_from_the_frames_of_a_film(tmp_path: Path, names: tuple[str, ...], alone: bool) -> None:
    assert stand_alone(write_images(tmp_path / "images", names)) == alone


@pytest.mark.parametrize("alone", [True, False])
def test_images_numbered_through_are_a_film_where_neighbours_show_one_scene(tmp_path: Path, alone: bool) -> None:
    generator = np.random.default_rng(1)
    scenes = generator.integers(0, 255, (20, 6, 8, 3), dtype=np.uint8)
    (tmp_path / "images").mkdir()
    for number, scene in enumerate(scenes):
        shown = scene if alone else cv2.addWeighted(scenes[0], 0.7, scene, 0.3, 0)
        image = cv2.resize(shown, (640, 480), interpolation=cv2.INTER_CUBIC)
        cv2.imwrite(str(tmp_path / "images" / f"{number:04d}.jpg"), image)
    assert stand_alone(tmp_path / "images") == alone


@pytest.mark.shared
@pytest.mark.parametrize(("archive", "alone"), [("detection/people-mixed.tar", True), ("camvid.tar", False)])
def test_real_photographs_and_real_frames(tmp_path: Path, archive: str, alone: bool, shared: Path) -> None:
    with tarfile.open(shared / "data" / archive) as tar:
        images = [one for one in tar.getmembers() if "images/" in one.name and one.name.endswith((".jpg", ".png"))]
        for number, member in enumerate(images[:60]):
            content = tar.extractfile(member)
            assert content is not None
            (tmp_path / f"{number:05d}{Path(member.name).suffix}").write_bytes(content.read())
    assert stand_alone(tmp_path) == alone


def test_photographs_are_detected_one_by_one_and_listed_by_name(app: App) -> None:
    folder = write_images(app.folder / "photos", NAMES)
    window = app.start()
    page = window.recordings
    recording = app.open(window, folder)
    app.until(lambda: recording.finished)
    with Recording(recording.store) as store:
        tracks = store.tracks()
    assert tracks, "the network must see the block, or this test shows nothing"
    assert all(track.observations == 1 for track in tracks), "nothing is followed from one photograph to the next"
    assert page.images.names == sorted(NAMES, key=page.images.names.index)
    assert set(page.images.names) == set(NAMES)
    assert window.docks["images"].isVisible()
    page.images._list.setCurrentRow(3)
    app.until(lambda: recording.rendered is not None and recording.rendered.result.frame.index == 3)
    assert recording.rendered is not None
    assert recording.rendered.result.frame.source == page.images.names[3]
    app.show(recording, 1)
    app.until(lambda: page.images.current == 1)
    window.docks["images"].close()
    window.open(str(folder))
    assert not window.docks["images"].isVisible(), "closed stays closed"


def test_an_image_that_cannot_be_read_is_told_by_its_name_beside_the_one_that_stays(app: App) -> None:
    folder = write_images(app.folder / "photos", ("a.png", "b.png", "d.png"))
    for name in ("c.png", "e.png"):
        (folder / name).write_bytes(b"no image")
    window = app.start()
    page = window.recordings
    recording = app.open(window, folder)
    app.until(lambda: recording.finished)
    app.show(recording, 1)
    for broken, name in ((2, "c.png"), (4, "e.png")):
        shown = recording.player.index
        recording.player.seek(broken)
        app.until(lambda name=name: name in page._problem.text())
        assert f"{name}: frame {broken + 1} cannot be read as an image" in page._problem.text()
        assert recording.player.index == shown
        assert f"frame {shown + 1} of 5" in page.transport.position_words
        if broken == 2:
            recording.player.step(1)
            app.until(lambda: recording.rendered is not None and recording.rendered.result.frame.index == 3)
            app.until(lambda: not page._problem.isVisible())
    app.show(recording, 0)
    recording.player.play(on=True)
    app.until(lambda: not recording.player.playing)
    assert recording.player.index == 3, "it plays on behind what cannot be read, and ends"

"""Tracks that look alike and identities across recordings, as somebody at the window asks for them."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from jaxtyping import Float32
from numpy import ndarray
from PyQt6.QtCore import QPoint

from gui.identities import across_dialog, similar_dialog
from gui.identities.across_dialog import AcrossDialog
from gui.identities.similar_dialog import SimilarDialog
from gui.identities.thumbnail_list import Shown
from gui.window import Window
from tests.gui.conftest import App
from tracker.annotate.across import read_across
from tracker.types import Image


def by_box(_: Image, boxes: Float32[ndarray, "n 4"]) -> Float32[ndarray, "n 32"]:
    """The same vector for the same box, about orthogonal ones for others."""
    vectors = np.stack([np.random.default_rng(np.abs(box * 100).astype(int).tolist()).normal(size=32) for box in boxes])
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture(autouse=True)
def quick_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """A direction of its own for every box in the place of a network's vectors."""
    for module in (across_dialog, similar_dialog):
        monkeypatch.setattr(module, "open_network", lambda: ("boxes", by_box))


@pytest.fixture
def window(finished: App, clip: Path) -> Window:
    """The clip's recording is open, and lies beside a copy of itself."""
    (store,) = (finished.folder / "out" / "annotations").rglob("*.sqlite")
    copy = store.parents[1] / "zcopy" / "zcopy.sqlite"
    copy.parent.mkdir()
    shutil.copyfile(store, copy)
    opened = finished.start()
    finished.open_finished(opened, clip)
    return opened


def across_of(finished: App, window: Window) -> AcrossDialog:
    window.commands["recording.across"].trigger()
    (dialog,) = window.recordings.findChildren(AcrossDialog)
    finished.until(lambda: not dialog.busy)
    assert dialog.across is not None, dialog.words
    return dialog


def change(finished: App, dialog: AcrossDialog, name: str) -> None:
    """Press a button and wait until what it does is shown."""
    before = dialog.across
    assert dialog.button(name).isEnabled(), name
    dialog.button(name).click()
    finished.until(lambda: not dialog.busy)
    assert dialog.across is not before, dialog.words


def test_identities_are_confirmed_split_and_joined_and_kept(finished: App, window: Window) -> None:
    dialog = across_of(finished, window)
    assert dialog.across is not None
    project = finished.folder / "out" / "annotations" / "identities.json"
    first, *_ = [each for each in dialog.across.identities if len(each.members) == 2]
    assert [member.track for member in first.members] == [first.members[0].track] * 2  # the copy's track
    dialog.select(first.number)
    assert dialog.tracks.members == sorted(first.members)
    change(finished, dialog, "confirm")
    assert read_across(project).identity(first.number).confirmed
    assert project.with_suffix(".csv").is_file()

    dialog.select(first.number)
    dialog.tracks.setCurrentRow(len(first.members) - 1)
    apart = dialog.tracks.chosen[0]
    change(finished, dialog, "split")
    assert dialog.across is not None
    owner = {member: each.number for each in dialog.across.identities for member in each.members}
    assert owner[apart] != first.number
    assert read_across(project).decisions == dialog.across.decisions

    dialog.select(owner[apart], owner[first.members[0]])
    change(finished, dialog, "join")
    owner = {member: each.number for each in dialog.across.identities for member in each.members}
    assert owner[apart] == owner[first.members[0]]


def test_a_track_is_found_in_the_recording_beside_and_gone_to(finished: App, window: Window) -> None:
    across_of(finished, window).close()
    page = window.recordings
    recording = page.recording
    assert recording is not None
    assert recording.overview is not None
    assert not window.commands["recording.similar"].isEnabled()
    track = max(recording.overview.tracks, key=lambda each: each.observations).track_id
    recording.select([track])
    window.commands["recording.similar"].trigger()
    (dialog,) = page.findChildren(SimilarDialog)
    finished.until(lambda: dialog.results.count())
    paths, shown = dialog._paths, list(dialog.results.members)
    dialog._show((paths[:1], [Shown(shown[0], "", b"")]))
    assert dialog.words == "1 track of 1 recording, most alike first; a double click goes there."
    dialog._show((paths, [Shown(member, "", b"") for member in shown]))
    assert dialog.words.startswith(f"{len(shown)} tracks of {len(paths)} recordings, ")
    assert (dialog.results.members[0].camera, dialog.results.members[0].track) == (1, track)
    item = dialog.results.item(0)
    assert item is not None
    dialog.results.itemActivated.emit(item)
    finished.until(lambda: page.recording is not recording and page.recording is not None and page.recording.selected)
    assert page.recording is not None
    assert page.recording.job.store.name == "zcopy.sqlite"
    assert page.recording.selected == {track}


def test_a_right_click_on_a_track_offers_what_can_be_done_with_it(finished: App, window: Window) -> None:
    page = window.recordings
    recording = page.recording
    assert recording is not None
    assert recording.rendered is not None
    tracks = recording.rendered.result.tracks
    x1, y1, x2, y2 = tracks.boxes[0].tolist()
    x, y = page.view.view().to_view(((x1 + x2) / 2, (y1 + y2) / 2))
    page.view.customContextMenuRequested.emit(QPoint(round(x), round(y)))
    assert len(recording.selected) == 1
    words = [action.text().replace("&", "") for action in window.identities.menu().actions()]
    assert "Show tracks that look like this one\N{HORIZONTAL ELLIPSIS}" in words


def test_one_recording_alone_is_reported(finished: App, clip: Path) -> None:
    opened = finished.start()
    finished.open_finished(opened, clip)
    opened.commands["recording.across"].trigger()
    (dialog,) = opened.recordings.findChildren(AcrossDialog)
    finished.until(lambda: not dialog.busy)
    assert "one recording alone" in dialog.words

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.store.recordings import INFO, finished, objects
from tracker.errors import ConfigError, FormatError
from tracker.store import Origin, RecordedEvent, Recording, RecordingEditor, RecordingInfo, RecordingWriter
from tracker.types import Event


def contents(recording: Recording) -> tuple[object, ...]:
    """Everything a reader can see of the rows."""
    rows = recording.observations_in(0, 10**6, masks=True)
    tracks = recording.tracks()
    return (list(rows.to_stored()), rows.masks, tracks)


def test_merging_gives_one_track_and_prefers_the_better_box(tmp_path: Path) -> None:
    path = tmp_path / "a.sqlite"
    writer = RecordingWriter.create(path, INFO)
    for frame in range(6):
        both = [objects(frame, 1, score=0.6, masks=True)] if frame < 4 else []
        both += [objects(frame, 2, class_id=1, score=0.9, masks=True)] if frame >= 3 else []
        for rows in both[:1]:
            writer.add(frame, frame * 0.5, rows)
        if len(both) == 2:
            writer._observations.append(both[1])
    writer.commit({})
    writer.complete_with(None)
    writer.close()
    with RecordingEditor(path) as editor:
        editor.merge(1, 2)
        rows = editor.observations_of(1, masks=True)
        assert rows.frames.tolist() == [0, 1, 2, 3, 4, 5]
        assert rows.masks == ("mask0-1", "mask1-1", "mask2-1", "mask3-2", "mask4-2", "mask5-2")
        assert rows.class_ids.tolist() == [0] * 6
        assert [track.track_id for track in editor.tracks()] == [1]


def test_splitting_starts_a_new_track_at_the_frame(tmp_path: Path) -> None:
    with RecordingEditor(finished(tmp_path / "a.sqlite")) as editor:
        new = editor.split(2, 6).details["new"]
        assert editor.track(2).last_frame == 5
        assert (editor.track(new).first_frame, editor.track(new).last_frame) == (6, 9)
        with pytest.raises(ConfigError, match="nothing on one side"):
            editor.split(new, 6)


def test_an_id_is_never_given_twice(tmp_path: Path) -> None:
    with RecordingEditor(finished(tmp_path / "a.sqlite")) as editor:
        first = editor.split(3, 5).details["new"]
        editor.merge(3, first)
        assert editor.split(3, 5).details["new"] == first + 1


def test_a_track_gets_another_id_or_class_or_goes(tmp_path: Path) -> None:
    with RecordingEditor(finished(tmp_path / "a.sqlite")) as editor:
        editor.relabel(1, 77)
        assert editor.track(77).observations == 10
        with pytest.raises(ConfigError, match="not free"):
            editor.relabel(2, 3)
        editor.change_class(77, "bus")
        assert editor.track(77).class_id == 2
        editor.change_class(77, "tram", first=5)
        assert editor.info.labels == ("person", "car", "bus", "tram")
        assert editor.observations_of(77).class_ids.tolist() == [2] * 5 + [3] * 5
        editor.delete(77, first=0, last=3)
        assert editor.track(77).first_frame == 4
        editor.delete(77)
        assert [track.track_id for track in editor.tracks()] == [2, 3]


def test_several_tracks_change_and_go_in_one_correction(tmp_path: Path) -> None:
    with RecordingEditor(finished(tmp_path / "a.sqlite")) as editor:
        before = editor.tracks()
        editor.change_class([1, 3], "bus")
        assert {track.track_id for track in editor.tracks() if track.class_id == 2} == {1, 3}
        edit = editor.delete([1, 2, 3])
        assert edit.details["tracks"] == [1, 2, 3]
        assert editor.tracks() == []
        editor.undo()
        editor.undo()
        assert editor.tracks() == before
        with pytest.raises(FormatError, match="99"):
            editor.delete([1, 99])
        with pytest.raises(ConfigError):
            editor.delete([])
        assert editor.tracks() == before


def test_boxes_between_two_set_by_a_person_are_interpolated_in_time(tmp_path: Path) -> None:
    with RecordingEditor(finished(tmp_path / "a.sqlite")) as editor:
        track = editor.set_box(None, 2, (0, 0, 10, 10), label="car").details["track"]
        editor.set_box(track, 6, (40, 20, 60, 40))
        rows = editor.observations_of(track)
        assert rows.frames.tolist() == [2, 3, 4, 5, 6]
        assert rows.boxes[2].tolist() == [20, 10, 35, 25]
        assert rows.origins.tolist() == [
            Origin.MANUAL,
            Origin.INTERPOLATED,
            Origin.INTERPOLATED,
            Origin.INTERPOLATED,
            Origin.MANUAL,
        ]
        editor.set_box(track, 4, (0, 0, 8, 8))
        assert editor.observations_of(track).boxes[1].tolist() == [0, 0, 9, 9]
        editor.undo()
        assert editor.observations_of(track).boxes[2].tolist() == [20, 10, 35, 25]


def test_a_box_alone_changes_its_own_frame_only(tmp_path: Path) -> None:
    with RecordingEditor(finished(tmp_path / "a.sqlite")) as editor:
        before = editor.observations_of(1).boxes
        editor.set_box(1, 2, (0, 0, 5, 5), interpolate=False)
        editor.set_box(1, 8, (9, 9, 15, 15), interpolate=False)
        after = editor.observations_of(1)
        assert np.flatnonzero((after.boxes != before).any(axis=1)).tolist() == [2, 8]
        with pytest.raises(ConfigError, match="box"):
            editor.set_box(1, 3, (5, 5, 1, 9))


def test_edits_stay_after_closing_and_a_new_one_drops_those_undone(tmp_path: Path) -> None:
    path = finished(tmp_path / "a.sqlite")
    with RecordingEditor(path) as editor:
        editor.delete(1)
        editor.delete(2)
        editor.undo()
    with RecordingEditor(path) as editor:
        assert [(edit.kind, edit.undone) for edit in editor.edits()] == [("delete", False), ("delete", True)]
        editor.relabel(3, 30)
        assert editor.redo() is None
        assert [edit.kind for edit in editor.edits()] == ["delete", "relabel"]
        assert editor.edit_count() == 2


def test_a_recording_that_is_still_written_cannot_be_edited(tmp_path: Path) -> None:
    writer = RecordingWriter.create(tmp_path / "a.sqlite", INFO)
    with pytest.raises(FormatError, match="not finished"):
        RecordingEditor(tmp_path / "a.sqlite")
    writer.close()


def test_events_of_the_tracks_concerned_are_counted_anew(tmp_path: Path) -> None:
    info = RecordingInfo(**{**{name: getattr(INFO, name) for name in INFO.__slots__}, "rules": "[line]"})
    path = tmp_path / "a.sqlite"
    writer = RecordingWriter.create(path, info)
    for frame in range(4):
        events = [Event("line", "gate", 0.0, track, 0) for track in (1, 2, 3)] if frame == 0 else []
        writer.add(frame, frame * 0.5, objects(frame, 1, 2, 3), events)
    writer.commit({})
    writer.complete_with(None)
    writer.close()

    def recount(recording: Recording, tracks: object) -> list[RecordedEvent]:
        return [
            RecordedEvent(0, Event("line", "gate", 0.0, track, 0))
            for track in sorted(set(recording.observations_of(*tracks).tracks.tolist()))  # type: ignore[misc]
        ]

    with pytest.raises(ValueError, match="recount"):
        RecordingEditor(path)
    with RecordingEditor(path, recount) as editor:
        editor.merge(1, 3)
        assert sorted(row.event.track_id for row in editor.events()) == [1, 2]
        editor.undo()
        assert sorted(row.event.track_id for row in editor.events()) == [1, 2, 3]


class Editing(RuleBasedStateMachine):
    """Whatever is edited, undone and redone: what was there before comes back exactly."""

    @initialize()
    def begin(self) -> None:
        import tempfile

        self.folder = tempfile.TemporaryDirectory()
        self.editor = RecordingEditor(finished(Path(self.folder.name) / "a.sqlite", frames=6, masks=True))
        self.past = [contents(self.editor)]
        self.at = 0

    def teardown(self) -> None:
        if hasattr(self, "editor"):
            self.editor.close()
            self.folder.cleanup()

    def _done(self) -> None:
        self.past[self.at + 1 :] = [contents(self.editor)]
        self.at += 1

    def _track(self, choice: int) -> int:
        tracks = self.editor.tracks()
        return tracks[choice % len(tracks)].track_id

    @precondition(lambda self: len(self.editor.tracks()) > 1)
    @rule(one=st.integers(0, 9), step=st.integers(1, 3))
    def merge(self, one: int, step: int) -> None:
        other = self._track(one + 1 + step % (len(self.editor.tracks()) - 1))
        if other != self._track(one):
            self.editor.merge(self._track(one), other)
            self._done()

    @precondition(lambda self: bool(self.editor.tracks()))
    @rule(one=st.integers(0, 9), frame=st.integers(1, 5))
    def split(self, one: int, frame: int) -> None:
        track = self.editor.track(self._track(one))
        if track.first_frame < frame <= track.last_frame:
            self.editor.split(track.track_id, frame)
            self._done()

    @precondition(lambda self: bool(self.editor.tracks()))
    @rule(one=st.integers(0, 9), label=st.sampled_from(["person", "bus"]))
    def change_class(self, one: int, label: str) -> None:
        self.editor.change_class(self._track(one), label)
        self._done()

    @precondition(lambda self: bool(self.editor.tracks()))
    @rule(one=st.integers(0, 9))
    def delete(self, one: int) -> None:
        self.editor.delete(self._track(one))
        self._done()

    @rule(
        new=st.booleans(), one=st.integers(0, 9), frame=st.integers(0, 5), left=st.integers(0, 99), span=st.booleans()
    )
    def set_box(self, new: bool, one: int, frame: int, left: int, span: bool) -> None:
        track = None if new or not self.editor.tracks() else self._track(one)
        self.editor.set_box(track, frame, (left, 0, left + 9, 9), label="car", interpolate=span)
        self._done()

    @rule()
    def undo(self) -> None:
        assert (self.editor.undo() is not None) == (self.at > 0)
        self.at = max(0, self.at - 1)

    @rule()
    def redo(self) -> None:
        assert (self.editor.redo() is not None) == (self.at < len(self.past) - 1)
        self.at = min(len(self.past) - 1, self.at + 1)

    @invariant()
    def the_rows_are_those_of_this_moment(self) -> None:
        if hasattr(self, "past"):
            assert contents(self.editor) == self.past[self.at]


TestEditing = Editing.TestCase
TestEditing.settings = settings(max_examples=12, stateful_step_count=15, deadline=None)

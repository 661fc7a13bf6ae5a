from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.store.recordings import INFO, finished, objects
from tracker.errors import ConfigError, FormatError
from tracker.observations import Origin
from tracker.store import RecordedEvent, Recording, RecordingEditor, RecordingInfo, RecordingWriter
from tracker.store.rows import to_stored
from tracker.types import Event


def contents(recording: Recording) -> tuple[object, ...]:
    """Everything a reader can see of the rows."""
    rows = recording.observations_in(0, 10**6, masks=True)
    tracks = recording.tracks()
    return (list(to_stored(rows)), rows.masks, tracks)


def test_ids_that_no_recording_can_hold_are_refused_and_those_of_numpy_are_ids(tmp_path: Path) -> None:
    path = finished(tmp_path / "a.sqlite")
    with RecordingEditor(path) as editor:
        too_large = 2**70
        for edit in (
            lambda: editor.relabel(1, too_large),
            lambda: editor.relabel(too_large, 5),
            lambda: editor.merge(1, too_large),
            lambda: editor.delete(too_large),
            lambda: editor.set_box(1, too_large, (0, 0, 1, 1)),
            lambda: editor.observations_of(too_large),
        ):
            with pytest.raises(ConfigError, match="no frame and no id of a recording is that large"):
                edit()
        assert editor.edit_count() == 0
        assert editor.relabel(np.int64(1), np.int64(7)).details == {"track": 1, "new": 7}
        editor.delete(np.int64(2))
        assert [track.track_id for track in editor.tracks()] == [3, 7]


def test_merging_gives_one_track_and_asks_whose_boxes_stay_where_both_are_seen(tmp_path: Path) -> None:
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
        assert editor.shared_frames(1, 2) == [3]
        with pytest.raises(ConfigError, match="visible together in 1 frames, the first is 3"):
            editor.merge(1, 2)
        assert [track.track_id for track in editor.tracks()] == [1, 2], "nothing is dropped unreported"
        editor.merge(1, 2, boxes_of=1)
        assert editor.observations_of(1, masks=True).masks == (
            *(f"mask{frame}-1" for frame in range(4)),
            "mask4-2",
            "mask5-2",
        )
        editor.undo()
        assert editor.merge(1, 2, boxes_of=2).details["shared"] == 1
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
        with pytest.raises(ConfigError, match="nothing on one side of frame 6") as refused:
            editor.split(new, 6)
        assert refused.value.counting_from(1).endswith("frame 7")


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


def shift(counts: str, dx: int, dy: int, width: int, height: int) -> str | None:
    return None if abs(dx) > width or abs(dy) > height else f"{counts}+{dx}+{dy}"


def test_boxes_that_the_network_gave_stay_when_boxes_before_and_behind_them_are_moved(tmp_path: Path) -> None:
    with RecordingEditor(finished(tmp_path / "a.sqlite", frames=10, masks=True), shift_mask=shift) as editor:
        before = editor.observations_of(1, masks=True)
        x1, y1, x2, y2 = before.boxes[8].tolist()
        assert editor.set_box(1, 8, (x1 + 5, y1, x2 + 5, y2)).details == {
            "track": 1, "frame": 8, "box": [x1 + 5, y1, x2 + 5, y2], "mask": "moved", "filled": 0
        }  # fmt: skip
        edit = editor.set_box(1, 2, (3, 3, 9, 9))
        assert (edit.details["mask"], edit.details["filled"]) == ("dropped", 0)
        after = editor.observations_of(1, masks=True)
        assert np.flatnonzero((after.boxes != before.boxes).any(axis=1)).tolist() == [2, 8]
        assert after.origins.tolist() == [Origin.DETECTED] * 2 + [Origin.MANUAL] + [Origin.DETECTED] * 5 + [
            Origin.MANUAL,
            Origin.DETECTED,
        ]
        assert after.masks is not None
        assert (after.masks[2], after.masks[8]) == (None, "mask8-1+5+0")
        assert editor.keyframes() == [(1, 2), (1, 8)]
        edit = editor.interpolate(1, 2, 8)
        assert edit.details["replaced"] == 5
        assert editor.observations_of(1).origins[3:8].tolist() == [Origin.INTERPOLATED] * 5
        with pytest.raises(ConfigError, match="needs a box in frame 2 and one in frame 11"):
            editor.interpolate(1, 2, 11)
        while editor.undo():
            pass
        assert contents(editor)[0] == list(to_stored(editor.observations_in(0, 99)))
        assert editor.observations_of(1, masks=True).masks == before.masks


def test_undo_covers_rules_and_takes_back_what_was_done_last(tmp_path: Path) -> None:
    def recount(recording: Recording, tracks: object) -> list[RecordedEvent]:
        return [RecordedEvent(0, Event("line", recording.info.rules, 0.0, 1, 0))] if recording.info.rules else []

    with RecordingEditor(finished(tmp_path / "a.sqlite"), recount) as editor:
        editor.delete(2)
        rows = contents(editor)
        editor.change_rules("[a]", drawn=["a"])
        editor.change_rules("[b]", drawn=["b"])
        assert [row.event.name for row in editor.events()] == ["[b]"]
        assert editor.edit_count() == 1, "rules are no corrections of rows"
        undone = editor.undo()
        assert undone is not None
        assert (undone.kind, undone.details["drawn"]) == ("rules", ["b"])
        assert (editor.info.rules, [row.event.name for row in editor.events()]) == ("[a]", ["[a]"])
        assert editor.info.settings["rules"] == "[a]"
        assert contents(editor) == rows, "the correction before stays"
        editor.undo()
        assert (editor.info.rules, editor.events()) == ("", [])
        editor.redo()
        assert editor.info.rules == "[a]"


def corrections_of(editor: RecordingEditor, tracks: tuple[int, ...]) -> None:
    """One of each kind that has an end in the future."""
    one, two, three, four, five = tracks
    editor.merge(one, two, boxes_of=two)
    editor.relabel(three, 9)
    editor.delete(four)
    editor.change_class(five, "tram")
    editor.set_box(five, 1, (1.0, 1.0, 5.0, 5.0))
    editor.split(five, 2)


def written(
    path: Path, frames: range, tracks: tuple[int, ...], writer: RecordingWriter | None = None
) -> RecordingWriter:
    writer = RecordingWriter.create(path, INFO) if writer is None else writer
    for frame in frames:
        writer.add(frame, frame * 0.5, objects(frame, *tracks, masks=True))
    writer.commit({})
    return writer


def test_corrections_made_while_it_is_written_equal_those_made_afterwards(tmp_path: Path) -> None:
    tracks = (1, 2, 3, 4, 5)
    whole = written(tmp_path / "whole.sqlite", range(12), tracks)
    whole.complete_with(None)
    whole.close()
    half = written(tmp_path / "half.sqlite", range(6), tracks)
    with RecordingEditor(tmp_path / "half.sqlite") as editor:
        corrections_of(editor, tracks)
        editor.undo()
        written(tmp_path / "half.sqlite", range(6, 9), tracks, half)
        editor.redo()
    written(tmp_path / "half.sqlite", range(9, 12), tracks, half)
    half.complete_with(None)
    half.close()
    with RecordingEditor(tmp_path / "whole.sqlite") as expected, RecordingEditor(tmp_path / "half.sqlite") as found:
        raw = contents(expected)
        corrections_of(expected, tracks)
        corrected = contents(expected)
        assert contents(found) == corrected
        assert found.note("revision") == 8
        for editor in (expected, found):
            while editor.undo():
                pass
            assert contents(editor) == raw
            while editor.redo():
                pass
            assert contents(editor) == corrected


def test_an_id_that_a_person_gave_is_not_given_to_what_comes_later(tmp_path: Path) -> None:
    path = tmp_path / "a.sqlite"
    writer = written(path, range(4), (1, 2))
    with RecordingEditor(path) as editor:
        assert editor.split(2, 2).details["new"] == 3
        editor.relabel(1, 6)
        written(path, range(4, 6), (1, 2, 3), writer)
        written(path, range(6, 8), (3, 6, 7), writer)
        rows = editor.observations_in(0, 99)
        seen = {track: rows.frames[rows.tracks == track].tolist() for track in set(rows.tracks.tolist())}
    assert seen == {2: [0, 1], 3: [2, 3, 4, 5], 6: [0, 1, 2, 3, 4, 5], 7: [4, 5, 6, 7], 8: [6, 7], 9: [6, 7]}
    writer.close()


def test_rows_are_not_replaced_where_somebody_corrected_them_meanwhile(tmp_path: Path) -> None:
    path = tmp_path / "a.sqlite"
    writer = written(path, range(4), (1, 2))
    with RecordingEditor(path) as editor:
        editor.delete(1)
        assert not writer.complete_with([objects(0, 1)], revision=0)
        assert not editor.complete
        assert [track.track_id for track in editor.tracks()] == [2]
        assert writer.complete_with([objects(0, 2)], revision=1)
        assert editor.observation_count() == 1
    writer.close()


def test_a_reader_learns_of_a_new_class(tmp_path: Path) -> None:
    path = finished(tmp_path / "a.sqlite")
    with Recording(path) as reader, RecordingEditor(path) as editor:
        editor.change_class(1, "tram")
        assert reader.observations_in(0).class_ids.tolist() == [3, 0, 0]
        assert reader.info.labels[3] == "tram"


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
        editor.merge(1, 3, boxes_of=1)
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
            self.editor.merge(self._track(one), other, boxes_of=other)
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

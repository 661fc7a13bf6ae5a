"""A session in the window, annotated while it plays, and the same corrections through the store: equal row for row."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np

from gui.canvas.hit_testing import Shape
from gui.recording.session import PlayedRecording
from gui.rules.counting import rules_text
from gui.window import Window
from tests.gui.conftest import App
from tracker.annotate.recount import edit_recording
from tracker.store import Recording, RecordingEditor, check_store, restore_copy
from tracker.store.rows import to_stored

Step = tuple[Callable[[], object], Callable[[RecordingEditor], object]]
"""A correction as a user makes it in the window, and as a program makes it in the store."""
COUNT = 32


def everything(path: Path) -> tuple[object, ...]:
    """All that a recording holds: rows, masks, tracks, events, rules, classes and corrections."""
    with Recording(path) as store:
        rows = store.observations_in(0, 10**6, masks=True)
        events = sorted((row.frame, row.event.time, row.event.kind, row.event.track_id) for row in store.events())
        edits = [(edit.kind, edit.undone) for edit in store.edits()]
        return list(to_stored(rows)), rows.masks, store.tracks(), events, store.info.rules, store.info.labels, edits


def next_step(app: App, window: Window, recording: PlayedRecording, number: int, random: np.random.Generator) -> Step:
    """The correction of that number, of the tracks that there are now."""
    page, overview = window.recordings, recording.overview
    assert overview is not None
    with Recording(recording.store) as store:
        tracks = [track for track in store.tracks() if track.observations > 4]
        track = tracks[int(random.integers(len(tracks)))]
        rows = store.observations_of(track.track_id)
        one, box = track.track_id, rows.boxes[len(rows) // 2].tolist()
        frame = int(rows.frames[len(rows) // 2])
        apart = [other.track_id for other in tracks if other.first_frame > track.last_frame]
    app.show(recording, frame)
    recording.select([one])
    commands = page.corrections
    x, y = (float(value) for value in random.integers(0, 90, 2))
    moved = (box[0] + 2, box[1] + 1, box[2] + 2, box[3] + 1)
    drawn = (x, y, x + 20, y + 24)
    kind = number % 11
    if kind == 0:
        return lambda: commands.move_box(one, moved), lambda store: store.set_box(one, frame, moved)
    if kind == 1:
        return commands.split, lambda store: store.split(one, frame)
    if kind == 2:
        label = ("lamp", "tram", "person")[number % 3]
        return lambda: commands.change_class(label), lambda store: store.change_class([one], label)
    if kind == 3:
        return lambda: commands.relabel(5000 + number), lambda store: store.relabel(one, 5000 + number)
    if kind == 4:
        return commands.delete_here, lambda store: store.delete([one], frame, frame)
    if kind == 5:
        recording.select([])
        return lambda: commands.add_box(drawn, "lamp"), lambda store: store.set_box(None, frame, drawn, label="lamp")
    if kind == 6:
        shapes = [*recording.counts.shapes, Shape("line", f"gate {number}", ((80.0, 2.0), (80.0, 126.0)))]
        return lambda: recording.use_shapes(shapes), lambda store: store.change_rules(with_size(store, shapes))
    if kind == 7 and apart:
        other = apart[0]
        recording.select([one, other])
        return commands.merge, lambda store: store.merge(one, other)
    if kind == 8:
        one, frame = overview.keyframes[0][0], overview.keyframes[0][1] + 4
        app.show(recording, frame)
        recording.select([one])
        return lambda: commands.add_box(drawn), lambda store: store.set_box(one, frame, drawn)
    if kind == 9:
        name = recording.counts.shapes[-1].name
        renamed = [*recording.counts.shapes[:-1], Shape("line", f"door {number}", recording.counts.shapes[-1].points)]
        return (
            lambda: page.view.rename_shape(name, f"door {number}"),
            lambda store: store.change_rules(with_size(store, renamed)),
        )
    pairs = [
        (owner, first, last)
        for (owner, first), (other, last) in pairwise(overview.keyframes)
        if owner == other and last - first > 1
    ]
    if kind == 10 and pairs:
        owner, first, last = pairs[0]
        app.show(recording, first)
        recording.select([owner])
        return commands.interpolate, lambda store: store.interpolate(owner, first, last)
    return commands.delete, lambda store: store.delete([one])


def with_size(store: RecordingEditor, shapes: list[Shape]) -> str:
    return f"size = [{store.info.width}, {store.info.height}]\n" + rules_text(shapes)


def test_a_session_in_the_window_equals_the_same_corrections_through_the_store(
    app: App, clip: Path, tmp_path: Path
) -> None:
    window = app.start()
    page = window.recordings
    recording = app.open(window, clip, play=True)
    app.until(lambda: recording.finished)
    recording.player.play(on=False)
    app.until(lambda: not window.background.busy)
    twin = tmp_path / "twin.sqlite"
    restore_copy(twin, recording.store)
    original = everything(recording.store)

    random, kinds = np.random.default_rng(11), set()
    for number in range(COUNT):
        in_window, in_store = next_step(app, window, recording, number, random)
        app.edit(window, in_window)
        with edit_recording(twin) as editor:
            in_store(editor)
            kinds |= {edit.kind for edit in editor.edits()}
        assert everything(recording.store) == everything(twin), number
    assert kinds == {"merge", "split", "relabel", "delete", "class", "box", "interpolate", "rules"}
    final = everything(twin)

    for _ in range(COUNT):
        app.edit(window, page.corrections.undo)
    assert not window.commands["recording.undo"].isEnabled()
    undone = everything(recording.store)
    assert undone[:5] == original[:5]
    for _ in range(COUNT):
        app.edit(window, page.corrections.redo)
    assert not window.commands["recording.redo"].isEnabled()
    assert everything(recording.store) == final
    app.close(window)

    again = app.start()
    recording = app.open_finished(again, clip)
    app.until(lambda: not again.background.busy)
    assert everything(recording.store) == final
    check_store(recording.store)

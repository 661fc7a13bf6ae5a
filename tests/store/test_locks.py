"""Two processes at one recording: nobody's closing of a file may drop the locks that hold the other's log in place."""

from __future__ import annotations

import ast
import contextlib
import multiprocessing
import sys
from collections.abc import Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import pytest

from tests.store.recordings import INFO, finished, objects
from tracker.errors import SourceError
from tracker.store import Recording, RecordingEditor, RecordingWriter, check_store
from tracker.video import open_source

ROOT = Path(__file__).parents[2]
ROUNDS = 50
OPENERS = {"open", "fdopen", "mmap", "read_bytes", "read_text", "write_bytes", "write_text", "copyfile", "copy"}


def annotate(pipe: Connection) -> None:
    """Write the recordings whose paths come through the pipe as `annotate` does, a commit at a time."""
    while path := pipe.recv():
        writer = RecordingWriter.create(Path(path), INFO)
        for frame in range(40):
            writer.add(frame, frame * 0.04, objects(frame, 1, 2, 3, masks=True))
            if frame % 5 == 4:
                writer.commit({"next": 4})
                pipe.send(frame)
                pipe.recv()
        writer.complete_with(None)
        writer.close()
        pipe.send(-1)


@pytest.fixture
def annotator() -> Iterator[Connection]:
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=annotate, args=(theirs,), daemon=True)
    process.start()
    yield ours
    with contextlib.suppress(OSError):
        ours.send("")
    process.join(20)
    assert process.exitcode == 0


def test_a_recording_watched_while_it_is_written_and_corrected_at_once_stays_sound(
    tmp_path: Path, annotator: Connection
) -> None:
    for number in range(ROUNDS):
        path = tmp_path / f"{number}.sqlite"
        annotator.send(str(path))
        reader: Recording | None = None
        while (frame := annotator.recv()) >= 0:
            reader = reader or Recording(path)  # the player's, open all the time
            assert len(reader.observations_in(frame, masks=True)) == 3
            with Recording(path) as overview:  # the panels', opened and closed again and again
                assert overview.last_frame == frame
            annotator.send(True)
        with RecordingEditor(path) as editor:
            editor.set_box(1, 17, (5.0, 6.0, 50.0, 60.0))
        assert reader is not None
        assert reader.observations_in(17).boxes[0].tolist() == [5.0, 6.0, 50.0, 60.0]
        reader.close()
        check_store(path)


def test_no_store_is_opened_but_through_sqlite(tmp_path: Path) -> None:
    path = finished(tmp_path / "a.sqlite")
    opened: list[str] = []
    watching = True

    def watch(event: str, arguments: tuple[Any, ...]) -> None:
        if watching and event == "open" and isinstance(arguments[0], str | bytes):
            opened.append(str(arguments[0]))

    sys.addaudithook(watch)  # stays for good: there is no taking it off
    try:
        with Recording(path) as recording, RecordingEditor(path) as editor:
            editor.delete(1)
            assert len(recording.tracks()) == 2
        check_store(path)
        RecordingWriter.create(path, INFO).close()
        with pytest.raises(SourceError, match="a recording, not a video"):
            open_source(path)
    finally:
        watching = False
    assert [name for name in opened if ".sqlite" in name] == []


def test_the_store_package_calls_nothing_that_opens_files_by_hand() -> None:
    found = []
    for file in sorted((ROOT / "tracker" / "store").glob("*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call):
                name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
                if name in OPENERS:
                    found.append(f"{file.name}:{node.lineno} {name}")
    assert found == []

"""Exports of recordings: true time stamps, and to the byte what live sinks write."""

from __future__ import annotations

import contextlib
import csv
import json
import sqlite3
from pathlib import Path

import av
import numpy as np
import pytest

from tests.annotate.test_memory import write_walkers
from tests.annotate.test_run import annotate, request
from tests.annotate.tiny import write_clip
from tracker.annotate import export as exports
from tracker.annotate import export_source as recorded_parts
from tracker.annotate.export import export, export_suffix
from tracker.errors import FormatError
from tracker.factory import annotation_sink, make_pipeline
from tracker.formats import FORMATS, find_format
from tracker.formats.core.annotations import ExternalInfo
from tracker.formats.core.write_options import WriteOptions
from tracker.store import Recording, reader
from tracker.video import FileSource

TIMED = ("jsonl", "csv", "coco", "parquet", "labelstudio")
VARIABLE = ("mp4_sample_android_slow_motion.mp4", "mkv_sample.mkv", "vp9_bear-vp9-odd-dimensions.webm")


def container_times(path: Path) -> np.ndarray:
    """Presentation times in seconds as PyAV alone reads them."""
    with av.open(str(path)) as container:
        stream = container.streams.best("video")
        return np.array([float(frame.pts * stream.time_base) for frame in container.decode(stream)])


def times_in(path: Path, name: str) -> dict[int, float]:
    """The time of each frame, read with nothing of ours where the format is plain text."""
    if name == "jsonl":
        rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()[1:]]
        return {row["frame"]: row["time"] for row in rows}
    if name == "csv":
        with path.open(encoding="utf-8", newline="") as file:
            return {int(row["frame"]): float(row["time"]) for row in csv.DictReader(file)}
    if name == "coco":
        images = json.loads(path.read_text(encoding="utf-8"))["images"]
        return {image["frame_index"]: image["time"] for image in images}
    frames = find_format(name).load().read(path, ExternalInfo()).frames
    return dict(zip(frames.indices.tolist(), frames.times.tolist(), strict=True))


def assert_true_times(video: Path, out: Path, network: Path) -> None:
    """Annotate the video and compare every time in every export with the container's."""
    expected = container_times(video)
    report = annotate(video, out, request(network, formats=",".join(TIMED)))
    assert report.frames == len(expected)
    for name in TIMED:
        found = times_in(out / f"{video.stem}{export_suffix(name)}", name)
        assert name not in ("jsonl", "coco", "parquet") or list(found) == list(range(len(expected)))
        assert found == {frame: pytest.approx(expected[frame], abs=1e-9) for frame in found}


def test_every_export_gives_the_containers_time_stamps(tmp_path: Path, network: Path) -> None:
    times = np.random.default_rng(5).uniform(0.01, 0.3, 60).cumsum() + 1.5
    assert_true_times(write_clip(tmp_path / "variable.mp4", 60, times=times.tolist()), tmp_path / "out", network)


@pytest.mark.shared
@pytest.mark.parametrize("name", VARIABLE)
def test_real_files_of_variable_rate_keep_their_time_stamps(
    name: str, shared: Path, tmp_path: Path, network: Path
) -> None:
    video = shared / "data" / "media" / name
    assert len(np.unique(np.diff(container_times(video)).round(6))) > 1, "the video has a constant rate"
    assert_true_times(video, tmp_path, network)


@pytest.mark.shared
def test_of_several_video_streams_the_times_are_those_of_the_one_that_is_read(
    shared: Path, tmp_path: Path, network: Path
) -> None:
    video = shared / "data" / "media" / "nasa_13013.mp4"
    assert_true_times(video, tmp_path, network)
    witness = json.loads(video.with_name(f"{video.name}.stream3.all_frames_info.json").read_text())
    found = times_in(tmp_path / "nasa_13013.jsonl", "jsonl")
    assert list(found.values()) == pytest.approx([float(frame["pts_time"]) for frame in witness], abs=1e-6)


def test_mot_and_json_lines_are_to_the_byte_what_a_live_run_writes(tmp_path: Path, clip: Path, network: Path) -> None:
    wanted = request(network, formats="mot,jsonl")
    annotate(clip, tmp_path / "out", wanted)
    pipeline = make_pipeline(wanted.settings, live=False, draw=False).pipeline
    sinks = {name: annotation_sink(name, tmp_path / name) for name in ("mot", "jsonl")}
    for frame in FileSource(clip):
        result = pipeline.process(frame)
        for sink in sinks.values():
            sink.write(result)
    for name, suffix in (("mot", ".txt"), ("jsonl", ".jsonl")):
        sinks[name].close()
        assert (tmp_path / "out" / f"clip{suffix}").read_bytes() == (tmp_path / name).read_bytes()


@pytest.mark.parametrize("name", sorted(FORMATS.keys() - {"mot", "jsonl", "parquet"}))
def test_an_export_in_small_parts_is_to_the_byte_what_is_written_at_once(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_walkers(tmp_path / "street.sqlite", 20)
    with contextlib.closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("DELETE FROM observations WHERE frame IN (3, 4, 9) OR track = 5 AND frame = 7")
        connection.execute("UPDATE observations SET origin = 1, class = 2 WHERE track = 6 AND frame > 4")
    with Recording(path) as recording:
        export(recording, "jsonl", tmp_path / "whole.jsonl")
        whole = find_format("jsonl").load().read(tmp_path / "whole.jsonl")
        find_format(name).write(tmp_path / "whole" / "street", whole, WriteOptions(outlines=False))
        monkeypatch.setattr(recorded_parts, "FRAMES_AT_ONCE", 3)
        monkeypatch.setattr(exports, "FRAMES_AT_ONCE", 3)
        monkeypatch.setattr(reader, "ROWS_AT_ONCE", 4)
        export(recording, name, tmp_path / "parts" / "street")
    assert files_in(tmp_path / "parts") == files_in(tmp_path / "whole")


def files_in(folder: Path) -> dict[str, bytes]:
    """What stands in a folder, by relative path."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_parquet_keeps_frames_without_objects_beside_the_rows(tmp_path: Path) -> None:
    path = write_walkers(tmp_path / "street.sqlite", 20)
    with contextlib.closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("DELETE FROM observations WHERE frame IN (0, 4, 19)")
    with Recording(path) as recording:
        export(recording, "parquet", tmp_path / "street.parquet")
    frames = find_format("parquet").load().read(tmp_path / "street.parquet").frames
    assert frames.indices.tolist() == list(range(20))
    assert frames.times.tolist() == [frame / 25 for frame in range(20)]


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize(
    ("table", "change"),
    [
        ("observations", "class = 99 WHERE frame = 2"),
        ("observations", "track = -5 WHERE frame = 2 AND track = 1"),
        ("observations", "frame = 77 WHERE frame = 4"),
        ("frames", "frame = 77 WHERE frame = 2"),
        ("frames", "time = 9e999"),
        ("info", "value = '[-4, 7]' WHERE key = 'size'"),
        ("info", "value = '[1, 2, 3]' WHERE key = 'labels'"),
        ("info", "value = '[]' WHERE key = 'source'"),
        ("masks", "counts = 'zzz'"),
    ],
)
def test_a_recording_that_was_tampered_with_is_refused_by_every_export_that_meets_it(
    name: str, table: str, change: str, tmp_path: Path
) -> None:
    path = write_walkers(tmp_path / "street.sqlite", 5)
    with contextlib.closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(f"UPDATE {table} SET {change}")
    reads_masks = name in ("mots", "coco", "yolo", "cvat", "cvatimages")
    expected = pytest.raises(FormatError, match=r"street\.sqlite: damaged: .*\. Restore it from a copy")
    with expected if table != "masks" or reads_masks else contextlib.nullcontext(), Recording(path) as recording:
        export(recording, name, tmp_path / "out")

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

import main
from tests.annotate.test_run import annotate, request
from tracker.annotate.export import export_suffix
from tracker.annotate.recount import edit_recording
from tracker.observations import Origin
from tracker.store import Recording

RULES = '[[zone]]\nname = "all"\npolygon = [[0.0, 0.0], [160.0, 0.0], [160.0, 128.0], [0.0, 128.0]]\n'


def run(*arguments: object) -> int:
    return main.main([str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory, clip: Path, network: Path) -> Path:
    """A finished recording with filled-in rows."""
    out = tmp_path_factory.mktemp("out")
    annotate(clip, out, request(network, refine=True, rules=RULES, formats="mot"))
    return out / "clip.sqlite"


def rows_of(path: Path) -> tuple[tuple[str, ...], np.ndarray, np.ndarray]:
    """Labels, numbers and origins of all observations."""
    with Recording(path) as recording:
        rows = recording.observations_in(0, 10**9)
        columns = np.column_stack([rows.frames, rows.tracks, rows.class_ids, rows.scores, rows.boxes])
        return recording.info.labels, columns, rows.origins


@pytest.mark.parametrize("name", ["jsonl", "csv", "parquet", "coco"])
def test_what_holds_all_comes_back_as_the_same_recording(
    name: str, recording: Path, clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("export-annotations", recording, "--format", name, "--out", tmp_path) == 0
    written = tmp_path / f"clip{export_suffix(name)}"
    assert capsys.readouterr().out.strip() == str(written)
    again = tmp_path / "again.sqlite"
    assert run("import-annotations", written, "--format", name, "--video", clip, "--out", again) == 0
    labels, numbers, origins = rows_of(recording)
    found_labels, found_numbers, found_origins = rows_of(again)
    assert found_labels == labels
    np.testing.assert_array_equal(found_numbers, numbers)
    np.testing.assert_array_equal(found_origins, origins)
    with Recording(recording) as one, Recording(again) as other:
        np.testing.assert_array_equal(one.frame_times(), other.frame_times())
        assert other.complete


@pytest.mark.parametrize("name", ["mot", "cvat", "labelstudio", "kitti", "yolo", "voc"])
def test_boxes_survive_the_other_formats(name: str, recording: Path, clip: Path, tmp_path: Path) -> None:
    assert run("export-annotations", recording, "--format", name, "--out", tmp_path) == 0
    again = tmp_path / "again.sqlite"
    written = tmp_path / f"clip{export_suffix(name)}"
    classes = ("--classes", "person,car") if name in ("mot", "yolo") else ()
    assert run("import-annotations", written, "--format", name, "--video", clip, "--out", again, *classes) == 0
    _, numbers, _ = rows_of(recording)
    _, found, _ = rows_of(again)
    assert len(found) == len(numbers)
    tracked = name not in ("yolo", "voc")
    for one in (numbers, found):
        if tracked:
            one[:] = one[np.lexsort((one[:, 1], one[:, 0]))]
        else:
            one[:] = one[np.lexsort((*np.rint(one[:, 4:]).T, one[:, 0]))]
    tolerance = 1.01 if name == "voc" else 0.02
    np.testing.assert_array_equal(found[:, 0], numbers[:, 0])
    if name in ("mot", "cvat", "kitti", "labelstudio"):
        np.testing.assert_array_equal(found[:, 1], numbers[:, 1])
        np.testing.assert_allclose(found[:, 4:], numbers[:, 4:], atol=tolerance)


def test_exports_follow_corrections(recording: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copy(recording, tmp_path / "a b.sqlite"))
    with edit_recording(copy) as editor:
        track = editor.tracks()[0].track_id
        editor.change_class(track, "neuer Bus")
        editor.set_box(None, 5, (1, 2, 30, 40), label="person")
    assert run("export-annotations", copy, "--format", "csv,csv", "--out", tmp_path / "x" / "y") == 0
    text = (tmp_path / "x" / "y" / "a b.csv").read_text(encoding="utf-8")
    assert "neuer Bus" in text
    assert "1.0,2.0,30.0,40.0,1.0" in text


def test_rows_without_scores_are_a_persons(recording: Path, clip: Path, tmp_path: Path) -> None:
    assert run("export-annotations", recording, "--format", "cvat", "--out", tmp_path) == 0
    out = tmp_path / "again.sqlite"
    assert run("import-annotations", tmp_path / "clip.xml", "--format", "cvat", "--video", clip, "--out", out) == 0
    _, _, before = rows_of(recording)
    _, _, after = rows_of(out)
    assert (after == Origin.INTERPOLATED).sum() == (before == Origin.INTERPOLATED).sum()
    assert (after == Origin.MANUAL).sum() == (before == Origin.DETECTED).sum()


def test_an_import_replaces_nothing_unasked(
    recording: Path, clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "rows.txt").write_text("1,1,10,20,30,40,0.9,-1,-1,-1\n")
    common = ["import-annotations", tmp_path / "rows.txt", "--format", "mot", "--video", clip, "--out"]
    out = Path(shutil.copy(recording, tmp_path / "a.sqlite"))
    assert run(*common, out) == 2
    assert "--overwrite replaces it" in capsys.readouterr().err
    assert out.read_bytes() == recording.read_bytes()
    assert run(*common, out, "--overwrite") == 0
    assert len(rows_of(out)[1]) == 1
    before = clip.read_bytes()
    assert run(*common, clip, "--overwrite") == 2
    assert "expected a name ending in .sqlite" in capsys.readouterr().err
    assert clip.read_bytes() == before


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("999,1,10,20,30,40,0.9,-1,-1,-1\n", "mentions frame 998"),
        ("1,1,10,20,30\n", "columns"),
        ("1,1,nan,20,30,40,0.9,-1,-1,-1\n", "line 1"),
    ],
)
def test_an_import_that_does_not_fit_is_refused_and_leaves_nothing(
    text: str, reason: str, clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "rows.txt").write_text(text)
    out = tmp_path / "a.sqlite"
    assert run("import-annotations", tmp_path / "rows.txt", "--format", "mot", "--video", clip, "--out", out) == 2
    error = capsys.readouterr().err
    assert len(error.splitlines()) == 1
    assert reason in error
    assert list(tmp_path.iterdir()) == [tmp_path / "rows.txt"]


def test_recordings_of_the_same_name_are_not_mixed(recording: Path, tmp_path: Path) -> None:
    other = tmp_path / "b" / "Clip.sqlite"
    other.parent.mkdir()
    shutil.copy(recording, other)
    assert run("export-annotations", recording, other, "--format", "mot", "--out", tmp_path / "out") == 0
    written = sorted(path.relative_to(tmp_path / "out").as_posix() for path in (tmp_path / "out").rglob("*.txt"))
    assert written == sorted([f"{recording.parent.name}/{recording.stem}.txt", "b/Clip.txt"])


def test_crowds_are_told_to_become_ordinary_objects(
    clip: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    rows = "frame,track_id,x1,y1,x2,y2,crowd\n0,1,10,10,40,40,true\n1,1,10,10,40,40,false\n"
    (tmp_path / "rows.csv").write_text(rows)
    out = tmp_path / "clip.sqlite"
    assert run("import-annotations", tmp_path / "rows.csv", "--format", "csv", "--video", clip, "--out", out) == 0
    assert "a recording has no crowds: 1 of them become ordinary objects" in caplog.text
    assert len(rows_of(out)[1]) == 2


def test_a_label_studio_file_that_counts_other_frames_is_placed_by_time(clip: Path, tmp_path: Path) -> None:
    """Drawn at twice the video's rate: frame 9 there is frame 4 here, counted from 0."""
    with Recording(_imported(clip, tmp_path, rate=None)) as recording:
        times = recording.frame_times()[1]
    rate = 2 * (len(times) - 1) / (times[-1] - times[0])
    labels, numbers, _ = rows_of(_imported(clip, tmp_path, rate=rate))
    assert labels == ("person",)
    assert numbers[:, 0].tolist() == [0, 1, 2, 3, 4]


def _imported(clip: Path, folder: Path, *, rate: float | None) -> Path:
    """A recording of one Label Studio track that ends with its frame 9, whose times are at that rate."""
    whole = {"x": 10, "y": 10, "width": 20, "height": 20, "rotation": 0}
    steps = [whole | {"frame": frame, "enabled": frame == 1} for frame in (1, 9)]
    if rate is not None:
        steps = [step | {"time": step["frame"] / rate} for step in steps]
    value = {"labels": ["person"], "sequence": steps}
    task = {"data": {"video": "clip"}, "annotations": [{"result": [{"type": "videorectangle", "value": value}]}]}
    (folder / "a.json").write_text(json.dumps([task]))
    out = folder / f"{rate}.sqlite"
    assert run("import-annotations", folder / "a.json", "--format", "labelstudio", "--video", clip, "--out", out) == 0
    return out

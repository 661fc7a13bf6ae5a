from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.annotate.killing import left_in
from tests.annotate.tiny import write_clip, write_network
from tracker import ending
from tracker.annotate.plan import AnnotateRequest, make_plan, network_identity, settings_identity
from tracker.annotate.recordings import find_jobs
from tracker.annotate.recount import edit_recording, recount
from tracker.annotate.run import FileReport, annotate_recording
from tracker.errors import SinkError, SourceError
from tracker.factory import load_settings
from tracker.observations import Origin
from tracker.store import Recording

FRAMES = 400
"""Of the clip whose annotation is interrupted: three times what lies between two saves."""
RULES = '[[line]]\nname = "gate"\nstart = [80.0, 0.0]\nend = [80.0, 128.0]\n'


def request(network: Path, *, formats: str = "mot,jsonl", **more: object) -> AnnotateRequest:
    """What the command line would make of these options."""
    tree = {"detector": {"model": str(network)}, "output": {"format": formats.split(",") if formats else []}}
    return AnnotateRequest(load_settings(tree, "test"), **more)  # type: ignore[arg-type]


def annotate(video: Path, out: Path, wanted: AnnotateRequest, **more: object) -> FileReport:
    """One recording as the command would do it."""
    (job,) = find_jobs([video], out, recursive=False)
    return annotate_recording(job, wanted, **more)  # type: ignore[arg-type]


def interrupt_behind(done: int, *, stage: str = "") -> Callable[[str, int, int | None], None]:
    """A progress that interrupts the run behind so many frames, of that stage where one is named."""

    def interrupt(at: str, so_far: int, total: int | None) -> None:
        if so_far > done and stage in ("", at):
            raise KeyboardInterrupt

    return interrupt


@pytest.fixture(scope="module")
def walk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sixteen seconds of moving blocks."""
    return write_clip(tmp_path_factory.mktemp("clip") / "walk.mp4", FRAMES, seed=3)


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory: pytest.TempPathFactory, walk: Path, network: Path) -> list[tuple[int, int, int]]:
    """Each track of an unbroken run over it, with its first and last frame."""
    out = tmp_path_factory.mktemp("unbroken")
    annotate(walk, out, request(network, rules=RULES, refine=False))
    with Recording(out / "walk.sqlite") as store:
        return [(track.track_id, track.first_frame, track.last_frame) for track in store.tracks()]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, clip: Path, network: Path) -> Path:
    """The output folder of a finished run with a line."""
    out = tmp_path_factory.mktemp("finished")
    annotate(clip, out, request(network, rules=RULES))
    return out


@pytest.fixture
def out(tmp_path: Path, finished: Path) -> Path:
    """A copy of it."""
    return Path(shutil.copytree(finished, tmp_path / "out"))


def test_a_finished_recording_is_skipped(out: Path, clip: Path, network: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in out.iterdir()}
    report = annotate(clip, out, request(network, rules=RULES))
    assert (report.status, report.frames, report.frames_now) == ("skipped", 200, 0)
    assert report.tracks > 0
    assert report.events > 0
    assert {path: path.stat().st_mtime_ns for path in out.iterdir()} == before


def test_a_signal_whose_exception_was_dropped_ends_it_and_it_goes_on(
    tmp_path: Path, clip: Path, network: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(ending, "_noted", [KeyboardInterrupt])
        with pytest.raises(KeyboardInterrupt):
            annotate(clip, tmp_path, request(network, formats=""))
    assert annotate(clip, tmp_path, request(network, formats="")).status == "done"


def test_only_what_is_missing_is_written(out: Path, clip: Path, network: Path) -> None:
    expected = (out / "clip.txt").read_bytes()
    (out / "clip.txt").unlink()
    report = annotate(clip, out, request(network, rules=RULES, formats="mot,csv"))
    assert (report.status, report.frames_now) == ("done", 0)
    assert (out / "clip.txt").read_bytes() == expected
    assert (out / "clip.csv").exists()


def test_a_change_begins_anew_and_says_what_changed(
    out: Path, clip: Path, network: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    other = write_network(tmp_path / "other.onnx")
    other.write_bytes(other.read_bytes() + b"\x1a\x00")
    wanted = request(network, rules=RULES)
    settings = wanted.settings
    changes = {
        "the setting detector.conf changed from none to 0.6": replace(
            wanted, settings=replace(settings, detector=replace(settings.detector, conf=0.6))
        ),
        "the setting tracker.max_coast_s changed": replace(
            wanted, settings=replace(settings, tracker=replace(settings.tracker, max_coast_s=3.0))
        ),
        "the rules changed": replace(wanted, rules=RULES.replace("80", "70")),
        "the setting refine changed from False to True": replace(wanted, refine=True),
        "the network changed from tiny to other": request(other, rules=RULES),
    }
    (job,) = find_jobs([clip], out, recursive=False)
    for reason, changed in changes.items():
        plan = make_plan(job, changed, network_identity(changed.settings.detector))
        assert plan.action == "anew"
        assert reason in plan.reason
    shown = replace(settings.tracker, appearance="reid", reid_model=str(other))
    with_reid = replace(wanted, settings=replace(settings, tracker=shown))
    before = settings_identity(with_reid)
    assert before == settings_identity(with_reid)
    other.write_bytes(other.read_bytes() + b"trained on")
    assert before != settings_identity(with_reid)
    at_once = replace(wanted, settings=replace(settings, detector=replace(settings.detector, batch=8)))
    assert make_plan(job, at_once, network_identity(settings.detector)).action == "skip"
    report = annotate(clip, out, changes["the rules changed"])
    assert (report.status, report.note, report.frames_now) == ("done", "the rules changed", 200)
    assert "begins anew: the rules changed" in caplog.text


def test_exports_of_the_run_before_do_not_stay_beside_another(out: Path, clip: Path, network: Path) -> None:
    before = request(network, rules=RULES, formats="mot,jsonl,yolo")
    annotate(clip, out, before)
    (out / "clip.note").write_text("mine")
    changed = replace(before, rules=RULES.replace("80", "70"))
    report = annotate(clip, out, replace(changed, settings=request(network, formats="csv").settings))
    assert report.outputs == ("clip.sqlite", "clip.csv")
    assert sorted(path.name for path in out.iterdir()) == ["clip.csv", "clip.note", "clip.sqlite"]


def test_an_export_that_was_interrupted_is_known_and_goes_with_its_recording(
    tmp_path: Path, clip: Path, network: Path
) -> None:
    def interrupt(stage: str, done: int, total: int | None) -> None:
        if stage == "writing jsonl":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        annotate(clip, tmp_path, request(network, formats="mot,jsonl"), progressing=interrupt)
    assert (tmp_path / "clip.txt").exists()
    report = annotate(clip, tmp_path, request(network, formats="", rules=RULES))
    assert report.outputs == ("clip.sqlite",)
    assert [path.name for path in tmp_path.iterdir()] == ["clip.sqlite"]


def test_another_video_of_the_same_name_begins_anew(out: Path, long_clip: Path, network: Path, tmp_path: Path) -> None:
    shutil.copy(long_clip, tmp_path / "clip.mp4")
    (job,) = find_jobs([tmp_path / "clip.mp4"], out, recursive=False)
    wanted = request(network, rules=RULES)
    assert make_plan(job, wanted, network_identity(wanted.settings.detector)).reason == "the source changed"


def test_corrections_are_exported_and_never_thrown_away_unasked(out: Path, clip: Path, network: Path) -> None:
    before = (out / "clip.txt").read_text()
    with edit_recording(out / "clip.sqlite") as editor:
        keep, other = (track.track_id for track in editor.tracks()[:2])
        editor.merge(keep, other, boxes_of=keep)
    report = annotate(clip, out, request(network, rules=RULES))
    assert (report.status, report.frames_now) == ("done", 0)
    after = (out / "clip.txt").read_text()
    assert after != before
    assert not any(row.split(",")[1] == str(other) for row in after.splitlines())
    changed = request(network, rules=RULES, refine=True)
    with pytest.raises(SinkError, match="1 corrections made by hand"):
        annotate(clip, out, changed)
    assert annotate(clip, out, replace(changed, overwrite=True)).note == "--overwrite"
    with Recording(out / "clip.sqlite") as recording:
        assert recording.edit_count() == 0


@pytest.mark.parametrize("refine", [False, True])
def test_an_interrupted_run_goes_on_where_it_stopped(tmp_path: Path, walk: Path, network: Path, refine: bool) -> None:
    wanted = request(network, rules=RULES, refine=refine)
    whole = annotate(walk, tmp_path / "whole", wanted)

    with pytest.raises(KeyboardInterrupt):
        annotate(walk, tmp_path / "broken", wanted, progressing=interrupt_behind(200, stage="reading"))
    with Recording(tmp_path / "broken" / "walk.sqlite") as recording:
        assert not recording.complete
        assert recording.last_frame > 200 - 5 * 25
    report = annotate(walk, tmp_path / "broken", wanted)
    assert report.note.startswith("goes on behind frame")
    assert 0 < report.frames_now <= FRAMES - (200 - 5 * 25)
    assert left_in(tmp_path / "broken") == left_in(tmp_path / "whole")
    assert (report.tracks, report.events, report.frames) == (whole.tracks, whole.events, whole.frames)


@pytest.mark.parametrize("refine", [False, True])
def test_what_was_corrected_while_it_ran_is_there_at_its_end(
    tmp_path: Path, walk: Path, network: Path, unbroken: list[tuple[int, int, int]], refine: bool
) -> None:
    wanted = request(network, rules=RULES, refine=refine)

    with pytest.raises(KeyboardInterrupt):
        annotate(walk, tmp_path, wanted, progressing=interrupt_behind(200, stage="reading"))
    store = tmp_path / "walk.sqlite"
    with edit_recording(store) as editor:
        last = editor.last_frame  # by the time that passed, so it is known now only who goes on behind it
        gone, moved, renamed = [track for track, first, end in unbroken if first < last < end][:3]
        editor.delete(gone)
        editor.set_box(moved, last, (3.0, 4.0, 50.0, 60.0))
        editor.relabel(renamed, 5000)
    assert annotate(walk, tmp_path, wanted).note.startswith("goes on behind frame")
    with edit_recording(store) as editor:
        assert editor.complete
        living = {track.track_id: track for track in editor.tracks()}
        assert not {gone, renamed} & living.keys()
        assert living[5000].last_frame > last
        box = editor.observations_of(moved)
        assert box[(box.frames == last) & (box.origins == Origin.MANUAL)].boxes.tolist() == [[3.0, 4.0, 50.0, 60.0]]
        assert editor.events() == recount(editor, None)
        while editor.undo():
            pass
        assert gone in {track.track_id for track in editor.tracks()}
        assert editor.track(gone).last_frame > last


def test_damage_is_counted_once_however_often_the_run_is_broken(tmp_path: Path, walk: Path, network: Path) -> None:
    content = bytearray(walk.read_bytes())
    for place in (len(content) // 3, len(content) * 2 // 3):
        content[place : place + 1500] = np.random.default_rng(0).bytes(1500)
    video = tmp_path / "hole.mp4"
    video.write_bytes(content)
    wanted = request(network)
    whole = annotate(video, tmp_path / "whole", wanted)
    assert whole.damage > 0
    for limit in (60, 200, 320):
        with pytest.raises(KeyboardInterrupt):
            annotate(video, tmp_path / "broken", wanted, progressing=interrupt_behind(limit))
    report = annotate(video, tmp_path / "broken", wanted)
    assert left_in(tmp_path / "broken") == left_in(tmp_path / "whole")
    assert report.damage == whole.damage


def test_a_source_without_a_single_frame_fails_and_leaves_nothing_finished(tmp_path: Path, network: Path) -> None:
    (tmp_path / "bad.mp4").write_bytes(b"\0" * 5000)
    with pytest.raises(SourceError):
        annotate(tmp_path / "bad.mp4", tmp_path / "out", request(network))
    assert not list((tmp_path / "out").glob("bad*"))


def test_a_folder_of_images_is_resumed_too(tmp_path: Path, clip: Path, network: Path) -> None:
    import cv2

    from tracker.video import FileSource

    folder = tmp_path / "walk"
    folder.mkdir()
    for frame in FileSource(clip):
        cv2.imwrite(str(folder / f"{frame.index}.png"), frame.image[:, :, ::-1])
    (folder / "90.png").write_bytes(b"no image")
    wanted = request(network, formats="mot,jsonl,coco")
    annotate(folder, tmp_path / "whole", wanted)

    with pytest.raises(KeyboardInterrupt):
        annotate(folder, tmp_path / "broken", wanted, progressing=interrupt_behind(100))
    report = annotate(folder, tmp_path / "broken", wanted)
    assert report.frames == 199
    assert report.damage == 1
    assert left_in(tmp_path / "broken") == left_in(tmp_path / "whole")

"""Jobs are processes of our own command line: queued, followed, cancelled."""

from __future__ import annotations

import contextlib
import os
import signal
from pathlib import Path
from tempfile import TemporaryDirectory

import cv2
import numpy as np
import pytest
from PyQt6.QtWidgets import QLineEdit

from gui.canvas.hit_testing import Shape
from gui.jobs.charts import choose_curves
from gui.jobs.dialog import JobDialog
from gui.jobs.kinds import arguments_of, job_kinds, results_of
from gui.jobs.queue import Job, JobState, read_curves
from tests.gui.conftest import App
from tracker.cli import main
from tracker.errors import ConfigError


def test_a_job_runs_to_its_end_the_next_one_waits_and_a_wrong_one_says_why(app: App, clip: Path) -> None:
    window = app.start()
    dialog = JobDialog(window.jobs, window.preferences, window)
    model = app.tree["detector"]["model"]
    dialog.choose("Annotate videos", {"": str(clip), "--out": "archive", "--format": "mot"})
    dialog._options.setText(f"--model '{model}'")
    dialog.accept()
    window.jobs.add("wrong", ["annotate", "nowhere.mp4", "--out", "archive", "--conf", "7"])
    window.jobs.add("never", ["config"])
    good, wrong, never = window.jobs.all
    assert (good.state, wrong.state) == (JobState.RUNNING, JobState.WAITING)
    never.cancel()
    seen: list[int] = []
    app.until(lambda: seen.append(good.reading.done) or good.state is not JobState.RUNNING)
    assert good.state is JobState.DONE, list(good.log)
    assert (app.folder / "out" / "archive" / "clip.sqlite").exists()
    assert (app.folder / "out" / "archive" / "clip.txt").exists()
    app.until(lambda: wrong.state is JobState.FAILED)
    assert "conf" in wrong.ending
    assert never.state is JobState.CANCELLED
    assert not window.jobs.busy
    window.open(str(app.folder / "out" / "archive" / "clip.sqlite"))
    recording = window.recordings.recording
    assert recording is not None
    app.until(lambda: recording.finished)


def test_a_long_command_makes_the_dialog_taller_and_its_fields_no_lower(app: App) -> None:
    window = app.start()
    dialog = JobDialog(window.jobs, window.preferences, window)
    dialog.choose("Train a detector", {"--data": "a_folder_with_a_name/" * 30})
    dialog.show()
    app.until(dialog.isVisible)
    fields = [field for field in dialog.findChildren(QLineEdit) if field.isVisibleTo(dialog)]
    assert len(fields) > 5
    for field in fields:
        assert field.height() >= field.minimumSizeHint().height(), field.accessibleName()
    assert dialog.height() >= dialog.layout().totalHeightForWidth(dialog.width())


@pytest.mark.parametrize(
    ("option", "answer", "title"),
    [("--epochs", "abc", "Epochs"), ("--epochs", "2.5", "Epochs"), ("--minutes", "ten", "Minutes at most")],
)
def test_a_word_where_a_number_is_asked_is_refused_before_the_job_is_queued(
    app: App, option: str, answer: str, title: str
) -> None:
    window = app.start()
    dialog = JobDialog(window.jobs, window.preferences, window)
    dialog.choose("Train a detector", {"--data": "data.yaml", option: answer})
    dialog.accept()
    assert dialog._problem.text().startswith(f"{title}: expected a number such as ")
    assert answer in dialog._problem.text()
    assert window.jobs.all == []


def test_a_running_job_is_cancelled_and_the_window_ends_it_when_it_closes(app: App, clip: Path) -> None:
    window = app.start()
    arguments = ["annotate", str(clip), "--out", "archive", "--model", app.tree["detector"]["model"]]
    first = window.jobs.add("first", arguments)
    second = window.jobs.add("second", arguments)
    first.cancel()
    app.until(lambda: not first.active)
    assert first.state is JobState.CANCELLED
    app.until(lambda: second.active)
    app.close(window)
    assert not second.active


def test_jobs_hide_what_the_window_s_settings_hide(finished: App) -> None:
    window = finished.start()
    (store,) = (finished.folder / "out").rglob("*.sqlite")
    export = ["export-annotations", str(store), "--format", "yolo", "--images", "--every", "50", "--out", "set"]
    window.engine.change("overlay.blur_classes", ["person"])
    refused = window.jobs.add("refused", export)
    finished.until(lambda: refused.state is JobState.FAILED)
    assert "images with overlay.blur_classes (person)" in refused.ending
    assert list(refused.log)[1] == 'with SIGHTLINE_OVERLAY_BLUR_CLASSES=["person"]'
    assert not list(finished.folder.rglob("*.jpg"))
    window.engine.change("overlay.blur_classes", [])
    clear = window.jobs.add("clear", export)
    finished.until(lambda: clear.state is JobState.DONE)
    assert len(list(finished.folder.rglob("*.jpg"))) == 3


def test_questions_become_a_command_line() -> None:
    kinds = {kind.title: kind for kind in job_kinds()}
    train = kinds["Train a detector"]
    answers = {"--data": "my data/data.yaml", "--out": "train/x", "--epochs": "3", "--resume": "true"}
    arguments = arguments_of(train, answers, "--batch 4")
    assert arguments == ["train", "detector", "--data", "my data/data.yaml", "--out", "train/x", "--epochs", "3",
                         "--resume", "--batch", "4"]  # fmt: skip
    assert results_of(answers, Path("/home")) == Path("/home/train/x")
    with pytest.raises(ConfigError, match="Data is missing"):
        arguments_of(train, {"--out": "x"})
    with pytest.raises(ConfigError, match="quotes"):
        arguments_of(kinds["Annotate videos"], {"": "'a", "--out": "x"})


def test_a_job_of_which_files_failed_is_not_done_and_can_be_tried_again(app: App, clip: Path) -> None:
    window = app.start()
    broken = app.folder / "broken.mp4"
    broken.write_bytes(b"\0" * 5000)
    arguments = ["annotate", str(clip), str(broken), "--out", "archive", "--model", app.tree["detector"]["model"],
                 "--progress", "json"]  # fmt: skip
    job = window.jobs.add("both", arguments, results_of({"--out": "archive"}, app.folder / "out"))
    window.docks.bring("jobs")
    app.until(lambda: job.state not in (JobState.RUNNING, JobState.WAITING))
    assert job.state is JobState.PARTLY, list(job.log)
    assert job.ending == "1 of 2 files failed; the log says why"
    panel = window.jobs_panel
    assert panel.results_button.isVisible()
    assert not panel.resume_button.isVisible(), "it is no training"
    assert str(app.folder / "out" / "archive") in panel.words
    assert str(broken) in panel.tooltips[0], "whole paths"
    panel.again_button.click()
    assert window.jobs.all[1].arguments == arguments
    app.close(window)


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="there is no such signal here")
def test_a_job_that_was_killed_says_so_and_a_training_can_be_resumed(app: App, clip: Path) -> None:
    window = app.start()
    job = window.jobs.add("train", ["annotate", str(clip), "--out", "archive"], app.folder)
    app.until(lambda: job.active and job.pid)
    os.kill(job.pid, signal.SIGKILL)
    app.until(lambda: job.state is not JobState.RUNNING)
    assert (job.state, job.ending) == (JobState.KILLED, "killed by signal 9")
    again = window.jobs.again(job, resume=True)
    assert again.arguments == [*job.arguments, "--resume"]
    app.close(window)


def test_a_training_starts_from_the_embedded_network_and_segmentation_asks_for_names() -> None:
    kinds = {kind.title: kind for kind in job_kinds()}
    answers = {question.option: question.default for question in kinds["Train a detector"].questions}
    arguments = arguments_of(kinds["Train a detector"], {**answers, "--data": "data.yaml"})
    start = Path(arguments[arguments.index("--start") + 1])
    assert (start.name, start.is_file()) == ("sightline-small.safetensors", True)
    assert arguments[arguments.index("--freeze") + 1] == "2"
    assert arguments[arguments.index("--imgsz") + 1] == "416"
    with pytest.raises(ConfigError, match="Names of the classes is missing"):
        arguments_of(kinds["Train segmentation"], {"--data": "x", "--out": "y"})


def test_the_example_of_more_options_is_one_that_the_command_takes(capsys: pytest.CaptureFixture[str]) -> None:
    for kind in job_kinds():
        if kind.example:
            with contextlib.suppress(SystemExit):
                main([*kind.command, "--help"])
            output = capsys.readouterr().out
            assert all(word in output for word in kind.example.split() if word.startswith("--")), kind.title


def test_curves_are_read_from_a_table_that_is_still_written(tmp_path: Path) -> None:
    table = tmp_path / "results.csv"
    assert read_curves(table) == {}
    table.write_text("epoch,step,loss_box,ap50_car,score\n1,10,2.5,nan,0.1\n2,20,1.5,0.4,0.3\n3,30,1.")
    curves = read_curves(table)
    assert curves["loss_box"] == [(1, 2.5), (2, 1.5), (3, 1.0)]
    assert curves["ap50_car"] == [(2, 0.4)]
    assert list(choose_curves(curves, losses=False)) == ["score", "ap50_car"]
    table.write_text("epoch,loss_box\n1,2.5\n2,1.5\n1,2.2\n")
    assert read_curves(table) == {"loss_box": [(1, 2.2)]}
    table.write_text("epoch,step,loss_box,score\n0,0,,0.7\n0,5,2.5,0.5\n1,10,1.5,0.6\n")  # the start's has no losses
    assert read_curves(table) == {"loss_box": [(0, 2.5), (1, 1.5)], "score": [(0, 0.7), (0, 0.5), (1, 0.6)]}
    table.write_text("epoch,step,loss_box,ap50_car,score\n1,10,2.5,nan,0.1\n2,20,1.5,0.4,0.3\n3,30,1.")
    assert list(choose_curves(curves, losses=True)) == ["box"]


def test_evidence_is_shown_image_by_image(app: App, tmp_path: Path) -> None:
    window = app.start()
    for name in ("evidence-0-person", "features-stride-8"):
        cv2.imwrite(str(tmp_path / f"{name}.png"), np.full((20, 30, 3), 90, np.uint8))
    window.evidence.show_folder(tmp_path)
    assert [label.accessibleName() for label in window.evidence.images] == [
        "evidence 0 person",
        "features stride 8",
    ]
    window.evidence.explain()
    assert window.jobs.all == [], "without an image there is nothing to explain"


def test_there_is_no_evidence_while_something_is_hidden(finished: App, clip: Path, tmp_path: Path) -> None:
    window = finished.start()
    recording = finished.open_finished(window, clip)
    panel = window.evidence
    cv2.imwrite(str(tmp_path / "evidence-0-person.png"), np.full((20, 30, 3), 90, np.uint8))
    panel.show_folder(tmp_path)
    recording.use_shapes([Shape("blur", "hidden 1", ((10.0, 10.0), (60.0, 60.0)))])
    finished.until(lambda: not panel.images)
    assert panel._words.text().startswith("Not available while classes or regions are hidden")
    panel.explain()
    finished.until(lambda: not window.background.busy)
    assert window.jobs.all == []
    recording.use_shapes([])
    finished.until(panel._explain.isEnabled)
    assert panel._words.text().startswith("Shows where")
    panel.show_folder(tmp_path)
    window.engine.change("overlay.blur_classes", ["person"])
    assert not panel.images
    job = Job("explain", [], None, window)
    job.state = JobState.DONE
    panel._job, panel._folder = job, TemporaryDirectory(dir=tmp_path)
    window.jobs.changed.emit(job)
    assert not panel.images
    assert panel._words.text().startswith("Not available"), "a job that was begun before shows nothing either"


def test_what_the_network_saw_is_reported_without_where_its_image_lies(app: App, tmp_path: Path) -> None:
    window = app.start()
    panel = window.evidence
    for whole, lines, words in (
        (
            True,
            ["$ sightline explain", "/tmp/a b/out/evidence-0-person.png: person 0.90", "maps are in /tmp"],
            "person 0.90",
        ),
        (True, ["$ sightline explain", "maps are in /tmp"], "Nothing was found; these are its features."),
        (
            False,
            ["$ sightline explain", "the network sees no object at the box", "maps are in /tmp"],
            "The network sees no object there; these are its features.",
        ),
    ):
        job = Job("explain", [], None, window)
        job.state = JobState.DONE
        job.log.extend(lines)
        panel._job, panel._folder, panel._whole = job, TemporaryDirectory(dir=tmp_path), whole
        window.jobs.changed.emit(job)
        assert panel._words.text() == words
        panel._folder.cleanup()


def test_the_selected_object_is_explained_by_its_box_in_the_whole_frame(finished: App, clip: Path) -> None:
    window = finished.start()
    recording = finished.open_finished(window, clip)
    recording.select([window.recordings.tracks.shown[1]])
    shown = window.recordings.shown()
    assert shown is not None
    image, box = shown
    assert box is not None
    panel = window.evidence
    panel.explain()
    finished.until(lambda: panel._job is not None)
    job = panel._job
    assert job is not None
    written = cv2.imread(job.arguments[1])
    assert written.shape == image.shape, "what the network saw, not a part of it"
    (asked,) = [argument for argument in job.arguments if argument.startswith("--box=")]
    assert asked == "--box=" + ",".join(f"{side:.2f}" for side in box)
    job.cancel()
    finished.until(lambda: panel._job is None)
    finished.close(window)
    assert panel._folder is not None
    panel._folder.cleanup()

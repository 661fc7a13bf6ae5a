"""From a video to a network of one's own in the window: annotate, correct, export with images, train, use it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from gui.jobs.dialog import JobDialog
from gui.jobs.queue import JobState
from gui.recording.export_dialog import ExportDialog
from tests.gui.conftest import App

TRAINING_MS = 900_000


@pytest.mark.slow
@pytest.mark.shared
def test_a_corrected_recording_teaches_a_network_that_the_window_uses(app: App, shared: Path) -> None:
    video = app.folder / "cctv.mp4"
    shutil.copyfile(shared / "data" / "video" / "cctv.mp4", video)
    app.tree = {"detector": {"model": "auto"}}
    window = app.start()
    page = window.recordings
    recording = app.open(window, video, play=True)
    app.until(lambda: recording.correctable)
    recording.select(page.tracks.shown[:1])
    app.edit(window, lambda: page.corrections.change_class("lamp"))
    app.bot.waitUntil(lambda: recording.finished, timeout=TRAINING_MS)
    page.export()
    dialog = page.findChild(ExportDialog)
    assert dialog is not None
    dialog.choose(["yolo"], app.folder / "exported")
    dialog.choose_images(every=20, split=0.8)
    dialog.write()
    app.until(lambda: "Written" in dialog.words)
    data = app.folder / "exported" / "cctv.yolo" / "data.yaml"
    assert data.is_file()
    dialog.train_button.click()
    (job_dialog,) = window.jobs_panel.findChildren(JobDialog)
    job_dialog.choose("Train a detector", {"--data": str(data), "--epochs": "2"})
    job_dialog._options.setText("--batch 8")
    job_dialog.accept()
    (job,) = window.jobs.all
    app.bot.waitUntil(lambda: job.state not in (JobState.RUNNING, JobState.WAITING), timeout=TRAINING_MS)
    assert job.state is JobState.DONE, list(job.log)
    assert job.results is not None
    network = job.results / "best.onnx"
    assert network.is_file(), sorted(path.name for path in job.results.iterdir())
    window.engine.change("detector.model", str(network))
    recording.annotate_again()

    def annotated_anew() -> bool:
        return recording.finished and recording.overview is not None and "lamp" in recording.overview.labels

    app.bot.waitUntil(annotated_anew, timeout=TRAINING_MS)
    assert recording.overview is not None
    assert recording.overview.tracks

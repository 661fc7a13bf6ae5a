"""The window exports in every format that the command line knows, and offers only what the recording has."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from gui.recording.export_dialog import ExportDialog
from gui.recording.store_reader import read_overview
from tests.annotate.tiny import HEIGHT, WIDTH
from tests.gui.conftest import App
from tracker.formats.label_maps import LABEL_MAP_FORMATS
from tracker.observations import Observations
from tracker.store import RecordingInfo, RecordingWriter, SemanticMap


def test_label_maps_are_offered_where_pixels_are_labelled_and_written(
    finished: App, clip: Path, tmp_path: Path
) -> None:
    window = finished.start()
    finished.open_finished(window, clip)
    window.recordings.export()
    (dialog,) = window.recordings.findChildren(ExportDialog)
    dialog.choose([*LABEL_MAP_FORMATS, "mot"], tmp_path / "none")
    dialog.write()
    finished.until(lambda: dialog.words)
    assert dialog.words == "Written: clip.txt"
    dialog.close()

    recording = window.recordings.recording
    assert recording is not None
    store = tmp_path / "labelled.sqlite"
    writer = RecordingWriter.create(
        store, RecordingInfo({"name": clip.name, "path": str(clip)}, WIDTH, HEIGHT, ("car",))
    )
    labels = SemanticMap(np.zeros((HEIGHT, WIDTH), np.uint8), ("road", "sky"))
    writer.add(0, 0.0, Observations.empty(), semantic=labels)
    writer.commit({})
    writer.close()
    overview = read_overview(store)
    assert overview is not None
    assert overview.semantic_labels == ("road", "sky")
    assert window.recordings.open(store)
    opened = window.recordings.recording
    assert opened is not None
    finished.until(lambda: opened.overview is not None)
    window.recordings.export()
    (dialog,) = window.recordings.findChildren(ExportDialog)
    dialog.choose(list(LABEL_MAP_FORMATS), tmp_path / "exported")
    dialog.write()
    finished.until(lambda: dialog.words)
    assert dialog.words == "Written: labelled.panoptic, labelled.segmentationmask"
    assert (tmp_path / "exported" / "labelled.panoptic" / "annotations" / "panoptic_default.json").is_file()
    assert (tmp_path / "exported" / "labelled.segmentationmask" / "labelmap.txt").is_file()

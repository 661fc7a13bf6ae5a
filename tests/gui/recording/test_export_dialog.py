"""The window exports in every format that the command line knows, and offers only what the recording has."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from gui.canvas.hit_testing import Shape
from gui.recording.export_dialog import ExportDialog, Exported, export_all
from gui.recording.store_reader import read_overview
from tests.annotate.tiny import HEIGHT, WIDTH
from tests.gui.conftest import App
from tracker.errors import ConfigError
from tracker.formats.label_maps import LABEL_MAP_FORMATS
from tracker.observations import Observations
from tracker.overlay import Overlay, OverlayConfig
from tracker.store import RecordingInfo, RecordingWriter, SemanticMap
from tracker.types import Detections, FrameResult, Tracks
from tracker.video import FileSource

LEFT_HALF = (0.0, 0.0, 0.5, 1.0)


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
    assert dialog.words == "Written: clip.txt\nMOT text cannot hold: classes, time stamps"
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


def test_a_hidden_region_is_hidden_in_the_images_of_a_data_set_and_the_report_has_none(
    finished: App, clip: Path, tmp_path: Path
) -> None:
    window = finished.start()
    recording = finished.open_finished(window, clip)
    recording.use_shapes([Shape("blur", "hidden 1", ((0.0, 0.0), (WIDTH / 2, float(HEIGHT))))])
    window.recordings.export()
    (dialog,) = window.recordings.findChildren(ExportDialog)
    dialog.choose(["yolo", "report"], tmp_path)
    dialog.choose_images(30, 0.8)
    dialog.write()
    finished.until(lambda: dialog.words)
    assert dialog.words.startswith("Written: clip.yolo")
    overlay = Overlay(OverlayConfig(blur_regions=(LEFT_HALF,)))
    frames = {frame.index: frame for frame in FileSource(clip)}
    images = sorted(tmp_path.rglob("*.jpg"))
    assert images
    from_hidden = from_clear = 0.0
    for path in images:
        written, frame = cv2.imread(str(path))[:, :, ::-1].astype(float), frames[int(path.stem[-6:]) - 1]
        hidden = overlay(FrameResult(frame, Detections.empty(), Tracks.empty(), ()))
        from_hidden += np.abs(written - hidden).mean()
        from_clear += np.abs(written - frame.image).mean()
    assert 3 * from_hidden < from_clear, "but for JPEG's own losses"
    page = (tmp_path / "clip.html").read_text(encoding="utf-8")
    assert page.count("data:image") == 1, "the heat map, over no frame"
    assert "Without images: something in them is to be unrecognisable." in page


def test_images_are_not_offered_while_classes_are_hidden(finished: App, clip: Path, tmp_path: Path) -> None:
    window = finished.start()
    window.preferences.keep("export/images", value=True)
    finished.open_finished(window, clip)
    window.engine.change("overlay.blur_classes", ["person"])
    window.recordings.export()
    (dialog,) = window.recordings.findChildren(ExportDialog)
    dialog.choose(["yolo"], tmp_path)
    dialog.choose_images(30, 0.8)
    assert not dialog._images.isEnabled()
    assert "hidden classes could stay visible" in dialog._images.toolTip()
    dialog.write()
    finished.until(lambda: dialog.words)
    assert list(tmp_path.rglob("*.txt"))
    assert not list(tmp_path.rglob("*.jpg"))
    assert window.preferences.flag("export/images"), "it comes back with the next export that may have images"


def test_training_is_offered_where_the_images_are_there(finished: App, clip: Path, tmp_path: Path) -> None:
    window = finished.start()
    finished.open_finished(window, clip)
    window.recordings.export()
    (dialog,) = window.recordings.findChildren(ExportDialog)
    dialog.choose(["yolo"], tmp_path / "plain")
    dialog.write()
    finished.until(lambda: dialog.words)
    first, lost, cut = dialog.words.splitlines()
    assert (first, lost) == ("Written: clip.yolo", "YOLO text cannot hold: track ids, scores, time stamps")
    assert cut.startswith("YOLO text: boxes that reach beyond their image are cut off at its edge (")
    assert (tmp_path / "plain" / "clip.yolo" / "data.yaml").is_file()
    assert dialog.train_button.isHidden(), "there are no images to train on"
    dialog.choose(["yolo"], tmp_path / "images")
    dialog.choose_images(every=50, split=0.5)
    dialog.write()
    finished.until(lambda: dialog.words)
    assert not dialog.train_button.isHidden()
    dialog.choose(["mot", "yolo"], tmp_path / "few")
    dialog.choose_images(every=1000, split=0.8)
    dialog.write()
    finished.until(lambda: dialog.words)
    assert dialog.words == (
        "split 0.8: 1 image would be 1 to train on and 0 to judge by; take more than one frame in 1000, or split "
        "otherwise or not at all"
    )
    assert not (tmp_path / "few" / "clip.txt").exists(), "nothing is written before it is refused"
    assert dialog.train_button.isHidden()


def test_what_was_written_before_a_format_failed_is_known(finished: App, clip: Path, tmp_path: Path) -> None:
    window = finished.start()
    recording = finished.open_finished(window, clip)
    exported = Exported()
    with pytest.raises(ConfigError):
        export_all(recording.job, window.engine.settings, ["mot", "none such"], tmp_path, None, exported)
    assert exported.paths == [tmp_path / "clip.txt"]
    window.recordings.export()
    (dialog,) = window.recordings.findChildren(ExportDialog)
    dialog._failed(ConfigError("no such format"), exported)
    assert dialog.words == "no such format\nWritten: clip.txt\nMOT text cannot hold: classes, time stamps"

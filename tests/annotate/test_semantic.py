from __future__ import annotations

import base64
import json
import logging
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from gui.recording.store_reader import RowReader
from tests.annotate.test_run import annotate, request
from tests.annotate.tiny import write_clip
from tests.segment.test_labeller import NETWORKS, saved
from tracker.annotate.export import export
from tracker.annotate.plan import make_plan, network_identity
from tracker.annotate.recordings import find_jobs
from tracker.config import SemanticConfig
from tracker.label_map import pack_label_map, unpack_label_map
from tracker.nets.export_segmentation import export_segmentation
from tracker.nets.segmenter import load_segmentation
from tracker.segment.labeller import PixelLabeller
from tracker.store import Recording
from tracker.video import FileSource


@pytest.fixture(scope="module")
def semantic(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("semantic") / "n.onnx"
    export_segmentation(path, *load_segmentation(saved(path.with_suffix(".safetensors"), NETWORKS["unet"])))
    return path


def test_label_maps_come_back_equal_and_what_is_none_is_refused() -> None:
    labels = np.random.default_rng(0).integers(0, 256, (37, 53), np.uint8)
    assert np.array_equal(unpack_label_map(pack_label_map(labels)), labels)
    for content in (b"", b"nothing"):
        with pytest.raises(ValueError, match="not a grey PNG"):
            unpack_label_map(content)


def test_labels_of_pixels_are_recorded_read_back_exported_and_drawn(
    semantic: Path, network: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    clip = write_clip(tmp_path / "clip.mp4", 60)
    wanted = request(network, formats="jsonl")
    output = replace(wanted.settings.output, save=True)
    settings = replace(wanted.settings, semantic=SemanticConfig(str(semantic)), output=output)
    annotate(clip, tmp_path / "out", replace(wanted, settings=settings))
    labeller = PixelLabeller(semantic)
    with FileSource(clip) as source:
        frames = list(source)
    with Recording(tmp_path / "out" / "clip.sqlite") as recording:
        assert recording.semantic_labels == labeller.labels
        for index in (0, 31, 59):
            assert np.array_equal(recording.semantic(index), labeller(frames[index].image))
        assert recording.semantic(60) is None

    header, *lines = (json.loads(line) for line in (tmp_path / "out" / "clip.jsonl").read_text().splitlines())
    assert header["semantic_labels"] == list(labeller.labels)
    labels = unpack_label_map(base64.b64decode(lines[31]["semantic"]["png"]))
    assert np.array_equal(labels, labeller(frames[31].image))
    assert lines[31]["semantic"]["size"] == list(labels.shape)

    with caplog.at_level(logging.WARNING), Recording(tmp_path / "out" / "clip.sqlite") as recording:
        export(recording, "jsonl", tmp_path / "again.jsonl")
        assert not caplog.messages
        export(recording, "mot", tmp_path / "clip.txt")
        assert "mot cannot hold: a label per pixel (jsonl, panoptic, segmentationmask have them)" in caplog.text

    reader = RowReader(tmp_path / "out" / "clip.sqlite")
    shown = reader(frames[31])
    reader.close()
    assert np.array_equal(shown.semantic, labels)
    assert shown.semantic_labels == labeller.labels

    with FileSource(tmp_path / "out" / "clip-annotated.mp4") as video:
        drawn = next(iter(video)).image.astype(int)
    assert np.abs(drawn - frames[0].image).mean() > 10

    (job,) = find_jobs([clip], tmp_path / "out", recursive=False)
    plan = make_plan(job, wanted, network_identity(wanted.settings.detector))
    assert "semantic" in plan.reason  # without the network it would be another recording


def test_a_recording_without_them_has_none(network: Path, tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "clip.mp4", 5)
    annotate(clip, tmp_path / "out", request(network, formats=""))
    with Recording(tmp_path / "out" / "clip.sqlite") as recording:
        assert recording.semantic_labels == ()
        assert recording.semantic(0) is None

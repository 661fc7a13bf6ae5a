"""`--classify-tracks` of track and annotate writes the classifier's labels in place of the detector's."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import main
from tests.annotate.tiny import write_clip
from tests.test_classify import LABELS, write_classifier
from tracker.store import Recording


def test_tracks_get_the_classifiers_labels(tmp_path: Path, network: Path) -> None:
    clip = write_clip(tmp_path / "clip.mp4", 40, blocks=2)
    classifier = write_classifier(tmp_path / "kinds.safetensors")
    options = ["--model", str(network), "--classify-tracks", str(classifier), "--progress", "none", "--format", "jsonl"]
    assert main.main(["track", str(clip), *options, "--project", str(tmp_path / "runs")]) == 0
    (file,) = (tmp_path / "runs" / "run").glob("*.jsonl")
    header, *lines = [json.loads(line) for line in file.read_text().splitlines()]
    assert tuple(header["labels"][-3:]) == LABELS
    names = {each["class"] for line in lines for each in line["objects"]}
    assert names
    assert names <= set(LABELS)
    assert main.main(["annotate", str(clip), *options, "--out", str(tmp_path / "labels")]) == 0
    (store,) = (tmp_path / "labels").rglob("*.sqlite")
    with Recording(store) as recording:
        assert recording.info.labels[-3:] == LABELS


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--classify-classes", "zebra"], "zebra"),
        ([], "expected a classifier, found a detector"),
    ],
)
def test_what_does_not_fit_is_refused(
    more: list[str], said: str, tmp_path: Path, clip: Path, network: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    classifier = write_classifier(tmp_path / "kinds.safetensors") if more else network
    options = ["--model", str(network), "--classify-tracks", str(classifier), *more, "--project", str(tmp_path)]
    assert main.main(["track", str(clip), *options]) == 2
    assert said in capsys.readouterr().err

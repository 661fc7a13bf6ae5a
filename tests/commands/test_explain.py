"""`explain --frame`: what became of each detection of a recorded frame."""

from __future__ import annotations

from pathlib import Path

import pytest

import main
from tests.annotate.test_run import annotate, request
from tracker.store import Recording


def test_each_detection_of_a_recorded_frame_is_explained_with_the_recordings_ids(
    tmp_path: Path, clip: Path, network: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    annotate(clip, tmp_path, request(network))
    store = tmp_path / "clip.sqlite"
    with Recording(store) as recording:
        ids = sorted(recording.observations_in(20).tracks.tolist())
    assert ids
    assert main.main(["explain", str(store), "--frame", "20"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.partition(":")[0] for line in lines] == [str(row) for row in range(len(lines))]
    for track in ids:
        assert sum(f" track {track}, confirmed" in line for line in lines) == 1
    assert main.main(["explain", str(store), "--frame", "100000"]) == 2
    assert "frame 100000 is not recorded; it holds" in capsys.readouterr().err

"""How much memory `annotate` and exports need does not depend on how long the recording is."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from tests.annotate.killing import ROOT
from tests.annotate.tiny import write_clip
from tests.store.recordings import INFO
from tracker.formats import FORMATS
from tracker.formats.core.rle import window_to_rle
from tracker.observations import Observations
from tracker.store import Recording, RecordingWriter

FRAMES, TIMES, MOST_GROWTH_MB = 500, 10, 22
MOST_KB_A_TRACK = 1.5
"""Refinement knows of every track where it begins and ends and who may follow whom; frames cost it nothing."""
PEAKS = """
import json, resource, sys
import main
from tests.memory import peak_mb
assert main.main(["annotate", *sys.argv[1:]]) == 0
worker = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)
print(json.dumps([peak_mb(), worker]))
"""
EXPORT_PEAKS = """
import json, sys
from pathlib import Path
from tests.memory import forget_peak, peak_mb
from tracker.annotate.export import export
from tracker.store import Recording

once, often, out, *names = sys.argv[1:]
for name in names:
    peaks = []
    for number, path in enumerate((once, once, often)):
        with Recording(path) as recording:
            forget_peak()
            export(recording, name, Path(out) / f"{name}{number}")
            peaks.append(peak_mb())
    print(json.dumps([name, *peaks[1:]]))
"""
WALKERS, MOST_EXPORT_GROWTH_MB = 10, 4
FRAMES_UNTIL_PYARROW_SETTLES = 1500
"""It keeps what it freed, and takes some 10 MB more over the first groups of rows; from then on no more."""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="peak sizes of children are reported on Unix")
@pytest.mark.parametrize("options", [("--format", "mot,jsonl"), ("--format", "mot,coco,csv", "--refine", "--save")])
@pytest.mark.parametrize("blocks", [2, 12])
def test_ten_times_the_length_takes_no_more_memory(
    tmp_path: Path, network: Path, options: tuple[str, ...], blocks: int
) -> None:
    peaks, tracks = [], []
    for times in (1, TIMES):
        clip = write_clip(tmp_path / f"{times}.mp4", FRAMES * times, seed=1, blocks=blocks)
        arguments = [clip, "--model", network, "--progress", "none", *options, "--out", tmp_path / f"out{times}"]
        peaks.append(json.loads(run(PEAKS, arguments)[-1]))
        with Recording(tmp_path / f"out{times}" / f"{times}.sqlite") as recording:
            tracks.append(sum(recording.track_counts().values()))
    most = MOST_GROWTH_MB + MOST_KB_A_TRACK * (tracks[1] - tracks[0]) / 2**10
    for once, often in zip(*peaks, strict=True):
        assert often - once < most, (peaks, tracks)


@pytest.fixture(scope="module")
def export_growth(tmp_path_factory: pytest.TempPathFactory) -> dict[str, float]:
    """By how many MB the peak of an export is higher for ten times the rows, by format."""
    folder = tmp_path_factory.mktemp("growth")
    growth = {}
    for frames, names in ((200, set(FORMATS) - {"parquet"}), (FRAMES_UNTIL_PYARROW_SETTLES, {"parquet"})):
        once, often = (write_walkers(folder / f"{frames * times}.sqlite", frames * times) for times in (1, TIMES))
        for line in run(EXPORT_PEAKS, [once, often, folder, *sorted(names)]):
            name, less, more = json.loads(line)
            growth[name] = more - less
    return growth


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="a peak can be forgotten on Linux only")
@pytest.mark.parametrize("name", FORMATS)
def test_an_export_of_ten_times_the_rows_takes_no_more_memory(name: str, export_growth: dict[str, float]) -> None:
    assert export_growth[name] < MOST_EXPORT_GROWTH_MB, export_growth


def run(script: str, arguments: Sequence[str | Path]) -> list[str]:
    """The lines that a script in a process of its own writes to stdout."""
    command = [sys.executable, "-c", script, *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()


def write_walkers(path: Path, frames: int) -> Path:
    """A finished recording with masks, of tracks that are there for 100 frames and of one that never leaves."""
    covered = np.ones((12, 6), bool)
    writer = RecordingWriter.create(path, INFO)
    for frame in range(frames):
        tracks = np.array([1, *(2 + frame // 100 * WALKERS + np.arange(WALKERS - 1))])
        left = 40.0 * np.arange(WALKERS) + frame % 100 / 4
        boxes = np.stack([left, left, left + 6, left + 12], axis=1)
        codes = [
            window_to_rle(covered, left=int(x), top=int(x), width=INFO.width, height=INFO.height) for x in left.tolist()
        ]
        ones = np.ones(WALKERS)
        masks = [code["counts"] for code in codes]
        rows = Observations.rounded(frame, tracks=tracks, class_ids=ones * 0, scores=ones, boxes=boxes, masks=masks)
        writer.add(frame, frame / 25, rows)
    writer.commit({})
    writer.complete_with(None)
    writer.close()
    return path

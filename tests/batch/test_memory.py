"""How much memory `annotate` needs does not depend on how long the recording is."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.batch.killing import ROOT
from tests.batch.tiny import write_clip

FRAMES, TIMES, MOST_GROWTH_MB = 500, 10, 30
PEAKS = """
import json, resource, sys
import main
from tests.memory import peak_mb
assert main.main(["annotate", *sys.argv[1:]]) == 0
worker = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)
print(json.dumps([peak_mb(), worker]))
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="peak sizes of children are told on Unix")
@pytest.mark.parametrize("options", [("--format", "mot,jsonl"), ("--format", "mot,coco,csv", "--refine", "--save")])
def test_ten_times_the_length_takes_no_more_memory(tmp_path: Path, network: Path, options: tuple[str, ...]) -> None:
    peaks = []
    for times in (1, TIMES):
        clip = write_clip(tmp_path / f"{times}.mp4", FRAMES * times, seed=1, blocks=2)
        arguments = [clip, "--model", network, "--progress", "none", *options, "--out", tmp_path / f"out{times}"]
        done = subprocess.run(
            [sys.executable, "-c", PEAKS, *map(str, arguments)], cwd=ROOT, capture_output=True, text=True, check=True
        )
        peaks.append(json.loads(done.stdout.splitlines()[-1]))
    for once, often in zip(*peaks, strict=True):
        assert often - once < MOST_GROWTH_MB, peaks

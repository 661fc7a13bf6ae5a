from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest

from tests.annotate.killing import kill_when, last_frame, left_in, run, start
from tests.annotate.tiny import LONG_FRAMES

FORMATS = "mot,jsonl,coco,csv"


def _kill_and_finish(
    arguments: list[str | Path], store: Path, *, frames: int, kills: int, rng: np.random.Generator
) -> int:
    """Kill the command at random moments, most while it reads, then let it end; how often it was killed."""
    killed = 0
    for _ in range(kills):
        process = start(arguments)
        begin, target, delay = time.monotonic(), rng.integers(last_frame(store), frames + 1), rng.uniform(0, 0.08)
        if rng.random() < 0.7:
            due = lambda: last_frame(store) >= target and not time.sleep(delay)  # noqa: E731, B023
        else:
            moment = rng.uniform(0, 4)
            due = lambda: time.monotonic() - begin > moment  # noqa: E731, B023
        killed += kill_when(process, due)
    run(arguments)
    return killed


def test_ten_kills_leave_what_an_unbroken_run_leaves(tmp_path: Path, long_clip: Path, network: Path) -> None:
    rng = np.random.default_rng(7)
    common = ["annotate", long_clip, "--model", network, "--format", FORMATS, "--progress", "none", "--refine", "--out"]
    run([*common, tmp_path / "unbroken"])
    expected = left_in(tmp_path / "unbroken")
    killed, rounds = 0, 0
    while killed < 10:
        out = tmp_path / f"broken{rounds}"
        kills = min(5, 10 - killed)
        killed += _kill_and_finish([*common, out], out / "long.sqlite", frames=LONG_FRAMES, kills=kills, rng=rng)
        assert left_in(out) == expected
        rounds += 1
        assert rounds < 8


@pytest.mark.slow
@pytest.mark.shared
def test_a_hundred_kills_over_five_videos_leave_what_unbroken_runs_leave(
    tmp_path: Path, shared: Path, network: Path
) -> None:
    rng = np.random.default_rng(1)
    names = ("vtest.avi", "cctv.mp4", "car-detection.mp4", "car_traffic_small.mp4", "supervision_walking.mp4")
    for name in names:
        video = shared / "data" / "video" / name
        common = ["annotate", video, "--format", FORMATS, "--progress", "none", "--imgsz", "160", "--out"]
        run([*common, tmp_path / "unbroken" / name])
        expected = left_in(tmp_path / "unbroken" / name)
        store = next((tmp_path / "unbroken" / name).glob("*.sqlite"))
        frames, killed, rounds = last_frame(store), 0, 0
        while killed < 20:
            out = tmp_path / f"broken{rounds}" / name
            kills = min(7, 20 - killed)
            killed += _kill_and_finish([*common, out], out / store.name, frames=frames, kills=kills, rng=rng)
            assert left_in(out) == expected
            rounds += 1
            assert rounds < 20

from __future__ import annotations

import numpy as np
import pytest

from tracker.formats.core.annotations import ExternalInfo
from tracker.formats.core.frame_rate import frame_counting


def known(times: np.ndarray) -> ExternalInfo:
    return ExternalInfo(frames=len(times), times=tuple(times.tolist()))


def region(rate: float, *frames: int, count: int = 0, seconds: float = 0.0) -> dict[str, object]:
    steps = [{"frame": frame, **({"time": frame / rate} if rate else {})} for frame in frames]
    return {"sequence": steps, **({"framesCount": count, "duration": seconds} if count else {})}


@pytest.mark.parametrize("counted", [24.0, 25.0, 30.0, 60.0])
def test_frames_counted_at_another_rate_are_those_of_their_time(counted: float) -> None:
    video = np.arange(60) / 30
    frame_of = frame_counting([region(counted, 1, int(counted) + 1)], known(video), "a.json")
    assert frame_of(0) == 0
    assert frame_of(int(counted)) == 30  # a second after the first
    assert max(map(frame_of, range(int(2 * counted)))) == 59


def test_a_length_gives_the_rate_where_boxes_have_no_time() -> None:
    frame_of = frame_counting([region(0, 1, 26, count=50, seconds=2.0)], known(np.arange(60) / 30), "a.json")
    assert frame_of(25) == 30


@pytest.mark.parametrize("rate", [29.97, 30.0, 30000 / 1001])
def test_rounded_lengths_do_not_make_another_rate(rate: float, caplog: pytest.LogCaptureFixture) -> None:
    frame_of = frame_counting([region(0, 1, count=301, seconds=10.0)], known(np.arange(300) / rate), "a.json")
    assert [frame_of(frame) for frame in (0, 150, 299, 300)] == [0, 150, 299, 299]
    assert not caplog.records


def test_time_stamps_of_the_video_itself_are_no_rate() -> None:
    video = np.cumsum(np.array([0.0, *[0.02, 0.08] * 20]))
    own = {"sequence": [{"frame": frame + 1, "time": float(video[frame])} for frame in (0, 7, 33)]}
    frame_of = frame_counting([own], known(video), "a.json")
    assert [frame_of(frame) for frame in (0, 7, 33)] == [0, 7, 33]


@pytest.mark.parametrize("start", [0.0, 1.48, 36000.0])
def test_time_stamps_of_a_video_whose_clock_begins_later_are_its_own(
    start: float, caplog: pytest.LogCaptureFixture
) -> None:
    video = start + np.arange(50) / 25
    own: dict[str, list[dict[str, float]]] = {
        "sequence": [{"frame": frame + 1, "time": float(video[frame])} for frame in range(20)]
    }
    own["sequence"][3]["time"] = 4 / 24  # moved by hand in Label Studio, which counts 24 frames a second
    frame_of = frame_counting([own], known(video), "a.json")
    assert [frame_of(frame) for frame in range(50)] == list(range(50))
    assert not caplog.records


def test_frames_of_an_uneven_video_are_found_by_time(caplog: pytest.LogCaptureFixture) -> None:
    video = np.cumsum(np.array([0.0, *[0.02, 0.08] * 20]))
    frame_of = frame_counting([region(25.0, 1, 26)], known(video), "a.json")
    assert video[frame_of(25)] == pytest.approx(1.0, abs=0.04)
    assert "placed by their time" in caplog.text


def test_without_the_video_or_a_rate_frames_are_as_they_stand() -> None:
    assert frame_counting([region(25.0, 1)], ExternalInfo(), "a.json")(7) == 7
    assert frame_counting([region(0, 1)], known(np.arange(60) / 30), "a.json")(7) == 7
    assert frame_counting([], known(np.arange(60) / 30), "a.json")(7) == 7

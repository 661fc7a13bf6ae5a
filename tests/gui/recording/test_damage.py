"""A video that is damaged in its middle: each frame shows the boxes that were found in it, behind the damage too."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.annotate.tiny import write_clip
from tests.gui.conftest import App
from tracker.store import Recording
from tracker.video import FileSource

PROMISED = 400


@pytest.fixture
def damaged(tmp_path: Path) -> Path:
    """A clip an eighth of which is overwritten: its packets are there, but some do not decode."""
    path = write_clip(tmp_path / "damaged.mp4", PROMISED, blocks=1)
    content = bytearray(path.read_bytes())
    size = len(content)
    content[size // 4 : size // 4 + size // 8] = bytes(index * 37 % 256 for index in range(size // 8))
    path.write_bytes(content)
    return path


def test_every_frame_behind_damage_shows_its_own_boxes_at_its_own_time(app: App, damaged: Path) -> None:
    probe = FileSource(damaged)
    assert len(probe.times()) == PROMISED, "the packets promise all frames, or this test shows nothing"
    probe.close()
    window = app.start()
    for _ in range(2):  # annotated behind the player, then found finished
        recording = app.open(window, damaged)
        app.until(lambda recording=recording: recording.finished)
        overview = recording.overview
        assert overview is not None
        assert overview.last_frame + 1 < PROMISED, "some frames do not decode"
        app.until(lambda recording=recording, end=overview.last_frame + 1: recording.player.count == end)
        with Recording(recording.store) as store:
            for frame in (overview.last_frame, 250, 20, 150):
                app.show(recording, frame)
                assert recording.rendered is not None
                result = recording.rendered.result
                assert result.frame.time == pytest.approx(store.time_of(frame))
                assert recording.player.times[frame] == pytest.approx(store.time_of(frame))
                assert result.tracks.ids.tolist() == store.observations_in(frame).tracks.tolist()
        ends = {track.track_id: store_time for track in overview.tracks if (store_time := track.last_frame) >= 0}
        for bar in window.recordings.timeline.bars:
            assert bar.end_s == pytest.approx(recording.player.times[ends[bar.track_id]])

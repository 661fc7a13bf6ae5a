"""Transport streams: every loss is reported, wherever it lies; odd but sound ones are not blamed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.video.synthetic import read_number, write_clip
from tracker.errors import SourceError
from tracker.video import FileSource
from tracker.video.transport_check import PACKET, ReadFrames, faults_in

ODD: dict[str, dict[str, object]] = {
    "plain": {},
    "frames out of order, open groups": {"b_frames": 3, "options": {"x264-params": "open-gop=1"}},
    "with audio": {"audio_codec": "aac", "b_frames": 2},
    "MPEG-2": {"codec": "mpeg2video", "b_frames": 2, "audio_codec": "mp2"},
    "interlaced": {"b_frames": 2, "options": {"x264-params": "interlaced=1"}},
    "packets of 192 bytes": {"b_frames": 2, "muxer_options": {"mpegts_m2ts_mode": "1"}},
    "frames in slices": {"options": {"x264-params": "slices=4"}},
    "no key frames but one": {"options": {"x264-params": "intra-refresh=1"}},
    "a clock that begins anew": {"muxer_options": {"output_ts_offset": "95442.5"}},
}


def read(path: Path) -> tuple[list[int], int]:
    """The numbers of the frames, and the damage that was reported."""
    source = FileSource(path)
    return [read_number(frame.image) for frame in source], source.damage


@pytest.mark.parametrize("settings", ODD.values(), ids=ODD)
def test_sound_streams_are_not_blamed_wherever_they_begin(tmp_path: Path, settings: dict[str, object]) -> None:
    clip = write_clip(tmp_path / "clip.ts", frames=60, **settings)  # type: ignore[arg-type]
    assert read(clip) == (list(range(60)), 0)
    content = clip.read_bytes()
    for begin in np.random.default_rng(2).integers(1, len(content) // 2, 12).tolist():
        clip.write_bytes(content[begin:])
        try:
            found, damage = read(clip)
        except SourceError:
            continue
        assert damage == 0, f"from byte {begin} on: {found}"


@pytest.mark.parametrize("first", range(0, 4 * PACKET, 47))
def test_damage_in_the_first_packets_is_reported(tmp_path: Path, first: int) -> None:
    clip = write_clip(tmp_path / "clip.ts", frames=40)
    content = bytearray(clip.read_bytes())
    content[first + 1 : first + 900] = np.random.default_rng(first).integers(0, 256, 899, np.uint8).tobytes()
    clip.write_bytes(content)
    found, damage = read(clip)
    assert found != list(range(40))
    assert damage > 0


def frame_starts(content: bytes, packet_id: int) -> list[int]:
    """Where each frame's data begins, behind the heads of packet and payload."""
    starts = []
    for at in range(0, len(content), PACKET):
        if (content[at + 1] & 0x1F) << 8 | content[at + 2] == packet_id and content[at + 1] & 0x40:
            payload = at + 4 + (1 + content[at + 4] if content[at + 3] & 0x20 else 0)
            starts.append(payload + 9 + content[payload + 8])
    return starts


def test_a_frame_that_does_not_come_out_is_reported(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "clip.ts", frames=40)
    content = clip.read_bytes()
    starts = frame_starts(content, 0x100)
    assert len(starts) == 40
    lost = []
    for number in (5, 18, 33):  # none that others begin with
        changed = bytearray(content)
        changed[starts[number] + 6 : starts[number] + 21] = bytes(15)  # behind the delimiter: where the slice begins
        clip.write_bytes(changed)
        found, damage = read(clip)
        lost.append(40 - len(found))
        assert damage >= 40 - len(found)
    assert lost == [1, 1, 1]


def test_frames_are_missed_only_where_one_stamp_is_one_frame(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "clip.ts", frames=40)
    assert faults_in(clip, ReadFrames(0x100, 0, 38, interlaced=False)) == 1
    assert faults_in(clip, ReadFrames(0x100, 0, 38, interlaced=True)) == 0
    assert faults_in(clip, ReadFrames(0x100, 0, 20, interlaced=False)) == 0
    assert faults_in(clip, ReadFrames(0x101, 0, 38, interlaced=False)) == 0

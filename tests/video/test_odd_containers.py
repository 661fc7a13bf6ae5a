"""Containers whose packets are not one frame each: packed B-frames and empty chunks in AVI, edit lists in MP4."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from pathlib import Path

import av
import pytest

from tests.video.synthetic import read_number, write_clip
from tracker.video import FileSource

COUNT, WIDTH, HEIGHT, RATE = 24, 160, 96, 25
VOP = b"\0\0\1\xb6"
PACKED_MARK = b"\0\0\1\xb2DivX503b1393p\0"
"""What DivX 5 writes into streams whose P and B frames share a chunk."""
DUMMY_VOP = VOP + b"\x50\x00\x7f"

Chunk = tuple[bytes, bool]


def coded(folder: Path, codec: str, *, b_frames: int = 0) -> tuple[list[Chunk], bytes]:
    """Coded frames in coded order, each with whether it is a key frame, and the codec's header."""
    pixels = "yuvj420p" if codec == "mjpeg" else "yuv420p"
    clip = write_clip(
        folder / f"{codec}{b_frames}.mkv",
        frames=COUNT,
        width=WIDTH,
        height=HEIGHT,
        codec=codec,
        pixel_format=pixels,
        b_frames=b_frames,
        key_every=12,
    )
    with av.open(str(clip)) as container:
        stream = container.streams.video[0]
        header = bytes(stream.codec_context.extradata or b"")
        chunks = [(bytes(packet), packet.is_keyframe) for packet in container.demux(stream) if packet.size]
    return chunks, header


def write_avi(path: Path, fourcc: bytes, chunks: Sequence[Chunk]) -> Path:
    """An AVI of exactly these chunks; Microsoft's AVI RIFF reference."""

    def chunk(tag: bytes, content: bytes) -> bytes:
        return tag + struct.pack("<I", len(content)) + content + b"\0" * (len(content) % 2)

    def group(tag: bytes, content: bytes) -> bytes:
        return chunk(b"LIST", tag + content)

    size, count = 1 << 20, len(chunks)
    main_header = struct.pack("<14I", 1_000_000 // RATE, 0, 0, 0x10, count, 0, 1, size, WIDTH, HEIGHT, 0, 0, 0, 0)
    stream_header = b"vids" + fourcc
    stream_header += struct.pack("<IHHIIIIIIiI4H", 0, 0, 0, 0, 1, RATE, 0, count, size, -1, 0, 0, 0, WIDTH, HEIGHT)
    stream_format = struct.pack("<IiiHH4sIiiII", 40, WIDTH, HEIGHT, 1, 24, fourcc, WIDTH * HEIGHT * 3, 0, 0, 0, 0)
    stream = group(b"strl", chunk(b"strh", stream_header) + chunk(b"strf", stream_format))
    content, index = b"movi", b""
    for coded_frame, key in chunks:
        index += b"00dc" + struct.pack("<III", 0x10 if key else 0, len(content), len(coded_frame))
        content += chunk(b"00dc", coded_frame)
    body = b"AVI " + group(b"hdrl", chunk(b"avih", main_header) + stream)
    body += chunk(b"LIST", content) + chunk(b"idx1", index)
    path.write_bytes(b"RIFF" + struct.pack("<I", len(body)) + body)
    return path


def packed(chunks: Sequence[Chunk], header: bytes) -> list[Chunk]:
    """P and B of each pair in one chunk, a frame that shows nothing in the next."""
    is_b = [content[content.index(VOP) + 4] >> 6 == 2 for content, _ in chunks]
    together: list[Chunk] = []
    for place, (content, key) in enumerate(chunks):
        if is_b[place]:
            together[-1] = (together[-1][0] + content, together[-1][1])
            together.append((DUMMY_VOP, False))
        else:
            together.append((content, key))
    first = together[0][0]
    return [(header + PACKED_MARK + first[first.index(VOP) :], True), *together[1:]]


def check(path: Path, expected: Sequence[tuple[int, int]]) -> None:
    """Each frame and its time in frames from the first one, by reading on and by seeking."""
    source = FileSource(path)
    read = [(frame.index, read_number(frame.image), frame.time) for frame in source]
    assert [number for _, number, _ in read] == [number for number, _ in expected]
    assert [round((time - read[0][2]) * RATE) for _, _, time in read] == [place for _, place in expected]
    assert source.damage == 0
    backwards = [source.frame_at(index) for index in reversed(range(len(source.times())))]
    assert [(frame.index, read_number(frame.image), frame.time) for frame in reversed(backwards)] == read
    source.close()


def test_packed_b_frames_are_shown_one_by_one(tmp_path: Path) -> None:
    chunks, header = coded(tmp_path, "mpeg4", b_frames=1)
    check(write_avi(tmp_path / "packed.avi", b"XVID", packed(chunks, header)), [(n, n) for n in range(COUNT)])


def test_an_empty_chunk_takes_its_time_and_shows_nothing_new(tmp_path: Path) -> None:
    chunks, _ = coded(tmp_path, "mjpeg")
    gone = (5, 6, 12, 20)
    emptied = [(b"", False) if number in gone else chunk for number, chunk in enumerate(chunks)]
    kept = [(number, number) for number in range(COUNT) if number not in gone]
    check(write_avi(tmp_path / "empty.avi", b"MJPG", emptied), kept)


def test_empty_chunks_between_dependent_frames_shift_the_times(tmp_path: Path) -> None:
    chunks, header = coded(tmp_path, "mpeg4")
    first = chunks[0][0]
    chunks[0] = (header + first[first.index(VOP) :], True)
    for number in (13, 4):
        chunks.insert(number + 1, (b"", False))
    expected = [(number, number + (number > 4) + (number > 13)) for number in range(COUNT)]
    check(write_avi(tmp_path / "repeats.avi", b"XVID", chunks), expected)


@pytest.mark.parametrize("b_frames", [0, 2])
def test_frames_that_an_edit_list_hides_are_not_counted(tmp_path: Path, b_frames: int) -> None:
    whole = write_clip(tmp_path / "whole.mp4", frames=40, rate=10, b_frames=b_frames, key_every=20)
    cut = tmp_path / "cut.mp4"
    options = {"avoid_negative_ts": "disabled", "use_editlist": "1"}
    with av.open(str(whole)) as source, av.open(str(cut), "w", options=options) as output:
        stream = source.streams.video[0]
        copy = output.add_stream_from_template(stream)
        shift = round(0.6 / stream.time_base)
        for packet in source.demux(stream):
            if packet.dts is not None:
                packet.stream = copy
                packet.pts -= shift
                packet.dts -= shift
                output.mux(packet)
    opened = FileSource(cut)
    read = [(frame.index, read_number(frame.image)) for frame in opened]
    assert read == [(index, index + 6) for index in range(34)]
    assert opened.damage == 0
    assert [read_number(opened.frame_at(index).image) for index in (33, 17, 0)] == [39, 23, 6]

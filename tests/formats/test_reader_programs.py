"""Every program others use reads every object of a refined recording, in an environment of its own."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.readers import ENVIRONMENT, FILES, Comparison, environment, table
from tests.annotate.tiny import write_clip
from tracker.annotate.media_info import look_at
from tracker.annotate.recordings import fingerprint
from tracker.formats.core.rle import window_to_rle
from tracker.observations import Observations, Origin
from tracker.store import RecordingInfo, RecordingWriter

pytestmark = pytest.mark.slow
FRAMES = 12
KEEP_BOXES = {"mot", "kitti", "labelstudio", "csv", "parquet", "jsonl", "coco", "voc"}
"""Formats with boxes as recorded; in the others outlines or masks are the object where there are any."""


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, bool, str], Comparison]:
    """What each program finds of walkers with round masks, one filled in without a mask, one smoothed off its mask."""
    folder = tmp_path_factory.mktemp("readers")
    clip = write_clip(folder / "clip.mp4", FRAMES)
    media = look_at(clip)
    size, digest = fingerprint(clip)
    source = {"path": str(clip), "name": clip.name, "size": size, "digest": digest}
    store = folder / "clip.sqlite"
    writer = RecordingWriter.create(store, RecordingInfo(source, media.width, media.height, ("person", "car")))
    grid = np.stack(np.meshgrid(np.arange(24) - 11.5, np.arange(36) - 17.5), axis=-1) / [12, 18]
    disc = (grid**2).sum(axis=2) < 1
    for frame in range(FRAMES):
        masks: list[str | None] = []
        boxes = []
        for track in (1, 2, 3):
            left, top = 5 + 2 * frame, 40 * (track - 1) + 2
            code = window_to_rle(disc, left=left, top=top, width=media.width, height=media.height)
            masks.append(None if track == 1 and frame in (4, 5) else code["counts"])
            shift = 0.4 if track == 2 else 0.0
            boxes.append([left + shift, top, left + 24 - shift, top + 36])
        kept = [track for track in (0, 1, 2) if not (track == 2 and frame in (6, 7))]
        origins = [Origin.INTERPOLATED if masks[track] is None else Origin.DETECTED for track in kept]
        observations = Observations.rounded(
            frame,
            tracks=np.array(kept) + 1,
            class_ids=np.array([track % 2 for track in kept]),
            scores=np.full(len(kept), 0.75),
            boxes=np.array(boxes)[kept],
            masks=[masks[track] for track in kept],
            origins=np.array(origins),
        )
        writer.add(frame, media.times[frame], observations)
    writer.commit({})
    writer.complete_with(None)
    writer.close()
    found = table(store, folder / "out", environment(ENVIRONMENT))
    keys = [(name, outlines, program) for name, outlines, programs in FILES for program in programs]
    return dict(zip(keys, found, strict=True))


@pytest.mark.parametrize(
    ("name", "outlines", "program"), [(name, outlines, program) for name, outlines, all_ in FILES for program in all_]
)
def test_the_program_reads_what_was_recorded(
    name: str, outlines: bool, program: str, rows: dict[tuple[str, bool, str], Comparison]
) -> None:
    row = rows[name, outlines, program]
    assert (row.read, row.lost) == (row.objects, 0)
    keeps_boxes = name in KEEP_BOXES or (name in ("cvat", "yolo") and not outlines)
    counts_from_one = (name, program) == ("voc", "supervision")
    within = 0.51 if program == "fiftyone" else 0.01 if keeps_boxes and not counts_from_one else 1.01
    assert row.box_difference <= within
    if not np.isnan(row.mask_iou[0]):
        assert row.mask_iou[1] > 0.9

"""The annotated video of a finished recording: its final rows drawn on the frames of its source.

Drawn from the recording, not during the run, so that it shows what refinement and corrections made of it, and is whole
however often the run was interrupted.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import UInt8
from numpy import ndarray

from tracker.annotate.export import to_results
from tracker.annotate.plan import Progressing
from tracker.annotate.recount import make_analytics
from tracker.errors import SinkError, SourceError
from tracker.factory import Settings
from tracker.formats.core.rle import rle_to_window
from tracker.lock import alone
from tracker.observations import Observations
from tracker.overlay import Overlay
from tracker.store import Recording
from tracker.types import Detections, FrameResult
from tracker.video import VideoSink, open_source

__all__ = ["render_video"]

MASK_SIZE = 64
REPORT_EVERY = 16


def render_video(
    recording: Recording,
    source_path: Path,
    path: Path,
    settings: Settings,
    report: Progressing,
) -> None:
    """Write the video; it appears under its name whole. Raises SourceError when the source is not the one recorded."""
    with alone(path.with_name(path.name + ".lock"), str(path)):
        _render_alone(recording, source_path, path, settings, report)


def _render_alone(recording: Recording, source_path: Path, path: Path, settings: Settings, report: Progressing) -> None:
    source = open_source(source_path, vid_stride=settings.source.vid_stride)
    partial = path.with_name(f"{path.stem}.partial{path.suffix}")
    info, total = source.info, recording.frame_count()
    sink = VideoSink(
        partial,
        rate=info.rate,
        time_base=info.time_base,
        audio_from=source_path if info.has_audio else None,
        pixel_aspect=info.pixel_aspect,
    )
    analytics = make_analytics(recording.info)
    overlay = Overlay(settings.overlay, figures=analytics.figures if analytics is not None else None)
    try:
        frames = iter(source)
        for done, (rows, result) in enumerate(to_results(recording)):
            frame = next((frame for frame in frames if frame.index == result.frame.index), None)
            if frame is None:
                raise SourceError(
                    f"{source.name}: frame {{0}} is recorded, but does not decode any more",
                    frames=(result.frame.index,),
                )
            if analytics is not None:
                analytics(result.tracks, result.frame.time)
            complete = replace(result, frame=frame, detections=with_masks(rows, result))
            sink.write(replace(complete, canvas=overlay(complete)))
            if done % REPORT_EVERY == 0:
                report("drawing", done, total)
        sink.close()
        partial.replace(path)
    except OSError as error:
        raise SinkError(f"{path}: cannot be written: {error.strerror}. Free space or choose another folder.") from error
    finally:
        source.close()
        sink.discard()
        partial.unlink(missing_ok=True)


def with_masks(rows: Observations, result: FrameResult) -> Detections:
    """The rows as detections, with the recorded masks stretched over their boxes."""
    if rows.masks is None or not any(rows.masks):
        return result.detections
    height, width = result.frame.image.shape[:2]
    masks = [
        np.zeros((MASK_SIZE, MASK_SIZE), np.uint8) if counts is None else coverage(counts, box, width, height)
        for counts, box in zip(rows.masks, rows.boxes.tolist(), strict=True)
    ]
    return replace(result.detections, masks=np.stack(masks))


def coverage(counts: str, box: list[float], width: int, height: int) -> UInt8[ndarray, "m m"]:
    """How much of each cell of a grid over the box the mask covers, 0 to 255."""
    (rows, columns), covered = rle_to_window({"size": [height, width], "counts": counts})
    x1, y1, x2, y2 = box
    to_grid = np.array(
        [
            [MASK_SIZE / max(x2 - x1, 1e-3), 0, (columns.start - x1) * MASK_SIZE / max(x2 - x1, 1e-3)],
            [0, MASK_SIZE / max(y2 - y1, 1e-3), (rows.start - y1) * MASK_SIZE / max(y2 - y1, 1e-3)],
        ]
    )
    if not covered.size:
        return np.zeros((MASK_SIZE, MASK_SIZE), np.uint8)
    # pixel centres lie half a pixel inside their edges
    to_grid[:, 2] += to_grid[:, :2].sum(axis=1) / 2 - 0.5
    grid: ndarray = cv2.warpAffine(covered.astype(np.uint8) * 255, to_grid, (MASK_SIZE, MASK_SIZE))
    return grid

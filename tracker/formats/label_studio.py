"""Label Studio video JSON: one task, one `videorectangle` result per track with a sequence of boxes.

A box is in percent of the image; frames count from 1 and `time` is in seconds. `enabled` false on a box ends the
visible stretch with it; between two boxes of one stretch that are frames apart the tool interpolates, and one whose
last box is enabled it shows to the end of the video (`framesCount`). So does reading. A box may be turned about its
top left corner; it is read as its outline and the upright box around it. Sizes stand in `original_width`
and `original_height`, as Label Studio has them for images.
"""

from __future__ import annotations

import json
import logging
import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, pairwise, zip_longest
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote

from tracker.errors import FormatError
from tracker.formats.core.annotations import NOTHING_KNOWN, Annotations, ExternalInfo
from tracker.formats.core.atomic import AtomicText
from tracker.formats.core.chunks import AnnotationParts
from tracker.formats.core.collector import Collector
from tracker.formats.core.content import Capability, Polygons, Summary, TrackRow
from tracker.formats.core.decimals import tidy
from tracker.formats.core.frame_rate import FrameOf, frame_counting
from tracker.formats.core.parsing import as_int, as_list, as_mapping, as_number, as_text, read_json
from tracker.formats.core.unsupported import warn_unsupported

__all__ = ["read", "write"]

log = logging.getLogger(__name__)

DEFAULT_RATE = 24
"""Frames a second that Label Studio takes a video to have."""
REGION_VALUES = {"x", "points", "vertices", "rle", "sequence"}
"""One of them stands in the value of all that has a place in the image; the others are answers about the whole."""


def read(path: Path | str, known: ExternalInfo = NOTHING_KNOWN) -> Annotations:
    """The tracks of the file's one task, or of the one whose video is called as the known one.

    Raises FormatError for a file that breaks the format, or that mentions several videos and not which is meant.
    """
    content = read_json(path)
    tasks = [as_mapping(item, "task", path) for item in (content if isinstance(content, list) else [content])]
    rows = Collector(path, source=known.source, labels=known.labels or None)
    videos = [_video_of(as_mapping(task.get("data", {}), "data", path), known.source) for task in tasks]
    chosen = [row for row, video in enumerate(videos) if len(tasks) == 1 or _is_upload_of(known.source, video)]
    if len(chosen) != 1:
        hint = f"{len(chosen)} of them about {known.source}" if known.source else "--video FILE says which is meant"
        rows.refuse("file", f"expected one task, found {len(tasks)}; {hint}")
    task = tasks[chosen[0]]
    rows.source = rows.source or videos[chosen[0]]
    number, annotation = _chosen_annotation(task, rows)
    track_id = 0
    others: Counter[str] = Counter()
    results = as_list(annotation.get("result"), f"annotations[{number}].result", path)
    regions = [item for item in results if isinstance(item, dict) and isinstance(item.get("value"), dict)]
    frame_of = frame_counting([region["value"] for region in regions], known, path)
    for place, item in enumerate(results):
        where = f"annotations[{number}].result[{place}]"
        result = as_mapping(item, where, path)
        kind = as_text(result.get("type", "videorectangle"), f"{where}.type", path)
        if kind == "videorectangle":
            track_id += 1
            _read_track(result, rows, where, track_id, known, frame_of)
        elif isinstance(result.get("value"), dict) and REGION_VALUES & result["value"].keys():
            others[kind] += 1
    if others:
        found = ", ".join(f"{count} {kind}" for kind, count in others.items())
        if not track_id:
            rows.refuse("", f"expected boxes of a video (videorectangle), found {found} only")
        log.warning("%s: left out: %s", path, found)
    return rows.finish()


def _video_of(data: dict[str, Any], wanted: str) -> str:
    """The address of a task's video: the configuration says under which key, `video` in the examples."""
    texts = {key: value for key, value in data.items() if isinstance(value, str)}
    usual = texts.get("video", texts.get("video_url", ""))
    return next((text for text in texts.values() if _is_upload_of(wanted, text)), usual)


def _is_upload_of(name: str, address: str) -> bool:
    """Whether the address is that of a file of this name; Label Studio puts a code and a dash before it."""
    found = unquote(PurePosixPath(address).name)
    return bool(name) and (found == name or found.endswith(f"-{name}"))


def _chosen_annotation(task: dict[str, Any], rows: Collector) -> tuple[int, dict[str, Any]]:
    """The first annotation of the task that was not cancelled, and its number: others tell of the same objects."""
    if "annotations" not in task and "predictions" not in task:
        rows.refuse("file", f"a task without annotations, found {sorted(task)[:8]}; export as JSON, not JSON-MIN")
    found = as_list(task.get("annotations") or task.get("predictions", []), "annotations", rows.path)
    entries = [as_mapping(item, f"annotations[{number}]", rows.path) for number, item in enumerate(found)]
    kept = [(number, entry) for number, entry in enumerate(entries) if entry.get("was_cancelled") is not True]
    if not kept:
        return 0, {"result": []}
    if len(kept) > 1:
        log.warning("%s: %d annotations of the one video; the first is read", rows.path, len(kept))
    return kept[0]


@dataclass(frozen=True, slots=True)
class _Step:
    """A box as it stands in a sequence."""

    frame: int
    """From 0, of the video."""
    place: tuple[float, float, float, float, float]
    """Left, top, width and height in pixels before the turn, and the turn about that corner in degrees, clockwise."""
    time: float
    enabled: bool
    keyframe: bool
    where: str


def _read_track(
    result: dict[str, Any], rows: Collector, where: str, fallback_id: int, known: ExternalInfo, frame_of: FrameOf
) -> None:
    path = rows.path
    value = as_mapping(result.get("value"), f"{where}.value", path)
    width = as_int(result.get("original_width", 0), f"{where}.original_width", path) or known.width
    height = as_int(result.get("original_height", 0), f"{where}.original_height", path) or known.height
    if not width or not height:
        rows.refuse(where, "the image's size is not known; give --size WxH")
    names = as_list(value.get("labels") or ["object"], f"{where}.value.labels", path)
    if len(names) > 1:
        log.warning("%s: %s: has the labels %s, the first is taken", path, where, ", ".join(map(str, names)))
    class_id = rows.class_id(as_text(names[0], f"{where}.value.labels", path), where)
    meta = result.get("meta")
    own = meta.get("track_id") if isinstance(meta, dict) else None
    track_id = fallback_id if own is None else as_int(own, f"{where}.meta.track_id", path)

    def add(frame: int, place: Sequence[float], at: str, *, time: float = math.nan, keyframe: bool) -> None:
        box, outline = _box_and_outline(place)
        rows.frame(frame, at, time=time, width=width, height=height)
        rows.add(frame, box, at, class_id=class_id, track_id=track_id, keyframe=keyframe, segmentation=outline)

    found: dict[int, _Step] = {}
    twice: list[_Step] = []
    for step in _steps(value, f"{where}.value.sequence", (width, height), rows, frame_of):
        if step.frame in found:
            twice.append(step)
        found[step.frame] = step
    if twice:
        others = f", and so do {len(twice) - 1} more of that track" if len(twice) > 1 else ""
        text = "%s: %s: frame %d stands there before%s; the later box is taken"
        log.warning(text, path, twice[0].where, twice[0].frame + 1, others)
    steps = [found[frame] for frame in sorted(found)]
    end = known.frames or as_int(value.get("framesCount", 0), f"{where}.value.framesCount", path)
    for step, following in zip_longest(steps, steps[1:]):
        time = math.nan if known.times else step.time
        add(step.frame, step.place, step.where, time=time, keyframe=step.keyframe)
        if not step.enabled:
            continue
        next_frame, next_place = (end, step.place) if following is None else (following.frame, following.place)
        gap = max(next_frame - step.frame, 1)
        rows.fill(gap - 1, step.where)
        for later in range(1, gap):
            between = [a + (b - a) * later / gap for a, b in zip(step.place, next_place, strict=True)]
            add(step.frame + later, between, step.where, keyframe=False)


def _steps(
    value: dict[str, Any], where: str, size: tuple[int, int], rows: Collector, frame_of: FrameOf
) -> Iterator[_Step]:
    """The boxes of a sequence in the file's order."""
    path, (width, height) = rows.path, size
    for number, item in enumerate(as_list(value.get("sequence"), where, path)):
        at = f"{where}[{number}]"
        step = as_mapping(item, at, path)
        frame = frame_of(as_int(step.get("frame"), f"{at}.frame", path) - 1)
        x, y, wide, tall = (
            as_number(step.get(name), f"{at}.{name}", path) / 100 for name in ("x", "y", "width", "height")
        )
        angle = as_number(step.get("rotation") or 0, f"{at}.rotation", path)
        time = as_number(step["time"], f"{at}.time", path) if step.get("time") is not None else math.nan
        place = (x * width, y * height, wide * width, tall * height, angle)
        yield _Step(frame, place, time, step.get("enabled") is not False, step.get("auto") is not True, at)


def _box_and_outline(place: Sequence[float]) -> tuple[list[float], Polygons | None]:
    """The box, and for a turned one its outline and the upright box around that."""
    x, y, width, height, angle = place
    if not angle % 360:
        return [tidy(x), tidy(y), tidy(x + width), tidy(y + height)], None
    cosine, sine = math.cos(math.radians(angle)), math.sin(math.radians(angle))
    corners = [(0.0, 0.0), (width, 0.0), (width, height), (0.0, height)]
    xs = [tidy(x + across * cosine - down * sine) for across, down in corners]
    ys = [tidy(y + across * sine + down * cosine) for across, down in corners]
    return [min(xs), min(ys), max(xs), max(ys)], (tuple(edge for pair in zip(xs, ys, strict=True) for edge in pair),)


def write(path: Path | str, annotations: AnnotationParts) -> None:
    """One task; a warning lists what it cannot hold. Objects without a track become tracks of one frame."""
    holds = Capability.TRACKS | Capability.CLASSES | Capability.TIMES | Capability.KEYFRAMES
    summary = annotations.summary()
    warn_unsupported(summary.content, "Label Studio", holds)
    rate = _frame_rate(annotations)
    if rate and abs(rate / DEFAULT_RATE - 1) * (summary.last_frame + 1) > 1:
        log.warning(
            'Label Studio: counts %d frames a second unless <Video> in its configuration says framerate="%.5g"',
            DEFAULT_RATE,
            rate,
        )
    source = json.dumps({"video": annotations.source}, ensure_ascii=False)
    with AtomicText(path) as file:
        file.write(f'[{{"data": {source}, "annotations": [{{"result": [')
        for number, (track_id, rows) in enumerate(annotations.by_tracks()):
            file.write(",\n" if number else "\n")
            _write_track(file, track_id, rows, annotations.labels, summary)
        file.write("\n]}]}]\n")


def _frame_rate(annotations: AnnotationParts) -> float:
    """Frames a second from the first time stamp to the last, 0 where there are none."""
    known: list[tuple[int, float]] = []
    for part in annotations.by_frames(objects=False):
        pairs = zip(part.frames.indices.tolist(), part.frames.times.tolist(), strict=True)
        known = [*known[:1], *((index, time) for index, time in pairs if not math.isnan(time))]
        known = [known[0], known[-1]] if len(known) > 1 else known
    if len(known) < 2 or known[-1][1] <= known[0][1]:
        return 0.0
    return (known[-1][0] - known[0][0]) / (known[-1][1] - known[0][1])


def _write_track(
    file: AtomicText, track_id: int, rows: Iterator[TrackRow], labels: tuple[str, ...], summary: Summary
) -> None:
    """One track, step by step: it may be as long as the video."""
    first = next(rows)
    value = {
        "framesCount": summary.last_frame + 1,
        "duration": None if math.isnan(summary.last_time) else summary.last_time,
        "labels": [labels[first.class_id]],
        "sequence": [],
    }
    head = {
        "id": f"track-{track_id}",
        "type": "videorectangle",
        "from_name": "box",
        "to_name": "video",
        "origin": "manual",
        "original_width": first.size[0],
        "original_height": first.size[1],
        "meta": {"track_id": track_id},
        "value": {name: entry for name, entry in value.items() if entry is not None},
    }
    end = "]}}"
    file.write(json.dumps(head, ensure_ascii=False, allow_nan=False).removesuffix(end))
    for place, (row, following) in enumerate(pairwise(chain([first], rows, [None]))):
        assert row is not None
        goes_on = following is not None and following.frame == row.frame + 1
        step = json.dumps(_step(row, goes_on=goes_on), ensure_ascii=False, allow_nan=False)
        file.write(f", {step}" if place else step)
    file.write(end)


def _step(row: TrackRow, *, goes_on: bool) -> dict[str, Any]:
    width, height = row.size
    if not width:
        raise FormatError("Label Studio needs the images' size; give --size WxH")
    x1, y1, x2, y2 = row.box
    step: dict[str, Any] = {"frame": row.frame + 1, "enabled": goes_on, "rotation": 0}
    step |= {"x": _percent(x1, width), "y": _percent(y1, height)}
    step |= {"width": _percent(x2 - x1, width), "height": _percent(y2 - y1, height)}
    if not math.isnan(row.time):
        step["time"] = row.time
    if not row.keyframe:
        step["auto"] = True
    return step


def _percent(value: float, whole: int) -> float:
    return round(value / whole * 100, 10) + 0.0

"""One recording as one HTML page that needs nothing beside it: counts, dwell, heat map, an image of each track."""

from __future__ import annotations

import base64
import logging
from dataclasses import dataclass
from html import escape
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import Float64, Int64
from numpy import ndarray

from tracker.analytics import Analytics, Rules
from tracker.annotate.export import to_results
from tracker.annotate.media_info import open_recorded
from tracker.annotate.recount import make_analytics
from tracker.annotate.report.svg_charts import Series, clock, line_chart
from tracker.errors import SourceError
from tracker.formats.core.atomic import AtomicText
from tracker.formats.core.live_rows import class_name
from tracker.overlay import Figure, Overlay, OverlayConfig
from tracker.protocols import FrameSource
from tracker.store import Recording
from tracker.types import Detections, EventKind, Frame, FrameResult, Image, Tracks

__all__ = ["write_report"]

log = logging.getLogger(__name__)

BINS = 60
CROP_SIDE = 160
MARGIN = 0.08
LARGEST_GALLERY = 1000
STYLE = """
:root { color-scheme: light dark; --line: #8884; --dim: #888; }
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 64rem; padding: 0 1.2rem; }
h1 { font-size: 1.5rem; margin-bottom: .3rem; overflow-wrap: anywhere; }
h2 { font-size: 1.15rem; margin-top: 2.4rem; padding-bottom: .2rem; border-bottom: 1px solid var(--line); }
.tiles { display: flex; flex-wrap: wrap; gap: .8rem; margin: 1.2rem 0; }
.tiles div { border: 1px solid var(--line); border-radius: 8px; padding: .5rem 1rem; min-width: 6rem; }
.tiles b { display: block; font-size: 1.35rem; font-variant-numeric: tabular-nums; }
table { border-collapse: collapse; } td, th { padding: .2rem .9rem .2rem 0; text-align: left; vertical-align: top; }
td.n, th.n { text-align: right; font-variant-numeric: tabular-nums; } .dim { color: var(--dim); }
figure { margin: 0; } figcaption { font-size: .85rem; } svg { max-width: 100%; height: auto; }
.gallery { display: grid; grid-template-columns: repeat(auto-fill, minmax(10rem, 1fr)); gap: .8rem; }
.gallery img { max-width: 100%; border-radius: 4px; } .heat { width: 100%; max-width: 48rem; border-radius: 6px; }
summary { cursor: pointer; font-size: 1.15rem; font-weight: bold; } details { margin-top: 2.4rem; }
details td { overflow-wrap: anywhere; }
pre { overflow: auto; background: #8881; padding: .8rem; border-radius: 6px; font-size: .85rem; }
"""


@dataclass(frozen=True, slots=True)
class _Best:
    """Where one track is seen best."""

    frame: int
    box: tuple[float, float, float, float]
    quality: float


@dataclass(frozen=True, slots=True, eq=False)
class _Gathered:
    """What one pass over the rows gives."""

    analytics: Analytics
    best: dict[int, _Best]
    edges: Float64[ndarray, " b"]
    """Starts of equal spans of time, and the end of the last."""
    present: dict[int, Int64[ndarray, " b"]]
    """Number of different tracks in each span, by class."""
    fastest: dict[int, float]
    """The highest speed of each track that crossed the calibrated ground, in km/h."""


def write_report(
    recording: Recording, path: Path, *, video: Path | None = None, hidden: OverlayConfig | None = None
) -> None:
    """Write the page. Without the source video, or with another one in its place, it has no images and says so.

    Nor has it any where something in them is `hidden`, a class or a region.
    """
    gathered = _gather(recording)
    source, missing = _open(recording, video, hidden)
    if missing:
        log.warning("%s: %s", recording.path, missing)
    try:
        heat = _heat(recording, gathered, source)
        crops = _crops(recording, gathered, source)
    finally:
        if source is not None:
            source.close()
    name = escape(str(recording.info.source.get("name", recording.path.name)))
    note = f'<p class="dim">{escape(missing)}</p>' if missing else ""
    parts = [
        f"<h1>{name}</h1>{note}",
        _facts(recording),
        "<h2>Objects over time</h2>" + _presence_chart(recording, gathered),
        _lines(recording, gathered),
        _zones(recording, gathered),
        _speeds(recording, gathered),
        f"<h2>Where they spend their time</h2>{heat}",
        _gallery(recording, crops),
        f"<details><summary>Settings</summary>{_settings(recording)}</details>",
    ]
    head = '<!doctype html><html lang="en"><head><meta charset="utf-8">'
    head += '<meta name="viewport" content="width=device-width, initial-scale=1">'
    head += f"<title>{name}</title><style>{STYLE}</style></head>"
    with AtomicText(path) as file:
        file.write(f"{head}<body>{''.join(parts)}</body></html>\n")


def _gather(recording: Recording) -> _Gathered:
    info = recording.info
    analytics = make_analytics(info) or Analytics(Rules(), info.labels, width=info.width, height=info.height)
    _, times = recording.frame_times()
    start, end = (float(times[0]), float(times[-1])) if len(times) else (0.0, 0.0)
    edges = np.linspace(start, max(end, start + 1e-6), min(BINS, max(len(times), 1)) + 1)
    best: dict[int, _Best] = {}
    met: set[tuple[int, int, int]] = set()
    fastest: dict[int, float] = {}
    for rows, result in to_results(recording):
        analytics(result.tracks, result.frame.time)
        span = min(int(np.searchsorted(edges, result.frame.time, side="right")) - 1, len(edges) - 2)
        columns = zip(
            rows.tracks.tolist(), rows.class_ids.tolist(), rows.boxes.tolist(), rows.scores.tolist(), strict=True
        )
        for track, class_id, box, score in columns:
            met.add((span, class_id, track))
            if track in analytics.speeds:
                fastest[track] = max(fastest.get(track, 0.0), analytics.speeds[track])
            quality = _quality(box, score, info.width, info.height)
            if track not in best or quality > best[track].quality:
                best[track] = _Best(result.frame.index, (box[0], box[1], box[2], box[3]), quality)
    present: dict[int, np.ndarray] = {}
    for span, class_id, _ in met:
        present.setdefault(class_id, np.zeros(len(edges) - 1, np.int64))[span] += 1
    return _Gathered(analytics, best, edges, present, fastest)


def _quality(box: list[float], score: float, width: int, height: int) -> float:
    """How good an image of the object this box promises: sure, large and whole."""
    x1, y1, x2, y2 = box
    inside_width, inside_height = min(x2, width) - max(x1, 0), min(y2, height) - max(y1, 0)
    area = max(x2 - x1, 1e-3) * max(y2 - y1, 1e-3)
    whole = max(inside_width, 0) * max(inside_height, 0) / area
    return score * whole * float(np.sqrt(area))


def _open(recording: Recording, video: Path | None, hidden: OverlayConfig | None) -> tuple[FrameSource | None, str]:
    """The recorded video or folder of images, or why there are no images of it."""
    if hidden is not None and (hidden.blur_classes or hidden.blur_regions):
        return None, "Without images: something in them is to be unrecognisable."
    try:
        return open_recorded(recording, video), ""
    except SourceError as error:
        return None, f"Without images: {error}"


def _image(source: FrameSource, index: int) -> Image | None:
    """The image of a frame; None where it does not decode any more."""
    try:
        return source.frame_at(index).image
    except SourceError:
        return None


def _heat(recording: Recording, gathered: _Gathered, source: FrameSource | None) -> str:
    heat = gathered.analytics.heat
    if not heat.seconds.any():
        return "<p>Nothing was seen.</p>"
    frames, _ = recording.frame_times()
    image = _image(source, int(frames[len(frames) // 2])) if source is not None else None
    if image is None:
        rows, columns = heat.seconds.shape
        image = np.full((rows * heat.cell, columns * heat.cell, 3), 40, np.uint8)
    rules = gathered.analytics.rules
    figures: list[Figure] = [((line.start, line.end), False, line.name) for line in rules.line]
    figures += [(zone.polygon, True, zone.name) for zone in rules.zone]
    frame = Frame(heat.paint(image), 0, 0.0, "")
    drawn = Overlay(figures=lambda: figures)(FrameResult(frame, Detections.empty(), Tracks.empty(), ()))
    return f'<img class="heat" alt="heat map" src="{_jpeg(drawn)}">'


def _crops(recording: Recording, gathered: _Gathered, source: FrameSource | None) -> dict[int, str]:
    """An image of each track, by id."""
    if source is None:
        return {}
    chosen = sorted(recording.tracks(), key=lambda track: -track.observations)[:LARGEST_GALLERY]
    crops = {}
    for track in sorted(chosen, key=lambda track: gathered.best[track.track_id].frame):
        best = gathered.best[track.track_id]
        image = _image(source, best.frame)
        crop = _cut(image, best.box) if image is not None else None
        if crop is not None:
            crops[track.track_id] = _jpeg(crop)
    return crops


def _cut(image: Image, box: tuple[float, float, float, float]) -> Image | None:
    x1, y1, x2, y2 = box
    height, width = image.shape[:2]
    margin = MARGIN * max(x2 - x1, y2 - y1)
    left, top = max(int(x1 - margin), 0), max(int(y1 - margin), 0)
    right, bottom = min(int(x2 + margin) + 1, width), min(int(y2 + margin) + 1, height)
    if right - left < 2 or bottom - top < 2:
        return None
    crop = image[top:bottom, left:right]
    scale = CROP_SIDE / max(crop.shape[:2])
    size = max(1, round(crop.shape[1] * scale)), max(1, round(crop.shape[0] * scale))
    scaled: Image = cv2.resize(crop, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    return scaled


def _jpeg(image: Image) -> str:
    _, encoded = cv2.imencode(".jpg", image[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, 80])
    return f"data:image/jpeg;base64,{base64.b64encode(encoded.tobytes()).decode()}"


def _facts(recording: Recording) -> str:
    labels, counts = recording.info.labels, dict[str, int]()
    for track in recording.tracks():
        name = class_name(labels, track.class_id)
        counts[name] = counts.get(name, 0) + 1
    _, times = recording.frame_times()
    tiles = [("length", clock(round(float(times[-1] - times[0]), 1)) if len(times) else "0 s")]
    tiles += [("frames", f"{len(times):,}"), ("tracks", f"{sum(counts.values()):,}")]
    tiles += [(name, f"{count:,}") for name, count in sorted(counts.items(), key=lambda item: -item[1])]
    boxes = "".join(
        f"<div><b>{escape(value)}</b><span class='dim'>{escape(name)}</span></div>" for name, value in tiles
    )
    corrections = recording.edit_count()
    remarks = [f"{recording.info.width} x {recording.info.height} pixels", f"{recording.observation_count():,} boxes"]
    remarks += [f"{corrections} corrections by hand"] if corrections else []
    remarks += [f"refined: {recording.note('refined')}"] if recording.note("refined") else []
    remarks += [f"damaged in {recording.note('damage')} places"] if recording.note("damage") else []
    if not recording.complete:
        remarks.append("unfinished: the run stopped before the end of its source")
    return f'<div class="tiles">{boxes}</div><p class="dim">{escape("; ".join(remarks))}</p>'


def _presence_chart(recording: Recording, gathered: _Gathered) -> str:
    middles = (gathered.edges[:-1] + gathered.edges[1:]) / 2
    series = [
        Series(class_name(recording.info.labels, class_id), middles, counts.astype(np.float64))
        for class_id, counts in sorted(gathered.present.items())
    ]
    return line_chart(series, y_title="different objects")


def _lines(recording: Recording, gathered: _Gathered) -> str:
    events = [row.event for row in recording.events() if row.event.kind == EventKind.LINE]
    names = [rule.name for rule in gathered.analytics.rules.line]
    if not names:
        return ""
    table = [["Line", "Class", "In", "Out"]]
    series = []
    for name in names:
        own = sorted((event for event in events if event.name == name), key=lambda event: event.time)
        for class_id in sorted({event.class_id for event in own}):
            inward = sum(event.value > 0 for event in own if event.class_id == class_id)
            outward = sum(event.value < 0 for event in own if event.class_id == class_id)
            table.append([name, class_name(recording.info.labels, class_id), str(inward), str(outward)])
        if not own:
            table.append([name, "", "0", "0"])
        for direction, sign in (("in", 1), ("out", -1)):
            times = [event.time for event in own if event.value * sign > 0]
            x = np.array([gathered.edges[0], *times, gathered.edges[-1]])
            y = np.array([*range(len(times) + 1), len(times)], np.float64)
            series.append(Series(f"{name} {direction}", x, y, steps=True))
    return "<h2>Lines</h2>" + _grid(table) + line_chart(series, y_title="crossings so far")


def _zones(recording: Recording, gathered: _Gathered) -> str:
    names = [rule.name for rule in gathered.analytics.rules.zone]
    if not names:
        return ""
    events = [row.event for row in recording.events()]
    table = [["Zone", "Class", "Visits", "Mean stay", "Longest stay", "Stayed too long"]]
    series = []
    for name in names:
        own = [event for event in events if event.name == name and event.kind.startswith("zone-")]
        for class_id in sorted({event.class_id for event in own}):
            stays = [event.value for event in own if event.kind == EventKind.ZONE_LEAVE and event.class_id == class_id]
            late = sum(event.kind == EventKind.ZONE_DWELL and event.class_id == class_id for event in own)
            label = class_name(recording.info.labels, class_id)
            mean, longest = (f"{np.mean(stays):.1f} s", f"{max(stays):.1f} s") if stays else ("", "")
            table.append([name, label, str(len(stays)), mean, longest, str(late)])
        if not own:
            table.append([name, "", "0", "", "", "0"])
        steps = {EventKind.ZONE_ENTER: 1, EventKind.ZONE_LEAVE: -1}
        changes = sorted((event.time, steps[event.kind]) for event in own if event.kind in steps)
        x = np.array([gathered.edges[0], *(time for time, _ in changes), gathered.edges[-1]])
        inside = np.cumsum([0, *(step for _, step in changes)]).astype(np.float64)
        series.append(Series(name, x, np.append(inside, inside[-1]), steps=True))
    return "<h2>Zones</h2>" + _grid(table) + line_chart(series, y_title="inside at a time")


def _speeds(recording: Recording, gathered: _Gathered) -> str:
    if gathered.analytics.rules.speed is None:
        return ""
    class_of = {track.track_id: track.class_id for track in recording.tracks()}
    late = [row.event.class_id for row in recording.events() if row.event.kind == EventKind.SPEED]
    table = [["Class", "", "Tracks measured", "Median of top speeds", "Highest", "Too fast"]]
    for class_id in sorted({class_of[track] for track in gathered.fastest}):
        speeds = [speed for track, speed in gathered.fastest.items() if class_of[track] == class_id]
        label = class_name(recording.info.labels, class_id)
        median, highest = f"{np.median(speeds):.1f} km/h", f"{max(speeds):.1f} km/h"
        table.append([label, "", str(len(speeds)), median, highest, str(late.count(class_id))])
    return "<h2>Speeds</h2>" + (_grid(table) if len(table) > 1 else "<p>Nobody crossed the calibrated ground.</p>")


def _gallery(recording: Recording, crops: dict[int, str]) -> str:
    tracks = recording.tracks()
    shown = [track for track in tracks if track.track_id in crops] or tracks[:LARGEST_GALLERY]
    title = "Tracks" if len(shown) == len(tracks) else f"Tracks ({len(shown)} of {len(tracks)}, the longest)"
    figures = []
    for track in shown:
        label = escape(class_name(recording.info.labels, track.class_id))
        since, until = (clock(round(recording.time_of(frame), 1)) for frame in (track.first_frame, track.last_frame))
        crop = crops.get(track.track_id)
        image = f'<img loading="lazy" alt="track {track.track_id}" src="{crop}">' if crop else ""
        caption = f"<b>{track.track_id}</b> {label}<br><span class='dim'>{since} to {until}</span>"
        figures.append(f"<figure>{image}<figcaption>{caption}</figcaption></figure>")
    return f'<h2>{title}</h2><div class="gallery">{"".join(figures)}</div>'


def _settings(recording: Recording) -> str:
    info = recording.info
    rows = [(f"source {key}", str(value)) for key, value in info.source.items() if value is not None]
    rows += [(f"network {key}", str(value)) for key, value in info.network.items()]
    for section, values in info.settings.items():
        if section == "rules":
            continue
        pairs = values.items() if isinstance(values, dict) else [("", values)]
        rows += [(f"{section} {key}".strip(), str(value)) for key, value in pairs]
    rules = f"<pre>{escape(info.rules)}</pre>" if info.rules else ""
    return _table(rows) + rules


def _table(rows: list[tuple[str, str]]) -> str:
    body = "".join(f'<tr><td class="dim">{escape(name)}</td><td>{escape(value)}</td></tr>' for name, value in rows)
    return f"<table>{body}</table>"


def _grid(table: list[list[str]]) -> str:
    head, *rows = table
    kinds = ["", "", *["n"] * (len(head) - 2)]
    top = "".join(f'<th class="{kind}">{escape(cell)}</th>' for cell, kind in zip(head, kinds, strict=True))
    body = ""
    for row in rows:
        cells = (f'<td class="{kind}">{escape(cell)}</td>' for cell, kind in zip(row, kinds, strict=True))
        body += f"<tr>{''.join(cells)}</tr>"
    return f"<table><tr>{top}</tr>{body}</table>"

"""What is to be done about one recording: begin it, go on, begin it anew because something changed, or nothing."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from tracker.annotate.export import export_suffix
from tracker.annotate.recordings import RecordingJob, fingerprint
from tracker.config import DetectorConfig, to_mapping
from tracker.detect.precision import eight_bit_file
from tracker.embedded import embedded_networks, segmentation_file
from tracker.errors import DamagedStoreError, FormatError, SinkError
from tracker.factory import DEFAULT_NETWORK, Settings, reid_network, settled_precision
from tracker.paths import typed_path
from tracker.store import Recording

__all__ = ["AnnotateRequest", "Plan", "Progressing", "make_plan", "network_identity", "settings_identity", "settled"]


Progressing = Callable[[str, int, int | None], None]
"""Called now and then with what is being done, frames done and frames in all."""


@dataclass(frozen=True, slots=True)
class AnnotateRequest:
    """What is wanted of every recording."""

    settings: Settings = field(default_factory=Settings)
    refine: bool = False
    """Go over the finished recording once more: link, fill, smooth."""
    rules: str = ""
    """Lines and zones as TOML text."""
    overwrite: bool = False
    """Begin anew whatever is there, corrections by people too."""
    track: bool = True
    """Follow objects from frame to frame; images that have nothing to do with one another are only detected in."""
    first_frame: int = 0
    """Frames before this one are left out."""
    last_frame: int | None = None
    """Frames behind this one are left out; None for none."""

    @property
    def formats(self) -> tuple[str, ...]:
        """Names of the formats to export."""
        return tuple(dict.fromkeys(self.settings.output.format))

    @property
    def save(self) -> bool:
        """Whether the annotated video is wanted."""
        return self.settings.output.save


@dataclass(frozen=True, slots=True)
class Plan:
    """What to do about one recording."""

    action: Literal["new", "resume", "anew", "export", "skip"]
    reason: str
    """In words, for the user."""
    outputs: tuple[str, ...]
    """Formats, and "video", that are missing or older than the last correction."""


def make_plan(job: RecordingJob, request: AnnotateRequest, network: Mapping[str, Any]) -> Plan:
    """What to do about one recording.

    Raises SourceError for a source that cannot be read, FormatError where something else stands in the store's place,
    SinkError where people's corrections would be lost.
    """
    source = fingerprint(job.source)
    wanted = wanted_outputs(request)
    if not job.store.exists():
        return Plan("new", "not begun yet", wanted)
    if request.overwrite:
        return Plan("anew", "--overwrite", wanted)
    try:
        return _plan_for(job, request, source, network, wanted)
    except DamagedStoreError as error:
        raise FormatError(
            f"{error} --overwrite sets it aside as {job.store.name}.damaged and begins a new one."
        ) from error
    except FormatError as error:
        raise FormatError(f"{error} --overwrite replaces it.") from error


def _plan_for(
    job: RecordingJob,
    request: AnnotateRequest,
    source: tuple[int, str],
    network: Mapping[str, Any],
    wanted: tuple[str, ...],
) -> Plan:
    """What to do about a recording that there is. Raises FormatError for what is none, SinkError as make_plan."""
    with Recording(job.store) as recording:
        change = _what_changed(recording, source, request, network)
        if change and recording.edit_count():
            raise SinkError(
                f"{job.store}: {change}, but it holds {recording.edit_count()} corrections made by hand. Move it away "
                "to keep them, or use --overwrite."
            )
        if change:
            return Plan("anew", change, wanted)
        if not recording.complete:
            frame = recording.last_frame
            return Plan("resume", f"goes on behind frame {frame}" if frame >= 0 else "not begun yet", wanted)
        missing = tuple(name for name in wanted if not _is_written(recording, job, name))
        if missing:
            return Plan("export", f"finished; {', '.join(missing)} missing or outdated", missing)
        early = f" at frame {recording.last_frame}, before the end, as was asked" if recording.note("ended") else ""
        return Plan("skip", f"finished{early}", ())


def settled(job: RecordingJob, request: AnnotateRequest) -> AnnotateRequest:
    """The same order with the precision decided: a recording goes on with what it was begun with."""
    config = request.settings.detector
    if config.precision != "auto":
        return request
    begun = None
    if job.store.exists() and not request.overwrite:
        try:
            with Recording(job.store) as recording:
                begun = recording.info.settings.get("detector", {}).get("precision", "float")
        except FormatError:  # make_plan says what stands there
            begun = None
    decided = replace(config, precision=begun) if begun is not None else settled_precision(config, threads=1)
    return replace(request, settings=replace(request.settings, detector=decided))


def wanted_outputs(request: AnnotateRequest) -> tuple[str, ...]:
    """Formats to write, and "video"."""
    return (*request.formats, *(["video"] if request.save else []))


def output_path(job: RecordingJob, name: str) -> Path:
    """Where a format's file, or the "video", goes."""
    return job.beside("-annotated.mp4" if name == "video" else export_suffix(name))


def settings_identity(request: AnnotateRequest) -> dict[str, Any]:
    """Every setting that results depend on, as plain values."""
    settings = request.settings
    # How many frames go through the network at once changes nothing but the speed.
    detector = to_mapping(replace(settings.detector, batch=1))
    tracker = to_mapping(settings.tracker)
    if settings.tracker.appearance == "reid":
        tracker["reid_model_sha256"] = _sha256(reid_network(settings.tracker))
    tree = {
        "source": {"vid_stride": settings.source.vid_stride},
        "detector": detector,
        "tracker": tracker,
        "own_scores": settings.own_scores,
        "refine": request.refine,
        "rules": request.rules,
    }
    if settings.semantic.network:
        path = segmentation_file(settings.semantic.network)
        tree["semantic"] = {"network": settings.semantic.network, "sha256": _sha256(path)}
    if not request.track:
        tree["track"] = False
    if request.first_frame > 0 or request.last_frame is not None:
        tree["frames"] = [request.first_frame, request.last_frame]
    plain: dict[str, Any] = json.loads(json.dumps(tree))
    return plain


def network_identity(config: DetectorConfig) -> dict[str, Any]:
    """Name and hash of the network that the settings name."""
    networks = embedded_networks()
    name = DEFAULT_NETWORK if config.model == "auto" else config.model
    path = networks.get(name, typed_path(name))
    if config.precision == "int8":
        path = eight_bit_file(path, shipped=name in networks)
    identity = {"name": path.stem}
    if path.is_file():
        identity["sha256"] = _sha256(path)
    return identity


def _sha256(path: Path) -> str:
    """Empty for a file that is not there; whoever opens it says so."""
    if not path.is_file():
        return ""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _what_changed(
    recording: Recording, source: tuple[int, str], request: AnnotateRequest, network: Mapping[str, Any]
) -> str:
    """What is another than when the recording was begun, in words; empty where all is the same."""
    info = recording.info
    if (info.source.get("size"), info.source.get("digest")) != source:
        return "the source changed"
    if dict(info.network) != dict(network):
        return f"the network changed from {info.network.get('name')} to {network.get('name')}"
    before, now = _flat(info.settings), _flat(settings_identity(request))
    usual = _flat(settings_identity(AnnotateRequest()))
    before = {**{key: usual[key] for key in now.keys() & usual.keys()}, **before}  # settings that came after it
    changed = sorted(key for key in before.keys() | now.keys() if before.get(key) != now.get(key))
    if not changed:
        return ""
    if changed == ["rules"]:
        return "the rules changed"
    first = changed[0]
    more = f" and {len(changed) - 1} more" if len(changed) > 1 else ""
    return f"the setting {first} changed from {before.get(first, 'none')} to {now.get(first, 'none')}{more}"


def _flat(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        flat |= _flat(value, f"{prefix}{key}.") if isinstance(value, Mapping) else {f"{prefix}{key}": value}
    return flat


def _is_written(recording: Recording, job: RecordingJob, name: str) -> bool:
    revision = (recording.note("outputs") or {}).get(name)
    return revision == (recording.note("revision") or 0) and output_path(job, name).exists()

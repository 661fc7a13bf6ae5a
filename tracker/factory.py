"""From settings to objects: the only factory. Heavy imports happen here, when they are needed."""

from __future__ import annotations

import ctypes
import logging
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from tracker.analytics import Analytics
from tracker.config import DetectorConfig, OutputConfig, SemanticConfig, SourceConfig, TrackerConfig, build, nearest
from tracker.config.run_settings import tile_grid
from tracker.detect.class_thresholds import ClassThresholds, class_thresholds
from tracker.detect.classes import choose_classes
from tracker.detect.engines.onnx import OnnxDetector, is_ultralytics_export
from tracker.detect.precision import Precision, eight_bit_file, faster, has_whole_number_products
from tracker.detect.regions import RegionDetector
from tracker.detect.tiles import TiledDetector
from tracker.detect.yolo_detector import no_features
from tracker.embedded import check_embedded, embedded_networks, segmentation_file, weights_folder
from tracker.errors import CheckpointError, ConfigError, FeaturesError
from tracker.extras import explain_missing, has_torch
from tracker.formats import FORMATS
from tracker.overlay import Overlay, OverlayConfig
from tracker.paths import typed_path
from tracker.pipeline import Pipeline
from tracker.protocols import Analyse, Detector, Embed, FrameSource, NameTracks, Sink, Tracker
from tracker.runner import Runner
from tracker.segment.labeller import PixelLabeller
from tracker.track.camera_motion import CameraMotion
from tracker.track.engine import TrackingEngine
from tracker.track.presets import tracker_config

if TYPE_CHECKING:
    from tracker.classify import ImageClassifier
    from tracker.track.track_classes import TrackClasses

__all__ = [
    "SCORE_SETTINGS",
    "Built",
    "Settings",
    "annotation_sink",
    "check_formats",
    "classes_of_tracks",
    "default_device",
    "floor_of",
    "load_settings",
    "make_detection_pipeline",
    "make_detector",
    "make_embedder",
    "make_labeller",
    "make_pipeline",
    "make_runner",
    "make_track_classes",
    "make_track_classifier",
    "reid_network",
    "settled_precision",
    "usable_cores",
]

log = logging.getLogger(__name__)

DEFAULT_NETWORK = "sightline-small"
USUAL_SIZE = 640
"""Longest side of the input of a network that does not say its own."""
Appearance: TypeAlias = Literal["auto", "none", "native", "reid"]
LIVE_FORMATS = {"mot": "txt", "jsonl": "jsonl"}
SCORE_SETTINGS = {"high_score", "new_score", "track_high_thresh", "new_track_thresh"}


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings of a run, each component's slice of its own."""

    source: SourceConfig = field(default_factory=SourceConfig)
    """How frames are read."""
    detector: DetectorConfig = field(default_factory=DetectorConfig)
    """Which network looks at the frames."""
    semantic: SemanticConfig = field(default_factory=SemanticConfig)
    """Which network says what every pixel shows."""
    tracker: TrackerConfig = field(default_factory=TrackerConfig)
    """How detections become tracks."""
    own_scores: bool = False
    """Whether the tracker keeps its own score thresholds instead of taking the network's."""
    overlay: OverlayConfig = field(default_factory=OverlayConfig)
    """What is drawn."""
    output: OutputConfig = field(default_factory=OutputConfig)
    """What is written, and where."""


def load_settings(tree: Mapping[str, Any], where: str) -> Settings:
    """Settings from nested tables `source detector semantic tracker overlay output`.

    `[tracker]` may name a `preset` (or a YAML or TOML file) that its other keys adjust. Raises ConfigError for
    anything unknown, with the nearest known name.
    """
    sections = dict(tree)
    _check_sections(sections, where)
    adjustments = sections.pop("tracker", {})
    if isinstance(adjustments, str):
        adjustments = {"preset": adjustments}
    if not isinstance(adjustments, Mapping):
        raise ConfigError(f"{where}: tracker: expected a table of settings, found {adjustments!r}")
    overrides = dict(adjustments)
    preset = overrides.pop("preset", "default")
    tracker = tracker_config(str(preset), overrides)
    own_scores = preset != "default" or bool(SCORE_SETTINGS & overrides.keys())
    return build(Settings, {"own_scores": own_scores, **sections, "tracker": tracker}, where)


def _check_sections(tree: Mapping[str, Any], where: str) -> None:
    """Raise ConfigError for a setting that stands outside its section, and say where it belongs."""
    homes = {
        setting.name: section.name
        for section in fields(Settings)
        if is_dataclass(default := getattr(Settings(), section.name))
        for setting in fields(default)
    }
    for key in tree.keys() - {section.name for section in fields(Settings)}:
        if home := homes.get(key):
            raise ConfigError(f"{where}: {key} is a setting of {home}; write {home}.{key}, or put it below {home}")


def default_device() -> str:
    """`cuda` where an NVIDIA driver answers and torch is there to use it, else `cpu`; found without importing torch."""
    if not has_torch():
        return "cpu"
    name = "nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1"
    try:
        driver = ctypes.CDLL(name)
    except OSError:
        return "cpu"
    count = ctypes.c_int(0)
    works = driver.cuInit(0) == 0 and driver.cuDeviceGetCount(ctypes.byref(count)) == 0
    return "cuda" if works and count.value > 0 else "cpu"


def make_detector(
    config: DetectorConfig, *, threads: int, floor: float | None = None, appearance: Appearance = "none"
) -> Detector:
    """The detector that the model's suffix and content call for.

    `floor` is a tracker's wish: detections below the threshold too, down to there, with which it may go on, and one
    class for each object. Without it, objects come under further classes too where a threshold under 0.25 lets in such
    weak ones, as average precision wants them. `native`
    appearance asks for vectors that tell what each looks like, from the network's own features; `auto` asks for them
    where it has some.

    Raises CheckpointError for a file that is no model, ConfigError for a device or class that does not fit, and for
    `native` appearance where the model has no features to give.
    """
    if appearance == "auto":
        try:
            return _open_model(config, threads=threads, floor=floor, embed=True)
        except FeaturesError:
            return _open_model(config, threads=threads, floor=floor, embed=False)
    return _open_model(config, threads=threads, floor=floor, embed=appearance == "native")


def _open_model(config: DetectorConfig, *, threads: int, floor: float | None, embed: bool) -> Detector:
    with explain_missing(f"--model {config.model}"):
        detector = _open_engine(config, threads=threads, floor=floor, embed=embed)
        thresholds = None
        if config.class_conf:
            thresholds = class_thresholds(config.class_conf, detector.labels, detector.conf)
            lowest = float(thresholds.min())
            if lowest < detector.conf:
                detector = _open_engine(replace(config, conf=lowest), threads=threads, floor=floor, embed=embed)
    if config.tiles:
        grid = tile_grid(config.tiles)
        further = detector.conf if floor is None else 1.0
        usual = config.imgsz or USUAL_SIZE
        detector = TiledDetector(detector, grid, imgsz=usual, max_det=config.max_det, further=further)
    if config.roi:
        detector = RegionDetector(detector, config.roi)
    return detector if thresholds is None else ClassThresholds(detector, thresholds)


def _open_engine(config: DetectorConfig, *, threads: int, floor: float | None, embed: bool) -> Detector:
    device = _device(config)
    config = settled_precision(config, threads=threads)
    path = _find_model(config.model, torch=device != "cpu" and has_torch())
    if config.precision == "int8":
        path = eight_bit_file(path, shipped=path in embedded_networks().values())
    if path.stem.endswith("-int8") and has_whole_number_products() is False:
        log.warning(
            "%s: this processor multiplies no whole numbers natively (VNNI): the float file is faster and more exact; "
            "take that, or say --precision auto",
            path,
        )
    if path.suffix == ".onnx":
        if path.is_file() and is_ultralytics_export(path):
            return _ultralytics(path, config, floor, embed=embed)
        return OnnxDetector(path, replace(config, device=device), threads=threads, floor=floor, embed=embed)
    if path.suffix == ".safetensors":
        from tracker.detect.engines.torch import TorchDetector

        return TorchDetector(path, replace(config, device=device), floor=floor, embed=embed)
    if path.suffix in (".xml", ".torchscript"):
        from tracker.detect.engines.exported import open_exported

        return open_exported(path, replace(config, device=device), threads=threads, floor=floor, embed=embed)
    if path.suffix == ".pt":
        return _ultralytics(path, config, floor, embed=embed)
    raise CheckpointError(
        f"{path}: expected a model ending in .onnx, .safetensors, .xml, .torchscript or .pt, "
        f"found {path.suffix or 'no suffix'!r}"
    )


def settled_precision(config: DetectorConfig, *, threads: int) -> DetectorConfig:
    """The same settings with `auto` decided: what is faster on this machine, where there is a choice."""
    if config.precision != "auto":
        return config
    chosen: Precision = "float"
    if _device(config) == "cpu":
        path = _find_model(config.model, torch=False)
        try:
            small = eight_bit_file(path, shipped=path in embedded_networks().values())
        except ConfigError:
            log.info("--precision auto: %s has no 8-bit file; float it is", path)
        else:
            chosen = faster(path, small, imgsz=config.imgsz or USUAL_SIZE, threads=threads)
    return replace(config, precision=chosen)


def _find_model(model: str, *, torch: bool) -> Path:
    networks = embedded_networks()
    name = DEFAULT_NETWORK if model == "auto" else model
    if name in networks:
        safetensors = networks[name].with_suffix(".safetensors")
        return check_embedded(safetensors if torch and safetensors.is_file() else networks[name])
    path = typed_path(model)
    if not path.suffix:
        known = ["auto", *networks]
        raise CheckpointError(f"--model {model}: no such network or file; {nearest(model, known)}")
    return path


def _device(config: DetectorConfig) -> str:
    return default_device() if config.device == "auto" else config.device


def _ultralytics(path: Path, config: DetectorConfig, floor: float | None, *, embed: bool) -> Detector:
    from tracker.detect.ultralytics import UltralyticsDetector

    if embed:
        raise no_features(f"{path}, a model of ultralytics,")
    return UltralyticsDetector(path, config, floor=floor)


def floor_of(tracker: TrackerConfig) -> float:
    """The lowest score of detections worth asking for.

    A tracker that takes every score, as SORT's does, is meant for what the detector itself counts as found.
    """
    return tracker.low_score or 1.0


def reid_network(tracker: TrackerConfig) -> Path:
    """The re-identification network that these settings name, or the one that comes with the program."""
    if tracker.reid_model:
        return typed_path(tracker.reid_model)
    return check_embedded(weights_folder() / "reid" / "sightline-reid.onnx")


def make_labeller(config: SemanticConfig, *, threads: int, device: str = "cpu") -> PixelLabeller | None:
    """The network that labels every pixel, where one is named.

    Raises CheckpointError for a file that is no such network.
    """
    if not config.network:
        return None
    with explain_missing(f"--semantic {config.network}"):
        path = segmentation_file(config.network)
        return PixelLabeller(path, device="cpu" if path.suffix.lower() == ".onnx" else device, threads=threads)


def make_embedder(settings: Settings) -> Embed | None:
    """The network that looks at crops, where the tracker's settings ask for one.

    Raises CheckpointError for a file that is no such network.
    """
    tracker = settings.tracker
    if tracker.appearance != "reid":
        return None
    with explain_missing("--appearance reid"):
        from tracker.detect.reid_embedder import CropEmbedder

        path = reid_network(tracker)
        device = "cpu" if path.suffix.lower() == ".onnx" else _device(settings.detector)
        return CropEmbedder(path, device=device)


def check_formats(names: Sequence[str]) -> list[tuple[str, str]]:
    """Each live format with the suffix of its file. Raises ConfigError for one that does not exist."""
    for name in names:
        if name not in LIVE_FORMATS:
            if name in FORMATS:
                raise ConfigError(
                    f"--format {name}: a run writes {' and '.join(LIVE_FORMATS)} alone; annotate writes every format"
                )
            raise ConfigError(f"--format {name}: no such format for a run; {nearest(name, LIVE_FORMATS)}")
    return [(name, LIVE_FORMATS[name]) for name in dict.fromkeys(names)]


def annotation_sink(name: str, path: Path) -> Sink:
    """The sink that writes a run's annotations in the named format."""
    if name == "mot":
        from tracker.formats.mot import MotSink

        return MotSink(path)
    from tracker.formats.jsonl import JsonlSink

    return JsonlSink(path)


@dataclass(frozen=True, slots=True)
class Built:
    """A pipeline and what its threads need."""

    pipeline: Pipeline
    workers: int
    engine: str
    """Device and engine the network runs on, for people to read."""


def make_detection_pipeline(settings: Settings, *, draw: bool, detector: Detector | None = None) -> Built:
    """Detector and overlay for images that stand alone; with another detector than that of the settings if given."""
    workers = min(usable_cores(), 4)
    detector = detector or make_detector(settings.detector, threads=max(1, usable_cores() // workers))
    overlay = Overlay(settings.overlay) if draw else None
    return Built(Pipeline(detector, None, draw=overlay), workers, detector.engine)


def make_pipeline(
    settings: Settings,
    *,
    live: bool,
    draw: bool,
    detector: Detector | None = None,
    tracker: Tracker | None = None,
    make_analyse: Callable[[Sequence[str]], Analyse | None] | None = None,
) -> Built:
    """Detector, tracker and overlay for one source.

    Live input gives one frame all cores, so that it is soon done; a file gives each frame one core and works on
    several, which is more frames a second. A `detector` or `tracker` that is given stands in the place of the
    settings' own. `make_analyse` is given the class names; the lines and zones of an `Analytics` are drawn.
    """
    cores = usable_cores()
    workers = 1 if live else min(cores, 4)
    config = settings.tracker
    detector = detector or make_detector(
        settings.detector,
        threads=cores if live else max(1, cores // workers),
        floor=floor_of(config) if tracker is None else 1.0,
        appearance=config.appearance,
    )
    embed = make_embedder(settings)
    label_pixels = make_labeller(
        settings.semantic, threads=cores if live else max(1, cores // workers), device=_device(settings.detector)
    )
    if not settings.own_scores:
        config = config.for_threshold(detector.conf)
    motion = CameraMotion() if config.camera_motion else None
    tracker = tracker or TrackingEngine(config)
    name_tracks, more_labels = make_track_classes(settings.detector, detector.labels, threads=cores if live else 1)
    analyse = make_analyse((*detector.labels, *more_labels)) if make_analyse is not None else None
    figures = analyse.figures if isinstance(analyse, Analytics) else None
    overlay = Overlay(settings.overlay, figures) if draw else None
    pipeline = Pipeline(
        detector,
        tracker,
        embed=embed,
        estimate_motion=motion,
        name_tracks=name_tracks,
        more_labels=more_labels,
        label_pixels=label_pixels,
        analyse=analyse,
        draw=overlay,
    )
    return Built(pipeline, workers, detector.engine)


def make_track_classes(
    config: DetectorConfig, labels: Sequence[str], *, threads: int
) -> tuple[NameTracks | None, tuple[str, ...]]:
    """(what names tracks, the labels it gives after the detector's own); nothing where no classifier is wanted.

    Raises CheckpointError for a file that is no classifier, ConfigError for a class that the detector does not know.
    """
    classifier = make_track_classifier(config, threads=threads)
    if classifier is None:
        return None, ()
    return classes_of_tracks(classifier, config, labels), classifier.labels


def make_track_classifier(config: DetectorConfig, *, threads: int) -> ImageClassifier | None:
    """The classifier that says which kind each track is, where the settings name one; one serves many sources."""
    if not config.classify_tracks:
        return None
    from tracker.classify import ImageClassifier

    path = typed_path(config.classify_tracks)
    with explain_missing(f"--classify-tracks {path}"):
        return ImageClassifier(path, device=_device(config), threads=threads)


def classes_of_tracks(classifier: ImageClassifier, config: DetectorConfig, labels: Sequence[str]) -> TrackClasses:
    """The votes over the tracks of one source, by that classifier, after the detector's `labels`."""
    from tracker.classify import around
    from tracker.track.track_classes import TrackClasses

    chosen = choose_classes(config.classify_classes, tuple(labels), option="--classify-classes")
    return TrackClasses(classifier, around, first=len(labels), of=chosen)


def usable_cores() -> int:
    """Processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def make_runner(source: FrameSource, built: Built, sinks: Sequence[Sink], settings: Settings) -> Runner:
    """Threads for one source through a built pipeline."""
    return Runner(
        source,
        built.pipeline,
        sinks,
        batch=settings.detector.batch,
        workers=built.workers,
        most_failures=settings.source.most_failures,
    )

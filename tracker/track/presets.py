"""Trackers by name or settings file: each preset a few settings, peers' parameter names understood."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from tracker.config import build, nearest, read_settings
from tracker.config.tracking import TrackerConfig
from tracker.errors import ConfigError
from tracker.paths import exists, typed_path
from tracker.track.engine import TrackingEngine

__all__ = ["PRESETS", "make_tracker", "tracker_config"]

log = logging.getLogger(__name__)

OUR_MOTION = "sparseOptFlow"
"""What ultralytics calls the way camera motion is estimated here."""
FRAME_RATE = 30.0
"""Rate at which peers' counts of frames become seconds, where none is given; their own defaults are meant for it."""

_PLAIN: dict[str, Any] = {
    "wander_noise": 0.0,
    "start_speed": 0.0,
    "measurement_noise": 1.0,
    "similarity": "iou",
    "buffer_per_s2": 0.0,
    "direction_weight": 0.0,
    "instant_score": 2.0,
    "report_coast_s": 0.0,
    "report_coast_residual": 1.0,
    "confirm_first_frames": 0,
    "appearance": "none",
}
"""What the default preset has and the papers do not."""

_BYTETRACK: dict[str, Any] = {
    **_PLAIN,
    "low_score": 0.1,
    "high_score": 0.25,
    "new_score": 0.25,
    "duplicate_overlap": 0.85,
    "filter": "xyah",
    "freeze_lost_size": True,
    "fuse_score": True,
    "high_min_similarity": 0.2,
    "low_min_similarity": 0.5,
    "tentative_min_similarity": 0.3,
    "confirm_hits": 2,
    "confirm_first_frames": 1,
    "track_buffer": 30,
    "report": "filter",
}

PRESETS: dict[str, dict[str, Any]] = {
    "default": {},
    "sort": {
        **_PLAIN,
        "low_score": 0.0,
        "high_score": 0.0,
        "new_score": 0.0,
        "filter": "xysr",
        "fuse_score": False,
        "optimum": "rejecting",
        "iou_threshold": 0.3,
        "low_match": False,
        "tentative_separately": False,
        "min_hits": 3,
        "confirm_in_a_row": True,
        "max_age": 1,
        "report": "filter",
    },
    "deepsort": {
        **_PLAIN,
        "low_score": 0.0,
        "high_score": 0.0,
        "new_score": 0.0,
        "filter": "xyah",
        "appearance": "reid",
        "cascade": True,
        "max_cosine_distance": 0.2,
        "nn_budget": 100,
        "max_iou_distance": 0.7,
        "fuse_score": False,
        "overlap_lost": False,
        "low_match": False,
        "tentative_separately": False,
        "n_init": 3,
        "max_age": 30,
        "report": "filter",
        "report_coast_frames": 1,
    },
    "bytetrack": _BYTETRACK,
    "botsort": {**_BYTETRACK, "filter": "xywh", "appearance": "auto"},
    "ocsort": {
        **_PLAIN,
        "low_score": 0.0,
        "high_score": 0.6,
        "new_score": 0.6,
        "filter": "xysr",
        "fuse_score": False,
        "direction_weight": 0.2,
        "optimum": "rejecting",
        "iou_threshold": 0.3,
        "low_match": False,
        "tentative_separately": False,
        "recover": True,
        "recover_min_similarity": 0.3,
        "reupdate": True,
        "min_hits": 3,
        "confirm_in_a_row": True,
        "max_age": 30,
        "report": "detection",
    },
}


def _renamed(name: str) -> Callable[[Any, float], dict[str, Any]]:
    return lambda value, _rate: {name: value}


def _frames(name: str) -> Callable[[Any, float], dict[str, Any]]:
    return lambda value, rate: {name: value / rate}


def _distance(name: str) -> Callable[[Any, float], dict[str, Any]]:
    return lambda value, _rate: {name: 1 - value}


def _min_hits(value: int, _rate: float) -> dict[str, Any]:
    """SORT shows every track while no more frames than that have passed."""
    return {"confirm_hits": value, "confirm_first_frames": value}


def _camera_motion(value: str | bool | None, _rate: float) -> dict[str, Any]:
    return {"camera_motion": value not in (None, False, "none", "None")}


def _appearance_threshold(value: float, _rate: float) -> dict[str, Any]:
    """A similarity, of 1 - half the cosine distance."""
    return {"max_cosine_distance": 2 * (1 - value)}


ALIASES: dict[str, Callable[[Any, float], dict[str, Any]]] = {
    "max_age": _frames("max_coast_s"),
    "track_buffer": _frames("max_coast_s"),
    "lost_track_buffer": _frames("max_coast_s"),
    "report_coast_frames": _frames("report_coast_s"),
    "n_init": _renamed("confirm_hits"),
    "minimum_consecutive_frames": _renamed("confirm_hits"),
    "min_hits": _min_hits,
    "nn_budget": _renamed("gallery"),
    "max_iou_distance": _distance("high_min_similarity"),
    "iou_threshold": _renamed("high_min_similarity"),
    "minimum_iou_threshold": _renamed("high_min_similarity"),
    "match_thresh": _distance("high_min_similarity"),
    "track_high_thresh": _renamed("high_score"),
    "track_low_thresh": _renamed("low_score"),
    "new_track_thresh": _renamed("new_score"),
    "track_activation_threshold": _renamed("new_score"),
    "high_conf_det_threshold": _renamed("high_score"),
    "delta_t": _renamed("direction_span"),
    "inertia": _renamed("direction_weight"),
    "direction_consistency_weight": _renamed("direction_weight"),
    "use_byte": _renamed("low_match"),
    "min_confidence": _renamed("low_score"),
    "gmc_method": _camera_motion,
    "appearance_thresh": _appearance_threshold,
    "init_iou_suppress": _renamed("new_max_overlap"),
    "tai_thr": _renamed("new_max_overlap"),
    "min_track_len": _renamed("confirm_hits"),
}
"""What users of other trackers call our settings."""

UNUSED = {
    "proximity_thresh",
    "alpha_fixed_emb",
    "lost_match_thr",
    "iou_weight",
    "reid_weight",
    "conf_weight",
    "angle_weight",
    "penalty_p",
    "penalty_q",
    "reduce_step",
    "reset_velocity_offset_occ",
    "reset_pos_offset_occ",
    "enlarge_bbox_occ",
    "dampen_motion_occ",
    "active_occ_to_lost_thresh",
    "occ_cover_thresh",
    "occ_reappear_window",
}
"""Settings of other trackers for steps that ours does not have."""

NEAREST_PRESETS = {"deepocsort": "ocsort", "fasttrack": "bytetrack", "tracktrack": "botsort"}
"""Trackers of ultralytics that are none of ours, and which of ours is built like each."""

WORDS = {"use_byte": bool, "gmc_method": str | bool | None}
"""Aliases whose values are no numbers."""


def tracker_config(name: str, overrides: Mapping[str, Any]) -> TrackerConfig:
    """The settings of a preset, or of a YAML or TOML file, with `overrides` on top.

    Both understand our names and those of SORT, DeepSORT, ultralytics and roboflow trackers. A file may name the
    preset it starts from as `tracker` or, like ultralytics, `tracker_type`. Raises ConfigError.
    """
    path = typed_path(name)
    if path.suffix.lower() in (".yaml", ".yml", ".toml"):
        if not exists(path) and len(path.parts) == 1 and path.stem in PRESETS:
            log.warning("--tracker %s: there is no such file here; the preset %s is used", name, path.stem)
            return tracker_config(path.stem, overrides)
        settings = dict(read_settings(path))
        preset = _own_preset(settings, path)
        layers = [(f"preset {preset}", _preset(preset, str(path))), (str(path), _without_unused(settings, path))]
    else:
        layers = [(f"preset {name}", _preset(name, "--tracker"))]
    layers.append(("tracker settings", dict(overrides)))
    rate = next((settings["frame_rate"] for _, settings in reversed(layers) if settings.get("frame_rate")), FRAME_RATE)
    config = TrackerConfig()
    for where, settings in layers:
        translated = _translate(settings, float(rate), where)
        checked = build(TrackerConfig, translated, where)
        config = replace(config, **{key: getattr(checked, key) for key in translated})
    return config


def make_tracker(name: str, overrides: Mapping[str, Any]) -> TrackingEngine:
    """The tracker of `tracker_config(name, overrides)`, ready for its first frame."""
    return TrackingEngine(tracker_config(name, overrides))


def _preset(name: str, where: str) -> dict[str, Any]:
    if name not in PRESETS:
        raise ConfigError(f"{where}: no tracker {name!r}; {nearest(name, PRESETS)}, or give a YAML or TOML file")
    return PRESETS[name]


def _own_preset(settings: dict[str, Any], path: Path) -> str:
    """The preset that a file starts from, taken out of its settings."""
    preset = str(settings.pop("tracker", settings.pop("tracker_type", "default")))
    if preset not in NEAREST_PRESETS:
        return preset
    own = NEAREST_PRESETS[preset]
    log.warning("%s: the tracker %s is none of ours; %s is used with the settings of this file", path, preset, own)
    return own


def _without_unused(settings: Mapping[str, Any], path: Path) -> dict[str, Any]:
    """The settings that mean something here; the others are reported. Those on appearance become one."""
    known = {name: value for name, value in settings.items() if name not in (*UNUSED, "with_reid", "model")}
    unused = [name for name in settings if name in UNUSED]
    if "with_reid" in settings:
        network = str(settings.get("model", "auto"))
        if not settings["with_reid"]:
            known["appearance"] = "none"
        elif network == "auto":
            known["appearance"] = "native"
        else:
            known |= {"appearance": "reid", "reid_model": network}
    elif "model" in settings:
        unused.append("model")
    method = str(settings.get("gmc_method", OUR_MOTION)).casefold()
    if method not in ("none", "false", OUR_MOTION.casefold()):
        log.warning("%s: gmc_method %s: camera motion is found by sparse optical flow here", path, method)
    if unused:
        log.warning("%s: these settings have no use here: %s", path, ", ".join(unused))
    return known


def _translate(settings: Mapping[str, Any], rate: float, where: str) -> dict[str, Any]:
    known = {field.name for field in fields(TrackerConfig)}
    translated: dict[str, Any] = {}
    for key, value in settings.items():
        if key in known:
            translated[key] = value
            continue
        if key not in ALIASES:
            raise ConfigError(f"{where}: unknown setting {key!r}; {nearest(key, known | set(ALIASES))}")
        if key in WORDS and not isinstance(value, WORDS[key]):
            raise ConfigError(f"{where}: {key}: expected another kind of value, found {value!r}")
        if key not in WORDS and (isinstance(value, bool) or not isinstance(value, int | float)):
            raise ConfigError(f"{where}: {key}: expected a number, found {value!r}")
        translated |= ALIASES[key](value, rate)
    return translated

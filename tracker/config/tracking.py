"""The tracker's settings: one flat table from which every preset is a few lines."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

__all__ = ["TrackerConfig"]


@dataclass(frozen=True, slots=True)
class TrackerConfig:
    """How detections become tracks. The defaults are the `default` preset."""

    low_score: float = 0.1
    """Detections scoring less are ignored."""
    high_score: float = 0.6
    """Detections from this score on take part in the first association; weaker ones only continue seen tracks."""
    new_score: float = 0.7
    """Lowest score of a detection that may start a track."""
    new_max_overlap: float = 1.0
    """A detection overlapping a track that found another detection beyond this IoU starts no track; 1 allows all."""
    duplicate_overlap: float = 1.0
    """Of a seen and an unseen track overlapping beyond this IoU the younger is dropped (ByteTrack); 1 keeps both."""

    frame_rate: float = 0.0
    """Frames per second at which noise per frame is meant; 0 measures it from the time stamps."""
    filter: Literal["xyah", "xysr", "xywh"] = "xywh"
    """What the motion filter follows: centre with aspect and height, area and aspect, or width and height."""
    position_noise: float = 0.05
    """Standard deviation of the position, per frame, as a share of the box's size."""
    velocity_noise: float = 0.00625
    """Standard deviation of the velocity, per frame, as a share of the box's size."""
    wander_noise: float = 0.5
    """More noise of the velocity for tracks whose detections lie away from where they were expected: times the square
    of that distance, a running mean in shares of the box's size. Fast turns stay tracked, calm walkers stay smooth."""
    start_speed: float = 1.875
    """Standard deviation of a new track's speed, in box sizes a second; 0 takes ten times velocity_noise a frame."""
    measurement_noise: float = 0.7
    """Factor on the standard deviation of measured boxes."""
    score_adaptive_noise: bool = False
    """Trust confident detections more: measurement noise shrinks with 1 - score (NSA)."""
    reupdate: bool = False
    """When a lost track is found, rerun its filter along the straight path it must have taken (OC-SORT)."""
    freeze_lost_size: bool = False
    """A track that is not seen keeps its size instead of continuing to grow or shrink."""
    coast_slowdown_s: float = 0.0
    """A track that is not seen loses its speed with this time constant, in seconds; 0 keeps the speed."""
    camera_motion: bool = True
    """Whether estimated camera motion, when given, moves the tracks."""

    similarity: Literal["iou", "giou", "height_iou"] = "height_iou"
    """How the overlap of a predicted and a detected box is measured."""
    buffer: float = 0.0
    """Grow boxes by this share of their size on every side before comparing them."""
    buffer_per_s2: float = 5.0
    """Grow them by this much more times the squared seconds since the last frame, as unknown acceleration does."""
    fuse_score: bool = True
    """Multiply similarity in the first association by the detection's score."""
    direction_weight: float = 0.1
    """Weight of moving on in the same direction against overlap (OC-SORT's momentum)."""
    direction_span: int = 3
    """Frames over which the direction of a track is measured."""
    class_penalty: float = 0.0
    """Share of the similarity lost when classes differ; 1 forbids such matches."""
    optimum: Literal["gated", "rejecting"] = "gated"
    """Best sum above the gates, or SORT's best sum of all from which pairs below the gate are struck out."""
    high_min_similarity: float = 0.15
    """Lowest similarity for a match in the first association."""
    overlap_lost: bool = True
    """Whether tracks lost earlier than the last frame take part in the first association."""
    low_match: bool = True
    """Whether tracks seen in the last frame may be continued by low-score detections."""
    low_min_similarity: float = 0.5
    """Lowest similarity for a match with a low-score detection."""
    tentative_separately: bool = True
    """Match tentative tracks only with what the confirmed ones left over."""
    tentative_min_similarity: float = 0.15
    """Lowest similarity for a match of a tentative track, where they are matched separately."""
    recover: bool = False
    """Compare what is still unmatched with the boxes where tracks were last seen (OC-SORT)."""
    recover_min_similarity: float = 0.3
    """Lowest similarity for a recovery."""

    appearance: Literal["auto", "none", "native", "reid"] = "auto"
    """Appearance that tells objects apart: nothing, the detector's own features (native), a re-identification
    network, or (auto) the detector's own features where it has some."""
    reid_model: str = ""
    """Network for `reid`: a .safetensors or .onnx file that `train reid` made, a .pt state dict of torchreid's OSNet,
    or an .onnx of Open Model Zoo's person-reidentification; empty takes the one that comes with the program."""
    cascade: bool = False
    """Match by appearance first, tracks seen last before those lost for long (DeepSORT)."""
    max_cosine_distance: float = 0.5
    """Largest distance of two embeddings, 1 - cosine, that may be the same object."""
    gallery: int = 30
    """Embeddings remembered for a track."""
    mahalanobis_gate: float = 9.4877
    """Largest squared distance from where the filter expects the object for a match by appearance."""
    appearance_weight: float = 0.3
    """Weight of appearance against overlap in the first association, where no cascade is used."""

    confirm_hits: int = 3
    """Detections that confirm a track."""
    confirm_in_a_row: bool = False
    """A track is confirmed only while this many detections since the first, or since a gap, came in a row (SORT)."""
    confirm_first_frames: int = 1
    """In this many first frames every seen track counts as confirmed: nobody saw it enter (ByteTrack does so too)."""
    instant_score: float = 0.99
    """Detections from this score on start confirmed tracks; above 1 none does."""
    max_coast_s: float = 2.0
    """Seconds a confirmed track lives on unseen."""
    tentative_coast_s: float = 0.0
    """Seconds a tentative track lives on unseen."""

    report: Literal["filter", "detection"] = "filter"
    """Whether the box of a seen track is the filter's estimate or the detection itself."""
    report_coast_s: float = 0.3
    """Tracks unseen for at most this long are written and drawn too, where they are expected."""
    report_coast_residual: float = 0.05
    """Only where detections of late lay this near to where they were expected, as a share of the size; 1 allows all."""

    def for_threshold(self, conf: float) -> TrackerConfig:
        """These settings for a detector whose own threshold is `conf`: from there on a track goes on.

        To start one takes a quarter more of what is left to 1.
        """
        return replace(self, high_score=conf, new_score=conf + (1 - conf) / 4)

    def __post_init__(self) -> None:
        for name in ("low_score", "high_score", "new_max_overlap", "duplicate_overlap", "class_penalty"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} must be from 0 to 1, found {getattr(self, name)}")
        for name in ("position_noise", "velocity_noise", "measurement_noise"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be more than 0, found {getattr(self, name)}")
        for name in (
            "frame_rate",
            "wander_noise",
            "start_speed",
            "max_coast_s",
            "tentative_coast_s",
            "report_coast_s",
            "report_coast_residual",
            "buffer",
            "buffer_per_s2",
            "direction_weight",
            "coast_slowdown_s",
        ):
            if not getattr(self, name) >= 0:
                raise ValueError(f"{name} must be 0 or more, found {getattr(self, name)}")
        for name in ("confirm_hits", "direction_span", "gallery"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be 1 or more, found {getattr(self, name)}")

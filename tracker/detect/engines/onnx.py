"""Our network, or YOLOX's, on ONNX Runtime. Never imports torch, so the program starts fast and stays small."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int32, UInt8
from numpy import ndarray

from tracker.config import DetectorConfig
from tracker.config.coco_classes import COCO_LABELS
from tracker.detect.classes import choose_classes
from tracker.detect.decode import AnchorLayout, Candidates, decode_anchors, decode_yolox, suppress
from tracker.detect.yolo_detector import CanvasDetector, Finds, no_features
from tracker.errors import CheckpointError, ConfigError
from tracker.geometry import Letterbox
from tracker.nets.kinds import wrong_kind
from tracker.nets.model_card import FORMATS, ModelCard
from tracker.nets.onnx_session import open_session
from tracker.types import Image

__all__ = ["OnnxDetector", "is_ultralytics_export"]

AUTO = "use --model auto"


@dataclass(frozen=True, slots=True)
class _Model:
    """What a model file says of itself."""

    labels: tuple[str, ...]
    imgsz: int
    conf: float
    iou: float
    layout: AnchorLayout | None
    """None for YOLOX's own output."""
    fixed: tuple[int, int] | None
    """Height and width of an input that takes one size only."""
    input_scale: float = 1.0
    voting: float = 0.0


class OnnxDetector(CanvasDetector):
    """Detects with an ONNX file of ours (any input size in multiples of 32) or of YOLOX.

    `threads` are those of one call; several calls may run at once. `floor` and `embed` as `RawDetector` has them.
    Raises CheckpointError for a file that is no such model, ConfigError for a class, size or device that does not fit,
    and with `embed` for one without feature map.
    """

    def __init__(
        self, path: Path, config: DetectorConfig, *, threads: int = 1, floor: float | None = None, embed: bool = False
    ) -> None:
        import onnxruntime

        self._session = open_session(path, config.device, threads, instead=AUTO)
        model = _describe(path, self._session)
        self.labels = model.labels
        self.engine = f"ONNX Runtime {onnxruntime.__version__}, {self._session.get_providers()[0]}"
        self._model = model
        self._masks = config.masks and model.layout is not None and model.layout.coefficients > 0
        self._classes: Int32[ndarray, " k"] | None = choose_classes(config.classes, self.labels)
        self.conf = model.conf if config.conf is None else config.conf
        self._floor = self.conf if floor is None else min(self.conf, floor)
        self._further = self.conf if floor is None else 1.0
        self._iou = model.iou if config.iou is None else config.iou
        self._max_det = config.max_det
        size = config.imgsz or model.imgsz
        self.imgsz = size if model.fixed is None else 0
        if model.fixed is not None and size != max(model.fixed):
            raise ConfigError(f"{path}: takes images of {max(model.fixed)} only; use --imgsz {max(model.fixed)}")
        self.input_scale = model.input_scale
        self._input = self._session.get_inputs()[0].name
        outputs = [output.name for output in self._session.get_outputs()]
        if embed and "features" not in outputs:
            raise no_features(str(path))
        unwanted = {"prototypes": not self._masks, "features": not embed}
        self._outputs = [name for name in outputs if not unwanted.get(name, False)]

    def letterbox(self, image: Image, size: int) -> Letterbox:
        """How an image comes onto its canvas; a file of one size only pads to that."""
        if self._model.fixed is None:
            return super().letterbox(image, size)
        height, width = self._model.fixed
        return Letterbox.inside(image.shape[1], image.shape[0], width=width, height=height)

    def run_network(self, canvases: UInt8[ndarray, "b h w 3"]) -> dict[str, Any]:
        """The network's raw outputs, by name, for letterboxed canvases of one size."""
        if self._model.layout is None:
            # YOLOX was trained on BGR, 0 to 255, one image a call.
            planes = [np.ascontiguousarray(canvas[..., ::-1].transpose(2, 0, 1), np.float32) for canvas in canvases]
            rows = [self._session.run(self._outputs, {self._input: plane[None]})[0] for plane in planes]
            return {"output": np.concatenate(rows)}
        return dict(zip(self._outputs, self._session.run(self._outputs, {self._input: canvases}), strict=True))

    def find(self, canvases: UInt8[ndarray, "b h w 3"]) -> Finds:
        """The objects of letterboxed canvases of one size."""
        outputs = self.run_network(canvases)
        _, height, width, _ = canvases.shape
        decoded = [
            self._decode({name: output[place] for name, output in outputs.items()}, width=width, height=height)
            for place in range(len(canvases))
        ]
        options: dict[str, Any] = {"max_det": self._max_det, "further": self._further, "voting": self._model.voting}
        candidates = [suppress(each, iou=self._iou, **options) for each in decoded]
        return Finds(candidates, outputs.get("prototypes"), outputs.get("features"))

    def _decode(self, outputs: dict[str, ndarray], *, width: int, height: int) -> Candidates:
        """The candidates of one canvas."""
        layout = self._model.layout
        options: dict[str, Any] = {"conf": self._floor, "classes": self._classes, "further": self._further}
        if layout is None:
            return decode_yolox(outputs["output"], width=width, height=height, **options)
        maps = [outputs[f"p{level}"] for level in range(3, 3 + len(layout.strides))]
        return decode_anchors(maps, layout, **options)


def is_ultralytics_export(path: Path) -> bool:
    """Whether an ONNX file was exported by ultralytics, whose own adapter then reads it."""
    metadata = _metadata(open_session(path, "cpu", 1, instead=AUTO))
    return "names" in metadata and "stride" in metadata


def _metadata(session: Any) -> dict[str, str]:
    return dict(session.get_modelmeta().custom_metadata_map)


def _describe(path: Path, session: Any) -> _Model:
    metadata = _metadata(session)
    shape = session.get_inputs()[0].shape
    if metadata.get("format") in FORMATS:
        return _describe_own(path, metadata)
    outputs = session.get_outputs()
    yolox = len(outputs) == 1 and len(outputs[0].shape) == 3 and outputs[0].shape[2] == 5 + len(COCO_LABELS)
    if yolox and all(isinstance(side, int) for side in shape[2:]):
        fixed = (shape[2], shape[3])
        return _Model(COCO_LABELS, imgsz=max(fixed), conf=0.3, iou=0.45, layout=None, fixed=fixed)
    if "format" in metadata:
        raise wrong_kind(path, "detector", metadata["format"])
    raise CheckpointError(
        f"{path}: not a Sightline network (expected format {' or '.join(FORMATS)}, found outputs "
        f"{[output.shape for output in outputs]}). Export it with the command export, or pass the ultralytics .pt file."
    )


def _describe_own(path: Path, metadata: dict[str, str]) -> _Model:
    card = ModelCard.from_metadata(metadata, path)
    layout = AnchorLayout(
        strides=card.strides, anchors=card.anchors, classes=len(card.labels), coefficients=card.coefficients
    )
    return _Model(
        card.labels,
        imgsz=card.input_size,
        conf=card.confidence,
        iou=card.iou,
        layout=layout,
        fixed=None,
        input_scale=card.input_scale,
        voting=card.voting,
    )

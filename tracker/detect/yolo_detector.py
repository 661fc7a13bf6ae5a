"""One detector over engines: letterbox, run, decode, suppress, cut out masks."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import numpy as np
from jaxtyping import Float32, UInt8
from numpy import ndarray

from tracker.config import DetectorConfig
from tracker.detect.classes import choose_classes
from tracker.detect.decode import AnchorLayout, Candidates, decode_anchors, suppress, to_detections
from tracker.errors import FeaturesError, SourceError
from tracker.geometry import Letterbox
from tracker.types import Detections, Image

if TYPE_CHECKING:
    from tracker.nets.model_card import ModelCard

__all__ = ["CanvasDetector", "Finds", "RawArrays", "RawDetector", "RunRaw", "check_images", "no_features"]


class RawArrays(NamedTuple):
    """What the network gives for several canvases; see tracker/nets/yolo.py."""

    levels: tuple[Float32[ndarray, "b k c h w"], ...]
    prototypes: Float32[ndarray, "b m i j"]
    features: Float32[ndarray, "b d i j"] | None
    """None where the file was made before networks gave them."""

    @classmethod
    def of(cls, outputs: Sequence[ndarray], levels: int) -> RawArrays:
        """From the outputs of an exported network in their order."""
        return cls(tuple(outputs[:levels]), outputs[levels], outputs[levels + 1] if len(outputs) > levels + 1 else None)


class Finds(NamedTuple):
    """The objects of several canvases, and what their masks and embeddings are read from."""

    candidates: list[Candidates]
    prototypes: Float32[ndarray, "b m i j"] | None
    """None where masks are not wanted."""
    features: Float32[ndarray, "b d i j"] | None
    """None where embeddings are not wanted."""


RunRaw: TypeAlias = Callable[[UInt8[ndarray, "b h w 3"]], RawArrays]
"""Letterboxed canvases of one size in, float32 maps out."""


def no_features(model: str) -> FeaturesError:
    """What to say of a network that cannot tell how its objects look."""
    return FeaturesError(
        f"--appearance native: {model} gives no feature map; a network of ours does, once exported by "
        "the command export. Use --model auto, or --appearance reid with --reid-model FILE, or --appearance none"
    )


def check_images(images: Any) -> None:
    """Raise SourceError where these are no list of RGB images."""
    if isinstance(images, ndarray) and images.ndim < 4:
        raise SourceError(f"detect: expected a list of images, found one array {images.shape}; give [image]")
    for place, image in enumerate(images):
        if not isinstance(image, ndarray) or image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
            what = f"{image.dtype} {image.shape}" if isinstance(image, ndarray) else type(image).__name__
            raise SourceError(f"detect: image {place}: expected RGB bytes, uint8 (height, width, 3), found {what}")


class CanvasDetector(ABC):
    """The one way from images to Detections: letterbox, find on canvases of one size together, back to each image.

    An engine says what is found on a batch of canvases.
    """

    labels: tuple[str, ...]
    engine: str
    conf: float
    imgsz: int
    """Longer side of the canvas in pixels, where the network takes more than one size."""
    input_scale: float = 1.0
    """By which the network itself scales a canvas."""

    @abstractmethod
    def find(self, canvases: UInt8[ndarray, "b h w 3"]) -> Finds:
        """The objects of letterboxed canvases of one size, in pixels of the canvas as the network scaled it."""

    def letterbox(self, image: Image, size: int) -> Letterbox:
        """How an image comes onto its canvas."""
        return Letterbox.fit(image.shape[1], image.shape[0], size)

    def detect(self, images: Sequence[Image], *, imgsz: int | None = None) -> list[Detections]:
        """Boxes and masks of each image in its own pixels, best score first.

        Images that letterbox to one size go through the network together. `imgsz` stands in for that of the settings.
        Raises SourceError for what is no RGB image.
        """
        check_images(images)
        letterboxes = [self.letterbox(image, imgsz or self.imgsz) for image in images]
        found = [Detections.empty()] * len(images)
        for shape in dict.fromkeys((letterbox.height, letterbox.width) for letterbox in letterboxes):
            rows = [row for row, box in enumerate(letterboxes) if (box.height, box.width) == shape]
            canvases = [letterboxes[row].apply(images[row]) for row in rows]
            finds = self.find(canvases[0][None] if len(rows) == 1 else np.stack(canvases))
            for place, row in enumerate(rows):
                height, width = images[row].shape[:2]
                found[row] = to_detections(
                    finds.candidates[place],
                    letterboxes[row],
                    input_scale=self.input_scale,
                    image_width=width,
                    image_height=height,
                    prototypes=None if finds.prototypes is None else finds.prototypes[place],
                    features=None if finds.features is None else finds.features[place],
                )
        return found


class RawDetector(CanvasDetector):
    """Detects with whatever gives our network's raw maps.

    `floor` is a tracker's wish: detections below the threshold too, down to there, and one class for each object;
    without it an object may come under further, weaker classes. With `embed` all carry what they look like.
    Raises ConfigError for a class that does not fit, and with `embed` for a network without feature map.
    """

    def __init__(
        self,
        card: ModelCard,
        run: RunRaw,
        config: DetectorConfig,
        *,
        engine: str,
        floor: float | None = None,
        embed: bool = False,
    ) -> None:
        self.labels = card.labels
        self.engine = engine
        self.conf = card.confidence if config.conf is None else config.conf
        self._run = run
        self._floor = self.conf if floor is None else min(self.conf, floor)
        self._further = self.conf if floor is None else 1.0
        self._iou = card.iou if config.iou is None else config.iou
        self._voting = card.voting
        self._max_det = config.max_det
        self.imgsz = config.imgsz or card.input_size
        self.input_scale = card.input_scale
        self._classes = choose_classes(config.classes, card.labels)
        self._masks = config.masks and card.coefficients > 0
        self._layout = AnchorLayout(card.strides, card.anchors, len(card.labels), card.coefficients)
        self._embed = embed
        if embed and run(np.zeros((1, 64, 64, 3), np.uint8)).features is None:
            raise no_features(engine)

    def find(self, canvases: UInt8[ndarray, "b h w 3"]) -> Finds:
        """The objects of letterboxed canvases of one size."""
        raw = self._run(canvases)
        candidates = []
        for place in range(len(canvases)):
            maps = [level[place] for level in raw.levels]
            decoded = decode_anchors(maps, self._layout, conf=self._floor, classes=self._classes, further=self._further)
            options: dict[str, Any] = {"max_det": self._max_det, "further": self._further, "voting": self._voting}
            candidates.append(suppress(decoded, iou=self._iou, **options))
        prototypes, features = raw.prototypes if self._masks else None, raw.features if self._embed else None
        return Finds(candidates, prototypes, features)

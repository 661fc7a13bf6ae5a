"""What is explained, as one number that a network's answer holds: a detection, a class, or a segment.

An objective has the canvas that the network sees, the number to follow back (`measure`), and the way from the canvas to
the image. The methods of the neighbouring files know no more of a network than that.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal, Protocol, Self, TypeAlias, get_args

import cv2
import numpy as np
import torch
from jaxtyping import Bool, Float32
from numpy import ndarray
from torch import Tensor, nn

from tracker.errors import ConfigError
from tracker.geometry import Letterbox, iou
from tracker.nets.anchors import decode, flatten, lay_grid
from tracker.nets.model_card import ModelCard
from tracker.nets.yolo import RawMaps, YoloNet
from tracker.types import Image

__all__ = [
    "QUANTITIES",
    "ClassObjective",
    "DetectionObjective",
    "Objective",
    "Quantity",
    "SegmentObjective",
    "quantities_of",
]

Quantity: TypeAlias = Literal["score", "class", "objectness", "box"]
QUANTITIES: tuple[Quantity, ...] = get_args(Quantity)

SAME_OBJECT_IOU = 0.6
"""Answers that overlap the box this much are of the same object."""
SHIFTS = ((0, 0), (3, 3), (-3, 3), (3, -3), (-3, -3))
"""Pixels that the image of a detection is moved by; less than half the finest stride."""
MARGIN = 0.5
"""How far beyond the box occlusion goes, as a fraction of the box's longer side."""


class Objective(Protocol):
    """One number of a network's answer, and the canvas it is the answer to."""

    @property
    def network(self) -> nn.Module: ...

    @property
    def canvas(self) -> Float32[Tensor, "1 c h w"]:
        """In 0..1."""
        ...

    @property
    def readers(self) -> tuple[nn.Module, ...]:
        """The modules that answer, whose inputs are the maps an activation map is made of by itself."""
        ...

    @property
    def shifts(self) -> tuple[tuple[int, int], ...]:
        """Pixels right and down by which the canvas is moved, to average over."""
        ...

    def moved(self, dx: int, dy: int) -> Self:
        """The same asked of the canvas moved by so many pixels, which wrap around."""
        ...

    def measure(self, answer: Any) -> Float32[Tensor, " b"]:
        """The number for each canvas of a batch."""
        ...

    @property
    def around(self) -> tuple[int, int, int, int]:
        """Where evidence is looked for by hiding parts: x1, y1, x2, y2 of the canvas."""
        ...

    @property
    def size(self) -> float:
        """Pixels of the canvas along the longer side of what is explained."""
        ...

    def over_image(self, heat: Float32[ndarray, "i j"]) -> Float32[ndarray, "h w"]:
        """A map of the canvas brought to the image."""
        ...


@dataclass(frozen=True)
class DetectionObjective:
    """A detection: the sum over all answers that suppression would have merged into it, each weighted by its score.

    Logits are followed, since the sigmoid of a sure answer has no slope left. Raises ConfigError for a quantity that
    does not exist, and for the objectness of a network whose objectness is a constant.
    """

    network: YoloNet
    canvas: Tensor
    card: ModelCard
    letterbox: Letterbox
    image_size: tuple[int, int]
    """Width and height of the image."""
    wanted: Float32[ndarray, " 4"]
    """The box, in pixels of the canvas."""
    quantity: Quantity
    rows: Tensor
    """(k,) answers of the same object, in the order of `flatten`."""
    weights: Tensor
    """(k,) their scores."""
    box: Float32[ndarray, " 4"]
    """The best of them, in pixels of the image."""
    score: float
    class_id: int

    @classmethod
    def of(
        cls,
        network: YoloNet,
        card: ModelCard,
        image: Image,
        box: Float32[ndarray, " 4"],
        *,
        quantity: Quantity = "score",
    ) -> DetectionObjective:
        """What the network sees at `box`, in pixels of the image."""
        if quantity not in QUANTITIES:
            raise ConfigError(f"explain: no quantity {quantity!r}; there are {', '.join(QUANTITIES)}")
        if quantity not in quantities_of(network):
            raise ConfigError(
                f"explain: no {quantity} to follow back: it is a constant in this network, whose classes say "
                f"everything; there are {', '.join(quantities_of(network))}"
            )
        height, width = image.shape[:2]
        letterbox = Letterbox.fit(width, height, card.scaled_size)
        canvas = torch.from_numpy(letterbox.apply(image)).permute(2, 0, 1)[None].float() / 255  # (1, 3, h, w)
        wanted = letterbox.to_canvas(np.asarray(box, np.float32)[None])[0]
        return cls._choose(network.eval(), canvas, card, letterbox, (width, height), wanted, quantity)

    @classmethod
    def _choose(
        cls,
        network: YoloNet,
        canvas: Tensor,
        card: ModelCard,
        letterbox: Letterbox,
        image_size: tuple[int, int],
        wanted: Float32[ndarray, " 4"],
        quantity: Quantity,
    ) -> DetectionObjective:
        with torch.no_grad():
            flat, boxes = _decoded(network(canvas), card)
        overlap = torch.from_numpy(iou(boxes[0].numpy(), np.asarray(wanted, np.float32)[None])[:, 0])
        probabilities = flat[0, :, 5 : 5 + len(card.labels)].sigmoid()
        scores = flat[0, :, 4].sigmoid() * probabilities.amax(dim=1)
        likely = overlap * scores.sqrt()
        rows = (overlap > SAME_OBJECT_IOU).nonzero()[:, 0]
        if len(rows):
            best = int(rows[likely[rows].argmax()])  # a surer object beside it is another
        else:
            best = int(likely.argmax())
            rows = torch.tensor([best])
        return cls(
            network=network,
            canvas=canvas,
            card=card,
            letterbox=letterbox,
            image_size=image_size,
            wanted=wanted,
            quantity=quantity,
            rows=rows,
            weights=scores[rows],
            box=letterbox.to_image(boxes[0, best].numpy()[None])[0],
            score=float(scores[best]),
            class_id=int(probabilities[best].argmax()),
        )

    @property
    def readers(self) -> tuple[nn.Module, ...]:
        return tuple(self.network.heads)

    @property
    def shifts(self) -> tuple[tuple[int, int], ...]:
        return SHIFTS

    def moved(self, dx: int, dy: int) -> DetectionObjective:
        """The answers are chosen anew: a network with strides answers differently at each offset."""
        if (dx, dy) == (0, 0):
            return self
        canvas = torch.roll(self.canvas, (dy, dx), dims=(2, 3))
        wanted = self.wanted + np.array([dx, dy, dx, dy], np.float32)
        return self._choose(self.network, canvas, self.card, self.letterbox, self.image_size, wanted, self.quantity)

    def measure(self, answer: RawMaps) -> Tensor:
        flat, boxes = _decoded(answer, self.card)
        rows = flat[:, self.rows]  # (b, k, c)
        if self.quantity == "box":
            x1, y1, x2, y2 = boxes[:, self.rows].unbind(dim=2)
            values = (x2 - x1) + (y2 - y1)
        elif self.quantity == "objectness":
            values = rows[:, :, 4]
        else:
            values = rows[:, :, 5 + self.class_id]
            if self.quantity == "score":
                values = values + rows[:, :, 4]
        return (values * self.weights).sum(dim=1)

    @property
    def around(self) -> tuple[int, int, int, int]:
        height, width = self.canvas.shape[2:]
        x1, y1, x2, y2 = self.wanted.tolist()
        margin = MARGIN * self.size
        left, top = max(0, int(x1 - margin)), max(0, int(y1 - margin))
        return left, top, min(width, int(x2 + margin)), min(height, int(y2 + margin))

    @property
    def size(self) -> float:
        x1, y1, x2, y2 = self.wanted.tolist()
        return float(max(x2 - x1, y2 - y1))

    def over_image(self, heat: Float32[ndarray, "i j"]) -> Float32[ndarray, "h w"]:
        letterbox = self.letterbox
        canvas = cv2.resize(heat, (letterbox.width, letterbox.height), interpolation=cv2.INTER_LINEAR)
        top, left = letterbox.top, letterbox.left
        inner = canvas[top : top + letterbox.inner_height, left : left + letterbox.inner_width]
        return np.asarray(cv2.resize(inner, self.image_size, interpolation=cv2.INTER_LINEAR), np.float32)


def quantities_of(network: YoloNet) -> tuple[Quantity, ...]:
    """What can be followed back: of a network with distance heads everything but objectness, a constant there."""
    constant = network.config.head != "offsets"
    return tuple(each for each in QUANTITIES if not (constant and each == "objectness"))


def _decoded(answer: RawMaps, card: ModelCard) -> tuple[Tensor, Tensor]:
    """Raw answers (b, a, 5 + c + m) and decoded boxes (b, a, 4) in pixels of the canvas."""
    flat = flatten(answer.levels)
    grid = lay_grid([(level.shape[3], level.shape[4]) for level in answer.levels], card.anchors, card.strides)
    return flat, decode(flat[..., :4], grid)


@dataclass(frozen=True)
class _WholeImageObjective:
    """What is asked of a canvas as a whole: evidence may lie anywhere on it, and nothing is shifted."""

    network: nn.Module
    canvas: Tensor

    @property
    def shifts(self) -> tuple[tuple[int, int], ...]:
        return ((0, 0),)

    @property
    def around(self) -> tuple[int, int, int, int]:
        height, width = self.canvas.shape[2:]
        return 0, 0, width, height


@dataclass(frozen=True)
class ClassObjective(_WholeImageObjective):
    """A class of a whole image: its logit."""

    network: nn.Module
    canvas: Tensor
    """(1, c, size, size): the image's shorter side to size, the centre cut out, as classifiers are trained."""
    class_id: int
    image_size: tuple[int, int]
    """Width and height of the image."""

    @classmethod
    def of(cls, network: nn.Module, image: Image, class_id: int, *, size: int, channels: int) -> ClassObjective:
        """The class for an image, by a network that takes squares of `size` pixels with 1 or 3 channels."""
        height, width = image.shape[:2]
        scale = size / min(height, width)
        scaled_size = max(size, round(width * scale)), max(size, round(height * scale))
        scaled = cv2.resize(image, scaled_size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
        top, left = (scaled.shape[0] - size) // 2, (scaled.shape[1] - size) // 2
        square = scaled[top : top + size, left : left + size]
        if channels == 1:
            square = cv2.cvtColor(square, cv2.COLOR_RGB2GRAY)[..., None]
        canvas = torch.from_numpy(np.ascontiguousarray(square)).permute(2, 0, 1)[None].float() / 255
        return cls(network.eval(), canvas, class_id, (width, height))

    @property
    def readers(self) -> tuple[nn.Module, ...]:
        head = getattr(self.network, "head", None)
        return (head,) if isinstance(head, nn.Module) else ()

    def moved(self, dx: int, dy: int) -> ClassObjective:
        return replace(self, canvas=torch.roll(self.canvas, (dy, dx), dims=(2, 3)))

    def measure(self, answer: Tensor) -> Tensor:
        return answer[:, self.class_id]

    @property
    def size(self) -> float:
        return float(max(self.canvas.shape[2:]))

    @property
    def box(self) -> Float32[ndarray, " 4"]:
        """The part of the image that the network sees."""
        width, height = self.image_size
        side = min(width, height)
        left, top = (width - side) / 2, (height - side) / 2
        return np.array([left, top, left + side, top + side], np.float32)

    def over_image(self, heat: Float32[ndarray, "i j"]) -> Float32[ndarray, "h w"]:
        width, height = self.image_size
        side = min(width, height)
        top, left = (height - side) // 2, (width - side) // 2
        whole = np.zeros((height, width), np.float32)
        whole[top : top + side, left : left + side] = cv2.resize(heat, (side, side), interpolation=cv2.INTER_LINEAR)
        return whole


@dataclass(frozen=True)
class SegmentObjective(_WholeImageObjective):
    """A segment: the mean logit of a label over the pixels that have it.

    Source: Vinogradova, Dibrov and Myers, "Towards interpretable semantic segmentation via gradient-weighted class
    activation mapping", AAAI 2020, eq. 3; the mean where they take the sum, so that segments compare.
    """

    network: nn.Module
    canvas: Tensor
    class_id: int
    pixels: Bool[Tensor, "h w"]
    """The pixels of the canvas that have the label."""
    image_size: tuple[int, int]
    """Width and height of the image."""

    @classmethod
    def of(cls, network: nn.Module, image: Image, class_id: int, *, size: tuple[int, int]) -> SegmentObjective:
        """The pixels that the network gives that label, by a network that takes images of `size` (height, width).

        Raises ConfigError where no pixel has it.
        """
        height, width = size
        smaller = height * width < image.shape[0] * image.shape[1]
        scaled = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA if smaller else cv2.INTER_LINEAR)
        canvas = torch.from_numpy(np.array(scaled)).permute(2, 0, 1)[None].float() / 255
        with torch.no_grad():
            pixels = network.eval()(canvas)[0].argmax(dim=0) == class_id
        if not bool(pixels.any()):
            raise ConfigError(f"explain: no pixel of the image has label {class_id}; choose one that it shows")
        return cls(network, canvas, class_id, pixels, (image.shape[1], image.shape[0]))

    @property
    def readers(self) -> tuple[nn.Module, ...]:
        inner = getattr(self.network, "network", self.network)
        for name in ("classify", "score"):
            found = getattr(inner, name, None)
            if isinstance(found, nn.ModuleList):
                return tuple(found)
            if isinstance(found, nn.Module):
                return (found,)
        return ()

    def moved(self, dx: int, dy: int) -> SegmentObjective:
        canvas, pixels = torch.roll(self.canvas, (dy, dx), dims=(2, 3)), torch.roll(self.pixels, (dy, dx), dims=(0, 1))
        return replace(self, canvas=canvas, pixels=pixels)

    def measure(self, answer: Tensor) -> Tensor:
        return answer[:, self.class_id][:, self.pixels].mean(dim=1)

    @property
    def size(self) -> float:
        return float(max(self.canvas.shape[2:])) / 2

    @property
    def box(self) -> Float32[ndarray, " 4"]:
        """Around the segment, in pixels of the image."""
        rows, columns = self.pixels.any(dim=1).nonzero()[:, 0], self.pixels.any(dim=0).nonzero()[:, 0]
        height, width = self.pixels.shape
        scale_x, scale_y = self.image_size[0] / width, self.image_size[1] / height
        x1, y1, x2, y2 = int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1
        return np.array([x1 * scale_x, y1 * scale_y, x2 * scale_x, y2 * scale_y], np.float32)

    def over_image(self, heat: Float32[ndarray, "i j"]) -> Float32[ndarray, "h w"]:
        return np.asarray(cv2.resize(heat, self.image_size, interpolation=cv2.INTER_LINEAR), np.float32)

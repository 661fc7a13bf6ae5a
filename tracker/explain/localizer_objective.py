"""What is explained of a localizer: the class it names, or the size of the box it gives."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, TypeAlias, get_args

import cv2
import numpy as np
import torch
from jaxtyping import Float32
from numpy import ndarray
from torch import Tensor, nn

from tracker.errors import ConfigError
from tracker.nets.localizer import LocalizerNet
from tracker.types import Image

__all__ = ["LOCALIZED", "Localized", "LocalizerObjective"]

Localized: TypeAlias = Literal["class", "box"]
LOCALIZED: tuple[Localized, ...] = get_args(Localized)


@dataclass(frozen=True)
class LocalizerObjective:
    """The logit of a class, or width and height of the box, of an image that is stretched to the network's square."""

    network: LocalizerNet
    canvas: Tensor
    """(1, 3, size, size) in 0..1."""
    class_id: int
    quantity: Localized
    image_size: tuple[int, int]
    """Width and height of the image."""
    box: Float32[ndarray, " 4"]
    """What the network answers, in pixels of the image."""
    scores: Float32[ndarray, " k"]
    """The probability of each class."""

    @classmethod
    def of(
        cls, network: LocalizerNet, image: Image, *, size: int, quantity: str = "class", class_id: int | None = None
    ) -> LocalizerObjective:
        """What the network says of the image: of the likeliest class unless another is named.

        Raises ConfigError for a quantity that a localizer has not.
        """
        if quantity not in LOCALIZED:
            raise ConfigError(f"explain: a localizer has no {quantity!r}; there are {', '.join(LOCALIZED)}")
        height, width = image.shape[:2]
        smaller = size * size < height * width
        scaled = cv2.resize(image, (size, size), interpolation=cv2.INTER_AREA if smaller else cv2.INTER_LINEAR)
        canvas = torch.from_numpy(np.array(scaled)).permute(2, 0, 1)[None].float() / 255
        with torch.no_grad():
            logits, boxes = network.eval()(canvas)
        scores = logits[0].softmax(dim=0).numpy()
        box = np.clip(boxes[0].numpy(), 0, 1) * np.array([width, height] * 2, np.float32)
        wanted = int(scores.argmax()) if class_id is None else class_id
        quantities: dict[str, Localized] = {each: each for each in LOCALIZED}
        box = np.asarray(box, np.float32)
        return cls(network, canvas, wanted, quantities[quantity], (width, height), box, scores)

    @property
    def readers(self) -> tuple[nn.Module, ...]:
        return (self.network.shared,)

    @property
    def shifts(self) -> tuple[tuple[int, int], ...]:
        return ((0, 0),)

    def moved(self, dx: int, dy: int) -> LocalizerObjective:
        return replace(self, canvas=torch.roll(self.canvas, (dy, dx), dims=(2, 3)))

    def measure(self, answer: tuple[Tensor, Tensor]) -> Tensor:
        logits, boxes = answer
        if self.quantity == "class":
            return logits[:, self.class_id]
        x1, y1, x2, y2 = boxes.unbind(dim=1)
        return (x2 - x1) + (y2 - y1)

    @property
    def around(self) -> tuple[int, int, int, int]:
        height, width = self.canvas.shape[2:]
        return 0, 0, width, height

    @property
    def size(self) -> float:
        return float(max(self.canvas.shape[2:])) / 2

    def over_image(self, heat: Float32[ndarray, "i j"]) -> Float32[ndarray, "h w"]:
        return np.asarray(cv2.resize(heat, self.image_size, interpolation=cv2.INTER_LINEAR), np.float32)

"""What the channels of a backbone answer to: its feature maps as pictures."""

from __future__ import annotations

import math

import cv2
import numpy as np
import torch
from jaxtyping import Float32, UInt8
from numpy import ndarray

from tracker.geometry import Letterbox
from tracker.nets.yolo import YoloNet
from tracker.types import Image

__all__ = ["draw_maps", "feature_maps", "tint_heat"]


@torch.inference_mode()
def feature_maps(network: YoloNet, image: Image, *, size: int) -> dict[int, Float32[ndarray, "c h w"]]:
    """The backbone's maps of the picture, longest side `size`, by stride."""
    canvas = Letterbox.fit(image.shape[1], image.shape[0], size).apply(image)
    pixels = torch.from_numpy(canvas).permute(2, 0, 1)[None].float() / 255
    maps = network.eval().backbone(network.normalize(pixels))
    return {stride: level[0].numpy() for stride, level in zip(network.backbone.strides, maps, strict=True)}


def draw_maps(maps: Float32[ndarray, "c h w"], *, count: int = 16, side: int = 160) -> UInt8[ndarray, "h w 3"]:
    """The `count` channels that differ most over the picture, dark to bright, strongest first."""
    strongest = np.argsort(-maps.std(axis=(1, 2)), kind="stable")[:count]
    columns = math.ceil(math.sqrt(len(strongest)))
    height, width = maps.shape[1:]
    wide, tall = (side, max(1, side * height // width)) if width >= height else (max(1, side * width // height), side)
    rows = math.ceil(len(strongest) / columns)
    sheet = np.zeros((rows * (tall + 2), columns * (wide + 2), 3), np.uint8)
    for place, channel in enumerate(strongest):
        row, column = divmod(place, columns)
        low, high = float(maps[channel].min()), float(maps[channel].max())
        levels = (255 * (maps[channel] - low) / max(high - low, 1e-9)).astype(np.uint8)
        picture = cv2.resize(cv2.applyColorMap(levels, cv2.COLORMAP_VIRIDIS), (wide, tall))
        top, left = row * (tall + 2), column * (wide + 2)
        sheet[top : top + tall, left : left + wide] = picture[..., ::-1]
    return sheet


def tint_heat(image: Image, heat: Float32[ndarray, "h w"]) -> Image:
    """The picture with a heat map of 0 to 1 over it."""
    colours = cv2.applyColorMap((255 * heat).astype(np.uint8), cv2.COLORMAP_INFERNO)[..., ::-1]
    mixed = cv2.addWeighted(image, 0.5, np.ascontiguousarray(colours), 0.5, 0)
    return np.asarray(mixed, np.uint8)

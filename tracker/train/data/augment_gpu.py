"""The whole data set on the training device, and augmentation there: a batch costs a handful of kernels, no copying.

Images are kept as bytes, longest side `size`, each with two halvings, so that shrinking reads averages. Mosaic, zoom,
shift, flip and colour are drawn from the same ranges as in augment.py; copy-paste and mixup are left out. What chance
decides depends on (seed, epoch, step) alone and is drawn on the CPU, so every device and every number of processes
sees the same images.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import cv2
import numpy as np
import torch
from jaxtyping import Bool, Float32, Int64, UInt8
from torch import Tensor

from tracker.train.data.augment import (
    BIAS,
    COLOURLESS,
    ENLARGED,
    FILL,
    GAIN,
    LEAST_SIDE,
    LEAST_VISIBLE,
    MOSAIC_ENLARGED,
    MOSAIC_LOW,
    MOSAIC_SHRUNK,
    MOSAIC_SPAN,
    AugmentConfig,
    TrainingSample,
)
from tracker.train.data.batches import Batch
from tracker.train.seeds import seed_of
from tracker.train.truth_batch import TruthTensors

__all__ = ["DeviceData"]

LEVELS = 3
"""The image itself and two halvings."""
TILES = 4


class Tiles(NamedTuple):
    """Where four images go on each canvas; all but the first are empty where there is no mosaic. All are (b, 4)."""

    sources: Int64[Tensor, "b 4"]
    scales: Float32[Tensor, "b 4"]
    lefts: Float32[Tensor, "b 4"]
    tops: Float32[Tensor, "b 4"]
    flips: Bool[Tensor, "b 4"]
    windows: Float32[Tensor, "b 4 4"]
    """x1, y1, x2, y2 of the part of the canvas that the image may cover."""


class DeviceData:
    """Training images with their truth, ready to be mixed into batches."""

    def __init__(self, samples: Sequence[TrainingSample], *, size: int, device: torch.device, threads: int = 1) -> None:
        self.side = -(-size // 2 ** (LEVELS - 1)) * 2 ** (LEVELS - 1)
        sides = [self.side >> level for level in range(LEVELS)]
        self.offsets = [sum(side * side for side in sides[:level]) for level in range(LEVELS)]
        self.cells = sum(side * side for side in sides)
        unique = {id(sample): sample for sample in samples}
        places = {key: place for place, key in enumerate(unique)}
        self.rows = torch.tensor([places[id(sample)] for sample in samples])
        stored = torch.empty((len(unique), self.cells, 3), dtype=torch.uint8, device=device)
        extents, scales = [], []
        with ThreadPoolExecutor(threads) as pool:
            for place, (pyramid, extent, scale) in enumerate(pool.map(self._shrink, unique.values())):
                stored[place] = torch.from_numpy(pyramid).to(device)
                extents.append(extent)
                scales.append(scale)
        self.pixels = stored.view(-1, 3)
        self.extents = torch.tensor(extents, dtype=torch.float32, device=device)  # (n, 2), width and height
        self._keep_truth(list(unique.values()), scales, device)

    def __len__(self) -> int:
        return len(self.rows)

    def _shrink(self, sample: TrainingSample) -> tuple[UInt8[np.ndarray, "p 3"], tuple[int, int], tuple[float, float]]:
        """(levels one after the other, stored width and height, scale in x and y)."""
        height, width = sample.image.shape[:2]
        factor = self.side / max(height, width)
        wide, tall = max(1, round(width * factor)), max(1, round(height * factor))
        method = cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR
        canvas = np.full((self.side, self.side, 3), FILL, np.uint8)
        canvas[:tall, :wide] = cv2.resize(sample.image, (wide, tall), interpolation=method)
        levels = [canvas]
        for _ in range(LEVELS - 1):
            half = levels[-1].shape[0] // 2
            levels.append(cv2.resize(levels[-1], (half, half), interpolation=cv2.INTER_AREA))
        return np.concatenate([level.reshape(-1, 3) for level in levels]), (wide, tall), (wide / width, tall / height)

    def _keep_truth(
        self, samples: Sequence[TrainingSample], scales: Sequence[tuple[float, float]], device: torch.device
    ) -> None:
        truths = [sample.ground_truth for sample in samples]
        most, regions = (max([1, *(len(part) for part in parts)]) for parts in
                         ([t.boxes for t in truths], [t.ignored for t in truths]))  # fmt: skip
        boxes = np.zeros((len(truths), most, 4), np.float32)
        ignored = np.zeros((len(truths), regions, 4), np.float32)
        objects = np.full((len(truths), most), -1, np.int64)
        start = 0
        for place, (ground_truth, (scale_x, scale_y)) in enumerate(zip(truths, scales, strict=True)):
            scale = np.array((scale_x, scale_y, scale_x, scale_y), np.float32)
            count = len(ground_truth.boxes)
            boxes[place, :count] = ground_truth.full_boxes * scale
            ignored[place, : len(ground_truth.ignored)] = ground_truth.ignored * scale
            objects[place, :count] = np.arange(start, start + count)
            start += count
        self.boxes, self.ignored, self.objects = (torch.from_numpy(a).to(device) for a in (boxes, ignored, objects))

        def joined(name: str) -> Tensor:
            return torch.from_numpy(np.concatenate([getattr(ground_truth, name) for ground_truth in truths])).to(device)

        self.classes, self.class_weights, self.weights = map(joined, ("classes", "class_weights", "weights"))
        self.masks, self.has_mask = joined("masks"), joined("has_mask")
        self.unlabelled = torch.from_numpy(np.stack([ground_truth.unlabelled for ground_truth in truths])).to(device)

    def epoch(
        self,
        *,
        epoch: int,
        first_step: int = 0,
        batch_size: int,
        sizes: Sequence[int],
        augment: AugmentConfig,
        seed: int,
        rank: int = 0,
        ranks: int = 1,
    ) -> Iterator[Batch]:
        """The batches of one epoch from `first_step` on, this process' share of each, on the device."""
        order = torch.randperm(len(self), generator=torch.Generator().manual_seed(seed_of(seed, epoch)))
        for step in range(first_step, max(1, len(self) // batch_size)):
            generator = torch.Generator().manual_seed(seed_of(seed, epoch, step))
            chosen = order[step * batch_size : (step + 1) * batch_size]
            size = sizes[int(torch.randint(len(sizes), (1,), generator=generator))]
            tiles = self.draw_tiles(chosen, size, augment, generator)
            colours = draw_colours(len(chosen), augment.colour, generator)
            seeds = torch.randint(2**31, (len(chosen),), generator=generator)[rank::ranks].tolist()
            tiles = Tiles(*(part[rank::ranks].to(self.boxes.device) for part in tiles))
            images = recolour(self.paint(tiles, size), colours[rank::ranks].to(self.boxes.device))
            yield Batch(images, self.move_truth(tiles), seeds)

    def draw_tiles(self, chosen: Tensor, size: int, config: AugmentConfig, generator: torch.Generator) -> Tiles:
        """What each canvas is made of; drawn and computed on the CPU."""
        count = len(chosen)

        def draw(*shape: int) -> Tensor:
            return torch.rand(shape, generator=generator)

        others = torch.randint(len(self), (count, TILES - 1), generator=generator)
        sources = self.rows[torch.cat((chosen[:, None], others), dim=1)]
        wide, tall = self.extents.cpu()[sources].unbind(-1)
        flips = draw(count, TILES) < config.flip
        mosaic = draw(count, 1) < config.mosaic
        centre_x, centre_y = (
            (size * (MOSAIC_LOW + MOSAIC_SPAN * draw(count))).round(),
            (size * (MOSAIC_LOW + MOSAIC_SPAN * draw(count))).round(),
        )
        windows = mosaic_windows(centre_x, centre_y, size)
        whole = torch.zeros_like(windows)
        whole[:, 0, 2:] = size
        windows = torch.where(mosaic[..., None], windows, whole)
        room_x, room_y = (windows[..., 2:] - windows[..., :2]).unbind(-1)
        log_zoom = math.log(config.zoom)
        lot = draw(count, TILES)
        fill = (
            torch.maximum(room_x / wide, room_y / tall)
            * (-MOSAIC_SHRUNK + lot * (MOSAIC_ENLARGED * log_zoom + MOSAIC_SHRUNK)).exp()
        )
        alone = size / torch.maximum(wide, tall) * (-log_zoom + lot * (1 + ENLARGED) * log_zoom).exp()
        scales = torch.where(mosaic, fill, alone).clamp(min=1e-3)
        free_x, free_y = room_x - wide * scales, room_y - tall * scales
        # a mosaic's image starts where its window does unless it is larger; a single one lies anywhere
        low_x, low_y = free_x.clamp(max=0), free_y.clamp(max=0)
        high_x, high_y = (torch.where(mosaic, 0.0, free.clamp(min=0)) for free in (free_x, free_y))
        lefts = windows[..., 0] + low_x + draw(count, TILES) * (high_x - low_x)
        tops = windows[..., 1] + low_y + draw(count, TILES) * (high_y - low_y)
        return Tiles(sources, scales, lefts, tops, flips, windows)

    def paint(self, tiles: Tiles, size: int) -> UInt8[Tensor, "b s s 3"]:
        """The canvases: each pixel read bilinearly from the level of its image nearest in size."""
        device = self.pixels.device
        steps = torch.arange(size, device=device, dtype=torch.float32)
        x, y = steps[None, None, :], steps[None, :, None]
        right, below = x >= tiles.windows[:, 0, 2, None, None], y >= tiles.windows[:, 0, 3, None, None]
        tile = (right + 2 * below).expand(len(tiles.sources), size, size).flatten(1)  # (b, s * s)

        def per_pixel(values: Tensor) -> Tensor:
            return values.gather(1, tile).view(-1, size, size)

        wide, tall = (per_pixel(part) for part in self.extents[tiles.sources].unbind(-1))
        scale, left, top = per_pixel(tiles.scales), per_pixel(tiles.lefts), per_pixel(tiles.tops)
        u, v = (x + 0.5 - left) / scale, (y + 0.5 - top) / scale
        covered = (u >= 0) & (v >= 0) & (u <= wide) & (v <= tall)
        u = torch.where(per_pixel(tiles.flips), wide - u, u)
        level = (-scale.log2()).round().clamp(0, LEVELS - 1).long()
        shrink = 2.0**level
        side = torch.full_like(level, self.side) >> level
        start = per_pixel(tiles.sources) * self.cells + torch.tensor(self.offsets, device=device)[level]
        last_x, last_y = ((part / shrink).ceil().clamp(min=1) - 1 for part in (wide, tall))
        px, py = ((part / shrink - 0.5).clamp(min=0) for part in (u, v))
        px, py = torch.minimum(px, last_x), torch.minimum(py, last_y)
        x0, y0 = px.floor(), py.floor()
        x1, y1 = torch.minimum(x0 + 1, last_x), torch.minimum(y0 + 1, last_y)
        fx, fy = (px - x0)[..., None], (py - y0)[..., None]

        def read(column: Tensor, row: Tensor) -> Tensor:
            return self.pixels[start + row.long() * side + column.long()].float()

        upper = read(x0, y0) * (1 - fx) + read(x1, y0) * fx
        lower = read(x0, y1) * (1 - fx) + read(x1, y1) * fx
        mixed = upper * (1 - fy) + lower * fy
        return torch.where(covered[..., None], mixed.round(), float(FILL)).to(torch.uint8)

    def move_truth(self, tiles: Tiles) -> list[TruthTensors]:
        """The truth of each canvas; objects of which less than a fifth shows become ignored regions."""
        moved, visible = place_boxes(self.boxes[tiles.sources], tiles, self.extents[tiles.sources])
        regions = place_boxes(self.ignored[tiles.sources], tiles, self.extents[tiles.sources])[1]
        objects = self.objects[tiles.sources]  # (b, 4, g)
        size_before, size_after = moved[..., 2:] - moved[..., :2], visible[..., 2:] - visible[..., :2]
        share = size_after.prod(dim=-1) / size_before.prod(dim=-1).clamp(min=1e-6)
        exists, shows = objects >= 0, (size_after > 0).all(dim=-1)
        clear = exists & (share > LEAST_VISIBLE) & (size_after > LEAST_SIDE).all(dim=-1)
        faint = exists & shows & ~clear
        ignored = torch.cat((visible, regions), dim=2)
        counts = torch.cat((faint, ((regions[..., 2:] - regions[..., :2]) > 0).all(dim=-1)), dim=2)
        found = objects[clear]
        flipped = tiles.flips[..., None].expand_as(objects)[clear]
        masks = self.masks[found]
        masks = torch.where(flipped[:, None, None], masks.flip(-1), masks)
        per_canvas = clear.flatten(1).sum(dim=1).tolist()
        parts = (visible[clear], moved[clear], self.classes[found], self.class_weights[found], self.weights[found])
        columns = [torch.split(part, per_canvas) for part in (*parts, masks, self.has_mask[found])]
        columns.append(torch.split(ignored[counts], counts.flatten(1).sum(dim=1).tolist()))
        used = (tiles.windows[..., 2:] > tiles.windows[..., :2]).all(dim=-1)
        columns.append((self.unlabelled[tiles.sources] * used[..., None]).amax(dim=1).unbind())
        return [TruthTensors(*row) for row in zip(*columns, strict=True)]


def mosaic_windows(centre_x: Tensor, centre_y: Tensor, size: int) -> Float32[Tensor, "b 4 4"]:
    """The four parts of each canvas around its centre, in reading order."""
    low, high = torch.zeros_like(centre_x), torch.full_like(centre_x, float(size))
    corners = (
        (low, low, centre_x, centre_y),
        (centre_x, low, high, centre_y),
        (low, centre_y, centre_x, high),
        (centre_x, centre_y, high, high),
    )
    return torch.stack([torch.stack(corner, dim=-1) for corner in corners], dim=1)


def place_boxes(
    boxes: Float32[Tensor, "b 4 g 4"], tiles: Tiles, extents: Float32[Tensor, "b 4 2"]
) -> tuple[Float32[Tensor, "b 4 g 4"], Float32[Tensor, "b 4 g 4"]]:
    """(boxes on the canvas, their part that shows in the window of their image)."""
    x1, y1, x2, y2 = boxes.unbind(-1)
    wide = extents[..., 0, None]
    flips = tiles.flips[..., None]
    x1, x2 = torch.where(flips, wide - x2, x1), torch.where(flips, wide - x1, x2)
    scale, left, top = tiles.scales[..., None], tiles.lefts[..., None], tiles.tops[..., None]
    moved = torch.stack((x1 * scale + left, y1 * scale + top, x2 * scale + left, y2 * scale + top), dim=-1)
    corner = torch.stack((tiles.lefts, tiles.tops), dim=-1)
    low = torch.maximum(tiles.windows[..., :2], corner)
    high = torch.minimum(tiles.windows[..., 2:], corner + extents * tiles.scales[..., None])
    low, high = low.repeat(1, 1, 2)[:, :, None], torch.maximum(low, high).repeat(1, 1, 2)[:, :, None]
    return moved, torch.minimum(torch.maximum(moved, low), high)


def draw_colours(count: int, strength: float, generator: torch.Generator) -> Float32[Tensor, "b 3"]:
    """Gain, bias and saturation of each image, as augment.recolour draws them."""
    lot = 2 * torch.rand((count, 3), generator=generator) - 1
    grey = torch.rand(count, generator=generator) < COLOURLESS
    gain, bias, mixed = 1 + GAIN * strength * lot[:, 0], BIAS * strength * lot[:, 1], 1 + strength * lot[:, 2]
    return torch.stack((gain, bias, torch.where(grey & (strength > 0), torch.zeros(()), mixed)), dim=1)


def recolour(images: UInt8[Tensor, "b h w 3"], colours: Float32[Tensor, "b 3"]) -> UInt8[Tensor, "b h w 3"]:
    """Brightness, contrast and saturation changed."""
    gain, bias, mixed = (part.view(-1, 1, 1, 1) for part in colours.unbind(-1))
    values = ((images.float() - FILL) * gain + FILL + bias).clamp(0, 255)
    grey = values.mean(dim=-1, keepdim=True)
    return (grey + (values - grey) * mixed).clamp(0, 255).round().to(torch.uint8)

"""Boxes that may hold an object, found by grouping similar pixels: selective search, which R-CNN began with.

Uijlings, van de Sande, Gevers and Smeulders, "Selective Search for Object Recognition", IJCV 2013; the first regions
are those of Felzenszwalb and Huttenlocher, "Efficient Graph-Based Image Segmentation", IJCV 2004. Neighbouring regions
are merged, the most similar first, until one is left; the box of every region there ever was is a proposal.

Where we differ: one colour space (Lab) and no texture; images are brought to 128 pixels at most first, since the lists
are Python's; the order is that of the merging, the largest regions first, with no chance in it.
"""

from __future__ import annotations

import heapq

import cv2
import numpy as np
from jaxtyping import Float32, Int64
from numpy import ndarray

from tracker.geometry import iou
from tracker.types import Image

__all__ = ["propose_regions"]

LONGEST = 128
"""Pixels of the longer side that is worked on."""
BINS = 12
"""Of a region's histogram in each of the three channels."""
SAME = 0.9
"""Proposals that overlap this much are one."""
Edge = tuple[float, int, int]


def propose_regions(
    image: Image, *, scale: float = 60.0, least: int = 12, smallest: int = 6
) -> Float32[ndarray, "n 4"]:
    """Boxes in pixels of the image, those of the largest regions first.

    `scale` is Felzenszwalb's k: larger ones begin with larger regions; `least` the pixels a region has at least and
    `smallest` the sides that a box has at least, both where the image is worked on.
    """
    height, width = image.shape[:2]
    factor = min(1.0, LONGEST / max(height, width))
    wide, tall = max(1, round(width * factor)), max(1, round(height * factor))
    small = cv2.resize(image, (wide, tall), interpolation=cv2.INTER_AREA)
    lab = cv2.cvtColor(cv2.medianBlur(small, 3), cv2.COLOR_RGB2LAB)
    labels, count = _segment(np.asarray(lab, np.float32), scale, least)
    boxes = _merge(labels, count, lab)
    sides = boxes[:, 2:] - boxes[:, :2]
    boxes = boxes[(sides >= smallest).all(axis=1)]
    kept: list[int] = []
    for row in range(len(boxes)):
        if not kept or iou(boxes[[row]], boxes[kept]).max() < SAME:
            kept.append(row)
    stretch = np.array([width / wide, height / tall] * 2, np.float32)
    return np.asarray(boxes[kept] * stretch, np.float32)


def _segment(lab: Float32[ndarray, "h w 3"], scale: float, least: int) -> tuple[Int64[ndarray, "h w"], int]:
    """(the number of each pixel's region, how many there are): Felzenszwalb and Huttenlocher's."""
    height, width = lab.shape[:2]
    places = np.arange(height * width).reshape(height, width)
    pairs = [(places[:, :-1], places[:, 1:]), (places[:-1], places[1:])]
    first = np.concatenate([one.ravel() for one, _ in pairs])
    second = np.concatenate([other.ravel() for _, other in pairs])
    flat = lab.reshape(-1, 3)
    weights = np.sqrt(((flat[first] - flat[second]) ** 2).sum(axis=1))
    order = np.argsort(weights, kind="stable")
    edges = list(zip(weights[order].tolist(), first[order].tolist(), second[order].tolist(), strict=True))
    parents, sizes, limits = list(range(height * width)), [1] * (height * width), [scale] * (height * width)

    def root(place: int) -> int:
        while parents[place] != place:
            parents[place] = parents[parents[place]]
            place = parents[place]
        return place

    for enough in (False, True):  # by likeness, then whatever is too small into its nearest neighbour
        for weight, one, other in edges:
            a, b = root(one), root(other)
            if a == b or not (min(sizes[a], sizes[b]) < least if enough else weight <= min(limits[a], limits[b])):
                continue
            parents[b] = a
            sizes[a] += sizes[b]
            limits[a] = weight + scale / sizes[a]
    roots = np.array([root(place) for place in range(height * width)])
    found, numbers = np.unique(roots, return_inverse=True)
    return np.asarray(numbers, np.int64).reshape(height, width), len(found)


def _merge(labels: Int64[ndarray, "h w"], count: int, lab: Image) -> Float32[ndarray, "n 4"]:
    """The boxes of all regions and of all that are made of them, the last one, which is the whole image, first."""
    places: ndarray = np.indices(labels.shape)
    down, across = places
    sizes: list[float] = np.bincount(labels.ravel(), minlength=count).astype(float).tolist()
    boxes: list[tuple[float, float, float, float]] = []
    histograms: list[ndarray] = []
    bins = np.asarray(lab, np.int64) * BINS // 256 + np.arange(3) * BINS
    for number in range(count):
        inside = labels == number
        y, x = down[inside], across[inside]
        boxes.append((float(x.min()), float(y.min()), float(x.max() + 1), float(y.max() + 1)))
        counted = np.bincount(bins[inside].ravel(), minlength=3 * BINS)
        histograms.append(counted / counted.sum())
    neighbours: list[set[int]] = [set() for _ in range(count)]
    for one, other in ((labels[:, :-1], labels[:, 1:]), (labels[:-1], labels[1:])):
        for a, b in np.unique(np.stack((one[one != other], other[one != other])), axis=1).T.tolist():
            neighbours[a].add(b)
            neighbours[b].add(a)
    whole = float(labels.size)

    def likeness(a: int, b: int) -> float:
        """Equations 1, 3 and 4 of the paper, added: colour, size, fill."""
        x1, y1, x2, y2 = _around(boxes[a], boxes[b])
        fill = 1 - ((x2 - x1) * (y2 - y1) - sizes[a] - sizes[b]) / whole
        alike = float(np.minimum(histograms[a], histograms[b]).sum())
        return alike + 1 - float(sizes[a] + sizes[b]) / whole + float(fill)

    waiting: list[Edge] = [(-likeness(a, b), a, b) for a in range(count) for b in neighbours[a] if a < b]
    heapq.heapify(waiting)
    gone: set[int] = set()
    while waiting:
        _, a, b = heapq.heappop(waiting)
        if a in gone or b in gone:
            continue
        gone |= {a, b}
        made = len(boxes)
        boxes.append(_around(boxes[a], boxes[b]))
        total = sizes[a] + sizes[b]
        histograms.append((sizes[a] * histograms[a] + sizes[b] * histograms[b]) / total)
        sizes.append(total)
        neighbours.append((neighbours[a] | neighbours[b]) - gone)
        for near in neighbours[made]:
            neighbours[near].add(made)
            heapq.heappush(waiting, (-likeness(made, near), made, near))
    return np.array(boxes[::-1], np.float32)


def _around(
    one: tuple[float, float, float, float], other: tuple[float, float, float, float]
) -> tuple[float, float, float, float]:
    return min(one[0], other[0]), min(one[1], other[1]), max(one[2], other[2]), max(one[3], other[3])

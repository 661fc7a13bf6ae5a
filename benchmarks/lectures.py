"""The images of docs/lectures, and the curves and numbers of docs/experiments.md: all from one script.

    python -m benchmarks.lectures [--out docs] [--only NAME ...] [--no-experiments]

Each image is drawn from what the program computes, on shapes that it draws itself and on a frame of `demo`. The images
take a minute, the experiments (benchmarks/lecture_experiments.py) about five on one core.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import torch
from matplotlib.figure import Figure
from numpy import ndarray
from PIL import Image as PixelImage

from benchmarks.page_charts import page_style
from tracker.commands.demo_clip import frames
from tracker.commands.demo_data import draw_digits, draw_shapes
from tracker.explain.candidates import draw_grid, draw_proposals, find_proposals
from tracker.explain.evidence import DetectionObjective, explain_objective, quantities_of
from tracker.explain.features import layer_maps
from tracker.explain.sheets import captioned, crop_around, draw_maps, sheet, tint_heat
from tracker.geometry import iou
from tracker.nets.checkpoint import load_detector
from tracker.nets.classifier import Classifier, ClassifierConfig
from tracker.nets.convolution import convolution_layer, pool
from tracker.overlay.palette import WHITE, colour_of
from tracker.overlay.shapes import draw_box, to_pixels
from tracker.track.kalman import BoxFilter
from tracker.types import Image

__all__ = ["DRAWINGS"]

ROOT = Path(__file__).parents[1]
COLOURS = 256
"""Of each file: small, and good enough for a page."""
FRAME = 200
"""Of the demo's clip: people and a bus."""
KERNELS = {
    "blur": np.full((3, 3), 1 / 9),
    "sharpen": np.array([[0, -1, 0], [-1, 5, -1], [0, -1, 0]]),
    "edge": np.array([[-1, -1, -1], [-1, 8, -1], [-1, -1, -1]]),
}


def shape_image(seed: int = 5, *, size: int = 96, most: int = 1) -> Image:
    """One of the drawn images."""
    return draw_shapes(np.random.default_rng(seed), size=size, most=most, smallest=0.2, largest=0.5).image


def street() -> Image:
    """A frame of the demo, half as large."""
    frame = next(frame for frame in frames() if frame.index == FRAME)
    return np.ascontiguousarray(frame.image[::2, ::2])


def enlarged(image: Image, times: int) -> Image:
    """Each pixel as a square of so many."""
    return np.asarray(cv2.resize(image, None, fx=times, fy=times, interpolation=cv2.INTER_NEAREST), np.uint8)


def draw_convolution() -> Image:
    """An image and what three kernels make of it."""
    image = shape_image()
    tiles = [captioned(enlarged(image, 2), "image")]
    for name, kernel in KERNELS.items():
        channels = [
            convolution_layer(image[None, ..., channel].astype(float), kernel[None, None], padding="same")[0]
            for channel in range(3)
        ]
        made = np.clip(np.stack(channels, axis=-1), 0, 255).astype(np.uint8)
        tiles.append(captioned(enlarged(made, 2), name))
    return sheet(tiles, columns=4)


def draw_padding() -> Image:
    """The numbers 0 to 8 with a border of zeros, and what the kernel 0 1 2 3 makes of them at stride 1 and 2."""
    numbers, kernel = np.arange(9.0).reshape(3, 3), np.arange(4.0).reshape(2, 2)
    padded = np.pad(numbers, 1)
    tiles = [
        captioned(_table(padded, marked=(0, 0, 2, 2)), "padded by 1"),
        captioned(_table(_layer(numbers, kernel, stride=1)), "stride 1"),
        captioned(_table(_layer(numbers, kernel, stride=2)), "stride 2"),
    ]
    return sheet(tiles, columns=3)


def draw_transposed() -> Image:
    """2 x 2 numbers, the kernel each of them is spread by, and the sum."""
    numbers = np.arange(4.0).reshape(2, 2)
    whole = np.zeros((3, 3))
    tiles = [captioned(_table(numbers), "input")]
    for row in range(2):
        for column in range(2):
            part = np.zeros((3, 3))
            part[row : row + 2, column : column + 2] = numbers[row, column] * numbers
            whole += part
            tiles.append(captioned(_table(part, marked=(column, row, 2, 2)), f"{numbers[row, column]:.0f} times it"))
    return sheet([*tiles, captioned(_table(whole), "sum")], columns=6)


def draw_pooling() -> Image:
    """An image pooled by windows of 8 pixels in three ways."""
    image = shape_image()
    tiles = [captioned(enlarged(image, 2), "image")]
    for by in ("max", "average", "l2"):
        pooled = pool(image.transpose(2, 0, 1).astype(float), 8, by=by)
        if by == "l2":
            pooled = pooled / 8  # the root of a sum of 64 squares
        small = np.clip(pooled.transpose(1, 2, 0), 0, 255).astype(np.uint8)
        tiles.append(captioned(enlarged(small, 16), f"{by} of 8 x 8"))
    return sheet(tiles, columns=4)


def draw_receptive_field() -> Image:
    """How strongly each pixel moves one cell in the middle of three maps of the embedded detector."""
    network, _ = load_detector(ROOT / "weights" / "sightline-anchors.safetensors")
    image = street()[:352, 100:452]
    canvas = torch.from_numpy(image.copy()).permute(2, 0, 1)[None].float() / 255
    tiles = []
    for stride, place in zip(network.backbone.strides, range(4), strict=True):
        pixels = canvas.clone().requires_grad_()
        maps = network.backbone(network.normalize(pixels))[place]
        middle = maps[0, :, maps.shape[2] // 2, maps.shape[3] // 2].abs().sum()
        (gradient,) = torch.autograd.grad(middle, pixels)
        heat = gradient[0].abs().sum(dim=0).sqrt().numpy()
        reached = np.argwhere(heat > 0)
        side = int((reached.max(axis=0) - reached.min(axis=0)).max()) + 1
        shown = tint_heat(image, np.asarray(heat / heat.max(), np.float32))
        tiles.append(captioned(np.ascontiguousarray(shown[::2, ::2]), f"stride {stride}: reaches {side} px"))
    return sheet(tiles, columns=4)


def draw_lenet() -> Image:
    """What LeNet-5's first and last convolution give for a digit, after 8 epochs on 1000 drawn digits."""
    torch.manual_seed(0)
    images, labels = draw_digits(np.random.default_rng(0), 1000)
    network = Classifier(ClassifierConfig(backbone="lenet5", classes=10, in_channels=1))
    pixels, wanted = torch.from_numpy(images)[:, None].float() / 255, torch.from_numpy(labels.astype(np.int64))
    optimizer = torch.optim.AdamW(network.parameters(), lr=0.003)
    for _ in range(8):
        for rows in torch.split(torch.randperm(1000), 50):
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(network(pixels[rows]), wanted[rows]).backward()  # type: ignore[no-untyped-call]
            optimizer.step()
    (first,) = layer_maps(network, pixels[:1], "backbone.c1")
    (second,) = layer_maps(network, pixels[:1], "backbone.s4")
    digit = np.repeat(images[0][..., None], 3, axis=2)
    return sheet(
        [
            captioned(enlarged(digit, 6), f"a {labels[0]}"),
            captioned(draw_maps(first, count=6, side=84), "C1: six maps"),
            captioned(draw_maps(second, count=9, side=90), "S4: nine of sixteen maps"),
        ],
        columns=3,
    )


def draw_iou() -> Image:
    """A shape's box, three other boxes, and how much they overlap."""
    drawing = draw_shapes(np.random.default_rng(11), size=96, smallest=0.35, largest=0.5)
    truth = drawing.boxes[0]
    side = float(truth[2] - truth[0])
    tiles = []
    for part in (0.1, 0.25, 0.5):
        other = np.asarray(truth + np.float32(part * side) * np.array([1, 0.5, 1, 0.5], np.float32), np.float32)
        canvas = enlarged(drawing.image, 2)
        for box, colour in ((truth, WHITE), (other, colour_of(3))):
            corners = to_pixels((2 * box).tolist(), (192, 192))
            if corners is not None:
                draw_box(canvas, corners, colour, line=2)
        overlap = float(iou(truth[None], other[None])[0, 0])
        tiles.append(captioned(canvas, f"IoU {overlap:.2f}"))
    return sheet(tiles, columns=3)


def draw_sliding() -> Image:
    """The windows of a classifier for 224 pixels that a pass over 448 pixels answers: 8 x 8 at stride 32."""
    image = shape_image(7, size=448, most=4)
    canvas = image.copy()
    for row in range(8):
        for column in range(8):
            x, y = column * 32 + 112, row * 32 + 112
            cv2.circle(canvas, (x, y), 4, WHITE, -1)
    for (row, column), colour in (((0, 0), colour_of(1)), ((3, 4), colour_of(2)), ((7, 7), colour_of(3))):
        cv2.rectangle(canvas, (column * 32, row * 32), (column * 32 + 223, row * 32 + 223), colour, 2)
    half = cv2.resize(canvas, None, fx=0.75, fy=0.75, interpolation=cv2.INTER_AREA)
    return captioned(np.asarray(half, np.uint8), "448 px, windows of 224 every 32 px: 8 x 8 answers")


def draw_two_ways() -> Image:
    """Crops that R-CNN would classify one by one, and the grid that YOLO answers at once."""
    network, card = load_detector(ROOT / "weights" / "sightline-anchors.safetensors")
    image = street()
    some = find_proposals(network, card, image).above(0.1)
    every = some[np.arange(0, len(some), max(1, len(some) // 40))]
    kept = some.above(0.4).suppressed(0.45)
    grid = draw_grid(image, 16, card.scaled_size)
    tiles = [
        captioned(_half(draw_proposals(image, every)), f"{len(every)} regions, each cropped and classified"),
        captioned(_half(draw_proposals(grid, kept)), "one pass: the cells of stride 16 and their boxes"),
    ]
    return sheet(tiles, columns=2)


def draw_suppression() -> Image:
    """All boxes above 0.25, and what suppression at an overlap of 0.45 leaves."""
    network, card = load_detector(ROOT / "weights" / "sightline-anchors.safetensors")
    image = street()
    found = find_proposals(network, card, image).above(0.25)
    kept = found.suppressed(0.45)
    tiles = [
        captioned(_half(draw_proposals(image, found)), f"{len(found)} boxes above 0.25"),
        captioned(_half(draw_proposals(image, kept, anchors=True)), f"{len(kept)} after suppression, with anchors"),
    ]
    return sheet(tiles, columns=2)


def draw_evidence() -> Image:
    """Where the evidence for one person lies, for score, class, objectness and box."""
    network, card = load_detector(ROOT / "weights" / "sightline-anchors.safetensors")
    image = street()
    found = find_proposals(network, card, image).above(0.4).suppressed(0.45)
    person = found[np.flatnonzero(found.class_ids == card.labels.index("person"))]
    tiles = []
    for quantity in quantities_of(network):
        objective = DetectionObjective.of(network, card, image, person.boxes[0], quantity=quantity)
        heat, largest = explain_objective(objective)
        crop = crop_around(tint_heat(image, heat), objective.box, colour_of(1), times=1.6, side=170)
        tiles.append(captioned(crop, quantity, bar=(0.0, largest, cv2.COLORMAP_INFERNO)))
    return sheet(tiles, columns=4)


def draw_strides() -> Image:
    """What a map of labels at stride 32, 16 and 8 can say of an image, enlarged bilinearly, beside the truth."""
    drawing = draw_shapes(np.random.default_rng(3), size=192, most=3, smallest=0.25, largest=0.45)
    tiles = [captioned(drawing.image, "image")]
    for stride in (32, 16, 8, 1):
        share = (drawing.labels > 0).astype(np.float32)
        small = cv2.resize(share, None, fx=1 / stride, fy=1 / stride, interpolation=cv2.INTER_AREA)
        again = cv2.resize(small, (192, 192), interpolation=cv2.INTER_LINEAR) > 0.5
        truth = drawing.labels > 0
        score = (again & truth).sum() / (again | truth).sum()
        shown = np.where(again[..., None], drawing.image, drawing.image // 5)
        tiles.append(captioned(shown, f"stride {stride}: IoU {score:.2f}" if stride > 1 else "truth"))
    return sheet(tiles, columns=5)


@page_style()
def draw_kalman() -> Image:
    """A person's measured and filtered centres, hidden between 1.0 and 1.8 s, with the deviation of the prediction."""
    rng = np.random.default_rng(0)
    times = np.arange(0, 3, 1 / 15)
    truth = 40 + 60 * times
    measured = truth + rng.normal(0, 3, len(times))
    filtered, deviation = filter_centres(times, measured)
    figure = Figure(figsize=(7.5, 3), layout="constrained")
    panel = figure.subplots()
    seen = ~hidden(times)
    panel.plot(times, truth, color="0.6", label="true")
    panel.plot(times[seen], measured[seen], ".", label="measured")
    panel.plot(times, filtered, label="filtered")
    panel.fill_between(times, filtered - 2 * deviation, filtered + 2 * deviation, alpha=0.25, label="two deviations")
    panel.set_xlabel("seconds")
    panel.set_ylabel("centre x, pixels")
    panel.legend(fontsize=8)
    return _pixels(figure)


def hidden(times: ndarray) -> ndarray:
    """When nobody sees the person of the drawing."""
    return np.asarray((times > 1.0) & (times < 1.8))


def filter_centres(times: ndarray, measured: ndarray) -> tuple[ndarray, ndarray]:
    """(centre x, its deviation) at each time, of a box 40 wide and 100 high that is not measured while hidden.

    The tracker's own filter in DeepSORT's space: centre, aspect ratio and height, each with its velocity.
    """
    box_filter = BoxFilter("xyah")

    def measurement(x: float) -> ndarray:
        return np.array([[x], [50.0], [0.4], [100.0]])

    state = box_filter.start(measurement(float(measured[0])))
    centres, deviations = [], []
    for time, value in zip(times.tolist(), measured.tolist(), strict=True):
        state = box_filter.predict(state, 1.0)
        if not hidden(np.array([time]))[0]:
            state = box_filter.update(state, measurement(value))
        centres.append(float(state[0, 0, 0]))
        deviations.append(float(np.sqrt(state[2, 0, 0])))
    return np.array(centres), np.array(deviations)


@page_style()
def draw_networks() -> Image:
    """Parameters against multiply-adds of the networks of the lecture, at 224 x 224 (299 for Xception)."""
    figure = Figure(figsize=(7, 3.2), layout="constrained")
    panel = figure.subplots()
    for name, (parameters, work) in NETWORKS.items():
        panel.plot(work, parameters, "o")
        panel.annotate(
            name, (work, parameters), textcoords="offset points", xytext=OFFSETS.get(name, (6, 4)), fontsize=8
        )
    panel.set_xscale("log")
    panel.set_yscale("log")
    panel.set_xlabel("multiply-adds of one image, thousand millions")
    panel.set_ylabel("parameters, millions")
    panel.grid(alpha=0.3)
    return _pixels(figure)


OFFSETS = {"VGG-16, 2014": (-70, -4), "ResNet-50, 2015": (-86, -12), "Xception, 2016": (4, -14)}
"""Where a name would lie on another."""
NETWORKS = {
    "LeNet-5, 1998": (0.0608, 0.00042),
    "AlexNet, 2012": (61.1, 0.71),
    "VGG-16, 2014": (138.4, 15.5),
    "ResNet-50, 2015": (25.6, 4.09),
    "Xception, 2016": (22.9, 8.4),
}
"""Millions of parameters, and thousand millions of multiply-adds, as `summary` counts them."""
DRAWINGS: dict[str, Callable[[], Image]] = {
    "convolution": draw_convolution,
    "padding-and-stride": draw_padding,
    "receptive-field": draw_receptive_field,
    "pooling": draw_pooling,
    "lenet": draw_lenet,
    "networks": draw_networks,
    "localisation": draw_iou,
    "sliding-window": draw_sliding,
    "r-cnn-to-yolo": draw_two_ways,
    "anchors-and-suppression": draw_suppression,
    "kalman": draw_kalman,
    "transposed-convolution": draw_transposed,
    "fcn-and-u-net": draw_strides,
    "looking-inside": draw_evidence,
}
"""By the name of the file in docs/lectures/images."""


def main() -> None:
    """Draw everything."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=ROOT / "docs")
    parser.add_argument("--only", nargs="*", default=list(DRAWINGS), choices=list(DRAWINGS))
    parser.add_argument("--no-experiments", action="store_true")
    options = parser.parse_args()
    folder = options.out / "lectures" / "images"
    folder.mkdir(parents=True, exist_ok=True)
    for name in options.only:
        image = PixelImage.fromarray(DRAWINGS[name]())
        image.quantize(COLOURS).save(folder / f"{name}.png", optimize=True)
        print(folder / f"{name}.png", flush=True)
    if not options.no_experiments:
        command = [sys.executable, "-m", "benchmarks.lecture_experiments", "--out", str(options.out)]
        subprocess.run(command, check=True)


def _layer(numbers: ndarray, kernel: ndarray, *, stride: int) -> ndarray:
    made: ndarray = convolution_layer(numbers[None], kernel[None, None], padding=1, stride=stride)[0]
    return made


def _table(numbers: ndarray, *, marked: tuple[int, int, int, int] | None = None, cell: int = 34) -> Image:
    """Numbers in cells, some marked: column, row, columns, rows."""
    rows, columns = numbers.shape
    canvas = np.full((rows * cell, columns * cell, 3), 245, np.uint8)
    if marked is not None:
        left, top, wide, high = marked
        canvas[top * cell : (top + high) * cell, left * cell : (left + wide) * cell] = (255, 214, 140)
    for row in range(rows):
        for column in range(columns):
            corner = (column * cell, row * cell)
            cv2.rectangle(canvas, corner, (corner[0] + cell - 1, corner[1] + cell - 1), (190, 190, 190), 1)
            text = f"{numbers[row, column]:.0f}"
            place = (corner[0] + cell // 2 - 5 * len(text), corner[1] + cell // 2 + 6)
            cv2.putText(canvas, text, place, cv2.FONT_HERSHEY_SIMPLEX, 0.5, (20, 20, 20), 1, cv2.LINE_AA)
    return canvas


def _half(image: Image) -> Image:
    return np.asarray(cv2.resize(image, None, fx=0.6, fy=0.6, interpolation=cv2.INTER_AREA), np.uint8)


def _pixels(figure: Figure) -> Image:
    """The chart as RGBA: it has no ground."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    figure.set_dpi(80)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()  # type: ignore[no-untyped-call]
    return np.array(canvas.buffer_rgba())  # type: ignore[no-untyped-call]


if __name__ == "__main__":
    main()

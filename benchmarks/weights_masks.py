"""Teach the masks of a network alone, its body, boxes and classes as they are: `START DATA OUT --teacher FILE`.

What stays as it is gives the same maps for the same image each time. So an image is seen by it once per view (a view
is one augmentation of every image), its maps are kept in OUT/views, and only prototypes and mask coefficients run and
learn: 22 ms an image and step instead of 60. Each of `--sizes` is a view, at that many pixels. A START with other
prototypes, or of another width than `--prototype-width`, gets fused ones. Masks come from the labels, and where these
have none from the teacher.
OUT/last.safetensors is the averaged network; --resume goes on.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import UInt8
from numpy import ndarray
from torch import Tensor, nn

from tracker.config import DetectorConfig
from tracker.detect.engines.torch import TorchDetector
from tracker.evaluate.detection import detect_all, one_person_masks, rename
from tracker.evaluate.ground_truth import DataSet, Sample
from tracker.nets.anchors import AnchorGrid, decode, flatten, lay_grid
from tracker.nets.checkpoint import load_detector, save_detector
from tracker.nets.export_detector import clone
from tracker.nets.model_card import ModelCard
from tracker.nets.ultralytics_weights import open_ultralytics
from tracker.nets.yolo import STRIDES, Head, RawMaps, YoloNet, is_mask_part
from tracker.train.aligned import align
from tracker.train.data.augment import AugmentConfig, TrainingSample, make_sample
from tracker.train.data.detection import load_data
from tracker.train.distil import DistillConfig, known_truth
from tracker.train.ema import ModelEma
from tracker.train.losses import LossConfig, masks_of_batch
from tracker.train.mixed_precision import mixed_precision
from tracker.train.schedule import learning_rate_factor
from tracker.train.teacher import FusionConfig, Teacher, observe
from tracker.train.truth_batch import TruthBatch, TruthTensors

JUDGED = (416, 640)
BATCH = 16
FUSED_WIDTH = 64
WARMUP = 50
PLAIN = AugmentConfig(mosaic=0.0, copy_paste=0.0, zoom=1.0, colour=0.2)
VARIED = AugmentConfig(mosaic=0.15, copy_paste=0.0, zoom=1.7, colour=0.4)
LOSSES = LossConfig(mask=1.0, mask_grid=36, mask_edge=3.0, masks_per_image=16)
TEACHING = DistillConfig(believe=0.4, doubt=0.3, overlap=0.8)
PHOTOS = "coco-people"
TAUGHT = (PHOTOS, "coco-masks", "vehicles-openimages")
"""Sets whose missing masks the teacher gives."""
SETS = (*TAUGHT, "pennfudan", "street-polygons")
EVERY_S = {"judged": 480.0, "kept": 120.0}


class Seen(NamedTuple):
    """One image of a view: which cell answers for which object, and the masks that they should have."""

    cells: Tensor
    ground_truth: TruthTensors
    seed: int


class HalfDetector(TorchDetector):
    """Runs in bfloat16, where the processor multiplies faster so."""

    def run_network(self, canvases: UInt8[ndarray, "b h w 3"]) -> RawMaps:
        with mixed_precision(torch.device("cpu"), wanted=True):
            maps = super().run_network(canvases)
        return RawMaps(tuple(level.float() for level in maps.levels), maps.prototypes.float(), maps.features.float())


@dataclass
class State:
    """What learns, and how far it is."""

    parts: nn.ModuleList
    """Prototypes, then the coefficients of each stride."""
    average: ModelEma
    optimizer: torch.optim.AdamW
    step: int = 0
    seconds: float = 0.0

    def save(self, path: Path) -> None:
        """Whole or not at all."""
        kept = {name: getattr(self, name).state_dict() for name in ("parts", "average", "optimizer")}
        torch.save({**kept, "step": self.step, "seconds": self.seconds}, path.with_suffix(".part"))
        path.with_suffix(".part").replace(path)

    def load(self, path: Path) -> None:
        """Go on from there."""
        kept = torch.load(path, weights_only=True)
        for name in ("parts", "average", "optimizer"):
            getattr(self, name).load_state_dict(kept[name])
        self.step, self.seconds = kept["step"], kept["seconds"]


def main() -> None:
    """Read, ask, teach, keep."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("start", type=Path, help=".safetensors network of ours")
    parser.add_argument("data", type=Path, help="data.yaml of the lists that benchmarks.weights_data wrote")
    parser.add_argument("out", type=Path)
    parser.add_argument("--teacher", type=Path, required=True, help="YOLO11 nano with masks, .safetensors")
    parser.add_argument("--sizes", type=int, nargs="+", default=[416, 416], help="of the augmentations of every image")
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--rate", type=float, default=2e-3, help="peak learning rate")
    parser.add_argument("--mask-width", type=int, default=48, help="channels inside the branch for coefficients")
    parser.add_argument(
        "--prototype-width", type=int, help="channels inside fused prototypes (default: as START has, or 64)"
    )
    parser.add_argument("--resume", action="store_true")
    options = parser.parse_args()
    torch.manual_seed(0)
    torch.set_num_threads(1)
    network, card = load_detector(options.start)
    network = with_fused_prototypes(network, options.prototype_width, mask_width=options.mask_width)
    splits = load_data(options.data, keep_images=True)[0]
    judged = alone_with_outline(splits["val"])
    samples = taught_samples(splits["train"], options.teacher, options.out / "teacher")
    network.eval().requires_grad_(False)
    parts = nn.ModuleList([network.prototypes, *map(coefficients_of, network.heads)])
    parts.requires_grad_(True)
    optimizer = torch.optim.AdamW(parts.parameters(), lr=options.rate, weight_decay=0.02)
    state = State(parts, ModelEma(parts, decay=0.997, warmup_steps=WARMUP), optimizer)
    if options.resume:
        state.load(options.out / "state.pt")
    views = Views(options.out / "views", network, card, samples, options.sizes)
    begun = time.monotonic() - state.seconds
    last = dict.fromkeys(EVERY_S, time.monotonic())
    losses: list[float] = []
    passed = 0.0
    while passed < 1.0:
        passed = min(1.0, (time.monotonic() - begun) / 60 / options.minutes)
        factor = learning_rate_factor(int(passed * 10_000), total_steps=10_000, final_factor=0.02)
        for group in optimizer.param_groups:
            group["lr"] = options.rate * min(1.0, (state.step + 1) / WARMUP) * factor
        maps, seen = views.read(state.step)
        loss = masks_loss(parts, maps, seen, anchors=network.config.anchors, seed=state.step)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(parts.parameters(), 5.0)
        optimizer.step()
        state.average.update(parts)
        losses.append(float(loss.detach()))
        now = time.monotonic()
        state.step, state.seconds = state.step + 1, now - begun
        if state.step % 20 == 0:
            print(f"step {state.step}  loss {np.mean(losses):.4f}  {state.seconds / 60:.1f} min", flush=True)
            losses.clear()
        if passed >= 1.0 or now - last["judged"] > EVERY_S["judged"]:
            whole = averaged(network, state.average)
            save_detector(options.out / "last.safetensors", whole, replace(card, accuracy={}))
            for size in JUDGED:
                detector = HalfDetector((whole, card), DetectorConfig(conf=0.01, imgsz=size, device="cpu"))
                found = rename(detect_all(detector, judged), card.labels, splits["val"].labels)
                print(f"step {state.step}, {size}: {one_person_masks(judged, found)}", flush=True)
            last["judged"] = now
        if passed >= 1.0 or now - last["kept"] > EVERY_S["kept"]:
            state.save(options.out / "state.pt")
            last["kept"] = now


def with_fused_prototypes(network: YoloNet, width: int | None, *, mask_width: int) -> YoloNet:
    """The same network with fused prototypes of that width, which begin fresh where it has others.

    Its coefficients begin fresh too, unless it had fused prototypes: the new ones are then learned for those.
    """
    fused = network.config.prototypes == "fused"
    if fused and width in {None, network.config.prototype_width}:
        return network
    mask_width = network.config.mask_width if fused else mask_width
    other = YoloNet(
        replace(network.config, prototypes="fused", prototype_width=width or FUSED_WIDTH, mask_width=mask_width)
    )
    for name, value in network.state_dict().items():
        if not (name.startswith("prototypes.") or (is_mask_part(name) and not fused)):
            other.state_dict()[name].copy_(value)
    return other


def averaged(network: YoloNet, average: ModelEma) -> YoloNet:
    """A copy of the network with the averaged parts."""
    whole = clone(network)
    prototypes, *coefficients = average.module.children()
    whole.prototypes.load_state_dict(prototypes.state_dict())
    for head, branch in zip(whole.heads, coefficients, strict=True):
        coefficients_of(head).load_state_dict(branch.state_dict())
    return whole


def coefficients_of(head: nn.Module) -> nn.Module:
    """The part of a head that gives mask coefficients and nothing else."""
    return head.coefficients if isinstance(head, Head) else head.get_submodule("cv4")


def alone_with_outline(data: DataSet) -> list[Sample]:
    """Plain photos of one person with an outline, by which progress is judged."""
    chosen = []
    for sample in data.samples:
        people = np.flatnonzero(sample.class_ids == 0)
        if PHOTOS in sample.path.parts and len(people) == 1 and sample.polygons[int(people[0])] is not None:
            chosen.append(sample)
    return chosen


def taught_samples(data: DataSet, teacher: Path, folder: Path) -> list[TrainingSample]:
    """The images with the masks of their labels and of the teacher."""
    samples = [sample for sample in dict.fromkeys(data.samples) if set(SETS) & set(sample.path.parts)]
    network, card, _ = open_ultralytics(teacher)
    config = DetectorConfig(model=str(teacher), conf=0.05, iou=0.6, imgsz=640, device="cpu")
    asked = Teacher.of_file(teacher, HalfDetector((network, card), config), size=640)
    unlabelled = [sample for sample in samples if set(TAUGHT) & set(sample.path.parts)]
    finds = observe([asked], unlabelled, data.labels, folder, FusionConfig(), least=TEACHING.doubt)
    known, tables = range(len(card.labels)), data.targets()
    return [
        TrainingSample(sample.read(), known_truth(sample, data, finds.get(sample.path), TEACHING, tables, taught=known))
        for sample in samples
    ]


class Views:
    """The maps of every image in every view, as bfloat16 on disk, made when first read."""

    def __init__(
        self,
        folder: Path,
        network: YoloNet,
        card: ModelCard,
        samples: Sequence[TrainingSample],
        sizes: Sequence[int],
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder, self._network, self._samples, self._sizes = folder, network, samples, sizes
        self._grids = [
            lay_grid([(size // s, size // s) for s in card.strides], card.anchors, card.strides) for size in sizes
        ]
        self._maps: dict[int, list[Tensor]] = {}
        self._seen: dict[int, list[Seen]] = {}

    def read(self, step: int) -> tuple[list[Tensor], list[Seen]]:
        """The maps of the batch of a step, all of one view; the first epochs are one view each."""
        count, views = len(self._samples), len(self._sizes)
        epoch, place = divmod(step, max(1, count // BATCH))
        rows = np.random.default_rng(epoch).permutation(count)[place * BATCH : (place + 1) * BATCH]
        view = epoch if epoch < views else int(np.random.default_rng((epoch, place)).integers(views))
        if view not in self._seen:
            self._make(view)
        stacked = [maps[torch.from_numpy(rows)].permute(0, 3, 1, 2) for maps in self._maps[view]]
        return stacked, [self._seen[view][row] for row in rows.tolist()]

    def _make(self, view: int) -> None:
        marks, count = self._folder / f"{view}.pt", len(self._samples)
        config = self._network.config
        widths = [(4, self._network.backbone.channels[0]), *zip(STRIDES, config.widths, strict=True)]
        if config.head == "offsets":  # coefficients are read from a branch of the head
            widths += [(stride, config.head_width) for stride in STRIDES]
        self._maps[view] = []
        for level, (stride, width) in enumerate(widths):
            side, file = self._sizes[view] // stride, str(self._folder / f"{view}-{level}.bin")
            values = torch.from_file(file, shared=True, size=count * side * side * width, dtype=torch.bfloat16)
            self._maps[view].append(values.view(count, side, side, width))
        if marks.is_file():
            stored = torch.load(marks, weights_only=True)
            self._seen[view] = [Seen(cells, TruthTensors(*truth), seed) for cells, truth, seed in stored]
            return
        seen: list[Seen] = []
        for start in range(0, count, BATCH):
            seen += self._look(view, range(start, min(start + BATCH, count)))
        torch.save([(one.cells, tuple(one.ground_truth), one.seed) for one in seen], marks)
        self._seen[view] = seen
        print(f"view {view}: {sum(len(one.cells) for one in seen)} masks", flush=True)

    def _look(self, view: int, rows: range) -> list[Seen]:
        generators = [np.random.default_rng((view, row)) for row in rows]
        augment, samples = VARIED if view else PLAIN, self._samples
        made = [
            make_sample(row, samples.__getitem__, len(samples), self._sizes[view], rng, augment)
            for row, rng in zip(rows, generators, strict=True)
        ]
        images = torch.from_numpy(np.stack([one.image for one in made])).permute(0, 3, 1, 2).float().div_(255)
        grid = self._grids[view]
        maps, boxes, classes = frozen(self._network, images.contiguous(memory_format=torch.channels_last), grid)
        for level, values in enumerate(maps):
            self._maps[view][level][rows.start : rows.stop] = values.permute(0, 2, 3, 1)
        truths = [
            TruthTensors(*(torch.from_numpy(getattr(one.ground_truth, name)) for name in TruthTensors._fields))
            for one in made
        ]
        truth = TruthBatch.of(truths)
        won = align(boxes, classes, grid, truth)
        fits = truth.has_mask[won.images, won.objects] & (won.ious > 0.3)
        seen = []
        for place, rng in enumerate(generators):
            own = fits & (won.images == place)
            chosen, count = won.objects[own], int(own.sum())
            alone = TruthTensors(
                boxes=truth.boxes[place, chosen],
                full_boxes=truth.full_boxes[place, chosen],
                classes=torch.zeros(count, 1),
                class_weights=torch.zeros(count, 1),
                weights=torch.ones(count),
                masks=truth.masks[place, chosen],
                has_mask=truth.has_mask[place, chosen],
                ignored=torch.zeros(0, 4),
                unlabelled=torch.zeros(1),
            )
            seen.append(Seen(won.cells[own], alone, int(rng.integers(2**31))))
        return seen


@torch.no_grad()
def frozen(network: YoloNet, images: Tensor, grid: AnchorGrid) -> tuple[list[Tensor], Tensor, Tensor]:
    """(maps that masks are made of; boxes; raw classes).

    The maps are those at strides 4, 8, 16 and 32, and where the heads have a branch for boxes that of each stride.
    """
    with mixed_precision(torch.device("cpu"), wanted=True):
        found, _ = network.backbone.maps_and_embedding(network.normalize(images))
        levels = network.neck(*found[1:])
        raw = [head(level) for head, level in zip(network.heads, levels, strict=True)]
        asked = [
            head.box_branch(head.stem(level))
            for head, level in zip(network.heads, levels, strict=True)
            if isinstance(head, Head)
        ]
    flat = flatten([level.float() for level in raw])
    return [found[0], *levels, *asked], decode(flat[..., :4], grid), flat[..., 5 : 5 + network.config.classes]


def masks_loss(
    parts: nn.ModuleList, maps: Sequence[Tensor], seen: Sequence[Seen], *, anchors: int, seed: int
) -> Tensor:
    """The mean loss of the masks of a batch."""
    prototypes, *coefficients = parts
    fine, *levels = (each.float() for each in maps)
    with mixed_precision(torch.device("cpu"), wanted=True):
        masks = prototypes(tuple(levels[:3]), fine)
        answers = [branch(level) for branch, level in zip(coefficients, levels[-3:], strict=True)]
    flat = flatten([answer.unflatten(1, (anchors, -1)).float() for answer in answers])
    counts = torch.tensor([len(one.cells) for one in seen])
    images = torch.arange(len(seen)).repeat_interleave(counts)
    objects = torch.cat([torch.arange(len(one.cells)) for one in seen])
    truth, cells = TruthBatch.of([one.ground_truth for one in seen]), torch.cat([one.cells for one in seen])
    seeds = [(one.seed + seed) % 2**31 for one in seen]
    total, count = masks_of_batch(masks, flat, images, cells, objects, truth, LOSSES, seeds)
    return (total + 0.0 * flat.sum()) / max(count, 1)


if __name__ == "__main__":
    main()

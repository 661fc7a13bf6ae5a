"""What dropout, batch norm, weight decay, depth, residual links, pooling and freezing buy on little data.

    python -m benchmarks.lecture_experiments [--out docs] [--epochs 12] [--seeds 2] [--only NAME ...]

Trains a small network again and again on 200 digits that the program draws, judges it on 500 others, and for transfer
the embedded detector's backbone on 120 shapes, judged on 200 (`demo --datasets` draws more of both). Writes the numbers
(lectures/experiments.json), the curves (lectures/images/experiments.png) and the table in experiments.md. One core is
enough: about 5 minutes.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import torch
from jaxtyping import Float32, Int64
from matplotlib.figure import Figure
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.page_charts import page_style
from tracker.commands.demo_data import SHAPES, draw_digits, draw_shapes
from tracker.nets.classifier import Classifier, ClassifierConfig
from tracker.nets.transfer import fill_backbone, read_backbone

__all__ = ["EXPERIMENTS", "Trial", "digits", "run_experiments", "table", "train_trial"]

ROOT = Path(__file__).parents[1]
DIGITS = (200, 500)
"""Images to train on, and to judge by."""
SHAPES_DRAWN = (120, 200)
SIDE = 64
"""Pixels of an image of a shape."""
BATCH = 20
RATE = 0.004
BEGIN, END = "<!-- table -->", "<!-- end of table -->"
"""Around the table in the page."""


@dataclass(frozen=True, slots=True)
class Trial:
    """One way to build and train the network."""

    name: str
    depth: int = 4
    """Convolutions of 3 x 3, a pooling after each quarter of them up to three times."""
    width: int = 16
    batch_norm: bool = True
    residual: bool = False
    dropout: float = 0.0
    weight_decay: float = 0.0
    augment: bool = False
    """Each training image moved by up to 2 pixels at random."""
    start: str = ""
    """'detector': the backbone of sightline-anchors with its weights in place of the small network; 'fresh': bare."""
    freeze: bool = False
    """Keep that backbone still."""
    body_factor: float = 1.0
    """The backbone's learning rate, as a part of the head's."""


@dataclass(slots=True)
class Curve:
    """What became of a trial, averaged over seeds."""

    name: str
    train_loss: list[float] = field(default_factory=list)
    loss: list[float] = field(default_factory=list)
    accuracy: list[float] = field(default_factory=list)
    """On the images to judge by, after each epoch."""
    spread: float = 0.0
    """Half of the distance between the best and the worst seed's last accuracy."""


PLAIN = Trial("plain", batch_norm=False)
NORMED = Trial("batch norm")
EXPERIMENTS: dict[str, tuple[Trial, ...]] = {
    "dropout": (replace(NORMED, name="none"), replace(NORMED, name="0.5 before the last layer", dropout=0.5)),
    "batch norm": (replace(PLAIN, name="off"), replace(NORMED, name="on")),
    "weight decay": (
        replace(NORMED, name="0"),
        replace(NORMED, name="0.5", weight_decay=0.5),
    ),
    "depth, plain": (
        replace(PLAIN, name="2 layers", depth=2),
        replace(PLAIN, name="4 layers", depth=4),
        replace(PLAIN, name="10 layers", depth=10),
    ),
    "residual links": (
        replace(NORMED, name="10 layers, plain", depth=10),
        replace(NORMED, name="10 layers, residual", depth=10, residual=True),
    ),
    "augmentation": (replace(NORMED, name="none"), replace(NORMED, name="moved by up to 2 pixels", augment=True)),
    "transfer and freezing": (
        Trial("from scratch", start="fresh"),
        Trial("from the detector", start="detector"),
        Trial("from the detector, backbone at 1/100 of the rate", start="detector", body_factor=0.01),
        Trial("from the detector, frozen", start="detector", freeze=True),
    ),
}


def main() -> None:
    """Run all, and write numbers and curves."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=ROOT / "docs")
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--seeds", type=int, default=2)
    text = "run these, and take the others' numbers from experiments.json"
    parser.add_argument("--only", nargs="+", default=list(EXPERIMENTS), choices=list(EXPERIMENTS), help=text)
    options = parser.parse_args()
    folder = options.out / "lectures"
    made = run_experiments(
        options.only, epochs=options.epochs, seeds=options.seeds, report=lambda line: print(line, flush=True)
    )
    if len(made) < len(EXPERIMENTS):
        before = json.loads((folder / "experiments.json").read_text(encoding="utf-8"))
        made = {name: [Curve(**curve) for curve in curves] for name, curves in before.items()} | made
    results = {name: made[name] for name in EXPERIMENTS}
    (folder / "images").mkdir(parents=True, exist_ok=True)
    (folder / "experiments.json").write_text(json.dumps(_rounded(results), indent=1) + "\n", encoding="utf-8")
    draw_curves(folder / "images" / "experiments.png", results)
    page = options.out / "experiments.md"
    if page.exists():
        head, _, rest = page.read_text(encoding="utf-8").partition(BEGIN)
        page.write_text(head + BEGIN + "\n" + table(_rounded(results)) + END + rest.partition(END)[2], encoding="utf-8")


def run_experiments(
    names: Sequence[str] = tuple(EXPERIMENTS),
    *,
    epochs: int,
    seeds: int,
    report: Callable[[str], None] = lambda _line: None,
) -> dict[str, list[Curve]]:
    """The curves of each experiment's trials; the same for the same numbers of epochs and seeds."""
    of_digits = [digits(count, seed=seed) for seed, count in enumerate(DIGITS)]
    of_shapes = [shapes(count, seed=seed) for seed, count in enumerate(SHAPES_DRAWN)]
    results: dict[str, list[Curve]] = {}
    known: dict[Trial, Curve] = {}
    for name in names:
        results[name] = []
        for trial in EXPERIMENTS[name]:
            train, judge = of_shapes if trial.start else of_digits
            same = replace(trial, name="")  # several experiments begin with the same network
            if same not in known:
                seeded = [train_trial(trial, train, judge, epochs=epochs, seed=seed) for seed in range(seeds)]
                known[same] = _mean("", seeded)
            curve = replace(known[same], name=trial.name)
            results[name].append(curve)
            report(f"{name:22} {trial.name:28} {curve.accuracy[-1]:.3f} +- {curve.spread:.3f}")
    return results


Images: TypeAlias = tuple[Float32[Tensor, "n c h w"], Int64[Tensor, " n"]]
"""Images in 0..1 and their classes."""


def digits(count: int, *, seed: int) -> Images:
    """White digits on black, 28 x 28."""
    images, labels = draw_digits(np.random.default_rng(seed), count)
    return torch.from_numpy(images)[:, None].float() / 255, torch.from_numpy(labels.astype(np.int64))


def shapes(count: int, *, seed: int) -> Images:
    """Images with one coloured shape each."""
    rng = np.random.default_rng(seed)
    drawings = [draw_shapes(rng, size=SIDE, smallest=0.4, largest=0.8) for _ in range(count)]
    images = np.stack([drawing.image for drawing in drawings]).transpose(0, 3, 1, 2)
    labels = np.array([int(drawing.classes[0]) for drawing in drawings])
    return torch.from_numpy(images.copy()).float() / 255, torch.from_numpy(labels)


class SmallNet(nn.Module):
    """Convolutions of 3 x 3 with what a trial asks for, global pooling, one dense layer."""

    def __init__(self, trial: Trial) -> None:
        super().__init__()
        self.residual = trial.residual
        self.blocks = nn.ModuleList()
        self.pool_after: set[int] = set()
        inputs, every = 1, max(1, trial.depth // 4)
        for number in range(trial.depth):
            norm: nn.Module = nn.BatchNorm2d(trial.width) if trial.batch_norm else nn.Identity()
            self.blocks.append(nn.Sequential(nn.Conv2d(inputs, trial.width, 3, padding=1), norm))
            inputs = trial.width
            if (number + 1) % every == 0 and len(self.pool_after) < 3:
                self.pool_after.add(number)
        self.dropout, self.dense = nn.Dropout(trial.dropout), nn.Linear(trial.width, 10)

    def forward(self, images: Float32[Tensor, "b 1 h w"]) -> Float32[Tensor, "b k"]:
        x = images - 0.5
        for number, block in enumerate(self.blocks):
            y = block(x)
            x = functional.relu(y + x if self.residual and number else y)
            if number in self.pool_after:
                x = functional.max_pool2d(x, 2)
        logits: Tensor = self.dense(self.dropout(x.mean(dim=(2, 3))))
        return logits


def train_trial(
    trial: Trial,
    train: Images,
    judge: Images,
    *,
    epochs: int,
    seed: int,
) -> Curve:
    """AdamW at a rate that falls to zero along half a cosine."""
    torch.manual_seed(seed)
    network = _transferred(trial) if trial.start else SmallNet(trial)
    groups: dict[float, list[nn.Parameter]] = {}
    for name, parameter in network.named_parameters():
        if parameter.requires_grad:
            groups.setdefault(trial.body_factor if name.startswith("backbone.") else 1.0, []).append(parameter)
    rates = [{"params": each, "lr": RATE * factor} for factor, each in groups.items()]
    optimizer = torch.optim.AdamW(rates, weight_decay=trial.weight_decay)
    images, labels = train
    steps = epochs * -(-len(images) // BATCH)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    curve = Curve(trial.name)
    for _ in range(epochs):
        network.train()
        if trial.freeze:
            network.backbone.eval()  # type: ignore[union-attr]
        total = 0.0
        for rows in torch.split(torch.randperm(len(images)), BATCH):
            batch = images[rows]
            if trial.augment:
                right, down = torch.randint(-2, 3, (2,)).tolist()
                batch = torch.roll(batch, (down, right), dims=(2, 3))
            loss = functional.cross_entropy(network(batch), labels[rows])
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            schedule.step()
            total += float(loss.detach()) * len(rows)
        network.eval()
        with torch.inference_mode():
            logits = network(judge[0])
        curve.train_loss.append(total / len(images))
        curve.loss.append(float(functional.cross_entropy(logits, judge[1])))
        curve.accuracy.append(float((logits.argmax(dim=1) == judge[1]).float().mean()))
    return curve


def _transferred(trial: Trial) -> nn.Module:
    """A classifier on the backbone of the embedded detector."""
    start = read_backbone(ROOT / "weights" / "sightline-anchors.safetensors")
    config = ClassifierConfig(backbone=start.name, classes=len(SHAPES), head="pooled", norm=not start.folded)
    network = Classifier(config)
    if trial.start == "detector":
        fill_backbone(network.backbone, start, name=start.name)
    if trial.freeze:
        network.backbone.requires_grad_(False)
    return network


def _mean(name: str, curves: list[Curve]) -> Curve:
    def over(key: str) -> list[float]:
        return [float(value) for value in np.mean([getattr(curve, key) for curve in curves], axis=0)]

    last = [curve.accuracy[-1] for curve in curves]
    return Curve(name, over("train_loss"), over("loss"), over("accuracy"), (max(last) - min(last)) / 2)


def _rounded(results: dict[str, list[Curve]]) -> dict[str, Any]:
    def short(value: Any) -> Any:
        if isinstance(value, list):
            return [short(each) for each in value]
        return round(value, 3) if isinstance(value, float) else value

    return {
        name: [{key: short(value) for key, value in asdict(curve).items()} for curve in curves]
        for name, curves in results.items()
    }


def table(results: dict[str, Any]) -> str:
    """The page's table: each trial's last accuracy with half the seeds' range, and its two losses."""
    lines = ["| What | How | Accuracy | Training loss | Loss |", "|---|---|---|---|---|"]
    lines += [
        f"| {name} | {curve['name']} | {curve['accuracy'][-1]:.3f} ± {curve['spread']:.3f} | "
        f"{curve['train_loss'][-1]:.3f} | {curve['loss'][-1]:.3f} |"
        for name, curves in results.items()
        for curve in curves
    ]
    return "\n".join(lines) + "\n"


def draw_curves(path: Path, results: dict[str, list[Curve]]) -> None:
    """Accuracy on the images to judge by after each epoch, one panel per experiment."""
    rows = -(-len(results) // 2)
    with page_style():
        figure = Figure(figsize=(8.5, 2.6 * rows), layout="constrained")
        panels = figure.subplots(rows, 2).ravel()
        for panel, (name, curves) in zip(panels, results.items(), strict=False):
            for curve in curves:
                panel.plot(range(1, len(curve.accuracy) + 1), curve.accuracy, label=curve.name)
            panel.set_title(name, fontsize=10)
            panel.set_ylim(0, 1)
            panel.set_xlabel("epoch", fontsize=8)
            panel.legend(fontsize=7, loc="best")
            panel.grid(alpha=0.3)
        for panel in panels[len(results) :]:
            panel.set_axis_off()
        figure.savefig(path, dpi=80)


if __name__ == "__main__":
    main()

"""The settings of a detector's training."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from tracker.config import check_image_size
from tracker.nets.model_card import LEAST_INPUT_SCALE
from tracker.train.data.augment import AugmentConfig
from tracker.train.distil import DistillConfig
from tracker.train.losses import LossConfig
from tracker.train.seeds import check_seed

__all__ = ["TrainConfig"]

NOT_BELOW_ZERO = (
    "prototype_width",
    "mask_width",
    "max_minutes",
    "neck_factor",
    "body_factor",
    "fresh_factor",
    "weight_decay",
    "warmup_steps",
    "patience",
    "evaluate_minutes",
    "evaluate_images",
)


@dataclass(frozen=True)
class TrainConfig:
    """How a detector is trained."""

    data: Path
    """data.yaml: path, train, val, names; labelled, groups and validation_share where needed."""
    out: Path = Path("runs/detector")
    """Folder for best, last, results.csv and plots."""
    start: str = ""
    """Weights to start from: a .safetensors model of ours, whatever its classes, a published YOLO26 or YOLO11 nano
    (.safetensors, batch norm folded), or a YOLOX nano .onnx."""
    teacher: str = "start"
    """Models asked for what a folder does not label, fused: files with commas between, `start` itself, or none."""
    backbone: str = "cspdarknet_nano"
    """Backbone of a fresh network."""
    pretrained: str = ""
    """Weights for the backbone of a fresh network: any network of ours that holds it, or torchvision's or timm's."""
    norm: bool = True
    """Batch norm in a fresh network; without it its convolutions carry biases."""
    residual: bool = True
    """Residual links in a fresh network's backbone, where it has any."""
    prototypes: str = ""
    """Mask branch: light, or fused (finer edges, from every map of the neck); none given keeps the start's."""
    prototype_width: int = 0
    """Channels inside that branch; 0 keeps the start's, or 64 where `prototypes` changes them."""
    mask_width: int = 0
    """Channels inside the branch for mask coefficients, where it stands apart; 0 keeps the start's."""
    epochs: int = 50
    """Times every image is used."""
    max_minutes: float = 0.0
    """Stop, fully annealed, after this many minutes; 0 for no limit."""
    batch: int = 16
    """Images per step, over all processes."""
    sizes: tuple[int, ...] = ()
    """Input sizes trained at, each batch taking one at random; none given takes `input_size`."""
    input_size: int = 416
    """Size the network is trained at (`sizes` gives others), evaluated at and shipped for, a multiple of 32."""
    input_scale: float = 0.0
    """The network scales each canvas by this first, 0.5 to 1, which costs less time; 0 keeps the start's, or 1."""
    precision: float = 0.0
    """Share of finds that must be right at the default threshold, which else is that of the best F1."""
    learning_rate: float = 1e-3
    """Peak rate of the heads."""
    neck_factor: float = 1.0
    """Share of that rate for the neck."""
    body_factor: float = 0.0
    """Share of that rate for the backbone; 0 takes all of it, or a tenth after `freeze`."""
    fresh_factor: float = 1.0
    """Factor for layers that `start` did not fill (masks, when it is a YOLOX file)."""
    weight_decay: float = 0.02
    """AdamW's, on weights only."""
    warmup_steps: int = 200
    """Steps over which the rate rises; at most a tenth of the run, from a start 20 or half of a shorter one."""
    final_factor: float = 0.02
    """Share of the rate left at the end."""
    clip: float = 10.0
    """Largest norm of the gradient."""
    average: float = 0.998
    """Decay of the moving average of the weights."""
    freeze: int = 0
    """Epochs during which the backbone stays as it is; it then learns at a low rate (body_factor)."""
    masks_only: bool = False
    """Teach masks alone; where and what objects are is answered as before, at less than half the time per image."""
    patience: int = 0
    """Stop after this many evaluations without a better one; 0 never stops early."""
    evaluate_minutes: float = 0.0
    """Evaluate when this many minutes have passed; 0 evaluates after every epoch."""
    evaluate_images: int = 0
    """Images of the validation split looked at during training; 0 for all."""
    seed: int = 0
    """Of images and fresh weights."""
    threads: int = 1
    """Threads that make images."""
    device: str = "auto"
    """cpu, cuda or auto."""
    mixed_precision: bool = True
    """bfloat16 where the network multiplies, on devices that are faster so."""
    resume: bool = False
    """Go on from `last` in `out`."""
    data_on_device: bool = False
    """Keep all images on the device as bytes and augment them there: for GPUs (no copy-paste, no mixup)."""
    pictures: bool = True
    """Draw labels, batches, curves and mistakes into `out`."""
    tensorboard: bool = False
    """Write events for TensorBoard into `out` too; needs the package tensorboard."""
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    losses: LossConfig = field(default_factory=LossConfig)
    teaching: DistillConfig = field(default_factory=DistillConfig)

    def __post_init__(self) -> None:
        check_seed(self.seed)
        check_image_size("input_size", self.input_size)
        for size in self.sizes:
            check_image_size("each of sizes", size)
        for name in ("epochs", "batch", "threads"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be 1 or more, found {getattr(self, name)}")
        for name in ("learning_rate", "clip"):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name} must be above 0, found {getattr(self, name)}")
        for name in NOT_BELOW_ZERO:
            if getattr(self, name) < 0:
                raise ValueError(f"{name} must be 0 or more, found {getattr(self, name)}")
        if self.input_scale and not LEAST_INPUT_SCALE <= self.input_scale <= 1:
            raise ValueError(f"input_scale must be 0, or from {LEAST_INPUT_SCALE} to 1, found {self.input_scale}")
        if self.input_scale != round(self.input_scale, 2):
            raise ValueError(f"input_scale must be in hundredths, found {self.input_scale}")
        for name in ("precision", "final_factor", "average"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} must be from 0 to 1, found {getattr(self, name)}")
        if self.masks_only and not (self.start or self.resume):
            raise ValueError("masks_only keeps where and what objects are as the start answers it: give --start too")
        if self.prototypes not in ("", "light", "fused"):
            raise ValueError(f"prototypes must be light, fused or nothing, found {self.prototypes!r}")
        if not 0 <= self.freeze <= self.epochs:
            raise ValueError(f"freeze must be from 0 to the {self.epochs} epochs, found {self.freeze}")

    @property
    def training_sizes(self) -> tuple[int, ...]:
        """The sizes of the canvases that training images stand for."""
        return self.sizes or (self.input_size,)

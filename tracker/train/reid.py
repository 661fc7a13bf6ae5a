"""Training of a re-identification network: identity softmax and batch-hard triplets, on crops along tracks.

Hermans, Beyer and Leibe, "In Defense of the Triplet Loss for Person Re-Identification", 2017: each batch holds P
identities with K crops each; every crop is compared with its hardest positive and its hardest negative. Softmax over
the identities beside it, with label smoothing: Luo et al., "Bag of Tricks", CVPR Workshops 2019.
A teacher's vectors, where there are any, are learned by the cosine to them; an object of which there is one crop is
its own positive, augmented twice.
Where we differ: distances are taken between unit vectors, as the tracker compares them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float32, Int64
from numpy import ndarray
from torch import Tensor, nn
from torch.nn import functional

from tracker.config.bounds import check_least, check_shares
from tracker.detect.engines.torch import find_device
from tracker.errors import CheckpointError, ConfigError
from tracker.evaluate.retrieval import RetrievalScore, score_retrieval
from tracker.nets.openvino_reid import copy_openvino, settle_norms
from tracker.nets.reid import OSNet, ReidConfig, ReidNet, load_reid, make_reid
from tracker.nets.saved import save_network
from tracker.train.data.classification import AugmentImages, augment_images
from tracker.train.data.identity_crops import Crops
from tracker.train.seeds import seed_of
from tracker.train.trainer import FitConfig, FitResult, fit

__all__ = ["ReidTraining", "batch_hard_triplet_loss", "describe_crops", "score_reid", "teacher_loss", "train_reid"]

SETTLED = 256
"""Crops on which the batch norms of a network of which there is only the folded form find their statistics."""


@dataclass(frozen=True, slots=True)
class ReidTraining:
    """How a re-identification network is trained."""

    network: ReidConfig = field(default_factory=ReidConfig)
    """Which network; its identities come from the data."""
    pretrained: Path | None = None
    """A network to start from: of ours, a torchreid OSNet, or Open Model Zoo's person-reidentification-retail-0288."""
    people: int = 8
    """Identities per batch, P."""
    crops: int = 4
    """Crops of each, K."""
    margin: float = 0.3
    """How much farther than the hardest positive the hardest negative should be."""
    label_smoothing: float = 0.1
    """Share of the identity truth spread over all identities."""
    identity_weight: float = 1.0
    """Weight of telling the training identities apart; 0 where there are too many of one crop each."""
    triplet_weight: float = 1.0
    """Weight of the triplets."""
    teacher_weight: float = 10.0
    """Weight of 1 - cosine to what a teacher says."""
    augment: AugmentImages = field(
        default_factory=lambda: AugmentImages(scale=0.1, shift=0.05, flip=True, colour=0.2, coarse=0.4)
    )
    """How crops are moved and changed."""
    fit: FitConfig = field(default_factory=FitConfig)

    def __post_init__(self) -> None:
        check_shares(self, "label_smoothing")
        check_least(self, "identity_weight", "triplet_weight", "teacher_weight", "margin", least=0)
        check_least(self, "people", "crops", least=1)


class _Batch(NamedTuple):
    crops: Float32[Tensor, "b 3 h w"]
    ids: Int64[Tensor, " b"]
    taught: Float32[Tensor, "b d"] | None


class _ReidTask:
    def __init__(self, config: ReidTraining, train: Crops, val: Crops | None) -> None:
        self.config, self.val = config, val
        self.device = find_device(config.fit.device)
        _, numbers = np.unique(train.ids, return_inverse=True)
        self.rows = [np.flatnonzero(numbers == number) for number in range(int(numbers.max()) + 1)]
        self.images = torch.from_numpy(train.images).to(self.device)
        self.ids = torch.from_numpy(numbers.astype(np.int64)).to(self.device)
        self.taught = None if train.taught is None else torch.from_numpy(train.taught).to(self.device)
        shares = np.sqrt([len(rows) for rows in self.rows])
        self.shares = shares / shares.sum()
        self.steps = max(1, round(len(train) / (config.people * config.crops)))

    def batches(self, epoch: int) -> Iterator[_Batch]:
        seed = seed_of(self.config.fit.seed, epoch)
        random, generator = np.random.default_rng(seed), torch.Generator().manual_seed(seed)
        for _ in range(self.steps):
            people = random.choice(
                len(self.rows), min(self.config.people, len(self.rows)), replace=False, p=self.shares
            )
            chosen = np.concatenate([_draw(self.rows[person], self.config.crops, random) for person in people])
            rows = torch.from_numpy(chosen).to(self.device)
            taught = None if self.taught is None else self.taught[rows]
            crops = augment_images(self.images[rows], self.config.augment, generator)
            yield _Batch(crops.to(memory_format=torch.channels_last), self.ids[rows], taught)

    def losses(self, network: nn.Module, batch: _Batch) -> Mapping[str, Tensor]:
        assert isinstance(network, ReidNet)
        vectors = network(batch.crops)
        config = self.config
        losses: dict[str, Tensor] = {}
        if config.identity_weight:
            logits = network.classifier(vectors).float()
            apart = functional.cross_entropy(logits, batch.ids, label_smoothing=config.label_smoothing)
            losses["identity"] = config.identity_weight * apart
        if config.triplet_weight:
            triplets = batch_hard_triplet_loss(vectors.float(), batch.ids, margin=config.margin)
            losses["triplet"] = config.triplet_weight * triplets
        if batch.taught is not None:
            losses["teacher"] = config.teacher_weight * teacher_loss(vectors.float(), batch.taught)
        return losses

    def measure(self, network: nn.Module) -> Mapping[str, float]:
        if self.val is None:
            return {}
        score = score_reid(network, self.val)
        if not score.queries:  # nobody set aside was seen twice: nothing to find again
            return {}
        return {"score": score.mean_average_precision, "rank1": score.rank1, "map": score.mean_average_precision}

    def save(self, path: Path, network: nn.Module, measures: Mapping[str, float]) -> None:
        assert isinstance(network, ReidNet)
        description = {
            "network": asdict(network.config),
            "training": {key: value for key, value in asdict(self.config.fit).items() if key != "resume"},
            "accuracy": dict(measures),
        }
        save_network(path, network, kind="reid", description=description)


def train_reid(
    config: ReidTraining, train: Crops, val: Crops | None, out: Path, *, report: Callable[[str], None]
) -> FitResult:
    """Train on `train`, choose the epoch with the best mAP on `val` (else the last), leave the files in `out`.

    The identities of `val` should not be among those of `train`. Raises ConfigError for fewer than two identities.
    """
    identities = len(np.unique(train.ids))
    if identities < 2:
        raise ConfigError(f"re-identification needs at least two identities to tell apart, found {identities}")
    torch.manual_seed(config.fit.seed)
    network = make_reid(replace(config.network, identities=identities if config.identity_weight else 0))
    if train.taught is not None and train.taught.shape[1] != config.network.dimensions:
        raise ConfigError(
            f"the teacher's vectors have {train.taught.shape[1]} values, the network's {config.network.dimensions}; "
            f"use --dimensions {train.taught.shape[1]}"
        )
    if config.pretrained is not None:
        _start_from(network, config.pretrained, train)
    return fit(
        network, _ReidTask(config, train, val), config.fit, out, started=config.pretrained is not None, report=report
    )


def batch_hard_triplet_loss(
    vectors: Float32[Tensor, "b d"], ids: Int64[Tensor, " b"], *, margin: float
) -> Float32[Tensor, ""]:
    """Mean of max(0, margin + farthest positive - nearest negative), distances between unit vectors.

    Crops without a positive or without a negative in the batch count as 0.
    """
    unit = functional.normalize(vectors, dim=1)
    distances = (2 - 2 * unit @ unit.T).clamp(min=1e-12).sqrt()
    same = ids[:, None] == ids[None, :]
    itself = torch.eye(len(ids), dtype=torch.bool, device=ids.device)
    positive = distances.masked_fill(~same | itself, -torch.inf).amax(dim=1)
    negative = distances.masked_fill(same, torch.inf).amin(dim=1)
    return (margin + positive - negative).clamp(min=0).mean()


def teacher_loss(vectors: Float32[Tensor, "b d"], taught: Float32[Tensor, "b d"]) -> Float32[Tensor, ""]:
    """Mean of 1 - cosine to the teacher's vectors, over the crops that it was asked about."""
    asked = taught.any(dim=1).float()
    cosine = functional.cosine_similarity(vectors, taught, dim=1)
    return ((1 - cosine) * asked).sum() / asked.sum().clamp(min=1)


@torch.inference_mode()
def describe_crops(network: nn.Module, crops: Crops, *, batch: int = 64) -> Float32[ndarray, "n d"]:
    """A unit vector per crop, by a network in evaluation mode."""
    device = next(network.parameters()).device
    parts = []
    for start in range(0, len(crops), batch):
        images = torch.from_numpy(crops.images[start : start + batch]).to(device).float() / 255
        parts.append(functional.normalize(network(images).float(), dim=1).cpu().numpy())
    return np.concatenate(parts)


def score_reid(network: nn.Module, crops: Crops) -> RetrievalScore:
    """Each crop looked for among those of other stretches of the recording and among other identities."""
    vectors = describe_crops(network, crops)
    return score_retrieval(
        vectors, crops.ids, vectors, crops.ids, query_cameras=crops.moments, gallery_cameras=crops.moments
    )


def _start_from(network: ReidNet, path: Path, train: Crops) -> None:
    if path.suffix == ".onnx":
        if not isinstance(network, OSNet):
            raise CheckpointError(f"{path}: fills an osnet_x0_25 alone, not {network.config.backbone}")
        copy_openvino(network, path)
        spread = np.linspace(0, len(train) - 1, min(len(train), SETTLED)).astype(np.int64)
        settle_norms(network, torch.from_numpy(train.images[spread]).float() / 255)
        return
    known = {name: value for name, value in load_reid(path).state_dict().items() if not name.startswith("classifier.")}
    wanted = {name for name in network.state_dict() if not name.startswith("classifier.")}
    try:
        network.load_state_dict(known, strict=False)
    except RuntimeError as error:
        raise CheckpointError(f"{path}: does not fit this network: {error}. Name its --backbone.") from error
    if wanted != known.keys():
        raise CheckpointError(f"{path}: another kind of network than {network.config.backbone}. Name its --backbone.")


def _draw(rows: Int64[ndarray, " n"], count: int, random: np.random.Generator) -> Int64[ndarray, " k"]:
    return random.choice(rows, count, replace=len(rows) < count)

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from tracker.embedded import embedded_networks
from tracker.errors import CheckpointError
from tracker.nets.export_segmentation import export_segmentation
from tracker.nets.saved import save_network
from tracker.nets.segmenter import SegmentationConfig, SegmentationNet, load_segmentation
from tracker.segment.labeller import PixelLabeller
from tracker.types import Image

NETWORKS = {
    "unet": SegmentationConfig("unet", classes=3, width=4, depth=2),
    "valid": SegmentationConfig("unet", classes=3, width=4, depth=2, padded=False),
    "body": SegmentationConfig("unet", classes=3, width=8, backbone="yolo26_nano", norm=False),
    "fcn": SegmentationConfig("fcn", classes=3, backbone="resnet18"),
}


def saved(path: Path, config: SegmentationConfig) -> Path:
    """A network with lively scores, as `train segmentation` would leave it for images of 64 x 48."""
    torch.manual_seed(2)
    network = SegmentationNet(config)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean = torch.rand_like(module.running_mean) * 0.1  # type: ignore[arg-type]
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            nn.init.normal_(module.weight, std=module.weight[0].numel() ** -0.5)
    last = network.network.score[0] if config.architecture == "fcn" else network.network.classify
    side = 52 if not config.padded else 64
    with torch.no_grad():  # no class wins everywhere
        last.bias -= network.eval()(torch.rand(1, 3, side, side)).mean(dim=(0, 2, 3))
    names = {name: getattr(config, name) for name in config.__dataclass_fields__}
    description = {"network": names, "labels": ["road", "sky", "car"], "image_size": [48, 64]}
    save_network(path, network, kind="segmentation", description=description)
    return path


def noise(height: int, width: int) -> Image:
    image = np.random.default_rng(3).integers(0, 256, (height, width, 3), np.uint8)
    image.flags.writeable = False
    return image


@pytest.mark.parametrize("name", NETWORKS)
def test_the_exported_file_labels_as_the_network_does_at_any_size(name: str, tmp_path: Path) -> None:
    source = saved(tmp_path / "n.safetensors", NETWORKS[name])
    network, description = load_segmentation(source)
    export_segmentation(tmp_path / "n.onnx", network, description)
    torch_one, onnx_one = PixelLabeller(source), PixelLabeller(tmp_path / "n.onnx")
    assert torch_one.labels == onnx_one.labels == ("road", "sky", "car")
    for size in ((48, 64), (90, 160), (31, 45)):
        labels = onnx_one.at_full_size(noise(*size))
        assert labels.dtype == np.uint8
        assert labels.shape == size
        assert (labels == torch_one.at_full_size(noise(*size))).mean() > 0.995
        assert len(np.unique(labels)) > 1
    assert onnx_one(noise(90, 160)).shape == (42, 74) if name == "body" else True  # of the size it is seen at


def test_a_trained_size_image_is_labelled_as_by_the_network_itself(tmp_path: Path) -> None:
    source = saved(tmp_path / "n.safetensors", NETWORKS["body"])
    network, _ = load_segmentation(source)
    image = noise(48, 64)
    with torch.inference_mode():
        logits = network(torch.from_numpy(np.array(image)).permute(2, 0, 1)[None].float() / 255)[0]
    margin = logits.topk(2, dim=0).values.diff(dim=0).abs()[0].numpy()
    assert (PixelLabeller(source)(image) == logits.argmax(dim=0).numpy())[margin > 1e-3].all()


def test_half_precision_saves_a_quarter_of_the_file_at_least_and_keeps_the_labels(tmp_path: Path) -> None:
    network, description = load_segmentation(saved(tmp_path / "n.safetensors", NETWORKS["body"]))
    export_segmentation(tmp_path / "n.onnx", network, description)
    export_segmentation(tmp_path / "h.onnx", network, description, half=True)
    assert (tmp_path / "h.onnx").stat().st_size < 0.75 * (tmp_path / "n.onnx").stat().st_size
    whole, half = (PixelLabeller(tmp_path / f"{name}.onnx")(noise(48, 64)) for name in "nh")
    assert (whole == half).mean() > 0.97


def test_a_detector_is_refused_where_a_segmenter_is_needed() -> None:
    onnx = embedded_networks()["sightline-nano"]
    for path in (onnx, onnx.with_suffix(".safetensors")):
        with pytest.raises(CheckpointError, match="expected a segmenter, found a detector, which is for `detect`"):
            PixelLabeller(path)
    with pytest.raises(CheckpointError, match=r"expected a segmentation network ending in \.onnx or \.safetensors"):
        PixelLabeller(Path("x.pt"))


def test_more_classes_than_a_byte_has_numbers_are_refused(tmp_path: Path) -> None:
    network, description = load_segmentation(saved(tmp_path / "n.safetensors", NETWORKS["unet"]))
    described = {**description, "labels": [f"class {number}" for number in range(256)]}
    export_segmentation(tmp_path / "n.onnx", network, described)
    with pytest.raises(CheckpointError, match=r"n\.onnx: 256 classes"):
        PixelLabeller(tmp_path / "n.onnx")


def test_the_onnx_path_imports_no_torch(tmp_path: Path) -> None:
    network, description = load_segmentation(saved(tmp_path / "n.safetensors", NETWORKS["unet"]))
    export_segmentation(tmp_path / "n.onnx", network, description)
    code = (
        "import sys, numpy as np; from pathlib import Path; from tracker.segment.labeller import PixelLabeller\n"
        "PixelLabeller(Path(sys.argv[1]))(np.zeros((20, 30, 3), np.uint8)); sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code, str(tmp_path / "n.onnx")], check=False).returncode == 0

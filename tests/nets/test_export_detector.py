from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import numpy_helper
from torch import nn

from tracker.config import DetectorConfig
from tracker.detect.decode import AnchorLayout, cut_masks
from tracker.detect.decode_torch import find_objects
from tracker.detect.engines.exported import open_engine
from tracker.detect.engines.onnx import OnnxDetector
from tracker.detect.engines.torch import TorchDetector
from tracker.detect.mask_parts import without_specks_and_holes
from tracker.embedded import embedded_networks
from tracker.geometry import Letterbox, clip
from tracker.nets.checkpoint import load_detector
from tracker.nets.distances import DistanceHead
from tracker.nets.export_detector import Deployed, export_onnx, export_openvino, export_torchscript
from tracker.nets.layers import HalfStored
from tracker.nets.model_card import ModelCard, scaled_side
from tracker.nets.network_config import NetworkConfig
from tracker.nets.quantize import quantize_onnx
from tracker.nets.split_stage import AttentionStage, Halves, SplitStage
from tracker.nets.yolo import YoloNet, unrounded

ANCHORS = (((10.0, 12.0), (20.0, 14.0)), ((30.0, 40.0), (50.0, 30.0)), ((90.0, 100.0), (120.0, 60.0)))
CARD = ModelCard(("cat", "dog"), ANCHORS, coefficients=4, input_size=128, confidence=0.2, iou=0.5)


def lively() -> YoloNet:
    """A network whose batch norm has seen images and whose scores are not all small."""
    torch.manual_seed(3)
    network = YoloNet(NetworkConfig(classes=2, coefficients=4)).train()
    with torch.no_grad():
        for _ in range(4):
            network(torch.rand(2, 3, 96, 96))
        for head in network.heads:
            head.objectness.weight.mul_(8.0)
            head.objectness.bias.fill_(-0.5)
            head.classes.weight.mul_(8.0)
            head.classes.bias.fill_(0.5)
    return network.eval()


def distances() -> YoloNet:
    """YOLO26's kind of network with batch norm that has seen images, two anchors, sizes given by distances."""
    torch.manual_seed(4)
    heads = {"neck": "yolo26", "head": "distances", "head_width": 32, "prototype_width": 16, "depthwise": True}
    config = NetworkConfig(backbone="yolo26_nano", classes=2, coefficients=4, widths=(32, 48, 64), **heads)  # type: ignore[arg-type]
    network = YoloNet(config).train()
    with torch.no_grad():
        for _ in range(4):
            network(torch.rand(2, 3, 96, 96))
        for head, stride, pairs in zip(network.heads, network.strides, ANCHORS, strict=True):
            assert isinstance(head, DistanceHead)
            head.cv2[-1].bias.fill_(2.0)  # type: ignore[union-attr, operator]
            head.cv3[-1].bias.fill_(0.5)  # type: ignore[union-attr, operator]
            head.set_anchors(stride, pairs)
    return network.eval()


def test_no_map_is_cut_in_a_stage_of_an_exported_network(tmp_path: Path) -> None:
    network = distances()
    assert sum(isinstance(part, SplitStage | AttentionStage) for part in network.modules()) > 3
    for half in (False, True):
        export_onnx(tmp_path / "a.onnx", network, CARD, half=half)
        nodes = onnx.load(tmp_path / "a.onnx").graph.node
        assert sum(node.op_type == "Split" for node in nodes) == 2, "the queries, keys and values of two attentions"
        doubled = [node for node in nodes if node.op_type == "Resize" and "/neck/" in node.name]
        assert len(doubled) == 4, "halves of two stages, behind their convolution"
        assert all("/cv1/" in node.name for node in doubled)
    assert all(not isinstance(stage.cv1, Halves) for stage in network.modules() if isinstance(stage, SplitStage))


def test_the_same_weights_are_rounded_in_two_halves_as_in_one() -> None:
    whole = load_detector(embedded_networks()["sightline-nano"].with_suffix(".safetensors"))[0]
    kept = unrounded(whole)
    cut = {stage.cv1.conv for stage in whole.modules() if isinstance(stage, SplitStage)}
    assert cut & set(kept), "the first stage's"
    rounded = sum(part.weight.numel() for part in whole.modules() if isinstance(part, nn.Conv2d) and part not in kept)
    deployed = Deployed(whole, half=True)
    assert sum(part.conv.weight.numel() for part in deployed.modules() if isinstance(part, HalfStored)) == rounded


@pytest.mark.parametrize("make", [lively, distances])
def test_onnx_gives_the_same_maps_at_any_size_and_batch(tmp_path: Path, make: Callable[[], YoloNet]) -> None:
    network = make()
    export_onnx(tmp_path / "a.onnx", network, CARD)
    session = onnxruntime.InferenceSession(str(tmp_path / "a.onnx"))
    rng = np.random.default_rng(0)
    for batch, height, width in ((1, 64, 96), (3, 128, 32)):
        pixels = rng.integers(0, 256, (batch, height, width, 3), dtype=np.uint8)
        with torch.inference_mode():
            raw = network(torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 255)
        for ours, theirs in zip(
            (*raw.levels, raw.prototypes, raw.features), session.run(None, {"images": pixels}), strict=True
        ):
            np.testing.assert_allclose(ours.numpy(), theirs, atol=2e-3, rtol=1e-3)


@pytest.mark.parametrize("make", [lively, distances])
def test_onnx_and_torch_detect_the_same(tmp_path: Path, make: Callable[[], YoloNet]) -> None:
    network = make()
    export_onnx(tmp_path / "a.onnx", network, CARD)
    image = np.random.default_rng(1).integers(0, 256, (100, 150, 3), dtype=np.uint8)
    config = DetectorConfig(device="cpu", iou=1.0, max_det=10_000)  # nothing suppressed: ties would fall either way
    (ours,) = TorchDetector((network, CARD), config).detect([image])
    exported = OnnxDetector(tmp_path / "a.onnx", config)
    (theirs,) = exported.detect([image])
    assert exported.labels == CARD.labels
    assert len(ours) == len(theirs) > 0
    assert ours.masks is not None
    assert theirs.masks is not None
    box_apart = np.abs(ours.boxes[:, None] - theirs.boxes[None]).max(axis=2)
    score_apart = np.abs(ours.scores[:, None] - theirs.scores[None])
    twins = np.where(score_apart < 1e-3, box_apart, np.inf).argmin(axis=1)  # equal scores may come in another order
    rows = np.arange(len(ours))
    assert box_apart[rows, twins].max() <= 0.5
    assert score_apart[rows, twins].max() <= 1e-3
    assert np.abs(ours.masks.astype(int) - theirs.masks[twins]).max() <= 16


@pytest.mark.parametrize("kind", ["onnx", "torchscript", "xml"])
def test_every_export_scales_its_input_as_torch_does(tmp_path: Path, kind: str) -> None:
    network, card = lively(), replace(CARD, input_scale=0.8)
    path = tmp_path / f"a.{kind}"
    if kind == "torchscript":
        export_torchscript(path, network, card)
    else:
        export_onnx(tmp_path / "a.onnx", network, card)
    if kind == "xml":
        pytest.importorskip("openvino")
        export_openvino(path, tmp_path / "a.onnx", card)
    engine, rng = open_engine(path), np.random.default_rng(0)
    assert engine.card.input_scale == 0.8
    own = TorchDetector((network, card), DetectorConfig(device="cpu"))
    for height, width in ((64, 96), (256, 416), (160, 160)):
        canvases = rng.integers(0, 256, (2, height, width, 3), dtype=np.uint8)
        ours, theirs = own.run_arrays(canvases), engine.run(canvases)
        assert ours.levels[0].shape[3:] == (scaled_side(height, 0.8) // 8, scaled_side(width, 0.8) // 8)
        for mine, other in zip((*ours.levels, ours.prototypes), (*theirs.levels, theirs.prototypes), strict=True):
            np.testing.assert_allclose(mine, other, atol=2e-3, rtol=1e-3)


def test_a_network_that_scales_its_input_finds_what_it_finds_on_the_smaller_canvas() -> None:
    network = lively()
    image = np.random.default_rng(1).integers(0, 256, (200, 400, 3), dtype=np.uint8)
    config = DetectorConfig(device="cpu", iou=1.0, max_det=10_000, imgsz=320)
    scaling = TorchDetector((network, replace(CARD, input_scale=0.8)), config)
    # 320 x 160 is scaled to 256 x 128: the same canvas, made by hand.
    letterbox = Letterbox.fit(400, 200, 320)
    canvas = torch.from_numpy(letterbox.apply(image)).permute(2, 0, 1)[None].float()
    smaller = torch.nn.functional.interpolate(canvas, size=(128, 256), mode="bilinear") / 255
    with torch.inference_mode():
        raw = network(smaller)
    layout = AnchorLayout(CARD.strides, CARD.anchors, 2, 4)
    (expected,) = find_objects(raw, layout, conf=CARD.confidence, iou=1.0, max_det=10_000, further=CARD.confidence)
    (found,) = scaling.detect([image])
    assert len(found) == len(expected.boxes) > 10
    assert found.masks is not None
    boxes = clip(expected.boxes * np.float32(400 / 256), 400, 200)
    apart = np.abs(found.boxes[:, None] - boxes[None]).max(axis=2)
    apart += 1e3 * (np.abs(found.scores[:, None] - expected.scores[None]) > 1e-3)
    assert apart.min(axis=1).max() < 1e-2
    twins = apart.argmin(axis=1)
    assert (found.class_ids == expected.class_ids[twins]).mean() > 0.99  # all but ties of two classes
    on_canvas = boxes[twins] * np.float32(256 / 400)
    coefficients = expected.coefficients[twins]
    masks = without_specks_and_holes(
        cut_masks(raw.prototypes[0].numpy(), coefficients, on_canvas, width=256, height=128)
    )
    assert np.abs(found.masks.astype(int) - masks).mean() < 1


def test_half_precision_rounds_neither_biases_nor_the_first_layers(tmp_path: Path) -> None:
    network = lively()
    sizes = []
    for half in (False, True):
        file = tmp_path / f"{half}.onnx"
        export_onnx(file, network, CARD, half=half)
        tensors = [numpy_helper.to_array(tensor) for tensor in onnx.load(file).graph.initializer]
        sizes.append(sum(tensor.nbytes for tensor in tensors if tensor.ndim == 4))
        rounded = [tensor for tensor in tensors if tensor.dtype == np.float16]
        assert bool(rounded) is half
        assert all(tensor.ndim == 4 for tensor in rounded)
    assert sizes[1] < 0.55 * sizes[0]
    pixels = np.random.default_rng(2).integers(0, 256, (1, 96, 96, 3), dtype=np.uint8)
    ours, theirs = (
        onnxruntime.InferenceSession(str(tmp_path / f"{half}.onnx")).run(None, {"images": pixels})
        for half in (False, True)
    )
    for single, rounded_map in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(rounded_map, single, atol=0.02 * np.abs(single).max())


def test_exporting_leaves_the_network_as_it_was(tmp_path: Path) -> None:
    network = lively()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    export_onnx(tmp_path / "a.onnx", network, CARD)
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


@pytest.mark.parametrize("make", [lively, distances])
def test_the_first_the_answering_and_depthwise_convolutions_are_not_quantised(
    tmp_path: Path, make: Callable[[], YoloNet]
) -> None:
    export_onnx(tmp_path / "float.onnx", make(), CARD)
    rng = np.random.default_rng(0)
    quantize_onnx(tmp_path / "float.onnx", tmp_path / "int8.onnx", list(rng.integers(0, 256, (2, 64, 64, 3), np.uint8)))
    nodes = onnx.load(tmp_path / "int8.onnx").graph.node
    widened = {name for node in nodes if node.op_type == "DequantizeLinear" for name in node.output}
    whole = {node.name for node in nodes if node.op_type == "Conv" and node.input[1] in widened}
    plain = [node.name for node in nodes if node.op_type == "Conv" and node.input[1] not in widened]
    convolutions = [node for node in onnx.load(tmp_path / "float.onnx").graph.node if node.op_type == "Conv"]
    depthwise = {node.name for node in convolutions for each in node.attribute if each.name == "group" and each.i > 1}
    answering = {name for name in plain if name not in depthwise} - {convolutions[0].name}
    assert len(depthwise) > 2
    assert not whole & depthwise
    assert convolutions[0].name in plain
    assert len(whole) + len(plain) == len(convolutions)
    assert all("/heads." in name or "/prototypes/" in name for name in answering)
    assert {name.split("/")[2] for name in answering} == {"heads.0", "heads.1", "heads.2", "prototypes"}
    assert sum("/prototypes/" in name for name in answering) == 1

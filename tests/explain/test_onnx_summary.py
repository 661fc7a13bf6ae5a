"""An ONNX file's summary is that of the network it was exported from, and needs neither torch nor onnx."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from onnx import TensorProto, helper, save

from tests.light_install import run_without
from tracker.embedded import embedded_networks
from tracker.errors import CheckpointError, ConfigError
from tracker.explain.layer_summary import summarise
from tracker.explain.onnx_summary import summarise_onnx
from tracker.nets.named_network import open_network

ANCHORS = embedded_networks()["sightline-anchors"]


def test_it_counts_what_torch_counts() -> None:
    ours = summarise_onnx(ANCHORS)
    theirs = summarise(open_network(ANCHORS.with_suffix(".safetensors")).network, torch.zeros(1, 3, 416, 416))
    assert (ours.parameters, ours.multiply_adds, ours.size) == (theirs.parameters, theirs.multiply_adds, (416, 416))
    slid = [[layer for layer in one.layers if layer.window] for one in (ours, theirs)]
    convolutions = [[layer for layer in layers if "pool" not in layer.kind.lower()] for layers in slid]
    assert len(convolutions[0]) == len(convolutions[1]) > 50
    for one, other in zip(*convolutions, strict=True):
        assert (one.shape, one.parameters, one.window, one.field, one.stride) == (
            other.shape,
            other.parameters,
            other.window,
            other.field,
            other.stride,
        )


@pytest.mark.shared
def test_published_files_have_their_published_parameters(shared: Path) -> None:
    folder = shared / "data" / "pretrained"
    assert summarise_onnx(folder / "yolov8n.onnx", height=320, width=320).parameters == 3_151_904
    focus = summarise_onnx(folder / "yolox_nano.onnx")
    assert next(layer for layer in focus.layers if layer.window).field == (6, 6)  # 3 x 3 on every second pixel


def test_the_size_asked_for_is_taken_or_refused(tmp_path: Path) -> None:
    small = summarise_onnx(ANCHORS, height=64, width=96)
    assert small.size == (64, 96)
    with pytest.raises(ConfigError, match="does not run on an image"):
        summarise_onnx(ANCHORS, height=50, width=70)
    graph = helper.make_graph(
        [helper.make_node("Conv", ["x", "w"], ["y"], auto_pad="SAME_UPPER", strides=[2, 2])],
        "one",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 1, 7, 7])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 1, 4, 4])],
        [helper.make_tensor("w", TensorProto.FLOAT, [1, 1, 3, 3], [0.1] * 9)],
    )
    save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), tmp_path / "fixed.onnx")
    (layer,) = summarise_onnx(tmp_path / "fixed.onnx").layers
    assert (layer.shape, layer.parameters, layer.multiply_adds, layer.field) == ((1, 4, 4), 9, 144, (3, 3))
    assert layer.window is not None
    assert layer.window.padding == (2, 2)
    with pytest.raises(ConfigError, match="takes images of 7 only, not 9"):
        summarise_onnx(tmp_path / "fixed.onnx", height=9, width=9)


def test_a_file_that_is_none_is_refused(tmp_path: Path) -> None:
    (tmp_path / "none.onnx").write_bytes(b"no model at all")
    with pytest.raises(CheckpointError, match="not a whole ONNX file"):
        summarise_onnx(tmp_path / "none.onnx")


def test_a_light_install_summarises_onnx_and_says_what_the_rest_needs() -> None:
    code = (
        "from tracker.cli import main\n"
        f"print(main(['summary', {str(ANCHORS)!r}, '--imgsz', '64']), main(['summary', 'vgg16']))"
    )
    ran = run_without(("torch", "torchvision", "onnx", "safetensors"), code)
    assert ran.stdout.strip().endswith("0 2")
    assert "1,017,878 parameters" in ran.stdout
    assert 'pip install "sightline[train]"' in ran.stderr


@pytest.mark.parametrize(
    ("inputs", "reason"),
    [
        ([[2]], r"its input 'x0' has the shape \[2\], which is no image"),
        ([[1, "n"]], r"its input 'x0' has the shape \[1, n\], which is no image"),
        ([[]], "its input 'x0' has the shape"),
        ([], "has no input"),
    ],
)
def test_what_takes_no_images_is_refused(inputs: list[list[int | str]], reason: str, tmp_path: Path) -> None:
    given = [helper.make_tensor_value_info(f"x{n}", TensorProto.FLOAT, shape) for n, shape in enumerate(inputs)]
    nodes = [helper.make_node("Neg", ["x0" if inputs else "w"], ["y"])]
    answer = [helper.make_tensor_value_info("y", TensorProto.FLOAT, inputs[0] if inputs else [1])]
    graph = helper.make_graph(nodes, "one", given, answer, [helper.make_tensor("w", TensorProto.FLOAT, [1], [1.0])])
    file = tmp_path / "other.onnx"
    save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), file)
    with pytest.raises(ConfigError, match=reason):
        summarise_onnx(file)

"""A file says which kind it is without torch or onnx, and a command that wants another kind says so in one line."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from tests.light_install import run_without
from tracker.embedded import embedded_networks
from tracker.errors import CheckpointError
from tracker.nets.kinds import KINDS, USES, network_kind, read_metadata, wrong_kind
from tracker.nets.onnx_file import read_onnx, with_outputs

WEIGHTS = next(iter(embedded_networks().values())).parent


def test_the_embedded_networks_say_what_they_are() -> None:
    for name in ("sightline-nano", "sightline-small"):
        for suffix in (".onnx", ".safetensors"):
            assert network_kind(WEIGHTS / f"{name}{suffix}") == "detector"
    assert network_kind(WEIGHTS / "reid" / "sightline-reid.onnx") == "re-identification network"
    assert set(USES) == set(KINDS.values())


@pytest.mark.parametrize("name", ["sightline-anchors", "sightline-nano"])
def test_the_graph_is_the_one_that_onnx_reads(name: str) -> None:
    path = WEIGHTS / f"{name}.onnx"
    ours, theirs = read_onnx(path), onnx.load(path)
    assert [node.kind for node in ours.nodes] == [node.op_type for node in theirs.graph.node]
    assert [node.outputs for node in ours.nodes] == [tuple(node.output) for node in theirs.graph.node]
    assert dict(ours.weights) == {each.name: tuple(each.dims) for each in theirs.graph.initializer}
    assert ours.outputs == tuple(each.name for each in theirs.graph.output)
    assert dict(ours.metadata) == {each.key: each.value for each in theirs.metadata_props}
    for node, other in zip(ours.nodes, theirs.graph.node, strict=True):
        for attribute in other.attribute:
            value = helper.get_attribute_value(attribute)
            if attribute.type in (onnx.AttributeProto.INT, onnx.AttributeProto.INTS, onnx.AttributeProto.FLOAT):
                assert node.attributes[attribute.name] == value
            elif attribute.type == onnx.AttributeProto.STRING:
                assert node.attributes[attribute.name] == value.decode()
            elif attribute.type == onnx.AttributeProto.TENSOR and value.data_type != TensorProto.BOOL:
                assert node.attributes[attribute.name] == numpy_helper.to_array(value).ravel().tolist()
    for each in theirs.graph.initializer:
        if each.name in ours.constants:
            assert ours.constants[each.name] == numpy_helper.to_array(each).ravel().tolist()


def test_more_outputs_can_be_asked_for() -> None:
    path = WEIGHTS / "sightline-nano.onnx"
    names = [name for node in read_onnx(path).nodes[:5] for name in node.outputs]
    more = onnx.load_from_string(with_outputs(path.read_bytes(), iter(names)))
    assert [each.name for each in more.graph.output][-len(names) :] == names
    assert len(more.graph.node) == len(read_onnx(path).nodes)


@pytest.mark.parametrize("suffix", [".onnx", ".safetensors"])
def test_damaged_files_are_refused_in_one_line(suffix: str, tmp_path: Path) -> None:
    content = (WEIGHTS / f"sightline-nano{suffix}").read_bytes()
    for length in (0, 3, 40, len(content) // 2 if suffix == ".onnx" else 60):
        (tmp_path / f"cut{suffix}").write_bytes(content[:length])
        with pytest.raises(CheckpointError, match="cut"):
            read_metadata(tmp_path / f"cut{suffix}")
    with pytest.raises(CheckpointError, match="no such file"):
        network_kind(tmp_path / f"missing{suffix}")
    assert network_kind(tmp_path / "other.pt") == ""


def test_another_kind_is_reported_with_what_it_is_for() -> None:
    error = wrong_kind(Path("a.safetensors"), "detector", "sightline-classifier/1")
    assert "expected a detector, found a classifier, which is for `classify`" in str(error)
    assert "the file does not say what it is" in str(wrong_kind(Path("a"), "segmenter", ""))
    assert "`train segmentation`" in str(wrong_kind(Path("a"), "segmenter", "other"))
    assert "'sightline-yolo/9', of a newer Sightline. Update" in str(
        wrong_kind(Path("a"), "detector", "sightline-yolo/9")
    )


def test_neither_torch_nor_onnx_is_needed() -> None:
    code = (
        "from pathlib import Path; from tracker.nets.kinds import network_kind\n"
        f"print(network_kind(Path({str(WEIGHTS / 'sightline-nano.onnx')!r})))"
    )
    ran = run_without(("torch", "onnx", "safetensors"), code)
    assert ran.stdout.strip() == "detector"

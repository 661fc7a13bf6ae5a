"""An OpenVINO file from a stranger is read before it is loaded."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.nets.test_export_detector import CARD, lively
from tracker.detect.engines.exported import open_engine
from tracker.detect.engines.openvino_check import check_openvino
from tracker.errors import CheckpointError
from tracker.nets.export_detector import export_onnx, export_openvino

LAYER = '<layer id="0" name="a" type="{kind}" version="{version}">{inside}</layer>'
CONSTANT = '<data element_type="f32" shape="4" offset="{offset}" size="16" />'
PORT = "<output><port><dim>{dim}</dim><dim>1024</dim></port></output>"


def written(path: Path, layer: str, *, before: str = "") -> Path:
    path.write_text(f'<?xml version="1.0"?>{before}<net name="x" version="11"><layers>{layer}</layers></net>')
    path.with_suffix(".bin").write_bytes(bytes(64))
    return path


def test_layers_that_compute_from_their_own_weights_pass(tmp_path: Path) -> None:
    inside = CONSTANT.format(offset=48) + PORT.format(dim=-1)
    check_openvino(written(tmp_path / "n.xml", LAYER.format(kind="Const", version="opset1", inside=inside)))


@pytest.mark.parametrize(
    ("kind", "version", "inside", "found"),
    [
        ("ReadFile", "opset1", "", "'ReadFile'"),
        ("Convolution", "extension", "", "'extension'"),
        ("Convolution", "opset1; x", "", "'opset1; x'"),
        ("Const", "opset1", CONSTANT.format(offset=49), "64 bytes, a constant ends at 65"),
        ("Const", "opset1", CONSTANT.format(offset=-8), "64 bytes"),
        ("Const", "opset1", CONSTANT.format(offset="x"), "64 bytes"),
        ("Parameter", "opset1", PORT.format(dim=10**12), "a map of over"),
    ],
)
def test_what_no_network_needs_is_refused_in_one_line(
    tmp_path: Path, kind: str, version: str, inside: str, found: str
) -> None:
    path = written(tmp_path / "n.xml", LAYER.format(kind=kind, version=version, inside=inside))
    with pytest.raises(CheckpointError, match=found) as refusal:
        check_openvino(path)
    assert "\n" not in str(refusal.value)


def test_entities_deep_trees_and_empty_files_are_refused(tmp_path: Path) -> None:
    bomb = '<!DOCTYPE net [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>'
    with pytest.raises(CheckpointError, match="document type"):
        check_openvino(written(tmp_path / "n.xml", "&b;", before=bomb))
    with pytest.raises(CheckpointError, match="not an OpenVINO model"):
        check_openvino(written(tmp_path / "n.xml", "<layer>" * 100_000))
    (tmp_path / "n.xml").write_bytes(b"")
    with pytest.raises(CheckpointError, match="nothing at all"):
        check_openvino(tmp_path / "n.xml")


def test_our_own_export_passes_and_a_strange_one_is_not_loaded(tmp_path: Path) -> None:
    pytest.importorskip("openvino")
    export_onnx(tmp_path / "n.onnx", lively(), CARD)
    path = tmp_path / "n.xml"
    export_openvino(path, tmp_path / "n.onnx", CARD)
    assert open_engine(path).card.labels == CARD.labels
    path.write_text(path.read_text().replace('type="Concat"', 'type="Foreign"', 1))
    with pytest.raises(CheckpointError, match="'Foreign'"):
        open_engine(path)

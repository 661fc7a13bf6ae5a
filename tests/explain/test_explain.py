from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from torch import nn

from benchmarks.explanation import sure_people
from tests.store.recordings import INFO, objects
from tracker.annotate.plan import fingerprint
from tracker.cli import main
from tracker.commands import explain_kinds
from tracker.commands.export_network import find_weights
from tracker.config import DetectorConfig
from tracker.detect.engines.torch import TorchDetector
from tracker.errors import ConfigError
from tracker.explain.activation_maps import activation_map, find_layer
from tracker.explain.evidence import (
    METHODS,
    QUANTITIES,
    ClassObjective,
    DetectionObjective,
    Evidence,
    Method,
    Quantity,
    SegmentObjective,
    explain_objective,
    find_evidence,
)
from tracker.explain.features import feature_maps, filters_of, layer_maps
from tracker.explain.layer_summary import summarise
from tracker.explain.perturbation import lime, occlude
from tracker.explain.rectified import pixel_gradient
from tracker.explain.sheets import draw_filters, draw_maps
from tracker.geometry import iou
from tracker.nets.checkpoint import load_detector, save_detector
from tracker.nets.classifier import Classifier, ClassifierConfig
from tracker.nets.model_card import ModelCard
from tracker.nets.network_config import NetworkConfig
from tracker.nets.segmenter import SegmentationConfig, SegmentationNet
from tracker.nets.yolo import YoloNet
from tracker.store import RecordingWriter
from tracker.video import open_source

ANCHORS = (((20.0, 20.0), (30.0, 20.0)), ((30.0, 30.0), (46.0, 40.0)), ((50.0, 50.0), (70.0, 60.0)))
CARD = ModelCard(("disc", "box"), ANCHORS, input_size=128, confidence=0.001)


@pytest.fixture(scope="module")
def network() -> YoloNet:
    torch.manual_seed(0)
    network = YoloNet(NetworkConfig(classes=2)).train()
    for norm in network.modules():
        if isinstance(norm, nn.BatchNorm2d):  # what it sees, not a few hundredths of it: else every answer is the same
            norm.momentum = None
            norm.reset_running_stats()
    with torch.no_grad():
        for _ in range(3):
            network(torch.rand(2, 3, 96, 96))
        for head in network.heads:  # a size is exp of what it gives
            head.boxes.weight.mul_(0.01)
    return network.eval()


BOX = np.array([70, 20, 110, 60], np.float32)


def scene() -> np.ndarray:
    image = np.full((96, 128, 3), 90, np.uint8)
    image[20:60, 70:110] = (240, 40, 30)
    return image


def test_evidence_covers_the_image_and_leaves_the_network_as_it_was(network: YoloNet) -> None:
    before = {name: value.clone() for name, value in network.state_dict().items()}
    evidence = find_evidence(network, CARD, scene(), BOX)
    assert evidence.heat.shape == (96, 128)
    assert evidence.heat.min() >= 0
    assert evidence.heat.max() == pytest.approx(1.0)
    x1, y1, x2, y2 = evidence.box
    assert max(x1, 70) < min(x2, 110)
    assert max(y1, 20) < min(y2, 60)
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


def test_evidence_is_zero_where_the_maps_say_nothing(network: YoloNet) -> None:
    """An activation map is a weighted sum of the maps' channels: maps of zeros give no heat at all."""

    class Blind(nn.Module):
        def __init__(self, neck: nn.Module) -> None:
            super().__init__()
            self.neck = neck

        def forward(self, *maps: torch.Tensor) -> tuple[torch.Tensor, ...]:
            return tuple(torch.zeros_like(level) for level in self.neck(*maps))

    copy = YoloNet(network.config)
    copy.load_state_dict(network.state_dict())
    copy.neck = Blind(copy.neck)
    evidence = find_evidence(copy.eval(), CARD, scene(), BOX)
    assert evidence.heat.max() == 0
    assert evidence.largest == 0


@pytest.mark.parametrize(
    ("method", "quantity"),
    [*((method, "score") for method in METHODS), *(("layercam", quantity) for quantity in QUANTITIES)],
)
def test_every_method_explains_every_quantity(
    network: YoloNet, method: Method, quantity: Quantity, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tracker.explain.perturbation.SAMPLES", 20)
    if method in ("lime", "guided", "deconv"):
        pytest.importorskip("captum")
    evidence = find_evidence(network, CARD, scene(), BOX, method=method, quantity=quantity)
    assert evidence.heat.shape == (96, 128)
    assert np.isfinite(evidence.heat).all()
    assert evidence.heat.min() >= 0
    assert evidence.heat.max() == pytest.approx(1.0)
    assert evidence.largest > 0
    assert 0 <= evidence.fraction_inside() <= 1


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"layer": "neck.down9"}, "no layer 'neck.down9'; did you mean 'neck.down4'"),
        ({"layer": "zzz"}, "no layer 'zzz'; there are backbone, .*summary lists all"),
        ({"layer": "normalize", "method": "occlusion"}, "occlusion reads no layer"),
        ({"method": "gradcamera"}, "no method 'gradcamera'; there are layercam"),
        ({"quantity": "colour"}, "no quantity 'colour'; there are score"),
    ],
)
def test_what_does_not_exist_is_refused(network: YoloNet, options: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        find_evidence(network, CARD, scene(), np.zeros(4, np.float32), **options)


def test_a_constant_objectness_is_not_explained() -> None:
    torch.manual_seed(0)
    config = NetworkConfig(backbone="yolo26_nano", classes=2, neck="yolo26", head="distances")
    with pytest.raises(ConfigError, match=r"it is a constant in this network.*there are score, class, box"):
        find_evidence(YoloNet(config).eval(), CARD, scene(), BOX, quantity="objectness")


def test_a_layer_of_ones_own_choice_is_weighted(network: YoloNet) -> None:
    inner = find_evidence(network, CARD, scene(), BOX, layer="backbone.stages.1")
    usual = find_evidence(network, CARD, scene(), BOX)
    assert inner.heat.max() == pytest.approx(1.0)
    assert not np.allclose(inner.heat, usual.heat, atol=0.05)


def classifier() -> Classifier:
    torch.manual_seed(0)
    return Classifier(ClassifierConfig(backbone="nin", classes=3)).eval()


def test_the_heat_of_a_class_adds_up_to_its_logit_where_the_head_is_linear() -> None:
    """HiResCAM (eq. 3): with global pooling and one dense layer without bias, the map's sum is the logit."""
    network = Classifier(ClassifierConfig(backbone="resnet18", classes=3, head="pooled")).eval()
    with torch.no_grad():
        network.head.fc.weight.abs_()
        objective = ClassObjective.of(network, scene(), 1, size=64, channels=3)
        logit = float(objective.measure(network(objective.canvas)))
    assert activation_map(objective, "hirescam").sum() == pytest.approx(logit, rel=1e-3)


def test_grad_cam_equals_captums() -> None:
    attr = pytest.importorskip("captum.attr")
    network = classifier()
    name = next(each for each, module in network.named_modules() if isinstance(module, nn.MaxPool2d))
    for label in range(3):
        objective = ClassObjective.of(network, scene(), label, size=64, channels=3)
        ours = activation_map(objective, "gradcam", layer=name)
        reference = attr.LayerGradCam(network, find_layer(network, name)).attribute(
            objective.canvas, target=label, relu_attributions=True
        )
        enlarged = cv2.resize(reference[0, 0].detach().numpy(), (64, 64))
        cells = (64 / reference.shape[2]) * (64 / reference.shape[3])
        np.testing.assert_allclose(ours, enlarged / cells, rtol=1e-3, atol=1e-8)


def test_occlusion_equals_captums_where_squares_do_not_overlap(monkeypatch: pytest.MonkeyPatch) -> None:
    attr = pytest.importorskip("captum.attr")
    network = classifier()
    objective = ClassObjective.of(network, scene(), 1, size=64, channels=3)
    monkeypatch.setattr("tracker.explain.perturbation.STEP", 1.0)
    ours = occlude(objective)
    reference = attr.Occlusion(network).attribute(
        objective.canvas, sliding_window_shapes=(3, 16, 16), strides=(3, 16, 16), baselines=114 / 255, target=1
    )
    np.testing.assert_allclose(ours, reference[0, 0].clamp(min=0).detach().numpy(), atol=1e-5)


def test_guided_backpropagation_leaves_the_network_as_it_was() -> None:
    pytest.importorskip("captum")
    network = classifier()
    modules = list(network.modules())
    objective = ClassObjective.of(network, scene(), 0, size=64, channels=3)
    with torch.no_grad():
        before = network(objective.canvas)
    assert pixel_gradient(objective, "guided").max() > 0
    assert [id(module) for module in network.modules()] == [id(module) for module in modules]
    with torch.no_grad():
        assert torch.equal(network(objective.canvas), before)


def test_a_network_without_rectifiers_says_so() -> None:
    pytest.importorskip("captum")
    network = Classifier(ClassifierConfig(backbone="lenet5", classes=3, in_channels=1)).eval()
    objective = ClassObjective.of(network, scene(), 0, size=28, channels=1)
    with pytest.raises(ConfigError, match="guided: this network has no ReLU or SiLU"):
        pixel_gradient(objective, "guided")


def test_lime_gives_weight_to_what_the_answer_hangs_on() -> None:
    pytest.importorskip("captum")

    class Corner(nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return images[:, :, 10:20, 40:50].mean(dim=(1, 2, 3))[:, None]

    objective = ClassObjective.of(Corner(), np.full((64, 64, 3), 250, np.uint8), 0, size=64, channels=3)
    heat = lime(objective)
    assert heat[10:20, 40:50].mean() > 5 * heat[30:].mean()
    assert np.array_equal(heat, lime(objective))


def test_a_segments_evidence_is_the_mean_logit_over_its_pixels() -> None:
    torch.manual_seed(1)
    network = SegmentationNet(SegmentationConfig(classes=3, width=4, depth=2)).eval()
    with torch.no_grad():
        labels = network(torch.from_numpy(scene()).permute(2, 0, 1)[None].float() / 255)[0].argmax(dim=0)
    label = int(labels.flatten().mode().values)
    objective = SegmentObjective.of(network, scene(), label, size=(96, 128))
    with torch.no_grad():
        answer = network(objective.canvas)
    assert float(objective.measure(answer)) == pytest.approx(float(answer[0, label][labels == label].mean()), rel=1e-5)
    heat, largest = explain_objective(objective)
    assert heat.shape == (96, 128)
    assert largest > 0
    absent = next(each for each in range(3) if not bool((labels == each).any())) if len(labels.unique()) < 3 else None
    if absent is not None:
        with pytest.raises(ConfigError, match=f"no pixel of the image has label {absent}"):
            SegmentObjective.of(network, scene(), absent, size=(96, 128))


def test_the_fraction_inside_and_the_peak_are_those_of_the_heat() -> None:
    heat = np.zeros((10, 20), np.float32)
    heat[2:4, 5:10] = 0.5
    heat[8, 15] = 1.0
    evidence = Evidence(np.array([5, 2, 10, 4], np.float32), 0.9, 0, heat)
    assert evidence.fraction_inside() == pytest.approx(5 / 6)
    assert evidence.peak() == (15.5, 8.5)


@pytest.mark.shared
@pytest.mark.parametrize("name", ["sightline-nano", "sightline-small"])
@pytest.mark.parametrize(("people", "step"), [(6, 20), pytest.param(25, 8, marks=pytest.mark.slow)])
def test_the_heat_lies_on_the_people_it_explains(shared: Path, name: str, people: int, step: int) -> None:
    """Of two networks' detections in a video they never saw."""
    fractions, peaks = judge_people(shared, name, people=people, step=step)
    assert len(peaks) == people
    assert np.mean(fractions) >= 0.6
    assert np.mean(peaks) >= 0.95


@pytest.mark.shared
@pytest.mark.parametrize("name", ["sightline-nano", "sightline-small"])
def test_the_heat_of_grad_cam_lies_elsewhere(shared: Path, name: str) -> None:
    elsewhere, _ = judge_people(shared, name, people=2, step=200, method="gradcam")
    assert np.mean(elsewhere) < 0.3


def judge_people(
    shared: Path, name: str, *, people: int, step: int, method: Method = "layercam"
) -> tuple[list[float], list[bool]]:
    """The fraction of the heat inside the box, and whether its peak is, for people found with more than 0.8."""
    network, card = load_detector(Path(__file__).parents[2] / "weights" / f"{name}.safetensors")
    fractions, peaks = [], []
    for image, box in sure_people(network, card, shared / "data/video/vtest.avi", people=people, step=step):
        evidence = find_evidence(network, card, image, box, method=method)
        fractions.append(evidence.fraction_inside())
        peaks.append(evidence.peak_inside())
    return fractions, peaks


def test_feature_maps_are_the_backbones(network: YoloNet) -> None:
    maps = feature_maps(network, scene(), size=128)
    assert set(maps) == set(network.backbone.strides)
    assert maps[8].shape[1:] == (12, 16)
    sheet = draw_maps(maps[8], count=9, side=32)
    assert sheet.shape[0] > 3 * 24
    assert sheet.shape[1] == 3 * (32 + 4) + 4
    assert sheet.std() > 5


def test_filters_and_the_maps_of_any_layer_are_drawn(network: YoloNet) -> None:
    found = filters_of(network)
    assert found is not None
    name, weights = found
    assert name == "backbone.stem.conv"
    assert weights.shape == (16, 3, 6, 6)
    assert draw_filters(weights, count=4).shape[0] > 2 * 96
    inner = filters_of(network, "neck")
    assert inner is not None
    assert inner[0].startswith("neck.")
    (maps,) = layer_maps(network, torch.zeros(1, 3, 96, 128), "backbone.stages.2")
    assert maps.shape[1:] == (6, 8)
    with pytest.raises(ConfigError, match=r"no layer 'neck\.'"):
        layer_maps(network, torch.zeros(1, 3, 96, 128), "neck.")


def test_the_summary_counts_what_there_is() -> None:
    network = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.MaxPool2d(2), nn.Flatten())
    network.append(nn.Linear(8 * 4 * 4, 10))
    summary = summarise(network, torch.zeros(1, 3, 8, 8))
    assert summary.parameters == sum(p.numel() for p in network.parameters())
    assert summary.multiply_adds == 8 * 8 * 8 * 27 + 128 * 10
    assert [layer.kind for layer in summary.layers] == ["Conv2d", "BatchNorm2d", "MaxPool2d", "Linear"]
    assert f"{summary.parameters:,} parameters" in summary.table()


def test_a_class_with_a_slash_in_its_name_still_gives_an_image_in_the_folder(tmp_path: Path, network: YoloNet) -> None:
    labels = tuple(f"{label}/crate ü" for label in CARD.labels)
    save_detector(tmp_path / "n.safetensors", network, replace(CARD, labels=labels))
    cv2.imwrite(str(tmp_path / "scene.png"), scene())
    options = ["--model", str(tmp_path / "n.safetensors"), "--most", "1", "--conf", "0", "--out", str(tmp_path / "out")]
    assert main(["explain", str(tmp_path / "scene.png"), *options]) == 0
    (written,) = (tmp_path / "out").glob("evidence-*")
    assert written.is_file()


def test_the_command_leaves_images_and_a_summary(
    tmp_path: Path, network: YoloNet, capsys: pytest.CaptureFixture[str]
) -> None:
    save_detector(tmp_path / "n.safetensors", network, CARD)
    cv2.imwrite(str(tmp_path / "scene.png"), scene())
    options = ["--model", str(tmp_path / "n.safetensors"), "--most", "2", "--conf", "0", "--out", str(tmp_path / "out")]
    assert main(["explain", str(tmp_path / "scene.png"), *options]) == 0
    assert "multiply-adds" in capsys.readouterr().out
    written = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert sum(name.startswith("evidence-") for name in written) == 2
    assert "features-stride-16.png" in written
    assert "summary.txt" in written
    assert main(["explain", str(tmp_path / "scene.png"), *options, "--most", "1"]) == 0
    assert len(list((tmp_path / "out").glob("evidence-*"))) == 1
    assert main(["explain", str(tmp_path / "gone.png"), *options]) == 2
    assert "gone.png" in capsys.readouterr().err


def test_the_detection_that_overlaps_a_box_most_is_explained_however_sure_the_others_are(
    tmp_path: Path, network: YoloNet, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    sure, unsure = [4, 4, 60, 80], [70, 20, 110, 60]
    asked: list[DetectorConfig] = []
    explained: list[list[float]] = []

    class Seen:
        def __init__(self, _: object, config: DetectorConfig) -> None:
            asked.append(config)

        def detect(self, _: object) -> list[SimpleNamespace]:
            return [SimpleNamespace(boxes=np.array([sure, unsure], np.float32)[: asked[-1].max_det])]

    def explain(*arguments: Any, **options: Any) -> DetectionObjective:
        explained.append(arguments[3].tolist())
        return of(*arguments, **options)

    of = DetectionObjective.of
    monkeypatch.setattr(explain_kinds, "TorchDetector", Seen)
    monkeypatch.setattr(DetectionObjective, "of", explain)
    save_detector(tmp_path / "n.safetensors", network, CARD)
    cv2.imwrite(str(tmp_path / "scene.png"), scene())
    options = ["--model", str(tmp_path / "n.safetensors"), "--out", str(tmp_path / "out"), "--of", "score"]
    command = ["explain", str(tmp_path / "scene.png"), *options]
    assert main([*command, "--most", "1"]) == 0
    assert explained == [sure]
    assert main([*command, "--most", "1", "--box=66,18,112,64"]) == 0
    assert explained == [sure, unsure]
    assert asked[-1].conf == 0.05, "a track goes on through scores that begin none"
    assert len(list((tmp_path / "out").glob("evidence-*"))) == 1
    capsys.readouterr()
    assert main([*command, "--conf", "0.2", "--box=-20,50,40,94"]) == 0
    assert "the network sees no object at the box" in capsys.readouterr().out
    assert (len(explained), asked[-1].conf) == (2, 0.2)
    assert not list((tmp_path / "out").glob("evidence-*"))
    for wrong in ("4,5", "1,2,x,4", "9,9,1,1"):
        assert main([*command, "--box", wrong]) == 2
        assert "expected x1,y1,x2,y2" in capsys.readouterr().err
    assert main([*command, "--box", "1,1,9,9", "--track", "1"]) == 2
    assert "--box: goes with an image" in capsys.readouterr().err


@pytest.mark.shared
def test_an_unsure_answer_beside_a_sure_one_is_explained_as_itself(shared: Path) -> None:
    network, card = load_detector(find_weights("sightline-small"))
    with open_source(shared / "data" / "video" / "vtest.avi") as source:
        image = source.frame_at(190).image
    found = TorchDetector((network, card), DetectorConfig(conf=0.05, device="cpu")).detect([image])[0]
    people = found[found.class_ids == card.labels.index("person")]
    assert people.scores.min() < 0.1 < 0.6 < people.scores.max()
    explained = [DetectionObjective.of(network, card, image, box).box[None] for box in people.boxes]
    for box, own in zip(people.boxes, explained, strict=True):
        assert iou(own, box[None])[0, 0] > 0.6


def test_a_track_is_explained_in_its_best_frame(
    tmp_path: Path, network: YoloNet, capsys: pytest.CaptureFixture[str]
) -> None:
    save_detector(tmp_path / "n.safetensors", network, CARD)
    found = ["--model", str(tmp_path / "n.safetensors"), "--out", str(tmp_path / "out")]
    path, frames = tmp_path / "r.sqlite", tmp_path / "frames"
    frames.mkdir()
    for number in range(3):
        cv2.imwrite(str(frames / f"f{number}.png"), scene() if number == 1 else np.zeros_like(scene()))
    source = {"path": str(frames), "name": "frames", "digest": fingerprint(frames)[1]}
    writer = RecordingWriter.create(path, replace(INFO, source=source, width=128, height=96))
    for index, score in enumerate((0.5, 0.9, 0.6)):
        writer.add(index, float(index), replace(objects(index, 1, score=score), boxes=BOX[None].astype(np.float64)), [])
    writer.commit({})
    writer.close()
    assert main(["explain", str(path), "--track", "1", *found]) == 0
    said = capsys.readouterr().out
    assert "evidence-0" in said
    written = cv2.imread(str(next((tmp_path / "out").glob("evidence-0*"))))
    assert written.shape[0] > 96
    assert main(["explain", str(path), "--track", "9", *found]) == 2
    assert "no track 9" in capsys.readouterr().err
    assert main(["explain", str(path), *found]) == 2
    assert "--track ID" in capsys.readouterr().err

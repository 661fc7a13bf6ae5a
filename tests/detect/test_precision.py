"""Which file of a network runs: never another one than was named, remembered, or begun with."""

from __future__ import annotations

import logging
import shutil
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml

from tests.annotate.tiny import write_clip, write_network
from tracker import factory
from tracker.annotate import run
from tracker.annotate.plan import AnnotateRequest, make_plan, network_identity, settings_identity, settled
from tracker.annotate.recordings import find_jobs
from tracker.annotate.run import annotate_recording
from tracker.cli import main
from tracker.config import DetectorConfig
from tracker.detect import precision
from tracker.embedded import embedded_networks
from tracker.errors import ConfigError
from tracker.factory import Settings, make_detector, settled_precision


@pytest.fixture
def networks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A float network with another beside it that stands for its 8-bit file, and nothing remembered."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    write_network(tmp_path / "net.onnx")
    shutil.copy(tmp_path / "net.onnx", tmp_path / "net-int8.onnx")
    return tmp_path


def times(monkeypatch: pytest.MonkeyPatch, plain: float, small: float) -> list[int]:
    """Let trials come out so; the list grows by one with each."""
    tried: list[int] = []

    def timed(files: list[Path], **_: object) -> list[float]:
        tried.append(len(files))
        return [plain, small]

    monkeypatch.setattr(precision, "_timed", timed)
    monkeypatch.setattr(precision, "has_whole_number_products", lambda: True)
    return tried


@pytest.mark.parametrize(("plain", "small", "chosen"), [(0.02, 0.01, "int8"), (0.02, 0.0195, "float")])
def test_auto_takes_what_is_faster_by_a_margin_and_remembers_it(
    networks: Path, monkeypatch: pytest.MonkeyPatch, plain: float, small: float, chosen: str
) -> None:
    tried = times(monkeypatch, plain, small)
    config = DetectorConfig(model=str(networks / "net.onnx"), precision="auto", device="cpu")
    assert [settled_precision(config, threads=1).precision for _ in range(3)] == [chosen] * 3
    assert len(tried) == 1
    (networks / "net-int8.onnx").write_bytes(embedded_networks()["sightline-small"].read_bytes())
    settled_precision(config, threads=1)
    assert len(tried) == 2


def test_a_trial_of_real_networks_decides_and_broken_memory_is_no_obstacle(networks: Path) -> None:
    place = networks / "trials.json"
    place.write_text("{")
    files = embedded_networks()["sightline-nano"], embedded_networks()["sightline-small"]
    assert precision.faster(*files, imgsz=64, threads=1, remembered=place) in ("float", "int8")


def test_without_native_products_it_is_float_and_int8_says_what_it_costs(
    networks: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    assert precision.has_whole_number_products(lambda: "fpu sse2 avx2") is False
    assert precision.has_whole_number_products(lambda: "fpu avx512f avx512_vnni") is True
    assert precision.has_whole_number_products(lambda: "") is None
    tried = times(monkeypatch, 0.02, 0.01)
    for module in (precision, factory):
        monkeypatch.setattr(module, "has_whole_number_products", lambda: False)
    model = str(networks / "net.onnx")
    assert settled_precision(DetectorConfig(model=model, precision="auto"), threads=1).precision == "float"
    assert not tried
    with caplog.at_level(logging.WARNING):
        make_detector(DetectorConfig(model=model, precision="int8", device="cpu"), threads=1)
        make_detector(DetectorConfig(model=str(networks / "net-int8.onnx"), device="cpu"), threads=1)
    reported = [record.getMessage() for record in caplog.records]
    assert len(reported) == 2
    assert all("net-int8.onnx: this processor multiplies no whole numbers natively" in each for each in reported)


def test_int8_without_its_file_says_how_to_make_it(networks: Path, tmp_path: Path) -> None:
    (networks / "net-int8.onnx").unlink()
    with pytest.raises(ConfigError, match=r"net-int8\.onnx or .*net\.safetensors --int8"):
        make_detector(DetectorConfig(model=str(networks / "net.onnx"), precision="int8", device="cpu"), threads=1)
    config = DetectorConfig(model=str(networks / "net.onnx"), precision="auto", device="cpu")
    assert settled_precision(config, threads=1).precision == "float"


def test_args_yaml_names_what_was_chosen(networks: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    times(monkeypatch, 0.02, 0.01)
    cv2.imwrite(str(networks / "one.png"), np.zeros((48, 64, 3), np.uint8))
    arguments = ["track", str(networks / "one.png"), "--model", str(networks / "net.onnx"), "--precision", "auto"]
    arguments += ["--project", str(networks / "runs"), "--progress", "none", "--device", "cpu", "--imgsz", "64"]
    assert main(arguments) == 0
    [reported] = (networks / "runs").glob("*/args.yaml")
    assert yaml.safe_load(reported.read_text())["detector"]["precision"] == "int8"


def test_a_recording_goes_on_with_what_it_was_begun_with(networks: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    times(monkeypatch, 0.02, 0.01)
    video = write_clip(networks / "film.mp4", 20)
    [job] = find_jobs([video], networks / "out", recursive=False)
    config = DetectorConfig(model=str(networks / "net.onnx"), precision="auto", device="cpu", imgsz=64)
    request = AnnotateRequest(Settings(detector=config))
    annotate_recording(job, request)
    shutil.rmtree(networks / "cache")
    times(monkeypatch, 0.01, 0.02)  # on another machine, say
    now = settled(job, request)
    assert now.settings.detector.precision == "int8"
    assert make_plan(job, now, network_identity(now.settings.detector)).action in ("skip", "export")
    other = AnnotateRequest(Settings(detector=DetectorConfig(model=config.model, device="cpu", imgsz=64)))
    assert make_plan(job, other, network_identity(other.settings.detector)).action == "anew"


def test_settings_that_came_after_a_recording_leave_it_as_it_is(
    networks: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    [job] = find_jobs([write_clip(networks / "film.mp4", 20)], networks / "out", recursive=False)
    request = AnnotateRequest(Settings(detector=DetectorConfig(model=str(networks / "net.onnx"), device="cpu")))

    def earlier(order: AnnotateRequest) -> dict[str, object]:
        tree = settings_identity(order)
        for name in ("tiles", "roi", "precision", "class_conf"):
            del tree["detector"][name]
        return tree

    monkeypatch.setattr(run, "settings_identity", earlier)
    annotate_recording(job, request)
    assert make_plan(job, request, network_identity(request.settings.detector)).action == "skip"
    tiled = AnnotateRequest(replace(request.settings, detector=replace(request.settings.detector, tiles="2x2")))
    plan = make_plan(job, tiled, network_identity(request.settings.detector))
    assert (plan.action, plan.reason) == ("anew", "the setting detector.tiles changed from  to 2x2")

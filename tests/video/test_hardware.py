"""Decoding on a device: taken where it is there, reported and done in software where it is not."""

from __future__ import annotations

import logging
from pathlib import Path
from types import SimpleNamespace

import pytest
from av.codec.hwaccel import HWAccel

from tests.video.cameras import RtspCamera
from tests.video.synthetic import read_number, write_clip
from tracker.config import HardwareChoice
from tracker.video import file_source, hardware, open_source, stream_source
from tracker.video.hardware import Accelerator, accelerator, decoder_of


@pytest.mark.parametrize("choice", ["none", "auto", "vaapi", "cuda", "videotoolbox", "d3d11va"])
def test_every_choice_gives_every_frame(choice: HardwareChoice, tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "clip.mp4", frames=20, b_frames=2)
    with open_source(clip, hwaccel=choice) as source:
        assert [read_number(frame.image) for frame in source] == list(range(20))
        assert source.damage == 0
        assert source.decoder in ("software", "cuda", "vaapi", "videotoolbox", "d3d11va")


def test_a_named_device_that_is_not_there_is_reported(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(hardware, "_problem_of", lambda _: "no such device")
    assert accelerator("vaapi", "clip.mp4") is None
    assert caplog.messages == ["clip.mp4: no decoding by vaapi here (no such device); it is decoded in software."]
    caplog.clear()
    assert accelerator("auto", "clip.mp4") is None
    assert accelerator("none", "clip.mp4") is None
    assert caplog.messages == []


def test_the_first_device_there_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hardware, "_problem_of", lambda device: "" if device in ("vaapi", "d3d11va") else "none")
    chosen = accelerator("auto", "clip.mp4")
    assert chosen is not None
    assert chosen.device == "vaapi"


def test_the_decoder_is_named_by_what_its_frames_are(caplog: pytest.LogCaptureFixture) -> None:
    def of(pixel_format: str, *, accelerated: bool = True) -> str:
        codec = SimpleNamespace(is_hwaccel=accelerated, name="hevc")
        decoded = SimpleNamespace(format=SimpleNamespace(name=pixel_format))
        return decoder_of(codec, decoded, Accelerator("cuda", HWAccel("cuda")), "gate")  # type: ignore[arg-type]

    assert of("nv12") == of("p010le") == "cuda"
    assert caplog.messages == []
    assert of("yuv420p") == of("nv12", accelerated=False) == "software"
    assert caplog.messages == ["gate: cuda does not decode this hevc; it is decoded in software."] * 2


def strict(_choice: HardwareChoice, _name: str) -> Accelerator:
    """A device that refuses everything."""
    return Accelerator("vaapi", HWAccel("vaapi", allow_software_fallback=False))


def lenient(_choice: HardwareChoice, _name: str) -> Accelerator:
    """A device that leaves everything to software."""
    return Accelerator("vaapi", HWAccel("vaapi", allow_software_fallback=True))


def test_a_file_that_the_device_refuses_is_decoded_in_software(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(file_source, "accelerator", strict)
    clip = write_clip(tmp_path / "clip.mp4", frames=20)
    with open_source(clip, hwaccel="vaapi") as source:
        assert len(list(source)) == 20
        assert source.decoder == "software"
    assert caplog.messages == ["clip.mp4: vaapi gives no frame; it is decoded in software."]


def test_a_stream_that_the_device_does_not_know_is_decoded_in_software(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    monkeypatch.setattr(stream_source, "accelerator", lenient)
    with RtspCamera(25, key_every=5) as camera, open_source(camera.address, hwaccel="auto") as source:
        assert source.decoder == "software"
        frames = iter(source)
        assert next(frames).index == 0
    assert [message.partition(": ")[2] for message in caplog.messages] == [
        "vaapi does not decode this h264; it is decoded in software."
    ]

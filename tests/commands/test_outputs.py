"""What a run leaves beside its results."""

from __future__ import annotations

from pathlib import Path

from tracker.commands.outputs import write_settings
from tracker.factory import load_settings


def test_the_settings_used_hold_no_password_of_an_address_given_for_a_file(tmp_path: Path) -> None:
    address = "rtsp://me:s3cret@host/x"
    settings = load_settings({"detector": {"model": address}, "tracker": {"reid_model": address}}, "test")
    write_settings(tmp_path, "track", "clip.mp4", settings)
    text = (tmp_path / "args.yaml").read_text()
    assert text.count("rtsp://host/x") == 2
    assert "s3cret" not in text

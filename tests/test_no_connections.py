"""The program connects to nothing that its user did not name."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.video.synthetic import write_clip

ROOT = Path(__file__).parents[1]
OUTSIDE = re.compile(r"(connect|sendto|sendmsg|sendmmsg)\(.*sa_family=AF_INET6?.*")


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("strace") is None, reason="needs strace, which sees every connection")
@pytest.mark.parametrize("command", ["track", "annotate", "export"])
def test_a_command_connects_to_nothing(command: str, tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "clip.mp4", frames=600, width=640, height=384)
    arguments = {
        "track": ["track", str(clip), "--save", "--project", str(tmp_path / "runs"), "--progress", "none"],
        "annotate": ["annotate", str(clip), "--out", str(tmp_path / "out")],
        "export": ["export", str(ROOT / "weights" / "sightline-nano.safetensors"), "--to", "onnx", "--out", "a.onnx"],
    }[command]
    log = tmp_path / "calls.txt"
    watch = ["strace", "-f", "-qq", "-e", "trace=connect,sendto,sendmsg,sendmmsg", "-o", str(log)]
    done = subprocess.run(
        [*watch, sys.executable, str(ROOT / "main.py"), *arguments],
        cwd=tmp_path,
        env={"PATH": "/usr/bin:/bin", "HOME": str(tmp_path / "home"), "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert [line for line in log.read_text().splitlines() if OUTSIDE.search(line)] == []
    assert not list((tmp_path / "home").rglob("*onnxruntime*"))
    assert not list((tmp_path / "home").rglob("*deviceid*"))

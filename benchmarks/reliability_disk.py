"""A full disk at many places of what is written: one right line, and what was written before is whole and named."""

from __future__ import annotations

import random
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from tests.annotate.tiny import write_network
from tests.video.synthetic import write_clip

__all__ = ["disk"]

ROOT = Path(__file__).parents[1]

Show = Callable[..., None]


def disk(show: Show, *, full: bool) -> None:
    """A file-size limit at several places of `track --save` on a file."""
    count = 20 if full else 4
    generator = random.Random(5)
    wrong = []
    with tempfile.TemporaryDirectory() as folder:
        clip = write_clip(Path(folder) / "clip.mp4", frames=400, width=320, height=192)
        write_network(Path(folder) / "tiny.onnx")
        for number in range(count):
            limit = int(generator.uniform(2_000, 30_000))
            script = (
                f"import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit}));"
                f"sys.path.insert(0, {str(ROOT)!r}); import main;"
                f"sys.exit(main.main(['track', {str(clip)!r}, '--model', {str(Path(folder) / 'tiny.onnx')!r}, '--save',"
                f"'--project', {folder!r}, '--name', 'run{number}', '--progress', 'none']))"
            )
            done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
            run = Path(folder) / f"run{number}"
            named = all(str(path) in done.stderr for path in run.glob("*.partial"))
            if done.returncode != 2 or done.stderr.count("\n") != 1 or not named:
                wrong.append((limit, done.returncode, done.stderr[-300:]))
    show("disk", f"{count} places: one line, what was written is kept and named", f"{len(wrong)} wrong {wrong[:1]}",
         good=not wrong)  # fmt: skip

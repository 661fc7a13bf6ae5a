from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

import main
from tests.annotate.tiny import BLOCK, COLOURS, HEIGHT, WIDTH


@pytest.mark.parametrize(
    ("files", "names"),
    [
        (("a.png", "b 1.png"), {"a", "b 1"}),
        (("x/a.png", "y/a.png"), {"x/a", "y/a"}),
        (("a.png", "a.bmp"), {"a.png", "a.bmp"}),
        (("x/a.png", "y/a.png", "y/a.bmp"), {"x/a.png", "y/a.png", "y/a.bmp"}),
    ],
)
def test_every_image_keeps_rows_and_an_image_of_its_own(
    files: tuple[str, ...], names: set[str], tmp_path: Path, network: Path
) -> None:
    image = np.full((HEIGHT, WIDTH, 3), 20, np.uint8)
    image[40 : 40 + BLOCK, 40 : 40 + BLOCK] = COLOURS[0]
    for file in files:
        (tmp_path / "in" / file).parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(tmp_path / "in" / file), image)
    out, drawn = tmp_path / "out.json", tmp_path / "drawn"
    arguments = ["detect", str(tmp_path / "in" / "**" / "*"), "--model", str(network), "--progress", "none"]
    assert main.main([*arguments, "--out", str(out), "--draw", str(drawn)]) == 0
    assert {row["image"] for row in json.loads(out.read_text())} == names
    assert {path.relative_to(drawn).as_posix() for path in drawn.rglob("*.jpg")} == {f"{name}.jpg" for name in names}

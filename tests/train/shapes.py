"""Small images of discs and boxes with exact labels, written in the layout users have."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

NAMES = ("disc", "box")


def write_shapes(folder: Path, *, images: int, size: int = 160, seed: int = 0, outlined: bool = True) -> Path:
    """A data.yaml with `images` images, two or three shapes each; the same images serve as `val`."""
    rng = np.random.default_rng(seed)
    (folder / "images").mkdir(parents=True)
    (folder / "labels").mkdir()
    for number in range(images):
        image = rng.integers(60, 120, (size, size, 3), dtype=np.uint8)
        image = cv2.GaussianBlur(image, (9, 9), 0)
        rows = []
        for place in rng.permutation(4)[: rng.integers(2, 4)]:
            half = size // 2
            extent = rng.uniform(0.18, 0.22, 2) * size
            centre = np.array([(place % 2) * half + half / 2, (place // 2) * half + half / 2]) + rng.uniform(-8, 8, 2)
            kind = int(rng.integers(2))
            if kind == 0:
                angles = np.linspace(0, 2 * np.pi, 40, endpoint=False)
                outline = centre + extent * np.stack((np.cos(angles), np.sin(angles)), axis=1)
                colour = (230, 60, 40)
            else:
                outline = centre + extent * np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)])
                colour = (40, 90, 230)
            cv2.fillPoly(image, [np.round(outline).astype(np.int32)], colour, lineType=cv2.LINE_AA)
            low, high = outline.min(axis=0) / size, outline.max(axis=0) / size
            numbers = outline.ravel() / size if outlined else (*((low + high) / 2), *(high - low))
            rows.append(f"{kind} " + " ".join(f"{value:.6f}" for value in numbers))
        cv2.imwrite(str(folder / "images" / f"{number:03}.png"), image[:, :, ::-1])
        (folder / "labels" / f"{number:03}.txt").write_text("\n".join(rows) + "\n")
    description = folder / "data.yaml"
    description.write_text(f"path: .\ntrain: images\nnames: [{', '.join(NAMES)}]\n")
    return description

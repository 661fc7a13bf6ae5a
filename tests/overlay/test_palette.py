from __future__ import annotations

import numpy as np
import pytest

from tracker.overlay.palette import LABEL_PALETTE, PALETTE, colour_of, relative_luminance, text_colour_on

# Machado, Oliveira and Fernandes, "A Physiologically-based Model for Simulation of Color Vision Deficiency",
# IEEE TVCG 2009, severity 1.0, for linear RGB.
VISION = {
    "normal": np.eye(3),
    "protanopia": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    ),
    "deuteranopia": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
    ),
    "tritanopia": np.array(
        [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]]
    ),
}
TO_XYZ = np.array(
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
)


def to_lab(colours: np.ndarray, vision: np.ndarray) -> np.ndarray:
    """CIELAB (D65) of sRGB colours as an eye of that kind sees them."""
    shares = colours / 255
    linear = np.where(shares <= 0.04045, shares / 12.92, ((shares + 0.055) / 1.055) ** 2.4)
    xyz = np.clip(linear @ vision.T, 0, 1) @ TO_XYZ.T / TO_XYZ.sum(axis=1)
    x, y, z = np.where(xyz > 216 / 24389, np.cbrt(xyz), (24389 / 27 * xyz + 16) / 116).T
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=1)


@pytest.mark.parametrize("kind", VISION)
def test_neighbouring_ids_look_different_to_every_eye(kind: str) -> None:
    lab = to_lab(np.array(PALETTE, float), VISION[kind])
    for step in range(1, 5):
        assert np.linalg.norm(lab - np.roll(lab, -step, axis=0), axis=1).min() >= 16.9


@pytest.mark.parametrize("kind", VISION)
def test_any_two_colours_differ_for_every_eye(kind: str) -> None:
    lab = to_lab(np.array(PALETTE, float), VISION[kind])
    apart = np.linalg.norm(lab[:, None] - lab[None], axis=2) + 1000 * np.eye(len(lab))
    assert apart.min() >= 10.5


@pytest.mark.parametrize("kind", VISION)
def test_labels_side_by_side_differ_for_every_eye(kind: str) -> None:
    lab = to_lab(np.array(LABEL_PALETTE, float), VISION[kind])
    apart = np.linalg.norm(lab[:, None] - lab[None], axis=2) + 1000 * np.eye(len(lab))
    assert apart[:12, :12].min() >= 26
    assert apart.min() >= 21


@pytest.mark.parametrize("colour", [*PALETTE, *LABEL_PALETTE])
def test_tag_text_contrasts_with_its_ground(colour: tuple[int, int, int]) -> None:
    lighter, darker = sorted((relative_luminance(colour), relative_luminance(text_colour_on(colour))), reverse=True)
    assert (lighter + 0.05) / (darker + 0.05) >= 4.5


def test_an_id_keeps_its_colour() -> None:
    assert [colour_of(number) for number in range(1, 13)] == list(PALETTE)
    assert colour_of(1) == colour_of(1 + len(PALETTE))

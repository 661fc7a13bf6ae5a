from __future__ import annotations

from pathlib import Path

import pytest

from tests.annotate.tiny import LONG_FRAMES, write_clip, write_network


@pytest.fixture(scope="session")
def network(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network that sees bright blocks."""
    return write_network(tmp_path_factory.mktemp("network") / "tiny.onnx")


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight seconds of moving blocks."""
    return write_clip(tmp_path_factory.mktemp("clip") / "clip.mp4", 200)


@pytest.fixture(scope="session")
def long_clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Half a minute of moving blocks."""
    return write_clip(tmp_path_factory.mktemp("clip") / "long.mp4", LONG_FRAMES, seed=3)

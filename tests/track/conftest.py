from __future__ import annotations

from pathlib import Path

import pytest

from tests.archives import unpack


@pytest.fixture(scope="session")
def mot(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The MOT sequences: MOT15, MOT17 and KITTI-Car folders."""
    return unpack(shared / "data/tracking/mot.tar.xz", tmp_path_factory.mktemp("mot"))


@pytest.fixture(scope="session")
def reference(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the original SORT and DeepSORT give on them."""
    return unpack(shared / "data/tracking/reference.tar.xz", tmp_path_factory.mktemp("unpacked")) / "reference"


@pytest.fixture(scope="session")
def mpntrack(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """MPNTrack's result files on them."""
    return unpack(shared / "data/tracking/mpntrack-results.tar.xz", tmp_path_factory.mktemp("unpacked")) / "MPNTrack"

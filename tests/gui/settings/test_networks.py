"""What is known of a network file, also where the package that reads it is not installed."""

from __future__ import annotations

import sys

import pytest

from gui.settings.networks import read_facts
from tracker.factory import embedded_networks


def test_a_light_install_knows_a_network_and_its_labels(monkeypatch: pytest.MonkeyPatch) -> None:
    (path, *_) = embedded_networks().values()
    monkeypatch.setitem(sys.modules, "onnx", None)
    facts = read_facts(path)
    assert (facts.name, facts.kind) == (path.stem, "detector")
    assert "person" in facts.labels

"""What is known of a network file, also where the package that reads it is not installed."""

from __future__ import annotations

import sys

import pytest

from gui.settings.networks import read_facts
from tracker.factory import embedded_networks


def test_a_light_install_knows_a_network_by_name_and_says_what_reads_more(monkeypatch: pytest.MonkeyPatch) -> None:
    (path, *_) = embedded_networks().values()
    assert read_facts(path).labels
    monkeypatch.setitem(sys.modules, "onnx", None)
    facts = read_facts(path)
    assert (facts.name, facts.labels) == (path.stem, ())
    assert 'pip install "sightline[train]"' in facts.notes

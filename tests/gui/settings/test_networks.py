"""What is known of a network file, also where the package that reads it is not installed."""

from __future__ import annotations

import sys

import pytest

from gui.settings.networks import read_facts
from tests.gui.conftest import App
from tests.test_classify import LABELS, write_classifier
from tracker.embedded import embedded_networks


def test_a_light_install_knows_a_network_and_its_labels(monkeypatch: pytest.MonkeyPatch) -> None:
    (path, *_) = embedded_networks().values()
    monkeypatch.setitem(sys.modules, "onnx", None)
    facts = read_facts(path)
    assert (facts.name, facts.kind) == (path.stem, "detector")
    assert "person" in facts.labels


def test_a_classifier_is_put_to_name_the_kinds_of_tracks(app: App) -> None:
    window = app.start()
    page, folder = window.networks, window.networks.folder
    folder.mkdir(parents=True, exist_ok=True)
    write_classifier(folder / "vehicles.safetensors", backbone="lenet5", channels=1, size=28)
    window.show_page(page)
    app.until(lambda: "vehicles.safetensors" in page.names)
    row = page.names.index("vehicles.safetensors")
    page._table.selectRow(row)
    assert page._table.item(row, 1).text() == "classifier"
    assert "track --classify-tracks" in page._details.toPlainText()
    detector = window.engine.settings.detector.model
    page.use()
    app.until(lambda: window.engine.classifier.present is not None and not window.engine.loading)
    assert window.engine.problem == ""
    assert window.engine.classifier.labels == LABELS
    assert window.engine.settings.detector.classify_tracks.endswith("vehicles.safetensors")
    assert page._table.item(row, 0).text() == "vehicles.safetensors (in use)"
    assert window.engine.settings.detector.model == detector
    window.engine.change("detector.classify_tracks", None)
    app.until(lambda: window.engine.classifier.present is None and not window.engine.loading)
    page._table.selectRow(page.names.index("sightline-small"))
    assert page._use.isEnabled()
    assert "Use this network" in page._use.text()

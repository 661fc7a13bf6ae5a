"""What is known of a network file, also where the package that reads it is not installed."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from PyQt6.QtWidgets import QPushButton

from gui.jobs.dialog import JobDialog
from gui.settings.networks import list_networks, read_facts
from tests.gui.conftest import App
from tests.test_classify import LABELS, write_classifier
from tracker.embedded import embedded_networks


def test_a_light_install_knows_a_network_and_its_labels(monkeypatch: pytest.MonkeyPatch) -> None:
    (path, *_) = embedded_networks().values()
    monkeypatch.setitem(sys.modules, "onnx", None)
    facts = read_facts(path)
    assert (facts.name, facts.kind) == (path.stem, "detector")
    assert "person" in facts.labels


def test_networks_that_come_with_the_program_are_shown_by_the_same_figures() -> None:
    figures = [set(network.accuracy) for network in list_networks([])]
    assert len(figures) == 3
    assert {"people at 416", "80 classes at 640"} <= set.intersection(*figures)


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


def test_a_training_goes_on_from_the_network_that_is_selected(app: App) -> None:
    window = app.start()
    page = window.networks
    window.engine.change("detector.model", "sightline-nano")
    window.show_page(page)
    app.until(lambda: page.names)
    assert page.names[page._table.currentRow()] == "sightline-nano"  # the one in use, until another is chosen

    def start_offered() -> str:
        page.findChild(QPushButton, "train").click()
        dialog = window.jobs_panel.findChildren(JobDialog)[-1]
        offered = dialog._fields["--start"].text()
        dialog.reject()
        app.until(lambda: not window.jobs_panel.findChildren(JobDialog))
        return Path(offered).name

    assert start_offered() == "sightline-nano.safetensors"
    page._table.selectRow(page.names.index("sightline-anchors"))
    assert start_offered() == "sightline-anchors.safetensors"
    folder = page.folder
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "zebra.onnx").write_bytes(b"")
    page.refresh()
    app.until(lambda: "zebra.onnx" in page.names)
    page._table.selectRow(page.names.index("zebra.onnx"))
    assert start_offered() == "sightline-small.safetensors"  # nothing to go on from beside it
    (folder / "antelope.onnx").write_bytes(b"")
    page.refresh()
    app.until(lambda: "antelope.onnx" in page.names)
    assert page.names[page._table.currentRow()] == "zebra.onnx"

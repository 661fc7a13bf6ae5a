"""What can be changed while live sources run: network, tracker, classes, confidence, what is drawn, what is hidden."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from PyQt6.QtCore import Qt, QTimer, pyqtSignal
from PyQt6.QtWidgets import (
    QCheckBox,
    QComboBox,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QListWidget,
    QListWidgetItem,
    QPushButton,
    QSlider,
    QVBoxLayout,
    QWidget,
)

from gui.engine.live_network import Engine
from gui.settings.networks import confidence_of
from tracker.config import DetectorConfig, SemanticConfig, field_docs
from tracker.config.coco_classes import CLASS_GROUPS
from tracker.embedded import embedded_networks, embedded_segmenters
from tracker.errors import ConfigError
from tracker.overlay import OverlayConfig
from tracker.track.presets import PRESETS

__all__ = ["LivePanel"]

SETTLE_MS = 150
"""A slider that rests this long is taken for set; the network is not asked for each step on the way."""
SWITCHES = ("masks", "trails", "ids", "class_names", "scores", "tentative")


class LivePanel(QWidget):
    """Changes the engine's settings at once; a value that does not fit is reported below the form."""

    all_settings = pyqtSignal()
    changed = pyqtSignal()

    def __init__(self, engine: Engine, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._engine = engine
        self._filling = False
        self._labels: tuple[str, ...] = ()
        self._network = QComboBox()
        self._semantic = QComboBox()
        self._kinds = QComboBox()
        self._tracker = QComboBox()
        self._confidence = QSlider(Qt.Orientation.Horizontal)
        self._confidence_text = QLabel()
        self._classes = QListWidget()
        self._group = QComboBox()
        self._problem = QLabel()
        self._problem.setProperty("role", "wrong")
        self._problem.setWordWrap(True)
        self._switches: dict[str, QCheckBox] = {}
        self._blur_people = QCheckBox(self.tr("Make &people unrecognisable"))
        self._settle = QTimer(self)
        self._settle.setSingleShot(True)
        self._settle.setInterval(SETTLE_MS)
        self._settle.timeout.connect(self._apply_confidence)
        self._build()
        engine.changed.connect(self.refresh)
        self.refresh()

    def refresh(self) -> None:
        """Show the settings as they are."""
        self._filling = True
        settings = self._engine.settings
        network = settings.detector.model
        if self._network.findData(network) < 0:
            path = Path(network)  # a training's results are all called best: its folder tells them apart
            self._network.addItem("/".join(path.parts[-2:]), network)
            self._network.setItemData(self._network.count() - 1, network, Qt.ItemDataRole.ToolTipRole)
        self._network.setCurrentIndex(self._network.findData(network))
        pixels = settings.semantic.network
        if self._semantic.findData(pixels) < 0:
            self._semantic.addItem(pixels, pixels)
        self._semantic.setCurrentIndex(self._semantic.findData(pixels))
        classifier = settings.detector.classify_tracks
        if self._kinds.findData(classifier) < 0:
            self._kinds.addItem("/".join(Path(classifier).parts[-2:]), classifier)
        self._kinds.setCurrentIndex(self._kinds.findData(classifier))
        preset = str(self._engine.tree.get("tracker", {}).get("preset", "default"))
        self._tracker.setCurrentIndex(max(0, self._tracker.findData(preset)))
        if not self._settle.isActive():
            conf = settings.detector.conf
            if conf is None:
                detector = self._engine.detector
                conf = detector.conf if detector is not None else confidence_of(network)
            self._confidence.setEnabled(conf is not None)  # until the network is loaded where its file does not say
            if conf is not None:
                self._confidence.setValue(round(conf * 100))
            self._confidence_text.setText("" if conf is None else f"{conf:.2f}")
        for name, box in self._switches.items():
            box.setChecked(bool(getattr(settings.overlay, name)))
        self._blur_people.setChecked("person" in settings.overlay.blur_classes)
        self._fill_classes()
        if self._engine.problem:
            self._problem.setText(self._engine.problem)
        self._problem.setVisible(bool(self._problem.text()))
        self._filling = False

    def _build(self) -> None:
        # neither a long path nor a long name shall widen the panel
        for chooser in (self._network, self._semantic, self._kinds, self._tracker, self._group):
            chooser.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
            chooser.setMinimumContentsLength(11)
        self._network.addItem(self.tr("Embedded default"), "auto")
        for name in embedded_networks():
            self._network.addItem(name, name)
        self._semantic.addItem(self.tr("Not labelled"), "")
        for name in embedded_segmenters():
            self._semantic.addItem(name, name)
        self._semantic.setToolTip(field_docs(SemanticConfig)["network"])
        self._kinds.addItem(self.tr("As detected"), "")
        self._kinds.setToolTip(field_docs(DetectorConfig)["classify_tracks"])
        for name in PRESETS:
            self._tracker.addItem(name, name)
        self._network.currentIndexChanged.connect(lambda _: self._set("detector.model", self._network.currentData()))
        self._semantic.currentIndexChanged.connect(
            lambda _: self._set("semantic.network", self._semantic.currentData() or None)
        )
        self._kinds.currentIndexChanged.connect(
            lambda _: self._set("detector.classify_tracks", self._kinds.currentData() or None)
        )
        self._tracker.currentIndexChanged.connect(lambda _: self._set("tracker.preset", self._tracker.currentData()))
        self._confidence.setRange(5, 95)
        self._confidence.valueChanged.connect(self._confidence_moved)
        self._confidence_text.setMinimumWidth(32)
        confidence = QHBoxLayout()
        confidence.addWidget(self._confidence, 1)
        confidence.addWidget(self._confidence_text)
        group_names = {
            "people-and-vehicles": self.tr("People and vehicles"), "animals": self.tr("Animals"),
            "indoor": self.tr("Indoor"),
        }  # fmt: skip
        self._group.addItem(self.tr("Choose below"), None)
        self._group.addItem(self.tr("All"), "all")
        for name in CLASS_GROUPS:
            self._group.addItem(group_names[name], name)
        self._group.activated.connect(self._group_chosen)
        self._classes.setMaximumHeight(132)
        self._classes.itemChanged.connect(self._classes_changed)
        form = QFormLayout()
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        for label, widget, name in (
            (self.tr("&Network"), self._network, self.tr("Network")),
            (self.tr("&Every pixel"), self._semantic, self.tr("Network that labels every pixel")),
            (self.tr("&Kind of tracks"), self._kinds, self.tr("Classifier that says which kind each track is")),
            (self.tr("&Tracker"), self._tracker, self.tr("Tracker")),
        ):
            form.addRow(label, widget)
            widget.setAccessibleName(name)
        confidence_label = QLabel(self.tr("&Confidence"))
        confidence_label.setBuddy(self._confidence)
        self._confidence.setAccessibleName(self.tr("Confidence"))
        self._confidence.setToolTip(self.tr("Lowest score of a detection that counts"))
        form.addRow(confidence_label, confidence)
        form.addRow(self.tr("C&lasses"), self._group)
        form.addRow("", self._classes)
        self._group.setAccessibleName(self.tr("Group of classes"))
        self._classes.setAccessibleName(self.tr("Classes"))
        layout = QVBoxLayout(self)
        layout.addLayout(form)
        layout.addWidget(self._heading(self.tr("Drawn")))
        texts = {
            "masks": self.tr("&Masks"), "trails": self.tr("T&rails"), "ids": self.tr("&Ids"),
            "class_names": self.tr("Class n&ames"), "scores": self.tr("&Scores"),
            "tentative": self.tr("Tracks not yet con&firmed"),
        }  # fmt: skip
        docs = field_docs(OverlayConfig)
        for name in SWITCHES:
            box = self._switches[name] = QCheckBox(texts[name])
            box.setToolTip(docs[name])
            box.toggled.connect(lambda on, name=name: self._set(f"overlay.{name}", on))
            layout.addWidget(box)
        layout.addWidget(self._heading(self.tr("Privacy")))
        self._blur_people.setToolTip(self.tr("Also burnt into recordings, clips and snapshots"))
        self._blur_people.toggled.connect(self._blur_changed)
        layout.addWidget(self._blur_people)
        layout.addWidget(self._problem)
        layout.addStretch(1)
        every = QPushButton(self.tr("All settings\N{HORIZONTAL ELLIPSIS}"))
        every.clicked.connect(self.all_settings)
        layout.addWidget(every)

    def _heading(self, text: str) -> QLabel:
        label = QLabel(text)
        label.setProperty("role", "heading")
        label.setContentsMargins(0, 8, 0, 0)
        return label

    def _fill_classes(self) -> None:
        if self._labels != self._engine.labels:
            self._labels = self._engine.labels
            self._classes.clear()
            for label in self._labels:
                entry = QListWidgetItem(label)
                entry.setFlags(Qt.ItemFlag.ItemIsUserCheckable | Qt.ItemFlag.ItemIsEnabled)
                entry.setCheckState(Qt.CheckState.Checked)
                self._classes.addItem(entry)
        names = {name.casefold() for name in self._engine.settings.detector.classes}
        wanted = names.union(*(CLASS_GROUPS[name] for name in names & CLASS_GROUPS.keys())) - {"all"}
        for row in range(self._classes.count()):
            item = self._classes.item(row)
            if item is not None:
                on = not wanted or item.text().casefold() in wanted
                item.setCheckState(Qt.CheckState.Checked if on else Qt.CheckState.Unchecked)

    def _confidence_moved(self, value: int) -> None:
        if not self._filling:
            self._confidence_text.setText(f"{value / 100:.2f}")
            self._settle.start()

    def _apply_confidence(self) -> None:
        self._set("detector.conf", self._confidence.value() / 100)

    def _classes_changed(self, _item: QListWidgetItem) -> None:
        if self._filling:
            return
        items = [self._classes.item(row) for row in range(self._classes.count())]
        chosen = [item.text() for item in items if item is not None and item.checkState() == Qt.CheckState.Checked]
        self._group.setCurrentIndex(0)
        self._set("detector.classes", chosen if 0 < len(chosen) < len(items) else None)

    def _group_chosen(self, _row: int) -> None:
        group = self._group.currentData()
        members = self._labels if group == "all" else CLASS_GROUPS.get(group, ())
        chosen = [label for label in self._labels if label.casefold() in members]
        if chosen:
            self._set("detector.classes", chosen if len(chosen) < len(self._labels) else None)

    def _blur_changed(self, on: bool) -> None:
        others = [name for name in self._engine.settings.overlay.blur_classes if name != "person"]
        self._set("overlay.blur_classes", [*others, "person"] if on else others)

    def _set(self, key: str, value: Any) -> None:
        if self._filling:
            return
        self._problem.setText("")
        try:
            self._engine.change(key, value)
        except ConfigError as error:
            self._problem.setText(str(error))
            self.refresh()
            return
        self.changed.emit()

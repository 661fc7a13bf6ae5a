"""The networks page: what each network knows and how well, and which one looks at the frames."""

from __future__ import annotations

from pathlib import Path

from PyQt6.QtCore import Qt, QUrl, pyqtSignal
from PyQt6.QtGui import QDesktopServices, QShowEvent
from PyQt6.QtWidgets import (
    QAbstractItemView,
    QFileDialog,
    QHBoxLayout,
    QHeaderView,
    QLabel,
    QPushButton,
    QTableWidget,
    QTableWidgetItem,
    QTextBrowser,
    QVBoxLayout,
    QWidget,
)

from gui.engine.live_network import Engine
from gui.qt.background import Background
from gui.qt.icons import icon
from gui.qt.preferences import Preferences
from gui.settings.networks import NetworkFacts, list_networks, read_facts
from tracker.errors import ConfigError
from tracker.nets.kinds import USES

__all__ = ["NetworksPage"]


REID = "re-identification network"


class NetworksPage(QWidget):
    """Lists networks and changes the one at work."""

    said = pyqtSignal(str)
    train = pyqtSignal(str)
    """A network of one's own is wanted, from the weights of that file; empty where the selected one has none to go on
    from."""

    def __init__(
        self, engine: Engine, background: Background, preferences: Preferences, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self._engine = engine
        self._background = background
        self._preferences = preferences
        self._networks: list[NetworkFacts] = []
        title = QLabel(self.tr("Networks"))
        title.setProperty("role", "title")
        self._table = QTableWidget(0, 6)
        self._table.setAccessibleName(self.tr("Networks"))
        self._table.setHorizontalHeaderLabels(
            [
                self.tr("Name"),
                self.tr("Kind"),
                self.tr("Classes"),
                self.tr("Input"),
                self.tr("File"),
                self.tr("Measured"),
            ]
        )
        self._table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self._table.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self._table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self._table.setTabKeyNavigation(False)
        self._table.setShowGrid(False)
        rows, columns = self._table.verticalHeader(), self._table.horizontalHeader()
        assert rows is not None
        assert columns is not None
        rows.hide()
        columns.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        columns.setSectionResizeMode(5, QHeaderView.ResizeMode.Stretch)
        columns.setHighlightSections(False)
        self._table.itemSelectionChanged.connect(self._selected)
        self._table.itemActivated.connect(lambda _: self.use())
        self._details = QTextBrowser()
        self._details.setAccessibleName(self.tr("About this network"))
        self._use = QPushButton(icon("play"), self.tr("&Use this network"))
        self._use.clicked.connect(self.use)
        add = QPushButton(icon("file"), self.tr("Use a &file\N{HORIZONTAL ELLIPSIS}"))
        add.clicked.connect(self._choose_file)
        folder = QPushButton(icon("folder"), self.tr("Open &networks folder"))
        folder.clicked.connect(self._open_folder)
        train = QPushButton(icon("network"), self.tr("&Train one\N{HORIZONTAL ELLIPSIS}"))
        train.setObjectName("train")
        train.clicked.connect(lambda: self.train.emit(self._weights()))
        buttons = QHBoxLayout()
        for button in (self._use, add, folder, train):
            button.setAutoDefault(False)
            buttons.addWidget(button)
        buttons.addStretch(1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(16, 12, 16, 12)
        layout.setSpacing(10)
        layout.addWidget(title)
        layout.addWidget(self._table, 1)
        layout.addWidget(self._details, 1)
        layout.addLayout(buttons)
        self.setFocusProxy(self._table)
        engine.changed.connect(self._mark)

    @property
    def names(self) -> list[str]:
        """Names of the networks listed."""
        return [network.name for network in self._networks]

    @property
    def folder(self) -> Path:
        """Where the user's own networks lie."""
        return self._preferences.folder() / "networks"

    def refresh(self) -> None:
        """Look anew which networks there are."""
        folders = [self.folder, self._preferences.folder() / "train"]
        self._background.run(lambda: list_networks(folders), self._list, lane="networks")

    def use(self) -> None:
        """Let the selected network look at the frames."""
        network = self._current()
        if network is not None:
            self._take(network)

    def showEvent(self, event: QShowEvent | None) -> None:  # noqa: N802 - Qt's name
        """Look again whenever the page comes up."""
        super().showEvent(event)
        self.refresh()

    def _take(self, network: NetworkFacts) -> None:
        """Put a network to the work of its kind; one that the window has no work for is refused."""
        try:
            if network.kind == "segmenter":
                self._engine.change("semantic.network", network.model)
            elif network.kind == "classifier":
                self._engine.change("detector.classify_tracks", network.model)
            elif network.kind == REID:
                self._engine.change("tracker.reid_model", network.model)
                self._engine.change("tracker.appearance", "reid")
            elif network.kind in ("detector", ""):
                self._engine.change("detector.model", None if network.model == "auto" else network.model)
            else:
                self.said.emit(self._uses(network))
                return
            self._engine.start()
        except ConfigError as error:
            self.said.emit(str(error))

    def _in_use(self, network: NetworkFacts) -> bool:
        settings = self._engine.settings
        if network.kind == "segmenter":
            return network.model == settings.semantic.network
        if network.kind == "classifier":
            return network.model == settings.detector.classify_tracks
        if network.kind == REID:
            return settings.tracker.appearance == "reid" and network.model == settings.tracker.reid_model
        return network.model == settings.detector.model

    def _uses(self, network: NetworkFacts) -> str:
        """What a kind is for, by the commands that take it."""
        kind = network.kind or "detector"
        return self.tr("A {0}, for {1}").format(kind, ", ".join(USES[kind]))

    def _current(self) -> NetworkFacts | None:
        row = self._table.currentRow()
        return self._networks[row] if 0 <= row < len(self._networks) else None

    def _weights(self) -> str:
        """The file that a training goes on from with the selected network."""
        network = self._current()
        if network is None or network.kind != "detector":
            return ""
        path = network.path.with_suffix(".safetensors")
        return str(path) if path.is_file() else ""

    def _list(self, networks: list[NetworkFacts]) -> None:
        before = self._current()
        self._networks = networks
        self._table.setRowCount(len(networks))
        for row, network in enumerate(networks):
            texts = (
                network.name,
                network.kind,
                str(len(network.labels)) if network.labels else "",
                f"{network.input_size}" if network.input_size else "",
                f"{network.size_bytes / 1e6:.1f} MB",
                _brief(network),
            )
            for column, text in enumerate(texts):
                item = QTableWidgetItem(text)
                if column in (2, 3, 4):
                    item.setTextAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
                self._table.setItem(row, column, item)
        chosen = [row for row, network in enumerate(networks) if before is not None and network.path == before.path]
        used = [row for row, network in enumerate(networks) if network.kind == "detector" and self._in_use(network)]
        if networks:
            self._table.selectRow(next(iter([*chosen, *used]), 0))
        self._mark()

    def _mark(self) -> None:
        for row, network in enumerate(self._networks):
            item = self._table.item(row, 0)
            if item is not None:
                used = self._in_use(network)
                font = item.font()
                font.setBold(used)
                item.setFont(font)
                item.setText(self.tr("{0} (in use)").format(network.name) if used else network.name)
        self._selected()

    def _selected(self) -> None:
        network = self._current()
        kind = "detector" if network is None else network.kind or "detector"
        words = {
            "segmenter": self.tr("&Label pixels with it"),
            "classifier": self.tr("&Name kinds by it"),
            REID: self.tr("Recognise &by it"),
        }
        self._use.setText(words.get(kind, self.tr("&Use this network")))
        self._use.setEnabled(network is not None and kind in (*words, "detector") and not self._in_use(network))
        self._details.setHtml("" if network is None else self._words(network))

    def _words(self, network: NetworkFacts) -> str:
        parts = [f"<b>{network.name}</b>", f"<span>{network.path}</span>"]
        parts.append(self._uses(network))
        if network.labels:
            parts.append(self.tr("Classes: {0}").format(", ".join(network.labels)))
        for name, value in network.accuracy.items():
            parts.append(f"{name.replace('_', ' ')}: {value:.4g}")
        if network.licence:
            parts.append(self.tr("Licence: {0}").format(network.licence))
        if network.embedded:
            parts.append(self.tr("Comes with the program."))
        if network.notes:
            parts.append(self.tr("The file says nothing of itself: {0}").format(network.notes))
        return "<br>".join(parts)

    def _choose_file(self) -> None:
        words = self.tr("Networks") + " (*.onnx *.safetensors *.pt)"
        path, _ = QFileDialog.getOpenFileName(self, self.tr("Use a network"), str(self.folder), words)
        if path:
            self._take(read_facts(Path(path)))

    def _open_folder(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        QDesktopServices.openUrl(QUrl.fromLocalFile(str(self.folder)))


def _brief(network: NetworkFacts) -> str:
    """The average precisions where there are any, else what was measured first."""
    precisions = {name: value for name, value in network.accuracy.items() if name.lower().startswith(("ap ", "ap_"))}
    chosen = list((precisions or network.accuracy).items())[:4]
    return "  ".join(f"{name.replace('_', ' ')} {value:.3g}" for name, value in chosen)

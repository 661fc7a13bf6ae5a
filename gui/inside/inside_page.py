"""The page that looks inside: frames that the window shows, or an image, through a kernel, a layer, or a detector."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from PyQt6.QtCore import QTimer, pyqtSignal
from PyQt6.QtGui import QHideEvent, QShowEvent
from PyQt6.QtWidgets import (
    QCheckBox,
    QComboBox,
    QFileDialog,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QTabWidget,
    QVBoxLayout,
    QWidget,
)

from gui.inside.controls import KernelEditor, Slider, StillView
from gui.inside.views import KernelQuestion, MapsQuestion, Opener, ProposalsQuestion, Shown
from gui.qt.background import Background
from gui.qt.icons import icon
from gui.qt.preferences import Preferences
from gui.settings.networks import NetworkFacts, list_networks
from tracker.image_file import read_image
from tracker.types import Image

__all__ = ["InsidePage"]

PERIOD_MS = 200
"""Between two checks for a newer frame."""
SLOW_MS = 400
"""An answer that takes longer is announced."""
LANE = "inside"
STRIDES = (0, 8, 16, 32)
SIDE = 640
"""Longest side of the image that is worked on."""


class InsidePage(QWidget):
    """Asks one question of one frame at a time, on another thread; a newer one waits until it is answered."""

    said = pyqtSignal(str)
    followed = pyqtSignal(bool)
    """Whether frames of the other pages are wanted now."""

    def __init__(
        self,
        newest: Callable[[], Image | None],
        background: Background,
        preferences: Preferences,
        parent: QWidget | None = None,
        *,
        hides: Callable[[], bool],
    ) -> None:
        """`newest` is the window's frame, which is not looked into while it `hides` something."""
        super().__init__(parent)
        self._newest = newest
        self._hides = hides
        self._background = background
        self._preferences = preferences
        self._opener = Opener()
        self._image: Image | None = None
        self._of_window = False
        """Whether the image is one of the window's frames."""
        self._busy = False
        self._slow = QTimer(self)
        self._slow.setSingleShot(True)
        self._slow.setInterval(SLOW_MS)
        self._slow.timeout.connect(self._say_working)
        self._stale = False
        self.shown: Shown | None = None
        """The last answer."""
        self._build()
        self._timer = QTimer(self)
        self._timer.setInterval(PERIOD_MS)
        self._timer.timeout.connect(self._look_for_frame)

    def open_image(self, path: str) -> None:
        """Take a still from a file instead of the window's frames."""
        pixels = read_image(Path(path)).pixels
        if pixels is None:
            self.said.emit(self.tr("{0}: no image that can be read.").format(Path(path).name))
            return
        self._follow.setChecked(False)
        self.take(pixels)

    def take(self, image: Image, *, of_window: bool = False) -> None:
        """Work on this image, which may be one of the window's frames."""
        self._of_window = of_window
        step = max(1, -(-max(image.shape[:2]) // SIDE))
        self._image = np.ascontiguousarray(image[::step, ::step])
        self.ask()

    @property
    def busy(self) -> bool:
        """Whether an answer is still to come."""
        return self._busy

    def ask(self) -> None:
        """Answer what the controls say now, as soon as the answer at work is there."""
        self._drop_hidden()
        if self._busy:
            self._stale = True
            return
        image, question = self._image, self._question()
        if image is None or question is None:
            self._words.setText(self._missing())
            return
        self._busy, self._stale = True, False
        self._slow.start()
        self._background.run(
            lambda: question.answer(image, self._opener),
            lambda shown: self._answered(shown, image),
            self._failed,
            lane=LANE,
            owner=self,
        )

    # Qt

    def showEvent(self, event: QShowEvent | None) -> None:  # noqa: N802 - Qt's name
        """Follow the frames while the page is seen."""
        super().showEvent(event)
        self._read_networks()
        self._timer.start()
        self.followed.emit(self._follow.isChecked())
        self.ask()

    def hideEvent(self, event: QHideEvent | None) -> None:  # noqa: N802 - Qt's name
        """Rest."""
        super().hideEvent(event)
        self._timer.stop()
        self.followed.emit(False)

    # parts

    def _build(self) -> None:
        title = QLabel(self.tr("Look inside"))
        title.setProperty("role", "title")
        self._follow = QCheckBox(self.tr("&Follow the frames of Live or Recording"))
        self._follow.setChecked(True)
        self._follow.toggled.connect(lambda on: self.followed.emit(on and self.isVisible()))
        choose = QPushButton(icon("file"), self.tr("Open an &image\N{HORIZONTAL ELLIPSIS}"))
        choose.setAutoDefault(False)
        choose.clicked.connect(self._choose_image)
        above = QHBoxLayout()
        above.addWidget(title)
        above.addStretch(1)
        above.addWidget(self._follow)
        above.addWidget(choose)
        self.kernel = KernelEditor()
        self.kernel.changed.connect(self.ask)
        self.network = QComboBox()
        self.network.setAccessibleName(self.tr("Network"))
        self.network.currentIndexChanged.connect(lambda _: self.ask())
        self.layer = QComboBox()
        self.layer.setAccessibleName(self.tr("Layer"))
        self.layer.currentIndexChanged.connect(lambda _: self.ask())
        self.conf = Slider(self.tr("Score"), 0.02, 0.95, 0.25)
        self.iou = Slider(self.tr("Overlap"), 0.05, 0.95, 0.45)
        self.stride = QComboBox()
        self.stride.setAccessibleName(self.tr("Grid"))
        self.stride.addItems([self.tr("none") if not stride else str(stride) for stride in STRIDES])
        self.suppress = QCheckBox(self.tr("&Suppress overlapping boxes"))
        self.suppress.setChecked(True)
        self.anchors = QCheckBox(self.tr("Draw &anchors and cells"))
        for slider in (self.conf, self.iou):
            slider.changed.connect(self.ask)
        self.stride.currentIndexChanged.connect(lambda _: self.ask())
        for box in (self.suppress, self.anchors):
            box.toggled.connect(lambda _: self.ask())
        self.tabs = QTabWidget()
        self.tabs.setAccessibleName(self.tr("What is shown"))
        self.tabs.addTab(self.kernel, self.tr("&Kernel"))
        maps = QWidget()
        form = QFormLayout(maps)
        form.addRow(self.tr("Layer"), self.layer)
        self.tabs.addTab(maps, self.tr("&Maps"))
        proposals = QWidget()
        form = QFormLayout(proposals)
        form.addRow(self.tr("Score at least"), self.conf)
        form.addRow(self.tr("Overlap at most"), self.iou)
        form.addRow(self.tr("Grid of stride"), self.stride)
        form.addRow(self.suppress)
        form.addRow(self.anchors)
        self.tabs.addTab(proposals, self.tr("A&nchors, NMS"))
        self.tabs.currentChanged.connect(lambda _: self.ask())
        side = QWidget()
        side.setFixedWidth(330)
        column = QVBoxLayout(side)
        column.setContentsMargins(0, 0, 0, 0)
        form = QFormLayout()
        form.addRow(self.tr("Network"), self.network)
        column.addLayout(form)
        column.addWidget(self.tabs)
        column.addStretch(1)
        self.view = StillView()
        self._words = QLabel(self._missing())
        self._words.setProperty("role", "quiet")
        self._words.setWordWrap(True)
        middle = QHBoxLayout()
        middle.addWidget(side)
        middle.addWidget(self.view, 1)
        layout = QVBoxLayout(self)
        layout.addLayout(above)
        layout.addLayout(middle, 1)
        layout.addWidget(self._words)

    def _missing(self) -> str:
        if self._follow.isChecked() and self._hides():
            return self.tr("Frames are not looked into while classes or regions are hidden in them. Open an image.")
        return self.tr("Open an image, or watch something on Live or Recording: its frames are shown here.")

    def _question(self) -> KernelQuestion | MapsQuestion | ProposalsQuestion | None:
        tab = self.tabs.currentIndex()
        if tab == 0:
            return KernelQuestion(self.kernel.values, self.kernel.times)
        path = self.network.currentData()
        if path is None:
            return None
        if tab == 1:
            return MapsQuestion(path, self.layer.currentText())
        return ProposalsQuestion(
            path, self.conf.value, self.iou.value, STRIDES[self.stride.currentIndex()],
            self.anchors.isChecked(), self.suppress.isChecked(),
        )  # fmt: skip

    def _read_networks(self) -> None:
        folders = [self._preferences.folder() / "networks", self._preferences.folder() / "train"]
        self._background.run(lambda: _openable(list_networks(folders)), self._list_networks, lane=LANE, owner=self)

    def _list_networks(self, paths: dict[Path, str]) -> None:
        if list(paths) == [self.network.itemData(row) for row in range(self.network.count())]:
            return
        chosen = self.network.currentData()
        self.network.blockSignals(True)
        self.network.clear()
        for path, name in paths.items():
            self.network.addItem(name, path)
        self.network.setCurrentIndex(max(0, self.network.findData(chosen)))
        self.network.blockSignals(False)
        self.ask()

    def _look_for_frame(self) -> None:
        self._drop_hidden()
        if self._busy or not self._follow.isChecked() or self._hides():
            return
        newest = self._newest()
        if newest is not None:
            self.take(newest, of_window=True)

    def _drop_hidden(self) -> None:
        """Look into a frame no longer once something in it is to be hidden."""
        if self._hides() and (self._of_window or self._image is None):
            self._image, self._of_window, self.shown = None, False, None
            self.view.show_image(None)
            self._words.setText(self._missing())

    def _say_working(self) -> None:
        """A network's first answer takes seconds: its file is read, and torch with it."""
        self._words.setText(self.tr("Working{0}").format("\N{HORIZONTAL ELLIPSIS}"))

    def _answered(self, shown: Shown, image: Image) -> None:
        self._busy = False
        self._slow.stop()
        self._drop_hidden()
        if image is self._image:  # else it was dropped or replaced meanwhile
            self.shown = shown
            self.view.show_image(shown.image)
            self._words.setText(shown.words)
            if shown.layers is not None:
                self._list_layers(shown.layers)
        if self._stale:
            self.ask()

    def _list_layers(self, layers: tuple[str, ...]) -> None:
        if layers == tuple(self.layer.itemText(row) for row in range(self.layer.count())):
            return
        chosen = self.layer.currentText()
        self.layer.blockSignals(True)
        self.layer.clear()
        self.layer.addItems(layers)
        self.layer.setCurrentIndex(max(0, self.layer.findText(chosen)))
        self.layer.blockSignals(False)

    def _failed(self, error: Exception) -> None:
        self._busy = False
        self._slow.stop()
        self._words.setText(str(error))
        if self._stale:
            self.ask()

    def _choose_image(self) -> None:
        words = self.tr("Images") + " (*.png *.jpg *.jpeg *.bmp *.webp *.tif *.tiff);;" + self.tr("All files") + " (*)"
        file, _ = QFileDialog.getOpenFileName(
            self, self.tr("Open an image"), self._preferences.text("last_folder"), words
        )
        if file:
            self._preferences.keep("last_folder", str(Path(file).parent))
            self.open_image(file)


def _openable(networks: list[NetworkFacts]) -> dict[Path, str]:
    """Those that torch can open, with their names: a network's .safetensors file stands beside its ONNX file."""
    paths: dict[Path, str] = {}
    for facts in networks:
        path = facts.path.with_suffix(".safetensors")
        if path.is_file() and facts.kind in ("", "detector", "classifier", "segmenter"):
            paths.setdefault(path, facts.name)
    return paths

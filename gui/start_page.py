"""Where the window begins: cameras by name, what was open lately, files, folders, addresses, drag and drop."""

from __future__ import annotations

from pathlib import Path

from PyQt6.QtCore import QSize, Qt, pyqtSignal
from PyQt6.QtGui import QShowEvent
from PyQt6.QtWidgets import (
    QCheckBox,
    QFileDialog,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QListWidget,
    QListWidgetItem,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from gui.qt.background import Background
from gui.qt.icons import icon
from gui.qt.preferences import Preferences
from tracker.video.address import is_address, redact
from tracker.video.camera_source import camera_names

__all__ = ["StartPage"]

WIDTH = 760


class StartPage(QWidget):
    """Chooses what to open."""

    watch = pyqtSignal(str, bool)
    """A source for the live grid, and whether a file starts over at its end."""
    play = pyqtSignal(str)
    """A file for the player."""

    def __init__(self, preferences: Preferences, background: Background, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._preferences = preferences
        self._background = background
        self._cameras = self._list(self.tr("Cameras"))
        self._recents = self._list(self.tr("Opened lately"))
        self._address = QLineEdit()
        self._address.setPlaceholderText("rtsp://, http://, udp:// \N{HORIZONTAL ELLIPSIS}")
        self._address.setAccessibleName(self.tr("Stream address"))
        self._address.returnPressed.connect(self._open_address)
        self._hint = QLabel()
        self._hint.setProperty("role", "wrong")
        self._hint.hide()
        self._loop = QCheckBox(self.tr("Watched files start &over at their end"))
        self._loop.setChecked(preferences.flag("loop", default=True))
        self._loop.toggled.connect(lambda on: preferences.keep("loop", on))
        self._build()
        self.refresh()

    def refresh(self) -> None:
        """Read the recent sources anew."""
        self._recents.clear()
        for spec in self._preferences.recents():
            shown = spec if is_address(spec) or spec.isdecimal() else f"{Path(spec).name}"
            item = QListWidgetItem(icon("stream" if is_address(spec) else "film"), shown)
            item.setToolTip(spec)
            item.setData(Qt.ItemDataRole.UserRole, spec)
            self._recents.addItem(item)
        if not self._recents.count():
            self._recents.addItem(self._note(self.tr("Nothing yet")))

    def look_for_cameras(self) -> None:
        """Ask the system which cameras there are."""
        self._background.run(camera_names, self._show_cameras, lambda _: self._show_cameras({}), lane="cameras")

    def showEvent(self, event: QShowEvent | None) -> None:  # noqa: N802 - Qt's name
        """Look again whenever the page comes up: cameras are plugged in and out."""
        super().showEvent(event)
        self.refresh()
        self.look_for_cameras()

    def choose_files(self) -> None:
        """Ask for video files to play."""
        start = self._preferences.text("last_folder")
        files, _ = QFileDialog.getOpenFileNames(self, self.tr("Open videos"), start, self._filter())
        for file in files:
            self._preferences.keep("last_folder", str(Path(file).parent))
            self.play.emit(file)

    def choose_recording(self) -> None:
        """Ask for a recording made earlier, also by the command line."""
        start = self._preferences.text("last_folder")
        words = self.tr("Recordings") + " (*.sqlite)"
        file, _ = QFileDialog.getOpenFileName(self, self.tr("Open a recording"), start, words)
        if file:
            self._preferences.keep("last_folder", str(Path(file).parent))
            self.play.emit(file)

    def choose_watched(self) -> None:
        """Ask for video files to watch like cameras."""
        start = self._preferences.text("last_folder")
        files, _ = QFileDialog.getOpenFileNames(self, self.tr("Watch videos"), start, self._filter())
        for file in files:
            self._preferences.keep("last_folder", str(Path(file).parent))
            self.watch.emit(file, self._loop.isChecked())

    def choose_folder(self) -> None:
        """Ask for a folder of images."""
        folder = QFileDialog.getExistingDirectory(self, self.tr("Open a folder of images"))
        if folder:
            self.play.emit(folder)

    @property
    def loops(self) -> bool:
        """Whether watched files start over."""
        return self._loop.isChecked()

    def _build(self) -> None:
        title = QLabel("Sightline")
        title.setProperty("role", "title")
        words = QLabel(self.tr("See, follow and annotate what moves. Drop files anywhere in this window."))
        words.setProperty("role", "quiet")
        buttons = QHBoxLayout()
        for icon_name, text, slot in (
            ("film", self.tr("Open &video"), self.choose_files),
            ("folder", self.tr("Open image &folder"), self.choose_folder),
            ("grid", self.tr("&Watch video like a camera"), self.choose_watched),
        ):
            button = QPushButton(icon(icon_name), text)
            button.setIconSize(QSize(20, 20))
            button.setMinimumHeight(36)
            button.clicked.connect(slot)
            button.setAutoDefault(False)
            buttons.addWidget(button)
        buttons.addStretch(1)
        go = QPushButton(icon("stream"), self.tr("Watch &stream"))
        go.setAutoDefault(False)
        go.clicked.connect(self._open_address)
        address = QHBoxLayout()
        address.addWidget(self._address, 1)
        address.addWidget(go)
        lists = QHBoxLayout()
        lists.setSpacing(16)
        for heading, widget in ((self.tr("Cameras"), self._cameras), (self.tr("Opened lately"), self._recents)):
            column = QVBoxLayout()
            column.setSpacing(4)
            label = QLabel(heading)
            label.setProperty("role", "heading")
            column.addWidget(label)
            column.addWidget(widget)
            lists.addLayout(column, 1)
        self._cameras.itemActivated.connect(self._open_camera)
        self._recents.itemActivated.connect(self._open_recent)
        inner = QWidget()
        inner.setMaximumWidth(WIDTH)
        column = QVBoxLayout(inner)
        column.setSpacing(10)
        column.addStretch(1)
        for widget_or_layout in (title, words, buttons, address, self._hint, lists, self._loop):
            if isinstance(widget_or_layout, QWidget):
                column.addWidget(widget_or_layout)
            else:
                column.addSpacing(4)
                column.addLayout(widget_or_layout)
        column.addStretch(2)
        layout = QHBoxLayout(self)
        layout.addStretch(1)
        layout.addWidget(inner, 10)
        layout.addStretch(1)

    def _list(self, name: str) -> QListWidget:
        widget = QListWidget()
        widget.setAccessibleName(name)
        widget.setMinimumHeight(90)
        widget.setIconSize(QSize(18, 18))
        return widget

    def _note(self, text: str) -> QListWidgetItem:
        item = QListWidgetItem(text)
        item.setFlags(Qt.ItemFlag.NoItemFlags)
        return item

    def _show_cameras(self, cameras: dict[int, str]) -> None:
        self._cameras.clear()
        for index, name in cameras.items():
            item = QListWidgetItem(icon("camera"), name)
            item.setData(Qt.ItemDataRole.UserRole, name if list(cameras.values()).count(name) == 1 else str(index))
            self._cameras.addItem(item)
        if not cameras:
            self._cameras.addItem(self._note(self.tr("No camera found")))

    def _open_camera(self, item: QListWidgetItem) -> None:
        spec = item.data(Qt.ItemDataRole.UserRole)
        if spec:
            self.watch.emit(spec, False)

    def _open_recent(self, item: QListWidgetItem) -> None:
        spec = item.data(Qt.ItemDataRole.UserRole)
        if not spec:
            return
        if not is_address(spec):
            if Path(spec).exists():
                self.play.emit(spec)
            elif Path(spec).suffix or len(Path(spec).parts) > 1:
                self._report(self.tr("{0} is no longer there.").format(spec))
            else:
                self.watch.emit(spec, False)
            return
        self._address.setText(spec)
        self._open_address()

    def _open_address(self) -> None:
        spec = self._address.text().strip()
        if not spec:
            return
        if not is_address(spec):
            self._report(self.tr("Give an address such as rtsp://user:password@host/stream."))
            return
        self._hint.hide()
        self.watch.emit(spec, False)
        self._address.setText(redact(spec))

    def _report(self, text: str) -> None:
        self._hint.setText(text)
        self._hint.show()

    def _filter(self) -> str:
        return (
            self.tr("Videos")
            + " (*.mp4 *.mkv *.avi *.mov *.webm *.ts *.m4v *.mpg *.mpeg *.wmv *.flv);;"
            + self.tr("All files")
            + " (*)"
        )

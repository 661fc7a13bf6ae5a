"""Exports a recording, as it stands after all corrections, in any format, as a video or as a report."""

from __future__ import annotations

import logging
import re
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from PyQt6.QtCore import Qt, QUrl, pyqtSignal
from PyQt6.QtGui import QDesktopServices
from PyQt6.QtWidgets import (
    QCheckBox,
    QDialog,
    QDialogButtonBox,
    QFileDialog,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QMessageBox,
    QProgressBar,
    QPushButton,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)

from gui.qt.background import Background
from gui.qt.keyboard import order_buttons
from gui.qt.preferences import Preferences
from gui.qt.wording import words_of
from tracker.annotate.dataset import ImageOptions, check_split
from tracker.annotate.export import export, export_suffix
from tracker.annotate.recordings import RecordingJob
from tracker.annotate.render import render_video
from tracker.annotate.report.html_page import write_report
from tracker.errors import SinkError
from tracker.factory import Settings
from tracker.formats import FORMATS
from tracker.formats.label_maps import LABEL_MAP_FORMATS
from tracker.paths import typed_path
from tracker.store import Recording

__all__ = ["ExportDialog", "Exported", "export_all"]

VIDEO, REPORT = "video", "report"
MOST_NOTES = 10
OPTIONS = re.compile(r" \([^()]*--[^()]*\)")
"""What the command line could do about it; there is no such choice here."""


@dataclass(slots=True)
class Exported:
    """What an export has come to, also where it then failed."""

    paths: list[Path] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    """What was warned of, such as what a format cannot hold."""
    data: Path | None = None
    """Of a data set with its images, to train on."""


class _Notes(logging.Handler):
    """Takes down what one thread warns of."""

    def __init__(self, notes: list[str]) -> None:
        super().__init__(logging.WARNING)
        self._notes, self._thread = notes, threading.get_ident()

    def __enter__(self) -> None:
        logging.getLogger("tracker").addHandler(self)

    def __exit__(self, *_: Any) -> None:
        logging.getLogger("tracker").removeHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        """Keep its words, once."""
        words = OPTIONS.sub("", record.getMessage())
        if record.thread == self._thread and words not in self._notes:
            self._notes.append(words)


def export_all(
    job: RecordingJob,
    settings: Settings,
    names: list[str],
    folder: Path,
    images: ImageOptions | None = None,
    exported: Exported | None = None,
) -> Exported:
    """Write the recording in each of the formats, `video` and `report` among them; what came of it.

    With `images`, formats that are for single images become data sets with them. What is written is noted in `exported`
    as soon as it is. Raises SinkError where a file cannot be written, ConfigError, before any is, where there are too
    few images for two parts.
    """
    exported = exported or Exported()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SinkError(f"{folder}: cannot make the folder: {error.strerror}; choose another one") from error
    with _Notes(exported.notes), Recording(job.store) as recording:
        if any(_images_of(name, images) for name in names):
            check_split(recording, images or ImageOptions())
        for name in names:
            path = _path_of(job, name, folder, images)
            if name == VIDEO:
                render_video(recording, job.source, path, settings, lambda *_: None)
            elif name == REPORT:
                write_report(recording, path, video=job.source, hidden=settings.overlay)
            else:
                export(recording, name, path, images=_images_of(name, images), video=job.source)
            exported.paths.append(path)
            if exported.data is None and _images_of(name, images) and (path / "data.yaml").is_file():
                exported.data = path / "data.yaml"
    return exported


def _images_of(name: str, images: ImageOptions | None) -> ImageOptions | None:
    return images if name in FORMATS and FORMATS[name].images else None


def _path_of(job: RecordingJob, name: str, folder: Path, images: ImageOptions | None) -> Path:
    own = {VIDEO: "-annotated.mp4", REPORT: ".html"}.get(name)
    suffix = own or export_suffix(name, images=_images_of(name, images) is not None)
    return folder / f"{job.base.name}{suffix}"


class ExportDialog(QDialog):
    """Chooses formats and a folder. Closed while it writes, it goes on and reports the end by `said`.

    `label_maps` says whether the recording has a label per pixel, for the formats that write those.
    """

    said = pyqtSignal(str)
    train = pyqtSignal(str)
    """A detector is to be trained on this data set."""

    def __init__(
        self,
        job: RecordingJob,
        settings: Settings,
        background: Background,
        preferences: Preferences,
        parent: QWidget | None = None,
        *,
        label_maps: bool = False,
    ) -> None:
        super().__init__(parent)
        self.setWindowTitle(self.tr("Export {0}").format(job.source.name))
        self._job = job
        self._settings = settings
        self._background = background
        self._preferences = preferences
        chosen = preferences.text("export/formats", "mot").split(",")
        self._boxes: dict[str, QCheckBox] = {}
        grid = QGridLayout()
        titles = {name: entry.title for name, entry in FORMATS.items()}
        titles |= {name: entry.title for name, entry in LABEL_MAP_FORMATS.items()}
        titles |= {VIDEO: self.tr("Annotated video"), REPORT: self.tr("Report as one HTML page")}
        for number, (name, title) in enumerate(titles.items()):
            box = self._boxes[name] = QCheckBox(title)
            box.setChecked(name in chosen)
            box.toggled.connect(self._refresh)
            grid.addWidget(box, number // 2, number % 2)
        self._hides_classes = bool(settings.overlay.blur_classes)
        unsure = self.tr("What the tracker was not sure of is not recorded, so hidden classes could stay visible.")
        if self._hides_classes:
            self._leave_out(VIDEO, unsure)
        if not label_maps:
            reason = self.tr("No pixels are labelled here. Choose a network for it in the settings and annotate again.")
            for name in LABEL_MAP_FORMATS:
                self._leave_out(name, reason)
        self._images = QCheckBox(self.tr("With the i&mages, as a data set to train on (COCO, YOLO, VOC)"))
        self._images.setChecked(preferences.flag("export/images") and not self._hides_classes)
        if self._hides_classes:
            self._images.setToolTip(unsure)
        self._images.toggled.connect(self._refresh)
        self._every = QSpinBox()
        self._every.setRange(1, 100_000)
        self._every.setValue(10)
        self._every.setPrefix(self.tr("one frame in "))
        self._every.setSpecialValueText(self.tr("every frame"))
        self._every.setAccessibleName(self.tr("Every so many frames"))
        self._split = QSpinBox()
        self._split.setRange(1, 99)
        self._split.setValue(80)
        self._split.setSuffix(self.tr(" % to train on, the rest to validate"))
        self._split.setAccessibleName(self.tr("Part to train on"))
        images = QHBoxLayout()
        images.addWidget(self._images, 1)
        images.addWidget(self._every)
        images.addWidget(self._split)
        self._data: Path | None = None
        self._folder = QLineEdit(preferences.text("export/folder") or str(job.source.parent))
        self._folder.setAccessibleName(self.tr("Folder"))
        self._folder.textChanged.connect(self._refresh)
        browse = QPushButton(self.tr("&Browse\N{HORIZONTAL ELLIPSIS}"))
        browse.setAutoDefault(False)
        browse.clicked.connect(self._browse)
        row = QHBoxLayout()
        row.addWidget(QLabel(self.tr("Folder")))
        row.addWidget(self._folder, 1)
        row.addWidget(browse)
        self._words = QLabel()
        self._words.setWordWrap(True)
        self._words.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self._busy = QProgressBar()
        self._busy.setRange(0, 0)
        self._busy.setTextVisible(False)
        self._busy.setAccessibleName(self.tr("Writing"))
        self._busy.hide()
        self._buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Close)
        self._write = QPushButton(self.tr("&Export"))
        self._write.setDefault(True)
        self._open = QPushButton(self.tr("Open f&older"))
        self._open.setAutoDefault(False)
        self._buttons.addButton(self._open, QDialogButtonBox.ButtonRole.ActionRole)
        self.train_button = QPushButton(self.tr("&Train on it\N{HORIZONTAL ELLIPSIS}"))
        self.train_button.setAutoDefault(False)
        self.train_button.clicked.connect(self._train_on_it)
        self._buttons.addButton(self.train_button, QDialogButtonBox.ButtonRole.ActionRole)
        self._buttons.addButton(self._write, QDialogButtonBox.ButtonRole.ActionRole)
        self._open.hide()  # only now: a box shows what is added to it
        self.train_button.hide()
        self._buttons.rejected.connect(self.reject)
        self._write.clicked.connect(self.write)
        self._open.clicked.connect(lambda: QDesktopServices.openUrl(QUrl.fromLocalFile(self._folder.text())))
        layout = QVBoxLayout(self)
        layout.setSpacing(12)
        layout.addLayout(grid)
        layout.addLayout(images)
        layout.addLayout(row)
        layout.addWidget(self._words)
        layout.addWidget(self._busy)
        layout.addWidget(self._buttons)
        order_buttons(self._buttons)
        self.resize(520, 340)
        self._refresh()

    def _leave_out(self, name: str, reason: str) -> None:
        """Offer a format no more, and say why."""
        self._boxes[name].setChecked(False)
        self._boxes[name].setEnabled(False)
        self._boxes[name].setToolTip(reason)

    @property
    def words(self) -> str:
        """What was written, or what went wrong."""
        return self._words.text()

    @property
    def busy(self) -> bool:
        """Whether files are being written."""
        return not self._busy.isHidden()

    def choose(self, names: list[str], folder: Path) -> None:
        """Tick these formats and this folder."""
        for name, box in self._boxes.items():
            box.setChecked(name in names and box.isEnabled())
        self._folder.setText(str(folder))

    def choose_images(self, every: int, split: float) -> None:
        """Write the images of every so many frames too, and this fraction of them to train on."""
        self._images.setChecked(True)
        self._every.setValue(every)
        self._split.setValue(round(100 * split))

    def write(self) -> None:
        """Begin."""
        names = self._chosen()
        folder = typed_path(self._folder.text())
        wanted = self._images.isChecked() and self._images.isEnabled()
        images = (
            ImageOptions(self._every.value(), self._split.value() / 100, self._settings.overlay) if wanted else None
        )
        there = [path for name in names if (path := _path_of(self._job, name, folder, images)).exists()]
        if there and not self._may_replace(there):
            return
        self._preferences.keep("export/formats", ",".join(names))
        self._preferences.keep("export/folder", str(folder))
        if not self._hides_classes:
            self._preferences.keep("export/images", self._images.isChecked())
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose, on=False)
        self._busy.show()
        self._write.setEnabled(False)
        self._words.setText("")
        job, settings, exported = self._job, self._settings, Exported()
        self._background.run(
            lambda: export_all(job, settings, names, folder, images, exported),
            self._written,
            lambda error: self._failed(error, exported),
            owner=self,
        )

    def _may_replace(self, there: list[Path]) -> bool:
        box = QMessageBox(self)
        box.setWindowTitle("Sightline")
        box.setText(self.tr("Replace what is there?"))
        box.setTextFormat(Qt.TextFormat.PlainText)
        box.setInformativeText("\n".join(map(str, there)))
        box.setStandardButtons(QMessageBox.StandardButton.Cancel)
        replace = box.addButton(self.tr("&Replace"), QMessageBox.ButtonRole.AcceptRole)
        box.setDefaultButton(QMessageBox.StandardButton.Cancel)
        box.exec()
        return box.clickedButton() is replace

    def _chosen(self) -> list[str]:
        return [name for name, box in self._boxes.items() if box.isChecked()]

    def _refresh(self) -> None:
        chosen = self._chosen()
        able = not self._hides_classes and any(name in FORMATS and FORMATS[name].images for name in chosen)
        self._images.setEnabled(able)
        for box in (self._every, self._split):
            box.setEnabled(self._images.isEnabled() and self._images.isChecked())
        self._write.setEnabled(bool(chosen) and bool(self._folder.text().strip()) and not self.busy)

    def _browse(self) -> None:
        folder = QFileDialog.getExistingDirectory(self, self.tr("Folder"), self._folder.text())
        if folder:
            self._folder.setText(folder)

    def _written(self, exported: Exported) -> None:
        self._open.show()
        self._data = exported.data
        self.train_button.setVisible(self._data is not None)
        self._report(self._words_on(exported), wrong=False)

    def _words_on(self, exported: Exported) -> str:
        """The files, and below them what was warned of."""
        files = self.tr("Written: {0}").format(", ".join(path.name for path in exported.paths))
        more = len(exported.notes) - MOST_NOTES
        rest = [self.tr("and {0} more, see the log").format(more)] if more > 0 else []
        return "\n".join([*([files] if exported.paths else []), *exported.notes[:MOST_NOTES], *rest])

    def _train_on_it(self) -> None:
        self.train.emit(str(self._data))
        self.reject()

    def _failed(self, error: Exception, exported: Exported) -> None:
        self._data = exported.data
        self.train_button.setVisible(self._data is not None)
        self._open.setVisible(bool(exported.paths))
        self._report("\n".join(filter(None, [words_of(error), self._words_on(exported)])), wrong=True)

    def _report(self, text: str, *, wrong: bool) -> None:
        self._busy.hide()
        self._refresh()
        self._words.setProperty("role", "wrong" if wrong else "")
        style = self._words.style()
        if style is not None:
            style.unpolish(self._words)
            style.polish(self._words)
        self._words.setText(text)
        if self.isVisible():
            self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        else:
            self.said.emit("; ".join(text.splitlines()))
            self.deleteLater()

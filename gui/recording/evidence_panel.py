"""Where the network's evidence for the selected object lies, and its feature maps: made by a job, shown here."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from PyQt6.QtCore import Qt
from PyQt6.QtGui import QPixmap
from PyQt6.QtWidgets import QLabel, QPushButton, QScrollArea, QVBoxLayout, QWidget

from gui.canvas.hit_testing import Box
from gui.jobs.queue import Job, Jobs, JobState
from gui.qt.background import Background
from tracker.types import Image

__all__ = ["EvidencePanel"]

WIDTH = 340
OWN_SUFFIXES = (".safetensors",)

Shown = Callable[[], tuple[Image, Box | None] | None]
"""The frame shown and the selected object's box in it; None where nothing is shown."""


class EvidencePanel(QWidget):
    """Asks for an explanation of what is shown and lists the images that come of it."""

    def __init__(
        self,
        jobs: Jobs,
        background: Background,
        shown: Shown,
        model: Callable[[], str],
        parent: QWidget | None = None,
        *,
        hides: Callable[[], bool],
    ) -> None:
        """`hides` says whether something is to be unrecognisable: then there is no evidence, which lies over frames."""
        super().__init__(parent)
        self._jobs = jobs
        self._background = background
        self._shown = shown
        self._model = model
        self._hides = hides
        self._job: Job | None = None
        self._whole = True
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._explain = QPushButton(self.tr("&Explain the selected object"))
        self._explain.setAutoDefault(False)
        self._explain.clicked.connect(self.explain)
        self._words = QLabel(self._about())
        self._words.setProperty("role", "quiet")
        self._words.setWordWrap(True)
        self._list = QWidget()
        self._column = QVBoxLayout(self._list)
        self._column.setContentsMargins(0, 0, 0, 0)
        self._column.addStretch(1)
        area = QScrollArea()
        area.setWidgetResizable(True)
        area.setFrameShape(QScrollArea.Shape.NoFrame)
        area.setWidget(self._list)
        area.setAccessibleName(self.tr("Evidence"))
        layout = QVBoxLayout(self)
        layout.addWidget(self._explain)
        layout.addWidget(self._words)
        layout.addWidget(area, 1)
        jobs.changed.connect(self._changed)

    @property
    def images(self) -> list[QLabel]:
        """The images listed, without their headings."""
        labels = self._list.findChildren(QLabel, "image")
        return list(labels)

    def refresh(self) -> None:
        """Show nothing, and say why, while something is to be unrecognisable: evidence lies over bare frames."""
        hides = self._hides()
        if hides:
            self._clear()
            if self._folder is not None and self._job is None:
                self._folder.cleanup()
                self._folder = None
        if hides or self._words.text() == self._hidden():
            self._words.setText(self._hidden() if hides else self._about())
        self._explain.setEnabled(not hides and self._job is None)

    def explain(self) -> None:
        """Let a job explain the selected object, or the whole frame where none is selected."""
        if self._hides():
            self.refresh()
            return
        shown = self._shown()
        if shown is None:
            self._words.setText(self.tr("Open a recording and hold it at the frame in question."))
            return
        image, box = shown
        if self._folder is not None:
            self._folder.cleanup()
        self._folder = tempfile.TemporaryDirectory(prefix="sightline-evidence-")
        folder = Path(self._folder.name)
        model = self._model()
        own = model if model == "auto" or model.endswith(OWN_SUFFIXES) else "auto"
        command = ["explain", str(folder / "shown.png"), "--model", own, "--out", str(folder / "out")]
        self._whole = box is None
        command += ["--most", "4"] if box is None else ["--box=" + ",".join(f"{side:.2f}" for side in box)]
        self._words.setText(self.tr("At work, see the jobs"))
        self._explain.setEnabled(False)
        self._background.run(
            lambda: _write(image, folder / "shown.png"), lambda _: self._queue(command), self._failed, owner=self
        )

    def _queue(self, command: list[str]) -> None:
        self._job = self._jobs.add(self.tr("Explain an image"), command)

    def _failed(self, error: Exception) -> None:
        self._explain.setEnabled(True)
        self._words.setText(str(error))

    def _about(self) -> str:
        return self.tr("Shows where the network's evidence lies in the image (LayerCAM), its maps and filters.")

    def _hidden(self) -> str:
        return self.tr("Not available while classes or regions are hidden: it would show them.")

    def _clear(self) -> None:
        while (item := self._column.takeAt(0)) is not None:
            widget = item.widget()
            if widget is not None:
                widget.setParent(None)
                widget.deleteLater()

    def show_folder(self, folder: Path) -> None:
        """List the images of a folder, evidence first."""
        self._clear()
        for path in sorted(folder.glob("*.png")):
            heading = QLabel(path.stem.replace("-", " "))
            heading.setProperty("role", "heading")
            label = QLabel()
            label.setObjectName("image")
            label.setAccessibleName(path.stem.replace("-", " "))
            ratio = self.devicePixelRatioF()
            pixmap = QPixmap(str(path)).scaledToWidth(round(WIDTH * ratio), Qt.TransformationMode.SmoothTransformation)
            pixmap.setDevicePixelRatio(ratio)
            label.setPixmap(pixmap)
            self._column.addWidget(heading)
            self._column.addWidget(label)
        self._column.addStretch(1)

    def _changed(self, job: Job) -> None:
        if job is not self._job or job.active or job.state in (JobState.WAITING, JobState.RUNNING):
            return
        self._job = None
        if self._hides():
            self.refresh()
            return
        self._explain.setEnabled(True)
        if job.state is JobState.DONE and self._folder is not None:
            found = [line.partition(".png: ")[2] for line in job.log]
            nothing = (
                self.tr("Nothing was found; these are its features.")
                if self._whole
                else self.tr("The network sees no object there; these are its features.")
            )
            self._words.setText(", ".join(filter(None, found)) or nothing)
            self.show_folder(Path(self._folder.name) / "out")
        else:
            self._words.setText(job.ending or self.tr("Cancelled"))


def _write(image: Image, path: Path) -> None:
    cv2.imwrite(str(path), cv2.cvtColor(np.ascontiguousarray(image), cv2.COLOR_RGB2BGR))

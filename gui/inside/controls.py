"""The page's controls: a kernel of nine numbers, a slider of fractions, a view that scales an image to its room."""

from __future__ import annotations

from PyQt6.QtCore import QRect, QSize, Qt, pyqtSignal
from PyQt6.QtGui import QImage, QPainter, QPaintEvent
from PyQt6.QtWidgets import (
    QComboBox,
    QDoubleSpinBox,
    QFormLayout,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QSizePolicy,
    QSlider,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)

from gui.inside.views import KERNELS
from tracker.types import Image

__all__ = ["KernelEditor", "Slider", "StillView"]

STEPS = 100


class KernelEditor(QWidget):
    """Nine numbers, and kernels to begin with by name."""

    changed = pyqtSignal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.named = QComboBox()
        self.named.setAccessibleName(self.tr("Kernel"))
        self.named.addItems([*KERNELS, self.tr("one's own")])
        self.named.activated.connect(self._choose)
        self._times = QSpinBox()
        self._times.setAccessibleName(self.tr("How often"))
        self._times.setRange(1, 20)
        self._times.valueChanged.connect(lambda _: self.changed.emit())
        grid = QGridLayout()
        self.numbers: list[QDoubleSpinBox] = []
        for place in range(9):
            row, column = divmod(place, 3)
            number = QDoubleSpinBox()
            number.setRange(-99, 99)
            number.setDecimals(3)
            number.setSingleStep(0.5)
            number.setAccessibleName(self.tr("Row {0}, column {1}").format(row + 1, column + 1))
            number.setButtonSymbols(QDoubleSpinBox.ButtonSymbols.NoButtons)
            number.valueChanged.connect(self._edited)
            grid.addWidget(number, row, column)
            self.numbers.append(number)
        form = QFormLayout()
        form.addRow(self.tr("Kernel"), self.named)
        form.addRow(self.tr("Applied"), self._times)
        layout = QVBoxLayout(self)
        layout.addLayout(form)
        layout.addLayout(grid)
        layout.addStretch(1)
        self.choose("sharpen")

    @property
    def values(self) -> tuple[float, ...]:
        """Row by row."""
        return tuple(number.value() for number in self.numbers)

    @property
    def times(self) -> int:
        """How often the kernel is applied."""
        return self._times.value()

    def choose(self, name: str) -> None:
        """Begin with a kernel of KERNELS."""
        for number, value in zip(self.numbers, KERNELS[name], strict=True):
            number.blockSignals(True)
            number.setValue(value)
            number.blockSignals(False)
        self.named.setCurrentText(name)
        self.changed.emit()

    def _choose(self, row: int) -> None:
        if row < len(KERNELS):
            self.choose(list(KERNELS)[row])

    def _edited(self) -> None:
        self.named.setCurrentIndex(len(KERNELS))
        self.changed.emit()


class Slider(QWidget):
    """A number between two, in hundred steps, beside its value."""

    changed = pyqtSignal()

    def __init__(self, name: str, low: float, high: float, value: float, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._low, self._high = low, high
        self.slider = QSlider(Qt.Orientation.Horizontal)
        self.slider.setRange(0, STEPS)
        self.slider.setAccessibleName(name)
        self._number = QLabel()
        self._number.setMinimumWidth(34)
        self.slider.valueChanged.connect(self._moved)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.slider, 1)
        layout.addWidget(self._number)
        self.set_value(value)

    @property
    def value(self) -> float:
        """Where it stands."""
        return self._low + (self._high - self._low) * self.slider.value() / STEPS

    def set_value(self, value: float) -> None:
        """Move it."""
        self.slider.setValue(round(STEPS * (value - self._low) / (self._high - self._low)))
        self._number.setText(f"{self.value:.2f}")

    def _moved(self) -> None:
        self._number.setText(f"{self.value:.2f}")
        self.changed.emit()


class StillView(QWidget):
    """Shows an image as large as there is room, its shape kept."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._image: QImage | None = None
        self.setAccessibleName(self.tr("Image"))
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Ignored)
        self.setMinimumSize(QSize(160, 120))

    @property
    def shows(self) -> bool:
        """Whether there is an image."""
        return self._image is not None

    def show_image(self, image: Image | None) -> None:
        """Show it now, or nothing."""
        self.update()
        if image is None:
            self._image = None
            return
        height, width = image.shape[:2]
        self._image = QImage(image.tobytes(), width, height, 3 * width, QImage.Format.Format_RGB888).copy()

    def paintEvent(self, event: QPaintEvent | None) -> None:  # noqa: ARG002, N802 - Qt's name
        """Draw the image in the middle."""
        if self._image is None:
            return
        size = self._image.size().scaled(self.size(), Qt.AspectRatioMode.KeepAspectRatio)
        place = QRect((self.width() - size.width()) // 2, 0, size.width(), size.height())
        with QPainter(self) as painter:
            painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
            painter.drawImage(place, self._image)

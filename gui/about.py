"""What this program is, its version, and the licences of what it stands on."""

from __future__ import annotations

from importlib import metadata

from PyQt6.QtWidgets import QDialog, QDialogButtonBox, QLabel, QTextBrowser, QVBoxLayout, QWidget

__all__ = ["PARTS", "About"]

PARTS = {
    "PyQt6": "GPL-3.0; Qt under LGPL-3.0", "av": "BSD-3-Clause; FFmpeg under LGPL or GPL",
    "cv2-enumerate-cameras": "MIT", "filterpy": "MIT", "jaxtyping": "MIT", "matplotlib": "PSF-based",
    "numpy": "BSD-3-Clause", "onnx": "Apache-2.0", "onnxruntime": "MIT", "opencv-python": "Apache-2.0",
    "pycocotools": "BSD-2-Clause", "PyYAML": "MIT", "safetensors": "Apache-2.0", "scipy": "BSD-3-Clause",
    "shtab": "Apache-2.0", "torch": "BSD-3-Clause", "torchvision": "BSD-3-Clause",
    "tqdm": "MPL-2.0 and MIT", "ultralytics": "AGPL-3.0",
}  # fmt: skip
"""What it depends on, and under which licence."""


class About(QDialog):
    """Version and licences."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle(self.tr("About Sightline"))
        title = QLabel("Sightline")
        title.setProperty("role", "title")
        words = QLabel(
            self.tr(
                "Version {0}. Free software under the GNU Affero General Public License, version 3 or later: you may "
                "use, study, share and change it; a changed version you offer over a network must be offered with its "
                "source."
            ).format(_version("sightline") or "0")
        )
        words.setWordWrap(True)
        parts = QTextBrowser()
        parts.setAccessibleName(self.tr("Licences"))
        rows = "".join(
            f"<tr><td>{name}&nbsp;&nbsp;</td><td>{_version(name)}&nbsp;&nbsp;</td><td>{licence}</td></tr>"
            for name, licence in PARTS.items()
            if _version(name)
        )
        parts.setHtml(f"<p>{self.tr('It stands on:')}</p><table>{rows}</table>")
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Close)
        buttons.rejected.connect(self.reject)
        layout = QVBoxLayout(self)
        for widget in (title, words, parts, buttons):
            layout.addWidget(widget)
        self.resize(520, 420)


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return ""

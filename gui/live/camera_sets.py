"""Sets of cameras in the window: opened as named tiles, passwords asked for once, there again at the next start."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from PyQt6.QtCore import QObject, pyqtSignal
from PyQt6.QtWidgets import QCheckBox, QDialog, QDialogButtonBox, QLabel, QLineEdit, QVBoxLayout, QWidget

from gui.live.page import LivePage
from gui.qt.keyboard import order_buttons
from gui.qt.preferences import Preferences
from tracker.errors import TrackerError
from tracker.paths import exists
from tracker.watch.camera_set import CameraConfig, account_of, address_of, keep_password, needs_password, read_cameras

__all__ = ["CameraSets", "PasswordDialog"]

KEY = "live/set"
LEAST_WIDTH = 360


class CameraSets(QObject):
    """Opens the cameras of a file in the live grid, and the last one again when the program starts."""

    opening = pyqtSignal()
    """The file is sound, and its cameras come one after the other."""

    def __init__(self, live: LivePage, preferences: Preferences, say: Callable[[str], None], parent: QWidget) -> None:
        super().__init__(parent)
        self._live, self._preferences, self._say, self._window = live, preferences, say, parent
        self._passwords: dict[str, str] = {}
        """Those typed, by account; they are never written but to the keyring."""

    def open(self, path: Path) -> bool:
        """Open all cameras of a set but those whose password is not given; False where the file cannot be used."""
        try:
            cameras = read_cameras(path).camera
        except TrackerError as error:
            self._say(str(error))
            return False
        self.opening.emit()
        left = []
        for camera in cameras:
            address = self._address(camera)
            if address is None:
                left.append(camera.name)
            else:
                self._live.add(address, camera=camera)
        if left:
            self._say(self.tr("Without its password left out: {0}").format(", ".join(left)))
        self._preferences.add_recent(str(path))
        self._preferences.keep(KEY, str(path.absolute()))
        return True

    def restore(self) -> bool:
        """Open the set that was open when the window was closed last; False where there was none."""
        text = self._preferences.text(KEY)
        if not text:
            return False
        if not exists(text):
            self._say(self.tr("{0}: the set of cameras is no longer there").format(text))
            self._preferences.keep(KEY, "")
            return False
        return self.open(Path(text))

    def remember(self) -> None:
        """Note at the end whether any camera of the set is still open: a set that was closed stays closed."""
        if not any(session.camera is not None for session in self._live.sessions):
            self._preferences.keep(KEY, "")

    def _address(self, camera: CameraConfig) -> str | None:
        """Where to connect; None where the user would not give the password."""
        if not needs_password(camera):
            return address_of(camera)
        account = account_of(camera)
        if account not in self._passwords:
            dialog = PasswordDialog(camera, self._window)
            if dialog.exec() != QDialog.DialogCode.Accepted:
                return None
            self._passwords[account] = dialog.password
            if dialog.keep and not keep_password(camera, dialog.password):
                self._say(self.tr("The system has no keyring that is open; the password is asked for again next time."))
        return address_of(camera, self._passwords[account])


class PasswordDialog(QDialog):
    """Asks for one camera's password."""

    def __init__(self, camera: CameraConfig, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle(self.tr("Password of {0}").format(camera.name))
        text = self.tr("The camera {0}, {1}, asks {2} for a password:")
        label = QLabel(text.format(camera.name, camera.address, camera.user))
        label.setWordWrap(True)
        self._edit = QLineEdit()
        self._edit.setEchoMode(QLineEdit.EchoMode.Password)
        self._edit.setAccessibleName(self.windowTitle())
        self._keep = QCheckBox(self.tr("&Keep it in the system's keyring"))
        ok, cancel = QDialogButtonBox.StandardButton.Ok, QDialogButtonBox.StandardButton.Cancel
        buttons = QDialogButtonBox(ok | cancel)
        buttons.accepted.connect(self.accept)
        buttons.rejected.connect(self.reject)
        layout = QVBoxLayout(self)
        for widget in (label, self._edit, self._keep, buttons):
            layout.addWidget(widget)
        order_buttons(buttons)
        accept = buttons.button(ok)
        assert accept is not None
        accept.setEnabled(False)
        self._edit.textChanged.connect(lambda text: accept.setEnabled(bool(text)))
        self._edit.setFocus()
        self.setMinimumWidth(LEAST_WIDTH)

    @property
    def password(self) -> str:
        """What was typed."""
        return self._edit.text()

    @property
    def keep(self) -> bool:
        """Whether it is to be kept."""
        return self._keep.isChecked()

"""Sets of cameras in the window: opened as named tiles, passwords asked for once, there again at the next start."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from PyQt6.QtCore import QObject, QTimer, pyqtSignal
from PyQt6.QtWidgets import QCheckBox, QDialog, QDialogButtonBox, QLabel, QLineEdit, QVBoxLayout, QWidget

from gui.engine.live_network import Engine
from gui.live.page import MOST_SOURCES, LivePage
from gui.live.session import Session, SessionState
from gui.qt.background import Background
from gui.qt.keyboard import order_buttons
from gui.qt.preferences import Preferences
from tracker.errors import SinkError, TrackerError
from tracker.paths import exists
from tracker.watch.camera_records import CameraRecords
from tracker.watch.camera_set import (
    CameraConfig,
    CameraSet,
    account_of,
    address_of,
    keep_password,
    needs_password,
    read_cameras,
)
from tracker.watch.set_records import SetRecords

__all__ = ["CameraSets", "PasswordDialog"]

KEY = "live/set"
LEAST_WIDTH = 360
"""Pixels of the dialog for a password, so that an address fits on one line."""


class CameraSets(QObject):
    """Opens the cameras of a file in the live grid, and the last one again when the program starts.

    What the file says of recording, events and alerts is done as `watch` does it, by the same parts of the core.
    """

    opening = pyqtSignal()
    """The file is sound, and its cameras come one after the other."""
    kept = pyqtSignal(object)
    """The store of events of the set that was opened last."""

    def __init__(
        self,
        live: LivePage,
        engine: Engine,
        background: Background,
        preferences: Preferences,
        say: Callable[[str], None],
        parent: QWidget,
    ) -> None:
        super().__init__(parent)
        self._live, self._engine, self._background = live, engine, background
        self._preferences, self._say, self._window = preferences, say, parent
        self._passwords: dict[str, str] = {}
        """Those typed, by account; they are never written but to the keyring."""
        self._open: dict[Path, _OpenSet] = {}
        self._denied: deque[Session] = deque()
        """Cameras that refused a password, and wait for another one to be asked for."""
        live.removed.connect(self._removed)
        engine.ready.connect(self._know_labels)

    def open(self, path: Path) -> bool:
        """Open all cameras of a set but those whose password is not given; False where the file cannot be used.

        Cameras that are open from the same file give way to what it says now.
        """
        path = path.absolute()
        try:
            cameras = read_cameras(path)
        except TrackerError as error:
            self._say(str(error))
            return False
        self.opening.emit()
        before = self._open.pop(path, None)
        for former in before.sessions if before is not None else ():
            self._live.close_session(former)
        opened = _OpenSet(cameras)
        without_password, without_room = [], []
        for camera in cameras.camera:
            address = self._address(camera)
            if address is None:
                without_password.append(camera.name)
                continue
            session = self._live.add(address, camera=camera)
            if session is None:
                without_room.append(camera.name)
            else:
                opened.sessions.append(session)
                session.denied.connect(lambda session=session: self._ask_again(session))
        if without_password:
            opened.words.append(self.tr("Without its password left out: {0}").format(", ".join(without_password)))
        if without_room:
            text = self.tr("More than {0} do not fit, neither shown nor recorded: {1}")
            opened.words.append(text.format(MOST_SOURCES, ", ".join(without_room)))
        if opened.sessions:
            self._open[path] = opened
            self._background.run(
                lambda: _begin(cameras, before),
                lambda begun: self._recorded(path, *begun),
                lambda error: self._recorded(path, None, str(error)),
                owner=self,
            )
        self._say("  ".join(opened.words))
        self._preferences.add_recent(str(path))
        self._preferences.keep(KEY, str(path))
        return True

    def close(self) -> None:
        """Finish what is kept of all sets; their cameras have ended."""
        for opened in self._open.values():
            opened.stop()
        self._open.clear()

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

    def _recorded(self, path: Path, records: SetRecords | None, problem: str) -> None:
        """The set is recorded from now on, or cannot be; its cameras wait for that."""
        opened = self._open.get(path)
        if opened is None:  # its cameras were closed meanwhile
            if records is not None:
                self._background.run(records.stop, lambda _: None)
            return
        opened.records = records
        if records is not None:
            opened.words += records.silent_alerts()
        if problem:
            opened.words.append(self.tr("Shown and not recorded, no alerts: {0}").format(problem))
        recorded = None if problem else records
        for session in opened.sessions:
            session.record_by(None if recorded is None else _records_of(session, opened.cameras, recorded))
        self._know_labels()
        self._say("  ".join(opened.words))
        if records is not None:
            self.kept.emit(records.store)

    def _know_labels(self) -> None:
        """Understand the classes of alerts as the network's, as soon as there is one."""
        detector = self._engine.detector
        for opened in self._open.values():
            if detector is None or opened.records is None:
                continue
            try:
                opened.records.know_labels(detector.labels)
            except TrackerError as error:
                opened.words.append(str(error))
                self._say("  ".join(opened.words))

    def _removed(self, session: Session) -> None:
        """A set whose last camera was closed is watched no more."""
        for path, opened in list(self._open.items()):
            if session in opened.sessions:
                opened.sessions.remove(session)
                if not opened.sessions:
                    del self._open[path]
                    self._background.run(opened.stop, lambda _: None)

    def _address(self, camera: CameraConfig) -> str | None:
        """Where to connect; None where the user would not give the password."""
        account = account_of(camera)
        if account in self._passwords:  # typed later than any that is kept
            return address_of(camera, self._passwords[account])
        if not needs_password(camera):
            return address_of(camera)
        return self._asked(camera)

    def _asked(self, camera: CameraConfig, *, refused: bool = False) -> str | None:
        """The address with the password that the user types; None where that is none."""
        dialog = PasswordDialog(camera, self._window, refused=refused)
        if dialog.exec() != QDialog.DialogCode.Accepted:
            return None
        self._passwords[account_of(camera)] = dialog.password
        if dialog.keep and not keep_password(camera, dialog.password):
            self._say(self.tr("The system has no keyring that is open; the password is asked for again next time."))
        return address_of(camera, dialog.password)

    def _ask_again(self, session: Session) -> None:
        """Forget a password that was refused, and ask for another one, one camera after the other."""
        self._denied.append(session)
        if len(self._denied) == 1:
            QTimer.singleShot(0, self._ask_next)

    def _ask_next(self) -> None:
        session = self._denied[0]
        camera = session.camera
        if camera is not None and session in self._live.sessions and session.state is SessionState.WAITING:
            account = account_of(camera)
            known = self._passwords.get(account)
            if known is not None and address_of(camera, known) != session.spec:
                address: str | None = address_of(camera, known)  # typed meanwhile, for another camera of that account
            else:
                self._passwords.pop(account, None)
                address = self._asked(camera, refused=True)
            if address is not None and session.state is SessionState.WAITING:
                session.open_as(address)
        self._denied.popleft()
        if self._denied:
            QTimer.singleShot(0, self._ask_next)


@dataclass
class _OpenSet:
    """A set that is open: what it asks for, its cameras shown, what is kept of them, what there is to say of it."""

    cameras: CameraSet
    sessions: list[Session] = field(default_factory=list)
    records: SetRecords | None = None
    words: list[str] = field(default_factory=list)

    def stop(self) -> None:
        if self.records is not None:
            self.records.stop()


def _records_of(session: Session, cameras: CameraSet, records: SetRecords) -> CameraRecords | None:
    """What one camera of the set keeps, drawn and hidden as it is shown."""
    if session.camera is None:
        return None
    return CameraRecords(session.camera, cameras.folder, records.keep, session.overlay_config())


def _begin(cameras: CameraSet, before: _OpenSet | None) -> tuple[SetRecords, str]:
    """What the set keeps, begun, and why it is not where another program does; that one's events can be read."""
    if before is not None:
        before.stop()
    records = SetRecords(cameras)
    try:
        records.start()
    except SinkError as error:
        return records, str(error)
    return records, ""


class PasswordDialog(QDialog):
    """Asks for one camera's password."""

    def __init__(self, camera: CameraConfig, parent: QWidget | None = None, *, refused: bool = False) -> None:
        super().__init__(parent)
        self.setWindowTitle(self.tr("Password of {0}").format(camera.name))
        text = self.tr("The camera {0}, {1}, asks {2} for a password:")
        if refused:
            text = self.tr("The camera {0}, {1}, refused the password of {2}. Another one:")
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

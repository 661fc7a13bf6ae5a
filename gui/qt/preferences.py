"""What the window remembers between starts. Passwords in addresses are never among it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from PyQt6.QtCore import QByteArray, QSettings, QStandardPaths

from tracker.errors import ConfigError
from tracker.factory import Settings, load_settings
from tracker.video.address import is_address, redact

__all__ = ["Preferences"]

MOST_RECENT = 12


class Preferences:
    """Typed access to the settings store; a value that cannot be read counts as not there."""

    def __init__(self, store: QSettings | None = None) -> None:
        self.store = store if store is not None else QSettings("Sightline", "Sightline")

    def text(self, key: str, default: str = "") -> str:
        """A text."""
        value = self.store.value(key, default)
        return value if isinstance(value, str) else default

    def flag(self, key: str, *, default: bool = False) -> bool:
        """A yes or no."""
        return self.text(key, "true" if default else "false") == "true"

    def keep(self, key: str, value: str | bool | QByteArray) -> None:
        """Remember a value."""
        self.store.setValue(key, ("true" if value else "false") if isinstance(value, bool) else value)

    def layout(self, key: str) -> QByteArray | None:
        """A saved geometry or arrangement of docks."""
        value = self.store.value(key)
        return value if isinstance(value, QByteArray) else None

    def tree(self, key: str) -> dict[str, Any]:
        """A mapping kept as JSON; empty where there is none."""
        try:
            value = json.loads(self.text(key, "{}"))
        except ValueError:
            return {}
        return value if isinstance(value, dict) else {}

    def keep_tree(self, key: str, value: Mapping[str, Any]) -> None:
        """Remember a mapping of plain values."""
        self.keep(key, json.dumps(value, sort_keys=True))

    def recents(self) -> list[str]:
        """Files and addresses opened lately, newest first."""
        try:
            found = json.loads(self.text("recents", "[]"))
        except ValueError:
            return []
        return [item for item in found if isinstance(item, str)] if isinstance(found, list) else []

    def add_recent(self, spec: str) -> None:
        """Put a source first among those opened lately, its password left out."""
        safe = redact(spec) if is_address(spec) else spec
        rest = [known for known in self.recents() if known != safe]
        self.keep("recents", json.dumps([safe, *rest][:MOST_RECENT]))

    def forget_recents(self) -> None:
        """Clear the list."""
        self.keep("recents", "[]")

    def settings(self) -> Settings:
        """The run settings last used; the defaults where they no longer fit."""
        try:
            return load_settings(self.tree("settings"), "saved settings")
        except ConfigError:
            return Settings()

    def keep_settings(self, tree: Mapping[str, Any]) -> None:
        """Remember run settings, given as the nested tables that `load_settings` reads."""
        self.keep_tree("settings", tree)

    def rules_of(self, source: str) -> dict[str, Any]:
        """Lines, zones and hidden regions drawn on a source."""
        return self.tree(f"rules/{_key(source)}")

    def keep_rules(self, source: str, rules: Mapping[str, Any]) -> None:
        """Remember what was drawn on a source."""
        self.keep_tree(f"rules/{_key(source)}", rules)

    def folder(self) -> Path:
        """Where recordings, clips and snapshots go."""
        chosen = self.text("folder")
        if chosen:
            return Path(chosen)
        movies = QStandardPaths.writableLocation(QStandardPaths.StandardLocation.MoviesLocation)
        return Path(movies or Path.home()) / "Sightline"


def _key(source: str) -> str:
    return hashlib.sha256(source.encode()).hexdigest()[:16]

"""The network at work for all live sources: loaded and exchanged off the window's thread."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, NamedTuple

from PyQt6.QtCore import QObject, pyqtSignal

from gui.engine.stages import SharedClassifier, SharedEmbedder, SharedLabeller, live_detector, tracker_settings, warm_up
from gui.qt.background import Background
from tracker.classify import ImageClassifier
from tracker.config import DetectorConfig, TrackerConfig, assign
from tracker.detect.shared_detector import SharedDetector
from tracker.errors import ConfigError
from tracker.factory import (
    Settings,
    classes_of_tracks,
    floor_of,
    load_settings,
    make_embedder,
    make_labeller,
    make_track_classifier,
    usable_cores,
)
from tracker.protocols import Detector, Embed, LabelPixels

__all__ = ["Engine"]

LoadDetector = Callable[[Settings], Detector]


def load_detector(settings: Settings) -> Detector:
    """The detector of the settings with all cores for each frame."""
    warm_up(settings.tracker)
    return live_detector(settings.detector, settings.tracker, threads=usable_cores())


class Engine(QObject):
    """Settings and detector that all live sources share."""

    ready = pyqtSignal()
    """A detector is there, the first or another one."""
    changed = pyqtSignal()
    """Settings, engine or problem are not what they were."""

    def __init__(
        self,
        background: Background,
        tree: Mapping[str, Any] | None = None,
        *,
        load: LoadDetector = load_detector,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._background = background
        self._load = load
        self._tree: dict[str, Any] = {}
        self._loaded: Settings | None = None
        self.settings = self._present = Settings()
        self.refused = ""
        """Why the settings to begin with were put aside."""
        try:
            self._adopt(dict(tree or {}))
        except ConfigError as error:
            self.refused = str(error)
        self.detector: SharedDetector | None = None
        self.embedder: SharedEmbedder | None = None
        """Looks at crops, where the tracker's settings ask for it."""
        self.labeller = SharedLabeller()
        """Labels every pixel, where the settings name a network for it."""
        self.classifier = SharedClassifier()
        """Names the kind of tracks, where the settings name one for it."""
        self.loading = False
        self.problem = ""

    @property
    def tree(self) -> dict[str, Any]:
        """The settings changed from their defaults, as `load_settings` reads them."""
        return self._tree

    @property
    def labels(self) -> tuple[str, ...]:
        """Classes of the present network."""
        return self.detector.labels if self.detector is not None else ()

    def start(self) -> None:
        """Load the network unless it is loaded already."""
        if self._loaded is None or self.problem:
            self._reload()

    def change(self, key: str, value: Any) -> None:
        """Use another value for a setting such as `detector.conf`; None is the default again.

        Raises ConfigError when it does not fit; nothing is changed then.
        """
        tree = _copied(self._tree)
        *section, name = key.split(".")
        if value is None:
            tree.get(section[0], {}).pop(name, None)
        else:
            assign(tree, key.split("."), value)
        self._adopt(tree)
        if self._loaded is not None and _of_network(self._loaded) != _of_network(self.settings):
            self._reload()
        self.changed.emit()

    def replace_all(self, tree: Mapping[str, Any]) -> None:
        """Use all these settings. Raises ConfigError when they do not fit."""
        self._adopt(_copied(tree))
        if self._loaded is not None and _of_network(self._loaded) != _of_network(self.settings):
            self._reload()
        self.changed.emit()

    def tracker(self) -> TrackerConfig:
        """The tracker's settings that go with the present networks."""
        conf = self.detector.conf if self.detector is not None else self.settings.detector.conf
        config = tracker_settings(self.settings, 0.5 if conf is None else conf)
        present = self._present.tracker
        return replace(config, appearance=present.appearance, reid_model=present.reid_model)

    def describe(self) -> str:
        """Which device and engine are used, and why."""
        if self.problem:
            return self.problem
        if self.detector is None:
            return self.tr("Network is loading") if self.loading else self.tr("No network loaded")
        asked = self.settings.detector.device
        if asked != "auto":
            why = self.tr("chosen in the settings: {0}").format(asked)
        elif "CPU" in self.detector.engine or "cpu" in self.detector.engine:
            why = self.tr("no NVIDIA GPU answers")
        else:
            why = self.tr("fastest device found")
        return f"{self.detector.engine} \N{EM DASH} {why}"

    def _adopt(self, tree: dict[str, Any]) -> None:
        settings = load_settings(tree, "settings")
        self.settings, self._tree = settings, tree

    def _reload(self) -> None:
        wanted = self.settings
        self._loaded = wanted
        self.loading = True
        self._background.drop_waiting("network")
        self._background.run(
            lambda: self._load_all(wanted),
            lambda networks: self._arrived(networks, wanted),
            lambda error: self._failed(error, wanted),
            lane="network",
        )

    def _load_all(self, wanted: Settings) -> _Networks:
        """All networks of these settings. Raises ConfigError where tracks of a class that there is not are named."""
        detector, cores = self._load(wanted), usable_cores()
        classifier = make_track_classifier(wanted.detector, threads=cores)
        if classifier is not None:
            classes_of_tracks(classifier, wanted.detector, detector.labels)
        return _Networks(detector, make_embedder(wanted), make_labeller(wanted.semantic, threads=cores), classifier)

    def _arrived(self, networks: _Networks, wanted: Settings) -> None:
        if wanted is not self._loaded:
            return
        self._present = wanted
        self.labeller.exchange(networks.label)
        self.embedder = None if networks.embed is None else SharedEmbedder(networks.embed)
        self.loading, self.problem = False, ""
        if self.detector is None:
            self.detector = SharedDetector(networks.detector)
        else:
            self.detector.exchange(networks.detector)
        self.classifier.exchange(networks.classifier, wanted.detector)
        self.ready.emit()
        self.changed.emit()

    def _failed(self, error: Exception, wanted: Settings) -> None:
        if wanted is self._loaded:
            self.loading, self.problem = False, str(error)
            self.changed.emit()


class _Networks(NamedTuple):
    """All that were loaded for some settings."""

    detector: Detector
    embed: Embed | None
    label: LabelPixels | None
    classifier: ImageClassifier | None


def _of_network(settings: Settings) -> tuple[DetectorConfig, float, str, str, str]:
    """What the networks are made for: others are loaded when any of it changes."""
    tracker = settings.tracker
    return settings.detector, floor_of(tracker), tracker.appearance, tracker.reid_model, settings.semantic.network


def _copied(tree: Mapping[str, Any]) -> dict[str, Any]:
    return {section: dict(values) if isinstance(values, Mapping) else values for section, values in tree.items()}

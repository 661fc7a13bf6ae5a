"""A source under observation says of its connection, decoder and clock what the source itself says."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from gui.live.source import WatchedSource
from tests.video.synthetic import numbered_image
from tracker.protocols import FrameSource
from tracker.types import LinkState, LinkStatus
from tracker.video import ArraySource, OneSize


class Camera(ArraySource):
    """Came back once, lost three frames, and has no clock of its own."""

    live = True
    link = LinkStatus(LinkState.LIVE, 2.0)  # type: ignore[assignment]
    reconnects, dropped, decoder, clock = 1, 3, "cuda", "arrival"  # type: ignore[assignment]


@pytest.mark.parametrize("wrap", [WatchedSource, OneSize, lambda source: WatchedSource(OneSize(source))])
def test_nothing_of_it_is_lost_on_the_way(wrap: Callable[[FrameSource], FrameSource]) -> None:
    camera = Camera([numbered_image(0)])
    wrapped = wrap(camera)
    for name in ("name", "info", "link", "reconnects", "dropped", "decoder", "clock"):
        assert getattr(wrapped, name) == getattr(camera, name), name

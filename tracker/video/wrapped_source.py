"""What a source that passes on another one's frames says of it."""

from __future__ import annotations

from tracker.protocols import FrameSource
from tracker.types import Clock, LinkStatus

__all__ = ["WrappedSource"]


class WrappedSource(FrameSource):
    """Frames of another source, changed or observed on their way; connection, losses, decoder and clock are its own."""

    def __init__(self, source: FrameSource) -> None:
        self._source = source
        self.name, self.info = source.name, source.info

    @property
    def link(self) -> LinkStatus | None:
        """Where the connection stands; None for what has none."""
        return self._source.link

    @property
    def reconnects(self) -> int:
        """How often the source was lost and came back."""
        return self._source.reconnects

    @property
    def dropped(self) -> int:
        """Frames left out because decoding fell behind."""
        return self._source.dropped

    @property
    def decoder(self) -> str:
        """What decodes by now."""
        return self._source.decoder

    @property
    def clock(self) -> Clock:
        """Where times come from by now."""
        return self._source.clock

    def close(self) -> None:
        """Let go of the source."""
        self._source.close()

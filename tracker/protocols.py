"""What a stage offers: a source yields, a detector finds, a tracker names, a sink keeps."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self, TypeAlias, runtime_checkable

from jaxtyping import Float32, Float64, Int64, UInt8
from numpy import ndarray

from tracker.errors import SourceError
from tracker.types import Clock, Detections, Event, Frame, FrameResult, Image, LinkStatus, SourceInfo, Tracks, Warp

__all__ = [
    "Analyse",
    "Closing",
    "Detector",
    "Draw",
    "Embed",
    "EmbedRows",
    "EstimateMotion",
    "Explain",
    "Explains",
    "Finishing",
    "FrameSource",
    "LabelPixels",
    "NameTracks",
    "Scalable",
    "Sink",
    "Stateful",
    "Tracker",
]


@runtime_checkable
class Closing(Protocol):
    """Holds a file or a device, and is its own context manager, which closes it."""

    def close(self) -> None:
        """Release it; safe to call twice."""
        ...

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


@runtime_checkable
class Finishing(Closing, Protocol):
    """Writes something that `close` finishes; as a context manager it closes, or discards after an error."""

    def discard(self) -> None:
        """Release after an error: nothing that was cut short gets its final name."""
        ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close() if kind is None else self.discard()


@runtime_checkable
class FrameSource(Closing, Protocol):
    """Frames in presentation order with true time stamps.

    Iterating twice is allowed only where the source can start over (files and folders do). A source is its own
    context manager; one that derives from this class need not say what it has no use for.
    """

    name: str
    """What the user reads: a file name, a camera's name, an address without its password."""
    live: bool
    """Live sources never wait: a consumer that is late misses frames."""
    info: SourceInfo
    damage: int
    """Places met so far where decoding failed and went on after them."""

    def __iter__(self) -> Iterator[Frame]: ...

    def close(self) -> None:
        """Release the device or file; safe to call twice and from another thread."""
        ...

    @property
    def link(self) -> LinkStatus | None:
        """Where the connection stands; None for what has none."""
        return None

    @property
    def reconnects(self) -> int:
        """How often the source was lost and came back."""
        return 0

    @property
    def dropped(self) -> int:
        """Frames left out by the source itself, because decoding fell behind."""
        return 0

    @property
    def decoder(self) -> str:
        """What decodes: a device such as cuda, `software`, or nothing for what needs no decoding."""
        return ""

    @property
    def clock(self) -> Clock:
        """Where times come from by now; a stream that only counts its frames changes over to their arrival."""
        return self.info.clock

    @property
    def paths(self) -> tuple[Path, ...]:
        """The file of each frame, by its index, where every frame is an image of its own; empty for video."""
        return ()

    @property
    def seekable(self) -> bool:
        """Whether `times` and `seek` know every frame before it is read."""
        return False

    def times(self) -> Float64[ndarray, " n"]:
        """Time of every frame in seconds. Raises SourceError where the source is not seekable."""
        raise SourceError(f"{self.name}: the times of its frames are known only as it is read")

    def seek(self, index: int) -> None:
        """The next iteration starts at frame `index`. Raises SourceError where the source is not seekable."""
        raise SourceError(f"{self.name}: it can only be read from its start, not from frame {index}")

    def frame_at(self, index: int) -> Frame:
        """One frame by its index. Raises SourceError where it does not decode, or where frames only come in order."""
        raise SourceError(f"{self.name}: its frames come only in order; frame {index} cannot be asked for alone")


@runtime_checkable
class Detector(Protocol):
    """Images in, one Detections each out, in the same order."""

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the classes."""
        ...

    @property
    def conf(self) -> float:
        """Score from which a detection counts; weaker ones may be given for the tracker's sake."""
        ...

    @property
    def engine(self) -> str:
        """Device and engine, for people to read."""
        ...

    def detect(self, images: Sequence[Image]) -> list[Detections]: ...


@runtime_checkable
class Scalable(Detector, Protocol):
    """A detector that can be asked for another input size than its own."""

    imgsz: int
    """Longest side of its input; 0 where it takes one size only after all."""

    def detect(self, images: Sequence[Image], *, imgsz: int | None = None) -> list[Detections]: ...


EmbedRows: TypeAlias = Callable[[Int64[ndarray, " k"]], Float32[ndarray, "k d"]]
"""A vector of unit length for each of these rows of a frame's detections, or zeros where nothing is to be seen."""


@runtime_checkable
class Tracker(Protocol):
    """Gives detections lasting ids; deterministic, one instance per source."""

    def update(
        self,
        detections: Detections,
        time: float,
        camera_motion: Warp | None = None,
        embed_rows: EmbedRows | None = None,
    ) -> Tracks:
        """The tracks at `time` seconds; `embed_rows` gives the vectors of detections that the tracker asks for."""
        ...

    def state(self) -> Mapping[str, Any]:
        """All that is needed to go on later, as plain values and arrays."""
        ...

    def restore(self, state: Mapping[str, Any]) -> None: ...

    def reset(self) -> None:
        """Forget every track; ids go on and are not reused."""
        ...


@runtime_checkable
class Stateful(Protocol):
    """A stage that remembers earlier frames and can go on from what it remembered."""

    def state(self) -> Mapping[str, Any]:
        """All that is needed to go on later, as plain values and arrays."""
        ...

    def restore(self, state: Mapping[str, Any]) -> None: ...


Explain: TypeAlias = Callable[[int], str]
"""Why a row of a frame's detections is no confirmed track, or which one it is, in words; raises IndexError."""


@runtime_checkable
class Explains(Protocol):
    """A tracker that can say what became of each detection."""

    @property
    def explanation(self) -> Explain | None:
        """What to ask about the detections of the last update, then or at any later time; None before the first."""
        ...


class Sink(Finishing, Protocol):
    """Keeps results: a video, a table, a store. As a context manager it closes, or discards after an error."""

    def write(self, result: FrameResult) -> None: ...

    def close(self) -> None:
        """Finish the output under its final name; safe to call twice."""
        ...

    def discard(self) -> None:
        """Release after an error: what was written is kept, but no annotation cut short gets its final name."""
        ...


class LabelPixels(Protocol):
    """Says what every pixel shows; several calls may run at once."""

    @property
    def labels(self) -> tuple[str, ...]:
        """What the numbers stand for."""
        ...

    def __call__(self, image: Image) -> UInt8[ndarray, "i j"] | None:
        """A number per pixel, of the image at any size; None where they are not labelled at present."""
        ...


Embed: TypeAlias = Callable[[Image, Float32[ndarray, "n 4"]], Float32[ndarray, "n d"]]
EstimateMotion: TypeAlias = Callable[[Image], Warp | None]
NameTracks: TypeAlias = Callable[[Image, Tracks], Tracks]
Analyse: TypeAlias = Callable[[Tracks, float], tuple[Event, ...]]
Draw: TypeAlias = Callable[[FrameResult], Image]

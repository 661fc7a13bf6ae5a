"""One SQLite file per recording: written while it is read, resumed after any kill, corrected with undo.

May import observations, geometry, config, types and errors. `schema.py` documents the tables.
"""

from tracker.store.edits import RecordingEditor
from tracker.store.reader import Chunk, Recording, TrackSummary
from tracker.store.repair import check_store, restore_copy, set_aside
from tracker.store.rows import Edit, ImageEntry, RecordedEvent, RecordingInfo, SemanticMap
from tracker.store.schema import SCHEMA_VERSION
from tracker.store.scratch import Scratch
from tracker.store.state import pack_state, unpack_state
from tracker.store.writer import Checkpoint, RecordingWriter

__all__ = [
    "SCHEMA_VERSION",
    "Checkpoint",
    "Chunk",
    "Edit",
    "ImageEntry",
    "RecordedEvent",
    "Recording",
    "RecordingEditor",
    "RecordingInfo",
    "RecordingWriter",
    "Scratch",
    "SemanticMap",
    "TrackSummary",
    "check_store",
    "pack_state",
    "restore_copy",
    "set_aside",
    "unpack_state",
]

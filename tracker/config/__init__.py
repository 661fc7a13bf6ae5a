"""Every knob of the program: frozen, typed, unknown keys refused. May import errors only."""

from tracker.config.parsing import (
    assign,
    assign_tables,
    build,
    field_docs,
    nearest,
    parse_assignment,
    read_settings,
    to_mapping,
    to_toml,
)
from tracker.config.run_settings import (
    LARGEST_IMAGE,
    DetectorConfig,
    HardwareChoice,
    OutputConfig,
    SemanticConfig,
    SourceConfig,
    check_image_size,
    check_points,
    check_polygon,
    device_name,
)
from tracker.config.tracking import TrackerConfig

__all__ = [
    "LARGEST_IMAGE",
    "DetectorConfig",
    "HardwareChoice",
    "OutputConfig",
    "SemanticConfig",
    "SourceConfig",
    "TrackerConfig",
    "assign",
    "assign_tables",
    "build",
    "check_image_size",
    "check_points",
    "check_polygon",
    "device_name",
    "field_docs",
    "nearest",
    "parse_assignment",
    "read_settings",
    "to_mapping",
    "to_toml",
]

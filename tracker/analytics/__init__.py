"""What tracks do, counted: lines crossed, zones entered and left, dwell, speed, a heat map.

May import geometry, config, types and errors. `Analytics` is the Analyse stage; its rules come from a small TOML.
"""

from tracker.analytics.analyse import Analytics
from tracker.analytics.rules import (
    DwellLimit,
    LineRule,
    Rules,
    SpeedRule,
    ZoneRule,
    load_rules,
    rules_to_toml,
)

__all__ = [
    "Analytics",
    "DwellLimit",
    "LineRule",
    "Rules",
    "SpeedRule",
    "ZoneRule",
    "load_rules",
    "rules_to_toml",
]

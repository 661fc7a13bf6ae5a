"""Networks that turn an image into feature maps: one file per paper, one line here each.

A backbone has `channels` and `strides`, shallow to deep, and its `forward` gives one map per entry. Names are
resolved lazily, so that asking for one network does not import the others. Imports: nets.layers.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

from tracker.errors import ConfigError
from tracker.nets.backbones.contract import Backbone

__all__ = ["BACKBONES", "Backbone", "make_backbone"]

BACKBONES: dict[str, str] = {
    "cspdarknet_nano": "cspdarknet:cspdarknet_nano",
    "cspdarknet_small": "cspdarknet:cspdarknet_small",
}
"""Name -> 'file:constructor' in this package."""


def make_backbone(name: str, **options: Any) -> Backbone:
    """The backbone of that name with fresh weights; `options` go to its constructor."""
    if name not in BACKBONES:
        raise ConfigError(f"backbone: unknown name {name!r}. Known: {', '.join(sorted(BACKBONES))}.")
    file, constructor = BACKBONES[name].split(":")
    backbone: Backbone = getattr(import_module(f"tracker.nets.backbones.{file}"), constructor)(**options)
    return backbone

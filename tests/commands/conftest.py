from __future__ import annotations

from tests.annotate.conftest import clip, long_clip, network

__all__ = ["clip", "long_clip", "network"]

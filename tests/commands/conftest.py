from __future__ import annotations

from tests.batch.conftest import clip, long_clip, network

__all__ = ["clip", "long_clip", "network"]

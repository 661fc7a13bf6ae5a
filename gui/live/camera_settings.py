"""What a camera set asks for one camera, for the session that shows it: how it is reached, detected in and hidden."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from gui.canvas.hit_testing import Shape
from gui.rules.counting import shapes_from_rules
from tracker.overlay import OverlayConfig
from tracker.protocols import FrameSource
from tracker.watch.camera_set import CameraConfig

__all__ = ["description_of", "opener_of", "shapes_of", "with_privacy"]

REGION = "region"
"""What the area of a camera's roi is called."""


def opener_of(camera: CameraConfig, open_source: Callable[..., FrameSource]) -> Callable[[str], FrameSource]:
    """Opens an address as the camera wants it: by its transport, decoded on its device."""
    settings = {"rtsp_transport": camera.rtsp_transport, "hwaccel": camera.hwaccel}
    usual = {"rtsp_transport": "tcp", "hwaccel": "none"}
    own = {name: value for name, value in settings.items() if value != usual[name]}
    return lambda spec: open_source(spec, **own)


def shapes_of(camera: CameraConfig, size: tuple[int, int] | None = None) -> list[Shape]:
    """The camera's lines, zones and region, to be drawn and changed; rules made on another size of image are scaled."""
    rules = camera.rules if size is None else camera.rules.scaled(*size)
    areas = [Shape("area", REGION, camera.roi)] if camera.roi else []
    return shapes_from_rules(rules) + areas


def with_privacy(config: OverlayConfig, camera: CameraConfig | None) -> OverlayConfig:
    """What is drawn, with what is to be unrecognisable at this camera."""
    if camera is None or not (camera.blur_classes or camera.blur_regions):
        return config
    classes = dict.fromkeys((*config.blur_classes, *camera.blur_classes))
    regions = (*config.blur_regions, *camera.blur_regions)
    return replace(config, blur_classes=tuple(classes), blur_regions=regions)


def description_of(camera: CameraConfig) -> str:
    """The camera's own settings, a line each."""
    values = {
        "record": ", ".join(filter(None, (camera.record, camera.schedule))),
        "classes": ", ".join(camera.classes),
        "roi": " ".join(f"{x:g},{y:g}" for x, y in camera.roi),
        "blur_classes": ", ".join(camera.blur_classes),
        "blur_regions": str(len(camera.blur_regions) or ""),
        "rtsp_transport": camera.rtsp_transport if camera.rtsp_transport != "tcp" else "",
        "hwaccel": camera.hwaccel if camera.hwaccel != "none" else "",
    }
    return "\n".join(f"{name}: {value}" for name, value in values.items() if value)

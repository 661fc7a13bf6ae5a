"""What the layers of a network answer to: the maps that they give for an image, and their filters."""

from __future__ import annotations

import torch
from jaxtyping import Float32
from numpy import ndarray
from torch import Tensor, nn

from tracker.errors import ConfigError
from tracker.explain.activation_maps import capture_maps, find_layer
from tracker.geometry import Letterbox
from tracker.nets.yolo import YoloNet
from tracker.types import Image

__all__ = ["feature_maps", "filters_of", "layer_maps"]


@torch.inference_mode()
def feature_maps(network: YoloNet, image: Image, *, size: int) -> dict[int, Float32[ndarray, "c h w"]]:
    """The backbone's maps of the image, longest side `size`, by stride."""
    canvas = Letterbox.fit(image.shape[1], image.shape[0], size).apply(image)
    pixels = torch.from_numpy(canvas).permute(2, 0, 1)[None].float() / 255
    maps = network.eval().backbone(network.normalize(pixels))
    return {stride: level[0].numpy() for stride, level in zip(network.backbone.strides, maps, strict=True)}


def layer_maps(network: nn.Module, canvas: Float32[Tensor, "1 c h w"], layer: str) -> list[Float32[ndarray, "c h w"]]:
    """The maps that one layer gives for a canvas in 0..1; several where it gives several.

    Raises ConfigError for a layer that does not exist or gives no map.
    """
    with torch.no_grad(), capture_maps([find_layer(network, layer)], inputs=False) as maps:
        network.eval()(canvas)
    if not maps:
        raise ConfigError(f"explain: layer {layer}: gives no map of places; take one before it")
    return [each.detach()[0].numpy() for each in maps]


def filters_of(network: nn.Module, layer: str | None = None) -> tuple[str, Float32[ndarray, "d c i j"]] | None:
    """(name, weights) of the first convolution of that layer, of the whole network without one; None where none is.

    Convolutions of 1 x 1 are passed over: they have nothing to show.
    """
    inside = network if layer is None else find_layer(network, layer)
    for name, module in inside.named_modules():
        if isinstance(module, nn.Conv2d) and max(module.kernel_size) > 1:
            whole = ".".join(part for part in (layer, name) if part)
            return whole, module.weight.detach().float().numpy()
    return None

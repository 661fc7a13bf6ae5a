"""A TorchScript file is a program: it is looked through before it is loaded, and runs only if all it does is compute.

TorchScript has operators that read and write files, and code that runs while a file is loaded (`__setstate__`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tracker.errors import CheckpointError

__all__ = ["check_code", "check_graph"]

MOST_CODE = 20_000_000
COMPUTING_NAMES = """
    _convolution conv1d conv2d conv_transpose2d linear matmul addmm bmm batch_norm layer_norm group_norm
    add add_ sub sub_ rsub mul mul_ div div_ pow neg exp log sqrt rsqrt abs clamp clamp_ clamp_min clamp_max floor round
    relu relu_ relu6 leaky_relu leaky_relu_ silu silu_ gelu hardtanh hardtanh_ hardswish hardswish_ hardsigmoid elu
    sigmoid sigmoid_ tanh tanh_ softmax log_softmax softplus mish
    max_pool2d avg_pool2d avg_pool3d adaptive_avg_pool2d adaptive_max_pool2d upsample_nearest2d upsample_bilinear2d pad
    cat stack split split_with_sizes chunk unbind narrow slice select index gather expand expand_as repeat tile
    view reshape flatten unflatten permute transpose t contiguous unsqueeze unsqueeze_ squeeze squeeze_
    size dim numel Int Float Bool ScalarImplicit IntImplicit NumToTensor tensor zeros ones zeros_like ones_like full
    arange meshgrid to type_as float half int detach detach_ clone dropout dropout_ feature_dropout
    sum mean amax amin max min prod cumsum argmax topk sort where eq ne lt le gt ge logical_and logical_or logical_not
    floor_divide remainder floordiv __getitem__ __and__ __or__ __not__ len append einsum pixel_shuffle constant_pad_nd
    annotate
"""
STRUCTURE_NAMES = """
    Constant GetAttr ListConstruct ListUnpack TupleConstruct TupleUnpack TupleIndex If Loop NumToTensor
    Uninitialized unchecked_cast dtype device shape min max isinstance RaiseException
"""
COMPUTING, STRUCTURE = frozenset(COMPUTING_NAMES.split()), frozenset(STRUCTURE_NAMES.split())

_TORCH_CALL = re.compile(r"\b(torch|ops)\.([\w.]+)")


def check_code(path: Path) -> None:
    """Raise CheckpointError where the file's code calls what is no computation, or would run while it is loaded.

    The file is taken apart by torch's own reader, so that nothing is overlooked that torch would find in it.
    """
    import torch

    try:
        reader: Any = torch._C.PyTorchFileReader(str(path))
        names = [name for name in reader.get_all_records() if name.endswith(".py")]
        sources = [bytes(reader.get_record(name)).decode("utf-8", "replace") for name in names]
    except RuntimeError as error:
        raise CheckpointError(f"{path}: not a TorchScript file: {str(error).splitlines()[0]}") from error
    if sum(map(len, sources)) > MOST_CODE:
        raise _refusal(path, "more code than a network has")
    for source in sources:
        if "__setstate__" in source:
            raise _refusal(path, "code that runs while it is loaded (__setstate__)")
        for namespace, called in _TORCH_CALL.findall(source):
            if called.split(".")[-1] not in COMPUTING | STRUCTURE and not _is_type(namespace, called):
                raise _refusal(path, f"{namespace}.{called}")


def check_graph(network: Any, path: Path) -> None:
    """Raise CheckpointError where a loaded network's graph holds an operator that is no computation."""
    for kind in _kinds(network.inlined_graph):
        namespace, _, name = kind.partition("::")
        allowed = COMPUTING if namespace == "aten" else STRUCTURE if namespace == "prim" else frozenset[str]()
        if name not in allowed:
            raise _refusal(path, kind)


def _kinds(block: Any) -> Iterator[str]:
    waiting = [block]
    while waiting:
        for node in waiting.pop().nodes():
            yield str(node.kind())
            waiting.extend(node.blocks())


def _is_type(namespace: str, called: str) -> bool:
    """Names of modules and types that torch writes beside calls."""
    return namespace == "torch" and called.startswith(("nn.", "device", "dtype"))


def _refusal(path: Path, found: str) -> CheckpointError:
    return CheckpointError(
        f"{path}: holds {found[:80]}, which no network of ours needs; it is not run. Export the network again from its "
        ".safetensors file, or use that."
    )

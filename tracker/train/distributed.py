"""Several processes, one batch: who I am, sums over all, gradients added up.

Started by torchrun, which sets RANK, WORLD_SIZE and LOCAL_RANK. A loss is divided by the counts of the whole batch,
so that the sum of the processes' gradients is the gradient one process would have found.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, distributed, nn

__all__ = ["Distributed"]


@dataclass(frozen=True)
class Distributed:
    """This process among its like."""

    rank: int = 0
    count: int = 1

    @classmethod
    def join(cls, device: torch.device) -> Distributed:
        """Meet the other processes torchrun started; alone without it."""
        count = int(os.environ.get("WORLD_SIZE", "1"))
        if count == 1:
            return cls()
        if not distributed.is_initialized():
            distributed.init_process_group("nccl" if device.type == "cuda" else "gloo")
        return cls(distributed.get_rank(), count)

    @property
    def is_main(self) -> bool:
        """Whether this process writes files."""
        return self.rank == 0

    def barrier(self) -> None:
        """Go on when all have come here."""
        if self.count > 1:
            distributed.barrier()

    def destroy(self) -> None:
        """Part from the others."""
        if self.count > 1:
            distributed.destroy_process_group()

    def all_reduce_sum(self, *values: Tensor | float) -> Tensor:
        """Each value added over all processes."""
        total = torch.stack([torch.as_tensor(value, dtype=torch.float32).detach().cpu() for value in values])
        if self.count > 1:
            if distributed.get_backend() == "nccl":
                total = total.cuda()
            distributed.all_reduce(total)
        return total.cpu()

    def all_reduce_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """Each gradient becomes the sum over all processes."""
        if self.count == 1:
            return
        gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
        joined = torch.cat([gradient.flatten() for gradient in gradients])
        distributed.all_reduce(joined)
        start = 0
        for gradient in gradients:
            gradient.copy_(joined[start : start + gradient.numel()].view_as(gradient))
            start += gradient.numel()

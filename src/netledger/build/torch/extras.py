"""What generated PyTorch code defines itself where it needs it."""

from __future__ import annotations

SCALE = '''\
class Scale(nn.Module):
    """A learned factor and offset for each channel; nothing is normalised."""

    def __init__(self, channels: int, factor: bool = True, offset: bool = True) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels)) if factor else None
        self.bias = nn.Parameter(torch.zeros(channels)) if offset else None

    def forward(self, x: Tensor) -> Tensor:
        each = (-1, *(1,) * (x.ndim - 2))
        if self.weight is not None:
            x = x * self.weight.view(each)
        return x if self.bias is None else x + self.bias.view(each)
'''

STORED = '''\
class Stored(nn.Module):
    """A tensor by itself."""

    def __init__(
        self,
        shape: tuple[int, ...],
        learned: bool = True,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        super().__init__()
        zeros = torch.zeros(shape, dtype=dtype)
        if learned:
            self.weight = nn.Parameter(zeros)
        else:
            self.register_buffer("weight", zeros)

    def forward(self) -> Tensor:
        return self.weight
'''

EXTRAS = {"Scale": SCALE, "Stored": STORED}
"""By the name of the class."""

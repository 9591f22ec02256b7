"""Networks of PyTorch to count: what makes each, and what it is called with."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from netledger.references import resolve

resolve("torchvision:alexnet")  # makes torchvision ready, also if its operators do not load

import timm  # noqa: E402
from torchvision import models  # noqa: E402

Network = tuple[Callable[[], nn.Module], Callable[[], list[Any]]]


def image(size: int = 224) -> list[Any]:
    return [torch.zeros(1, 3, size, size)]


class Lstm(nn.Module):
    def __init__(self, features: int, **fields: Any) -> None:
        super().__init__()
        self.embedding = nn.Embedding(1000, 64)
        self.lstm = nn.LSTM(64, 128, 2, batch_first=True, **fields)
        self.out = nn.Linear(features, 10)

    def forward(self, x: Any) -> Any:
        return self.out(self.lstm(self.embedding(x))[0])


class Recurrent(nn.Module):
    def __init__(self, kind: Any, **fields: Any) -> None:
        super().__init__()
        self.layer = kind(32, 48, **fields)
        self.out = nn.Linear(48, 5)

    def forward(self, x: Any) -> Any:
        return self.out(self.layer(x)[0])


class Attention(nn.Module):
    """Heads by hand; the products by operators, the softmax by a function or a method."""

    def __init__(self, how: str, features: int = 64, heads: int = 4) -> None:
        super().__init__()
        self.how, self.heads = how, heads
        self.qkv = nn.Linear(features, 3 * features)
        self.out = nn.Linear(features, features)
        self.norm = nn.LayerNorm(features)

    def forward(self, x: Any) -> Any:
        b, t, d = x.shape
        split = self.qkv(self.norm(x)).view(b, t, 3, self.heads, d // self.heads)
        q, k, v = split.permute(2, 0, 3, 1, 4).unbind(0)
        if self.how == "sdpa":
            y = F.scaled_dot_product_attention(q, k, v)
        else:
            scores = q @ k.transpose(-2, -1) / 8
            y = (scores.softmax(-1) if self.how == "method" else F.softmax(scores, -1)) @ v
        return x + self.out(y.transpose(1, 2).reshape(b, t, d))


class MultiHead(nn.Module):
    def __init__(self, need_weights: bool) -> None:
        super().__init__()
        self.need_weights = need_weights
        self.attention = nn.MultiheadAttention(64, 4, batch_first=True)

    def forward(self, x: Any) -> Any:
        return self.attention(x, x, x, need_weights=self.need_weights)[0]


class Encoder(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        layer = nn.TransformerEncoderLayer(64, 4, 128, batch_first=True)
        self.layers = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)

    def forward(self, x: Any) -> Any:
        return self.layers(x)


class Tied(nn.Module):
    """The classifier's matrix is the embedding's table."""

    def __init__(self, relu: Callable[[Any], Any]) -> None:
        super().__init__()
        self.relu = relu
        self.embedding = nn.Embedding(500, 32)
        self.inner = nn.Linear(32, 32)
        self.head = nn.Linear(32, 500, bias=False)
        self.head.weight = self.embedding.weight

    def forward(self, x: Any) -> Any:
        return self.head(self.relu(self.inner(self.embedding(x))))


class Reused(nn.Module):
    """One layer three times, one never, and a parameter by itself; some of it frozen."""

    def __init__(self) -> None:
        super().__init__()
        self.layer, self.relu = nn.Linear(32, 32), nn.ReLU()
        self.unused = nn.Linear(7, 9)
        self.offset = nn.Parameter(torch.zeros(1, 32))
        self.unused.requires_grad_(False)

    def forward(self, x: Any) -> Any:
        for _ in range(3):
            x = self.relu(self.layer(x))
        return x + self.offset


class Functional(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.kernels = nn.Parameter(torch.zeros(8, 3, 3, 3))
        self.offsets = nn.Parameter(torch.zeros(8))
        self.matrix = nn.Parameter(torch.zeros(10, 8))

    def forward(self, x: Any) -> Any:
        x = F.relu(F.conv2d(x, self.kernels, self.offsets, padding=1))
        x = F.adaptive_avg_pool2d(F.max_pool2d(x, 2), 1).flatten(1)
        return F.log_softmax(F.linear(x, self.matrix), -1)


class Einsum(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(16, 32)

    def forward(self, x: Any) -> Any:
        y = self.layer(x)
        return torch.einsum("btd,bsd->bts", y, y)


class Resizing(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(3, 8, 3, padding=1),
            nn.Upsample(scale_factor=2, mode="bilinear"),
            nn.Upsample(scale_factor=2),
            nn.InstanceNorm2d(8),
            nn.PReLU(),
        )
        self.softmax = nn.Softmax(1)

    def forward(self, x: Any) -> Any:
        x = F.interpolate(self.layers(x), scale_factor=2.0, mode="bilinear")
        return self.softmax(x)


def transposed() -> nn.Module:
    return nn.Sequential(
        nn.ConvTranspose2d(16, 8, 4, 2, 1),
        nn.BatchNorm2d(8),
        nn.LeakyReLU(),
        nn.ConvTranspose2d(8, 3, 3, 2, 1, output_padding=1),
        nn.Tanh(),
    )


def in_one_dimension() -> nn.Module:
    return nn.Sequential(
        nn.Conv1d(4, 8, 5, padding="same"),
        nn.GELU(),
        nn.Conv1d(8, 8, 3, dilation=2, groups=4),
        nn.AvgPool1d(2),
        nn.GroupNorm(2, 8),
        nn.AdaptiveAvgPool1d(7),
    )


def tokens(count: int = 20) -> list[Any]:
    return [torch.zeros(1, count, dtype=torch.long)]


def features(*shape: int) -> Callable[[], list[Any]]:
    return lambda: [torch.zeros(*shape)]


NETWORKS: dict[str, Network] = {
    "lstm": (lambda: Lstm(256, bidirectional=True), tokens),
    "lstm, projected": (lambda: Lstm(16, proj_size=16), tokens),
    "gru": (lambda: Recurrent(nn.GRU, batch_first=True), features(1, 7, 32)),
    "rnn, time first": (lambda: Recurrent(nn.RNN, bias=False), features(7, 1, 32)),
    "attention by hand": (lambda: Attention("function"), features(1, 16, 64)),
    "attention, softmax as a method": (lambda: Attention("method"), features(1, 16, 64)),
    "attention in one call": (lambda: Attention("sdpa"), features(1, 16, 64)),
    "multi-head attention": (lambda: MultiHead(True), features(1, 16, 64)),
    "multi-head attention, fast": (lambda: MultiHead(False), features(1, 16, 64)),
    "transformer encoder": (Encoder, features(1, 16, 64)),
    "tied": (lambda: Tied(nn.ReLU()), tokens),
    "tied, torch.relu": (lambda: Tied(torch.relu), tokens),
    "reused": (Reused, features(1, 32)),
    "transposed convolutions": (transposed, features(1, 16, 8, 8)),
    "functional": (Functional, features(1, 3, 16, 16)),
    "one dimension": (in_one_dimension, features(1, 4, 40)),
    "einsum": (Einsum, features(1, 9, 16)),
    "resizing": (Resizing, features(1, 3, 8, 8)),
}


def of_torchvision(name: str) -> nn.Module:
    fields: dict[str, Any] = {"weights": None}
    if name.startswith(("googlenet", "inception")):
        fields["init_weights"] = False
    if name.startswith(("fcn", "lraspp")):
        fields["weights_backbone"] = None
    return models.get_model(name, **fields)


def of_timm(name: str) -> nn.Module:
    return timm.create_model(name, pretrained=False)


def _add(prefix: str, make: Callable[[str], nn.Module], names: str, size: int = 224) -> None:
    for name in names.split():
        NETWORKS[f"{prefix}:{name}"] = (partial(make, name), partial(image, size))


_add(
    "torchvision",
    of_torchvision,
    "alexnet vgg11 vgg16_bn resnet18 resnet50 resnext50_32x4d densenet121 squeezenet1_0"
    " mobilenet_v2 mobilenet_v3_large mobilenet_v3_small shufflenet_v2_x1_0 mnasnet1_0"
    " efficientnet_b0 efficientnet_v2_s regnet_y_400mf convnext_tiny vit_b_16 swin_t swin_v2_t"
    " maxvit_t googlenet",
)
_add("torchvision", of_torchvision, "inception_v3", 299)
_add("torchvision", of_torchvision, "fcn_resnet50 lraspp_mobilenet_v3_large", 128)
_add(
    "timm",
    of_timm,
    "resnet26d resnet50 seresnet50 efficientnet_b0 mobilenetv3_small_100 convnext_atto"
    " vit_tiny_patch16_224 deit_tiny_distilled_patch16_224 mixer_s32_224 ghostnet_100 regnetx_002"
    " repvgg_a0 levit_128s poolformer_s12 resmlp_12_224 swin_tiny_patch4_window7_224",
)

"""Networks exported to ONNX, each checked three ways.

parameters  against the initializers in the file, counted by the onnx package
shapes      every one against what ONNX Runtime gives in a real run: its shapes are written into the
            file as the second entry of the books, which then have to balance
MACs        against PyTorch's own count (FlopCounterMode / 2) on the meta device, or a closed form

With a dynamic axis the formulas are put to the test as well: at the sizes of the run they have to
give the shapes of the static file.
"""

from __future__ import annotations

import logging
import math
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

import netledger
from netledger.formula import substitute
from netledger.ops import Constant, Tensor

pytestmark = pytest.mark.oracle
torch = pytest.importorskip("torch")
onnx = pytest.importorskip("onnx")
ort = pytest.importorskip("onnxruntime")
nn = torch.nn
F = torch.nn.functional


@dataclass(frozen=True)
class Net:
    """A network to export.

    Attributes:
        make: Builds the module.
        shapes: The shapes of its inputs; with a trailing "i" in `ints`, of integers.
        ints: The number of different integers for inputs that are integers, by position.
        axes: Dynamic axes: for each input, {axis: name}.
        macs: MACs where PyTorch's counter does not know the operation.
        dynamo: True for the newer exporter.
        keep: True to keep batch normalisations apart, so that PyTorch's own count must match.
        quick: True to be part of every test run.
    """

    make: Callable[[], Any]
    shapes: tuple[tuple[int, ...], ...]
    ints: dict[int, int] = field(default_factory=dict)
    axes: tuple[dict[int, str], ...] = ()
    macs: int | None = None
    dynamo: bool = False
    keep: bool = False
    quick: bool = False


def torchvision(path: str, **fields: Any) -> Callable[[], Any]:
    def make() -> Any:
        from importlib import import_module

        # Not every build of torchvision registers its own operations; none is needed here.
        register = torch.library.register_fake

        def tolerant(name: Any, *args: Any, **kwargs: Any) -> Any:
            if isinstance(name, str) and name.startswith("torchvision::"):
                return lambda function: function
            return register(name, *args, **kwargs)

        torch.library.register_fake = tolerant
        try:
            module = import_module("torchvision.models")
        finally:
            torch.library.register_fake = register
        for part in path.split("."):
            module = getattr(module, part)
        return module(weights=None, **fields)

    return make


# --- transformers, written out ---


class Block(nn.Module):
    """A transformer block, normalised before (encoder, decoder with a causal mask)."""

    def __init__(self, width: int, heads: int, causal: bool) -> None:
        super().__init__()
        self.heads, self.causal = heads, causal
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x: Any) -> Any:
        b, t, w = x.shape
        q, k, v = self.qkv(self.norm1(x)).chunk(3, dim=-1)
        q, k, v = (y.view(b, t, self.heads, w // self.heads).transpose(1, 2) for y in (q, k, v))
        y = F.scaled_dot_product_attention(q, k, v, is_causal=self.causal)
        x = x + self.out(y.transpose(1, 2).reshape(b, t, w))
        return x + self.down(F.gelu(self.up(self.norm2(x))))


class Gpt(nn.Module):
    """A language model with learned positions; the head is the table of embeddings."""

    def __init__(self, tied: bool = True) -> None:
        super().__init__()
        self.tokens, self.places = nn.Embedding(101, 32), nn.Embedding(16, 32)
        self.blocks = nn.Sequential(*(Block(32, 4, True) for _ in range(2)))
        self.norm, self.head = nn.LayerNorm(32), nn.Linear(32, 101, bias=False)
        if tied:
            self.head.weight = self.tokens.weight

    def forward(self, ids: Any) -> Any:
        places = torch.arange(ids.shape[1], device=ids.device)
        return self.head(self.norm(self.blocks(self.tokens(ids) + self.places(places))))


class Bert(nn.Module):
    """An encoder after the original: post-norm, segments, an attention mask, a pooler."""

    def __init__(self) -> None:
        super().__init__()
        self.words, self.segments = nn.Embedding(50, 24), nn.Embedding(2, 24)
        self.register_buffer("ids", torch.arange(12).unsqueeze(0))
        self.places = nn.Embedding(12, 24)
        self.q, self.k, self.v = nn.Linear(24, 24), nn.Linear(24, 24), nn.Linear(24, 24)
        self.norm, self.pool = nn.LayerNorm(24), nn.Linear(24, 24)

    def forward(self, ids: Any, segments: Any, mask: Any) -> Any:
        t = ids.shape[1]
        x = self.words(ids) + self.segments(segments) + self.places(self.ids[:, :t])
        b, t, w = x.shape
        q, k, v = (f(x).view(b, t, 3, 8).permute(0, 2, 1, 3) for f in (self.q, self.k, self.v))
        scores = q @ k.transpose(-1, -2) / math.sqrt(8)
        scores = scores + (1.0 - mask[:, None, None, :].to(x.dtype)) * -1e9
        x = self.norm(x + (scores.softmax(-1) @ v).permute(0, 2, 1, 3).reshape(b, t, w))
        return torch.tanh(self.pool(x[:, 0]))


class Llama(nn.Module):
    """Root-mean-square norms, rotary positions, shared keys and values, a gated product."""

    def __init__(self) -> None:
        super().__init__()
        self.tokens, self.scale = nn.Embedding(61, 32), nn.Parameter(torch.rand(32))
        self.q, self.k = nn.Linear(32, 32, bias=False), nn.Linear(32, 16, bias=False)
        self.v, self.o = nn.Linear(32, 16, bias=False), nn.Linear(32, 32, bias=False)
        self.gate, self.up = nn.Linear(32, 64, bias=False), nn.Linear(32, 64, bias=False)
        self.down, self.head = nn.Linear(64, 32, bias=False), nn.Linear(32, 61, bias=False)

    def norm(self, x: Any) -> Any:
        return self.scale * x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-6)

    def turn(self, x: Any) -> Any:
        half = x.shape[-1] // 2
        places = torch.arange(x.shape[2], dtype=x.dtype, device=x.device)
        angles = places[:, None] * torch.arange(half, dtype=x.dtype, device=x.device)[None]
        a, b = x[..., :half], x[..., half:]
        return torch.cat((a * angles.cos() - b * angles.sin(), b * angles.cos()), -1)

    def forward(self, ids: Any) -> Any:
        x = self.tokens(ids)
        b, t, _ = x.shape
        y = self.norm(x)
        q = self.turn(self.q(y).view(b, t, 4, 8).transpose(1, 2))
        k = self.turn(self.k(y).view(b, t, 2, 8).transpose(1, 2))
        v = self.v(y).view(b, t, 2, 8).transpose(1, 2)
        k, v = (z[:, :, None].expand(b, 2, 2, t, 8).reshape(b, 4, t, 8) for z in (k, v))
        mask = torch.full((t, t), float("-inf"), device=x.device).triu(1)
        scores = (q @ k.transpose(2, 3) / 8**0.5 + mask).softmax(-1)
        x = x + self.o((scores @ v).transpose(1, 2).reshape(b, t, 32))
        y = self.norm(x)
        return self.head(x + self.down(F.silu(self.gate(y)) * self.up(y)))


class Seq2Seq(nn.Module):
    """Encoder and decoder out of PyTorch's own attention layers."""

    def __init__(self) -> None:
        super().__init__()
        self.source, self.target = nn.Embedding(40, 16), nn.Embedding(44, 16)
        self.inner, self.outer = nn.MultiheadAttention(16, 2, batch_first=True), nn.Linear(16, 44)
        self.cross = nn.MultiheadAttention(16, 2, batch_first=True)

    def forward(self, a: Any, b: Any) -> Any:
        x, y = self.source(a), self.target(b)
        x = x + self.inner(x, x, x, need_weights=False)[0]
        return self.outer(y + self.cross(y, x, x, need_weights=False)[0])


# --- recurrent ---


class Recurrent(nn.Module):
    """A recurrent stack over embedded tokens, or over features; the last state is classified."""

    def __init__(self, kind: str, **fields: Any) -> None:
        super().__init__()
        self.cell = getattr(nn, kind)(12, 20, **fields)
        width = 20 * (2 if fields.get("bidirectional") else 1)
        self.head = nn.Linear(width, 5)

    def forward(self, x: Any) -> Any:
        return self.head(self.cell(x)[0])


class CharRnn(nn.Module):
    """Tokens → LSTM → tokens; the states go out too."""

    def __init__(self) -> None:
        super().__init__()
        self.tokens, self.cell = nn.Embedding(30, 8), nn.LSTM(8, 16, 2, batch_first=True)
        self.head = nn.Linear(16, 30)

    def forward(self, ids: Any) -> Any:
        y, (h, c) = self.cell(self.tokens(ids))
        return self.head(y), h, c


class ConvRnn(nn.Module):
    """Convolutions over a spectrogram, then a bidirectional GRU: speech."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 4, (5, 3), (2, 1), (2, 1))
        self.norm = nn.BatchNorm2d(4)
        self.cell = nn.GRU(4 * 8, 10, batch_first=True, bidirectional=True)
        self.head = nn.Linear(20, 7)

    def forward(self, x: Any) -> Any:
        y = F.hardtanh(self.norm(self.conv(x)), 0, 20)
        y = y.permute(0, 3, 1, 2).flatten(2)
        return self.head(self.cell(y)[0]).log_softmax(-1)


def recurrent_macs(kind: int, steps: int, layers: list[int], hidden: int, both: int) -> int:
    """Gates × H × (I + H) for every step, layer and direction."""
    return sum(kind * hidden * (i + hidden) * steps * both for i in layers)


# --- maps ---


class UNet(nn.Module):
    """Down with pools, up with transposed convolutions or resizes, joined on the way."""

    def __init__(self, resize: bool) -> None:
        super().__init__()
        self.a, self.b = nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(8, 16, 3, padding=1)
        self.up = nn.ConvTranspose2d(16, 8, 2, 2)
        self.small = nn.Conv2d(16, 8, 1)
        self.c, self.out = nn.Conv2d(16, 8, 3, padding=1), nn.Conv2d(8, 1, 1)
        self.resize = resize

    def forward(self, x: Any) -> Any:
        a = F.relu(self.a(x))
        b = F.relu(self.b(F.max_pool2d(a, 2)))
        if self.resize:
            b = F.interpolate(self.small(b), scale_factor=2, mode="bilinear")
        else:
            b = self.up(b)
        return torch.sigmoid(self.out(F.relu(self.c(torch.cat((a, b), 1)))))


class Odd(nn.Module):
    """What few networks have: groups, dilation, slices, statistics, an einsum, a split."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(4, 8, 3, groups=2, dilation=2, padding=(2, 1))
        self.norm, self.one = nn.GroupNorm(4, 8), nn.InstanceNorm2d(8, affine=True)
        self.slope, self.gain = nn.PReLU(8), nn.Parameter(torch.rand(1, 8, 1, 1))
        self.shuffle, self.local = nn.PixelShuffle(2), nn.LocalResponseNorm(2)
        self.mix = nn.Parameter(torch.rand(2, 6))

    def forward(self, x: Any) -> Any:
        y = self.slope(self.one(self.norm(self.conv(x)))) * self.gain
        y = F.pad(self.shuffle(self.local(y)), (1, 0, 2, 1))
        y = F.avg_pool2d(y[:, :, 1:-1, ::2], 3, 2, 1, ceil_mode=True)
        a, b = y.std(dim=(2, 3)).split((1, 1), 1)
        z = torch.einsum("nc,cd->nd", torch.cat((a, b), 1), self.mix)
        return F.elu(z).topk(2)[0], z.argmax(1), torch.where(z > 0, z, -z).norm(dim=1)


def resnet_like(norm: Callable[[int], Any]) -> Any:
    class Residual(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.na = nn.Conv2d(6, 12, 3, 2, 1, bias=False), norm(12)
            self.b, self.nb = nn.Conv2d(12, 12, 3, 1, 1, bias=False), norm(12)
            self.side = nn.Conv2d(6, 12, 1, 2)
            self.head = nn.Linear(12, 10)

        def forward(self, x: Any) -> Any:
            y = self.nb(self.b(F.silu(self.na(self.a(x)))))
            y = F.leaky_relu(y + self.side(x), 0.1)
            return self.head(F.adaptive_avg_pool2d(y, 1).flatten(1)).softmax(-1)

    return Residual()


BATCH = ({0: "batch"},)
IMAGE = ({0: "batch", 2: "height", 3: "width"},)
TEXT = {0: "batch", 1: "tokens"}


def image(name: str, size: int = 64, **fields: Any) -> Net:
    options = {k: fields.pop(k) for k in ("aux_logits", "init_weights") if k in fields}
    return Net(torchvision(name, **options), ((2, 3, size, size),), **fields)


def segmentation(name: str, **fields: Any) -> Net:
    make = torchvision(f"segmentation.{name}", weights_backbone=None)
    return Net(make, ((2, 3, 64, 64),), **fields)


NETS: dict[str, Net] = {
    "alexnet": image("alexnet", 224, axes=BATCH, keep=True),
    "vgg11": image("vgg11", 224, axes=BATCH, keep=True),
    "vgg13_bn": image("vgg13_bn", 224, keep=True),
    "vgg16": image("vgg16", 224, keep=True),
    "resnet18": image("resnet18", keep=True, quick=True),
    "resnet18, height and width": image("resnet18", axes=IMAGE, quick=True),
    "resnet50": image("resnet50", axes=BATCH),
    "resnet50, dynamo": image("resnet50", dynamo=True),
    "resnext50_32x4d": image("resnext50_32x4d", keep=True),
    "wide_resnet50_2": image("wide_resnet50_2"),
    "densenet121": image("densenet121", keep=True),
    "squeezenet1_0": image("squeezenet1_0", axes=IMAGE),
    "squeezenet1_1, dynamo": image("squeezenet1_1", dynamo=True),
    "googlenet": image("googlenet", aux_logits=False, init_weights=False, keep=True),
    "inception_v3": image("inception_v3", 96, aux_logits=False, init_weights=False),
    "mobilenet_v2": image("mobilenet_v2", axes=BATCH, keep=True),
    "mobilenet_v3_small": image("mobilenet_v3_small", axes=IMAGE, quick=True),
    "mobilenet_v3_large": image("mobilenet_v3_large", keep=True),
    "mobilenet_v3_small, dynamo": image("mobilenet_v3_small", dynamo=True, quick=True),
    "mnasnet0_5": image("mnasnet0_5"),
    "shufflenet_v2_x0_5": image("shufflenet_v2_x0_5", keep=True),
    "shufflenet_v2_x1_0, batch": image("shufflenet_v2_x1_0", axes=BATCH),
    "efficientnet_b0": image("efficientnet_b0", keep=True),
    "efficientnet_v2_s": image("efficientnet_v2_s"),
    "regnet_y_400mf": image("regnet_y_400mf", keep=True),
    "convnext_tiny": image("convnext_tiny"),
    "convnext_tiny, dynamo": image("convnext_tiny", dynamo=True),
    "vit_b_32": image("vit_b_32", 224),
    "vit_b_32, dynamo": image("vit_b_32", 224, dynamo=True),
    "swin_t": image("swin_t"),
    "swin_t, dynamo": image("swin_t", dynamo=True),
    "swin_v2_t": image("swin_v2_t"),
    "maxvit_t": image("maxvit_t", 224),
    "fcn_resnet50": segmentation("fcn_resnet50"),
    "deeplabv3_mobilenet_v3_large": segmentation("deeplabv3_mobilenet_v3_large"),
    "lraspp_mobilenet_v3_large": segmentation("lraspp_mobilenet_v3_large"),
    "r3d_18": Net(torchvision("video.r3d_18"), ((1, 3, 8, 32, 32),)),
    "mc3_18": Net(torchvision("video.mc3_18"), ((1, 3, 8, 32, 32),), axes=BATCH),
    "gpt": Net(Gpt, ((2, 9),), {0: 101}, quick=True),
    "gpt, batch and tokens": Net(Gpt, ((2, 9),), {0: 101}, (TEXT,), quick=True),
    "gpt, dynamo": Net(Gpt, ((2, 9),), {0: 101}, dynamo=True),
    "gpt, batch and tokens, dynamo": Net(
        Gpt, ((2, 9),), {0: 101}, (TEXT,), dynamo=True, quick=True
    ),
    "gpt, head of its own": Net(lambda: Gpt(False), ((1, 5),), {0: 101}),
    "bert": Net(Bert, ((2, 7),) * 3, {0: 50, 1: 2, 2: 2}, keep=True, quick=True),
    "bert, batch and tokens": Net(Bert, ((2, 7),) * 3, {0: 50, 1: 2, 2: 2}, (TEXT,) * 3),
    "bert, dynamo": Net(Bert, ((2, 7),) * 3, {0: 50, 1: 2, 2: 2}, dynamo=True),
    "llama": Net(Llama, ((2, 6),), {0: 61}, keep=True, quick=True),
    "llama, batch and tokens": Net(Llama, ((2, 6),), {0: 61}, (TEXT,)),
    "llama, dynamo": Net(Llama, ((2, 6),), {0: 61}, dynamo=True),
    "seq2seq": Net(Seq2Seq, ((2, 6), (2, 4)), {0: 40, 1: 44}),
    "encoder layers": Net(
        lambda: nn.TransformerEncoder(
            nn.TransformerEncoderLayer(16, 2, 32, batch_first=True), 2, enable_nested_tensor=False
        ),
        ((2, 5, 16),),
    ),
    "lstm": Net(
        lambda: Recurrent("LSTM"), ((7, 2, 12),), quick=True,
        macs=recurrent_macs(4, 14, [12], 20, 1) + 14 * 100,
    ),
    "lstm, two layers, both ways": Net(
        lambda: Recurrent("LSTM", num_layers=2, bidirectional=True), ((7, 2, 12),), quick=True,
        macs=recurrent_macs(4, 14, [12, 40], 20, 2) + 14 * 200,
    ),
    "gru": Net(
        lambda: Recurrent("GRU", bidirectional=True), ((7, 2, 12),), axes=({0: "time"},),
        macs=recurrent_macs(3, 14, [12], 20, 2) + 14 * 200,
    ),
    "rnn": Net(
        lambda: Recurrent("RNN", bias=False), ((7, 2, 12),),
        macs=recurrent_macs(1, 14, [12], 20, 1) + 14 * 100,
    ),
    "gru, batch first": Net(
        lambda: Recurrent("GRU", batch_first=True), ((2, 7, 12),), axes=BATCH,
        macs=recurrent_macs(3, 14, [12], 20, 1) + 14 * 100,
    ),
    "char-rnn": Net(
        CharRnn, ((2, 9),), {0: 30}, (TEXT,), quick=True,
        macs=recurrent_macs(4, 18, [8, 16], 16, 1) + 18 * 16 * 30,
    ),
    "speech": Net(
        ConvRnn, ((2, 1, 16, 20),),
        macs=2 * 8 * 20 * 4 * 15 + recurrent_macs(3, 40, [32], 10, 2) + 40 * 20 * 7,
    ),
    "u-net, transposed": Net(lambda: UNet(False), ((2, 3, 32, 32),), axes=IMAGE, quick=True),
    "u-net, resized": Net(lambda: UNet(True), ((2, 3, 32, 32),), axes=IMAGE, quick=True),
    "u-net, dynamo": Net(lambda: UNet(True), ((2, 3, 32, 32),), dynamo=True),
    "odd ones": Net(Odd, ((2, 4, 14, 15),), keep=True, quick=True),
    "odd ones, dynamo": Net(Odd, ((2, 4, 14, 15),), dynamo=True, quick=True),
    "residual, group norm": Net(
        lambda: resnet_like(lambda c: nn.GroupNorm(3, c)), ((2, 6, 16, 16),), axes=BATCH, quick=True
    ),
    "residual, batch norm": Net(
        lambda: resnet_like(nn.BatchNorm2d), ((2, 6, 16, 16),), axes=IMAGE, keep=True
    ),
    "residual, half": Net(lambda: resnet_like(nn.BatchNorm2d).half(), ((2, 6, 16, 16),)),
}  # fmt: skip


# --- the three checks ---


@contextmanager
def quiet() -> Iterator[None]:
    logging.disable(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(logging.NOTSET)


def arguments(net: Net, module: Any) -> tuple[Any, ...]:
    dtype = next((p.dtype for p in module.parameters()), torch.float32)
    return tuple(
        torch.randint(net.ints[i], shape) if i in net.ints else torch.rand(shape).to(dtype)
        for i, shape in enumerate(net.shapes)
    )


def export(net: Net, path: Path) -> tuple[Any, tuple[Any, ...]]:
    torch.manual_seed(0)
    module = net.make().eval()
    for tensor in (*module.parameters(), *module.buffers()):
        if tensor.is_floating_point():  # no two alike, or the exporter would store them once
            tensor.data.uniform_(0.01, 0.1)
    given = arguments(net, module)
    names = [f"x{i}" for i in range(len(given))]
    fields: dict[str, Any] = {"input_names": names, "dynamo": net.dynamo}
    if net.dynamo:
        fields["external_data"] = False
        fields["verbose"] = False
        if net.axes:
            dims = {n: torch.export.Dim(n) for axes in net.axes for n in axes.values()}
            fields["dynamic_shapes"] = tuple(
                {i: dims[n] for i, n in axes.items()} for axes in net.axes
            )
    else:
        fields["dynamic_axes"] = dict(zip(names, net.axes, strict=False))
        if net.keep:
            fields["training"] = torch.onnx.TrainingMode.PRESERVE
    with quiet():
        torch.onnx.export(module, given, str(path), **fields)
    return module, given


def runtime_shapes(model: Any, given: tuple[Any, ...]) -> dict[str, tuple[list[int], int]]:
    """The shape and dtype of every value, as ONNX Runtime computes it."""
    names = [name for node in model.graph.node for name in node.output if name]
    known = {value.name for value in model.graph.output}
    wide = onnx.ModelProto()
    wide.CopyFrom(model)
    wide.graph.output.extend(onnx.ValueInfoProto(name=n) for n in names if n not in known)
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 4
    session = ort.InferenceSession(wide.SerializeToString(), options)
    feeds = {i.name: x.numpy() for i, x in zip(session.get_inputs(), given, strict=False)}
    wanted = [value.name for value in session.get_outputs()]
    found = zip(wanted, session.run(wanted, feeds), strict=True)
    code = onnx.helper.np_dtype_to_tensor_dtype
    return {n: (list(x.shape), code(x.dtype)) for n, x in found if hasattr(x, "dtype")}


def with_types(model: Any, types: dict[str, Any], given: tuple[Any, ...]) -> Any:
    """The model with every type written into it: the second entry of the books."""
    made = onnx.ModelProto()
    made.CopyFrom(model)
    del made.graph.value_info[:]
    outputs = [value.name for value in made.graph.output]
    del made.graph.output[:]
    for name, (shape, dtype) in types.items():
        info = onnx.helper.make_tensor_value_info(name, dtype, shape)
        (made.graph.output if name in outputs else made.graph.value_info).append(info)
    for value, x in zip(made.graph.input, given, strict=False):
        for i, dim in enumerate(value.type.tensor_type.shape.dim):
            dim.dim_value = x.shape[i]
    return made


def counted(model: Any) -> int:
    """The numbers in the float initializers, but for settings and single computed numbers.

    The newer exporter writes normalisations without scale and offset with ones and zeros.
    """
    nodes = model.graph.node
    settings = {n for node in nodes if node.op_type == "Resize" for n in node.input[1:]}
    neutral = {(n, i) for node in nodes if node.op_type == "InstanceNormalization"
               for n, i in zip(node.input[1:], (1, 0), strict=True)}  # fmt: skip
    numbers = {t.name: onnx.numpy_helper.to_array(t) for t in model.graph.initializer}
    settings |= {n for n, i in neutral if n.startswith("val_") and (numbers[n] == i).all()}
    return sum(
        math.prod(tensor.dims)
        for tensor in model.graph.initializer
        if tensor.data_type in (1, 10, 11, 16)
        and tensor.name not in settings
        and not (tensor.name.startswith("val_") and math.prod(tensor.dims) == 1)
    )


def torch_macs(net: Net, module: Any) -> int:
    from torch.utils.flop_counter import FlopCounterMode

    meta = module.to("meta")
    with FlopCounterMode(display=False) as counter, torch.no_grad(), quiet():
        meta(*(x.to("meta") for x in arguments(net, module)))
    return int(counter.get_total_flops()) // 2


def check(name: str, folder: Path) -> tuple[Any, ...]:
    """Exports a network, checks it, and gives a row for the table."""
    net, path = NETS[name], folder / "net.onnx"
    module, given = export(net, path)
    model = onnx.load(str(path))
    own = netledger.ledger(str(path))
    types = runtime_shapes(model, given)
    onnx.save(with_types(model, types, given), str(path))
    checked = netledger.ledger(str(path))
    totals = checked.totals

    assert not checked.findings, [f.message for f in checked.findings][:3]
    assert not own.findings, [f.message for f in own.findings][:3]
    assert totals.params + totals.buffers == counted(model)
    if net.keep:
        torch_buffers = [b for b in module.buffers() if b.is_floating_point()]
        assert totals.params == sum(p.numel() for p in module.parameters())
        assert totals.buffers == sum(b.numel() for b in torch_buffers)

    assert totals.complete
    assert own.totals.complete
    rows = [r for r in checked.ops if r.op and not isinstance(r.op, Constant | Tensor)]
    nodes = [checked.graph.node(r.name) for r in rows]
    seen = [n for n in nodes if n.recorded and any(n.recorded.outputs)]
    assert len(seen) >= 0.8 * len(nodes) or len(nodes) - len(seen) < 6

    macs = torch_macs(net, module) if net.macs is None else net.macs
    assert totals.macs == macs

    sizes = {"N": given[0].shape[0]}
    for i, axes in enumerate(net.axes):
        sizes.update({n: given[i].shape[a] for a, n in axes.items()})
    if not net.axes:
        assert own.totals.macs == macs
    assert [r.name for r in own.ops] == [r.name for r in checked.ops]
    for ours, theirs in zip(own.ops, checked.ops, strict=True):
        for a, b in zip(ours.outputs, theirs.outputs, strict=True):
            assert tuple(substitute(d, sizes) for d in a.shape) == b.shape, ours.name
    return name, totals.params, totals.buffers, totals.macs, len(seen), len(rows), net.axes


@pytest.mark.parametrize("name", [n for n, net in NETS.items() if net.quick])
def test_a_sample_of_networks(name: str, tmp_path: Path) -> None:
    check(name, tmp_path)


def test_there_are_enough_networks() -> None:
    assert len(NETS) >= 40
    assert sum(bool(net.axes) for net in NETS.values()) >= 15


@pytest.mark.slow
def test_all_networks(tmp_path: Path) -> None:
    lines = [
        "| network | dynamic axes | parameters | buffers | MACs | rows | shapes against the run |",
        "|---|---|--:|--:|--:|--:|--:|",
    ]
    for name in NETS:
        _, params, buffers, macs, seen, rows, axes = check(name, tmp_path)
        dynamic = ", ".join(dict.fromkeys(n for a in axes for n in a.values())) or "none"
        lines.append(
            f"| {name} | {dynamic} | {params:,} | {buffers:,} | {macs:,} | {rows} | {seen} |"
        )
    table = "\n".join(lines)
    print(f"\n{table}\n{len(NETS)} networks, no difference")

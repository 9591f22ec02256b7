"""What is built computes what the original does, settings and all, or is refused by name.

A count does not depend on the slope of a LeakyReLU; a function does. Each of these small modules
has a setting that counts leave out.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import netledger
from netledger.errors import BuildError
from netledger.infer import infer

torch = pytest.importorskip("torch")
np = pytest.importorskip("numpy")
nn, F = torch.nn, torch.nn.functional


class Of(nn.Module):  # type: ignore[misc]
    """A function of one tensor, between two convolutions of weights at random."""

    def __init__(self, function: Callable[[Any], Any]) -> None:
        super().__init__()
        self.function = function
        self.first = nn.Conv2d(4, 4, 1)

    def forward(self, x: Any) -> Any:
        return self.function(self.first(x))


def attention(x: Any, **settings: Any) -> Any:
    q = x.flatten(2).reshape(len(x), 2, 9, -1)
    return F.scaled_dot_product_attention(q, 2 * q, q + 1, **settings)


FUNCTIONS: dict[str, Callable[[Any], Any]] = {
    "slope": lambda x: F.leaky_relu(x, 0.3),
    "elu": lambda x: F.elu(x, 0.4),
    "celu": lambda x: F.celu(x, 0.4),
    "gelu": F.gelu,
    "gelu by tanh": lambda x: F.gelu(x, approximate="tanh"),
    "clip": lambda x: x.clamp(-0.3, 0.2),
    "clip above": lambda x: x.clamp(max=0.1),
    "hardtanh": F.hardtanh,
    "relu6": lambda x: F.relu6(9 * x),
    "softplus": F.softplus,
    "sharper softplus": lambda x: F.softplus(x, beta=3),
    "times a number": lambda x: x * 0.125,
    "a number less x": lambda x: 1 - x,
    "a number by x": lambda x: 2 / (x.abs() + 0.5),
    "power": lambda x: x.abs() ** 1.5,
    "number to the x": lambda x: 2**x,
    "square": lambda x: x.square() + 1,
    "rsqrt": lambda x: (x.abs() + 0.1).rsqrt(),
    "at most": lambda x: torch.minimum(x, torch.tensor(0.1)),
    "scaled sum": lambda x: torch.add(x, torch.relu(x), alpha=3),
    "rest": lambda x: torch.remainder(x, torch.sigmoid(x)),
    "floor": lambda x: torch.div(x, torch.sigmoid(x), rounding_mode="floor"),
    "rsub of tensors": lambda x: torch.rsub(x, torch.relu(x)),
    "select": lambda x: x[:, 1] + x[:, -1],
    "unbind": lambda x: x.unbind(1)[2],
    "border of a number": lambda x: F.pad(x, (1, 1, 1, 1), value=0.7),
    "border": lambda x: F.pad(x, (1, 2, 0, 1), mode="replicate"),
    "uncounted padding": lambda x: F.avg_pool2d(x, 3, 1, 1, count_include_pad=False),
    "counted padding": lambda x: F.avg_pool2d(x, 3, 1, 1),
    "other divisor": lambda x: F.avg_pool2d(x, 2, divisor_override=3),
    "group norm": lambda x: F.group_norm(x, 2, eps=0.3),
    "instance norm": lambda x: F.instance_norm(x, eps=0.3),
    "layer norm": lambda x: F.layer_norm(x, (6,), eps=0.3),
    "rms norm": lambda x: F.rms_norm(0.001 * x, (6,)),
    "nearest": lambda x: F.interpolate(x, scale_factor=2),
    "bilinear": lambda x: F.interpolate(x, scale_factor=2, mode="bilinear"),
    "corners": lambda x: F.interpolate(x, size=9, mode="bilinear", align_corners=True),
    "exact": lambda x: F.interpolate(x, size=9, mode="nearest-exact"),
    "antialias": lambda x: F.interpolate(x, size=3, mode="bilinear", antialias=True),
    "odd scale": lambda x: F.interpolate(x, scale_factor=1.4),
    "roll": lambda x: x.roll(2, 3),
    "flip": lambda x: x.flip(3),
    "masked": lambda x: x.masked_fill(x > 0, 0.5),
    "norm": lambda x: x.norm(dim=1),
    "one norm": lambda x: x.norm(p=1, dim=1),
    "variance": lambda x: x.var(dim=1),
    "attention": attention,
    "causal": lambda x: attention(x, is_causal=True),
    "scaled attention": lambda x: attention(x, scale=0.9),
    "ones": lambda x: x + torch.full((4, 1, 1), 0.3),
    "repeat": lambda x: x.repeat_interleave(2, dim=1),
    "log softmax": lambda x: F.log_softmax(x, 1),
    "glu": lambda x: F.glu(x, 1),
}
REFUSED = {
    "sharper softplus": "its beta=3",
    "scaled sum": "its alpha=3",
    "rest": "its remainder",
    "floor": "its rounding_mode=floor",
    "other divisor": "its divisor_override=3",
    "corners": "its align_corners=True",
    "exact": "its _upsample_nearest_exact2d",
    "antialias": "its _upsample_bilinear2d_aa",
    "odd scale": "its scale_factors=[1.4, 1.4]",
    "roll": "its shifts=[2], dims=[3]",
    "flip": "its dims=[3]",
    "one norm": "its ord=1",
    "variance": "its correction=1",
    "repeat": "its repeat_interleave",
    "masked": "its gt",
}
"""What no builder can know, for the books do not say it: what the message names."""

LACKING = {
    *(("keras", name) for name in ("at most", "border", "norm", "causal")),
    *((name, norm) for name in ("keras", "jax") for norm in ("layer norm", "rms norm")),
    ("jax", "causal"),
}
"""What a framework has no words for, or none that are written."""


def own_weights(graph: Any, module: Any) -> Any:
    """The module's weights in the layout of the books, found by the names that it gave them."""
    tensors = {**dict(module.named_parameters()), **dict(module.named_buffers())}
    return {
        (row.name, p.name): tensors[graph.homes[row.name, p.name][0]].detach().numpy()
        for row in infer(graph).ops
        for p in row.parameters
    }


@pytest.mark.parametrize("function", REFUSED)
def test_what_the_books_do_not_say_is_refused(function: str, target: Any) -> None:
    with pytest.raises(BuildError) as caught:
        target("torch").make(netledger.read(Of(FUNCTIONS[function]), (4, 6, 6)))
    assert f"{REFUSED[function]} is not kept in the books" in caught.value.fact


@pytest.mark.parametrize("name", ("torch", "keras", "jax", "onnx"))
@pytest.mark.parametrize("function", [f for f in FUNCTIONS if f not in REFUSED])
def test_a_function_with_its_settings(function: str, name: str, target: Any, close: Any) -> None:
    torch.manual_seed(0)
    module = Of(FUNCTIONS[function]).eval()
    graph = netledger.read(module, (4, 6, 6))
    builder, x = target(name), torch.randn(3, 4, 6, 6)
    if (name, function) in LACKING:
        with pytest.raises(BuildError, match="cannot express this"):
            builder.make(graph)
        return
    built = builder.make(graph)
    builder.load(built, graph, own_weights(graph, module))
    close(builder.run(built, graph, [x.numpy()]), [module(x).detach().numpy()])


KERAS: dict[str, Callable[[Any, Any], Any]] = {
    "slope": lambda k, x: k.layers.LeakyReLU()(x),
    "other slope": lambda k, x: k.layers.LeakyReLU(negative_slope=0.1)(x),
    "slope by name": lambda k, x: k.layers.Activation("leaky_relu")(x),
    "slope of a function": lambda k, x: k.ops.leaky_relu(x, 0.4),
    "elu": lambda k, x: k.layers.ELU(0.5)(x),
    "relu with a slope": lambda k, x: k.layers.ReLU(negative_slope=0.2)(x),
    "gelu": lambda k, x: k.layers.Activation("gelu")(x),
    "gelu of a function": lambda k, x: k.ops.gelu(x),
    "exact gelu": lambda k, x: k.ops.gelu(x, approximate=False),
    "rescaling": lambda k, x: k.layers.Rescaling(0.3, offset=-1.0)(x),
    "arithmetic": lambda k, x: 2 - (x * 3 + 1) / 4,
    "power": lambda k, x: k.ops.square(x) + k.ops.rsqrt(k.ops.abs(x) + 0.5) ** 3,
    "clip": lambda k, x: k.ops.clip(x, -0.5, 0.25),
    "at most": lambda k, x: k.ops.minimum(x, 0.1),
    "item": lambda k, x: x[:, 1, -1],
    "average": lambda k, x: k.layers.AveragePooling2D(3, 1, padding="same")(x),
    "upsampling": lambda k, x: k.layers.UpSampling2D(2, interpolation="bilinear")(x),
}
KERAS_REFUSED: dict[str, tuple[Callable[[Any, Any], Any], str]] = {
    "threshold": (lambda k, x: k.layers.ReLU(threshold=0.3)(x), "its threshold=0.3"),
    "largest": (lambda k, x: k.layers.ReLU(max_value=0.5)(x), "its max_value=0.5"),
    "unit": (lambda k, x: k.layers.UnitNormalization()(x), "its length, which is no variance"),
    "crop": (lambda k, x: k.layers.CenterCrop(3, 3)(x), "its place of the crop"),
    "factors": (lambda k, x: k.layers.Rescaling([1.0, 2, 3, 4])(x), "its scale"),
    "norm": (lambda k, x: k.ops.norm(x, ord=1, axis=3), "its ord=1"),
}


def keras_network(function: Callable[[Any, Any], Any]) -> Any:
    keras = pytest.importorskip("keras")
    x = keras.Input((6, 6, 4))
    return keras.Model(x, function(keras, x))


@pytest.mark.parametrize("name", ("torch", "keras"))
@pytest.mark.parametrize("function", KERAS)
def test_a_function_of_keras(function: str, name: str, target: Any, close: Any) -> None:
    model = keras_network(KERAS[function])
    graph = netledger.read(model)
    builder, x = target(name), np.random.default_rng(0).normal(size=(3, 6, 6, 4))
    expected = model(x.astype("float32")).detach().numpy()
    built = builder.make(graph)
    close(builder.run(built, graph, [x.astype("float32")]), [expected])


@pytest.mark.parametrize("function", KERAS_REFUSED)
def test_what_the_books_do_not_say_of_keras_is_refused(function: str, target: Any) -> None:
    made, named = KERAS_REFUSED[function]
    with pytest.raises(BuildError) as caught:
        target("torch").make(netledger.read(keras_network(made)))
    assert f"{named} is not kept in the books" in caught.value.fact

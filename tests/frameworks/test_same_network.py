"""A network written in PyTorch, Keras and JAX has the same counts, or `diff` says why not."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import contextmanager
from functools import cache, partial
from itertools import combinations
from typing import Any

import pytest

import netledger
from netledger import Ledger

torch = pytest.importorskip("torch")
keras = pytest.importorskip("keras")
jax = pytest.importorskip("jax")
fnn = pytest.importorskip("flax.linen")
tnn, jnp, layers = torch.nn, jax.numpy, keras.layers

pytestmark = [pytest.mark.oracle, pytest.mark.filterwarnings("ignore")]


# --- PyTorch: channels first ------------------------------------------------------------------


def torch_alexnet() -> Any:
    return tnn.Sequential(
        *(tnn.Conv2d(3, 64, 11, 4, 2), tnn.ReLU(), tnn.MaxPool2d(3, 2)),
        *(tnn.Conv2d(64, 192, 5, padding=2), tnn.ReLU(), tnn.MaxPool2d(3, 2)),
        *(tnn.Conv2d(192, 384, 3, padding=1), tnn.ReLU()),
        *(tnn.Conv2d(384, 256, 3, padding=1), tnn.ReLU()),
        *(tnn.Conv2d(256, 256, 3, padding=1), tnn.ReLU(), tnn.MaxPool2d(3, 2)),
        *(tnn.Flatten(), tnn.Linear(9216, 4096), tnn.ReLU()),
        *(tnn.Linear(4096, 4096), tnn.ReLU(), tnn.Linear(4096, 1000)),
    )


class TorchResidual(tnn.Module):  # type: ignore[name-defined,misc]
    def __init__(self, before: int, width: int, stride: int) -> None:
        super().__init__()

        def unit(i: int, o: int, k: int, s: int = 1) -> Any:
            conv = tnn.Conv2d(i, o, k, s, padding=k // 2, bias=False)
            return tnn.Sequential(conv, tnn.BatchNorm2d(o))

        self.a, self.b = unit(before, width, 1), unit(width, width, 3, stride)
        self.c = unit(width, 4 * width, 1)
        self.short = unit(before, 4 * width, 1, stride) if before != 4 * width else None

    def forward(self, x: Any) -> Any:
        y = self.c(torch.relu(self.b(torch.relu(self.a(x)))))
        return torch.relu(y + (x if self.short is None else self.short(x)))


def torch_resnet50() -> Any:
    stem = tnn.Conv2d(3, 64, 7, 2, 3, bias=False)
    parts = [stem, tnn.BatchNorm2d(64), tnn.ReLU(), tnn.MaxPool2d(3, 2, 1)]
    before = 64
    for i, count in enumerate((3, 4, 6, 3)):
        for j in range(count):
            parts.append(TorchResidual(before, 64 * 2**i, 2 if i and not j else 1))
            before = 256 * 2**i
    parts += [tnn.AdaptiveAvgPool2d(1), tnn.Flatten(), tnn.Linear(2048, 1000)]
    return tnn.Sequential(*parts).eval()


class TorchBlock(tnn.Module):  # type: ignore[name-defined,misc]
    def __init__(self, width: int, heads: int, causal: bool) -> None:
        super().__init__()
        self.heads, self.causal = heads, causal
        self.first, self.second = tnn.LayerNorm(width), tnn.LayerNorm(width)
        self.attend = tnn.MultiheadAttention(width, heads, batch_first=True)
        self.up, self.down = tnn.Linear(width, 4 * width), tnn.Linear(4 * width, width)

    def forward(self, x: Any) -> Any:
        y = self.first(x)
        mask = None
        if self.causal:
            mask = torch.ones(x.shape[1], x.shape[1], device=x.device).tril().logical_not()
        x = x + self.attend(y, y, y, need_weights=False, attn_mask=mask)[0]
        return x + self.down(tnn.functional.gelu(self.up(self.second(x))))


class TorchViT(tnn.Module):  # type: ignore[name-defined,misc]
    def __init__(self) -> None:
        super().__init__()
        self.patches = tnn.Conv2d(3, 64, 8, 8)
        self.token = tnn.Parameter(torch.zeros(1, 1, 64))
        self.places = tnn.Parameter(torch.zeros(1, 17, 64))
        self.blocks = tnn.Sequential(*(TorchBlock(64, 4, False) for _ in range(2)))
        self.norm, self.head = tnn.LayerNorm(64), tnn.Linear(64, 10)

    def forward(self, x: Any) -> Any:
        x = self.patches(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.token.expand(x.shape[0], -1, -1), x], 1) + self.places
        return self.head(self.norm(self.blocks(x))[:, 0])


def torch_gpt2_block() -> Any:
    return TorchBlock(96, 6, True)


class TorchLSTM(tnn.Module):  # type: ignore[name-defined,misc]
    def __init__(self) -> None:
        super().__init__()
        self.lstm, self.head = tnn.LSTM(16, 32, batch_first=True), tnn.Linear(32, 5)

    def forward(self, x: Any) -> Any:
        return self.head(self.lstm(x)[0][:, -1])


# --- Keras: channels last ---------------------------------------------------------------------


def keras_alexnet() -> Any:
    def conv(width: int, kernel: int, stride: int = 1, pad: int = 0) -> list[Any]:
        around = [layers.ZeroPadding2D(pad)] if pad else []
        return [*around, layers.Conv2D(width, kernel, stride, activation="relu")]

    pool = partial(layers.MaxPooling2D, 3, 2)
    return keras.Sequential(
        [
            keras.Input((224, 224, 3)),
            *(*conv(64, 11, 4, 2), pool(), *conv(192, 5, pad=2), pool()),
            *(*conv(384, 3, pad=1), *conv(256, 3, pad=1), *conv(256, 3, pad=1), pool()),
            *(layers.Flatten(), layers.Dense(4096, "relu"), layers.Dense(4096, "relu")),
            layers.Dense(1000),
        ]
    )


def keras_resnet50() -> Any:
    def unit(x: Any, width: int, kernel: int, stride: int = 1) -> Any:
        if kernel > 1:
            x = layers.ZeroPadding2D(kernel // 2)(x)
        return layers.BatchNormalization()(layers.Conv2D(width, kernel, stride, use_bias=False)(x))

    relu = keras.ops.relu
    start = keras.Input((224, 224, 3))
    x = layers.ZeroPadding2D(1)(relu(unit(start, 64, 7, 2)))
    x = layers.MaxPooling2D(3, 2)(x)
    for i, count in enumerate((3, 4, 6, 3)):
        for j in range(count):
            width, stride = 64 * 2**i, 2 if i and not j else 1
            y = relu(unit(relu(unit(x, width, 1)), width, 3, stride))
            y = unit(y, 4 * width, 1)
            x = relu(y + (x if j else unit(x, 4 * width, 1, stride)))
    return keras.Model(start, layers.Dense(1000)(layers.GlobalAveragePooling2D()(x)))


def keras_block(x: Any, width: int, heads: int, causal: bool) -> Any:
    y = layers.LayerNormalization()(x)
    attend = layers.MultiHeadAttention(heads, width // heads)
    x = x + attend(y, y, use_causal_mask=causal)
    y = layers.Dense(4 * width, "gelu")(layers.LayerNormalization()(x))
    return x + layers.Dense(width)(y)


class Tokens(layers.Layer):  # type: ignore[name-defined,misc]
    """A class token in front, and positions."""

    def build(self, shape: Any) -> None:
        self.token = self.add_weight(shape=(1, 1, shape[-1]), name="token")
        self.places = self.add_weight(shape=(1, shape[1] + 1, shape[-1]), name="places")

    def call(self, x: Any) -> Any:
        first = keras.ops.zeros_like(x[:, :1]) + self.token
        return keras.ops.concatenate([first, x], axis=1) + self.places


def keras_vit() -> Any:
    start = keras.Input((32, 32, 3))
    x = Tokens()(layers.Reshape((16, 64))(layers.Conv2D(64, 8, 8)(start)))
    for _ in range(2):
        x = keras_block(x, 64, 4, False)
    return keras.Model(start, layers.Dense(10)(layers.LayerNormalization()(x)[:, 0]))


def keras_gpt2_block() -> Any:
    start = keras.Input((12, 96))
    return keras.Model(start, keras_block(start, 96, 6, True))


def keras_lstm() -> Any:
    return keras.Sequential([keras.Input((20, 16)), layers.LSTM(32), layers.Dense(5)])


# --- JAX (flax): channels last ----------------------------------------------------------------


def module(call: Callable[..., Any]) -> Any:
    return type("Net", (fnn.Module,), {"__call__": fnn.compact(call), "__annotations__": {}})()


def jax_alexnet() -> Any:
    def call(self: Any, x: Any) -> Any:
        pool = partial(fnn.max_pool, window_shape=(3, 3), strides=(2, 2))
        x = pool(fnn.relu(fnn.Conv(64, (11, 11), 4, padding=2)(x)))
        x = pool(fnn.relu(fnn.Conv(192, (5, 5), padding=2)(x)))
        for width in (384, 256, 256):
            x = fnn.relu(fnn.Conv(width, (3, 3), padding=1)(x))
        x = pool(x).reshape(x.shape[0], -1)
        x = fnn.relu(fnn.Dense(4096)(x))
        return fnn.Dense(1000)(fnn.relu(fnn.Dense(4096)(x)))

    return module(call)


def jax_resnet50() -> Any:
    def call(self: Any, x: Any) -> Any:
        def unit(x: Any, width: int, kernel: int, stride: int = 1) -> Any:
            size, step = (kernel, kernel), (stride, stride)
            x = fnn.Conv(width, size, step, padding=kernel // 2, use_bias=False)(x)
            return fnn.BatchNorm(use_running_average=True)(x)

        x = fnn.relu(unit(x, 64, 7, 2))
        x = fnn.max_pool(x, (3, 3), (2, 2), padding=((1, 1), (1, 1)))
        for i, count in enumerate((3, 4, 6, 3)):
            for j in range(count):
                width, stride = 64 * 2**i, 2 if i and not j else 1
                y = fnn.relu(unit(x, width, 1))
                y = unit(fnn.relu(unit(y, width, 3, stride)), 4 * width, 1)
                x = fnn.relu(y + (x if j else unit(x, 4 * width, 1, stride)))
        return fnn.Dense(1000)(x.mean((1, 2)))

    return module(call)


def jax_block(x: Any, heads: int, causal: bool) -> Any:
    attend = fnn.MultiHeadDotProductAttention(heads, deterministic=True)
    mask = fnn.make_causal_mask(jnp.ones(x.shape[:2])) if causal else None
    x = x + attend(fnn.LayerNorm()(x), mask=mask)
    y = fnn.gelu(fnn.Dense(4 * x.shape[-1])(fnn.LayerNorm()(x)))
    return x + fnn.Dense(x.shape[-1])(y)


def jax_vit() -> Any:
    def call(self: Any, x: Any) -> Any:
        x = fnn.Conv(64, (8, 8), (8, 8), padding="VALID")(x).reshape(x.shape[0], 16, 64)
        token = self.param("token", fnn.initializers.zeros, (1, 1, 64))
        x = jnp.concatenate([jnp.broadcast_to(token, (x.shape[0], 1, 64)), x], 1)
        x = x + self.param("places", fnn.initializers.zeros, (1, 17, 64))
        for _ in range(2):
            x = jax_block(x, 4, False)
        return fnn.Dense(10)(fnn.LayerNorm()(x)[:, 0])

    return module(call)


def jax_gpt2_block() -> Any:
    return module(lambda self, x: jax_block(x, 6, True))


def jax_lstm() -> Any:
    def call(self: Any, x: Any) -> Any:
        return fnn.Dense(5)(fnn.RNN(fnn.OptimizedLSTMCell(32))(x)[:, -1])

    return module(call)


# --- the comparison ---------------------------------------------------------------------------

NETWORKS: dict[str, tuple[tuple[int, ...], dict[str, Callable[[], Any]]]] = {
    "AlexNet": (
        (224, 224, 3),
        {"torch": torch_alexnet, "keras": keras_alexnet, "jax": jax_alexnet},
    ),
    "ResNet-50": (
        (224, 224, 3),
        {"torch": torch_resnet50, "keras": keras_resnet50, "jax": jax_resnet50},
    ),
    "ViT": ((32, 32, 3), {"torch": TorchViT, "keras": keras_vit, "jax": jax_vit}),
    "GPT-2 block": (
        (12, 96),
        {"torch": torch_gpt2_block, "keras": keras_gpt2_block, "jax": jax_gpt2_block},
    ),
    "LSTM": ((20, 16), {"torch": TorchLSTM, "keras": keras_lstm, "jax": jax_lstm}),
}
FRAMEWORKS = ("torch", "keras", "jax")
PAIRS = list(combinations(FRAMEWORKS, 2))
PUBLISHED = {"AlexNet": (61_100_840, 714_188_480), "ResNet-50": (25_557_032, 4_089_184_256)}


@contextmanager
def nothing_allocated(framework: str) -> Any:
    if framework == "torch":
        with torch.device("meta"):
            yield
    elif framework == "keras":
        with keras.StatelessScope(initialize_variables=False):
            yield
        keras.src.backend.common.global_state.set_global_attribute("uninitialized_variables", [])
    else:
        yield


@cache
def ledger(network: str, framework: str) -> Ledger:
    shape, makers = NETWORKS[network]
    with nothing_allocated(framework):
        model = makers[framework]()
    if framework == "torch" and len(shape) == 3:
        shape = (shape[-1], *shape[:-1])
    return netledger.ledger(model, shape)


def counts(found: Ledger) -> dict[str, Any]:
    totals = found.totals
    return {
        "weights": totals.weights,
        "biases": totals.biases,
        "buffers": totals.buffers,
        "trainable": totals.trainable,
        "macs": totals.macs,
    }


@pytest.mark.parametrize("network", [name for name in NETWORKS if name != "LSTM"])
def test_the_counts_are_the_same(network: str) -> None:
    torch_, keras_, jax_ = (ledger(network, framework) for framework in FRAMEWORKS)
    for found in (torch_, keras_, jax_):
        assert found.totals.complete
        assert not found.findings
    assert counts(torch_) == counts(keras_) == counts(jax_)
    if network in PUBLISHED:
        assert (torch_.totals.params, torch_.totals.macs) == PUBLISHED[network]


@pytest.mark.parametrize("pair", PAIRS, ids="-".join)
@pytest.mark.parametrize("network", [name for name in NETWORKS if name != "LSTM"])
def test_diff_adds_up_to_nothing(network: str, pair: tuple[str, str]) -> None:
    """Attention is one layer in Keras and several in the others, but it counts the same."""
    found = netledger.diff(*(ledger(network, framework) for framework in pair))
    assert (found.delta.params, found.delta.buffers, found.delta.macs) == (0, 0, 0)
    if network in PUBLISHED:
        assert [cause.text for cause in found.counting] == []


def test_an_lstm_of_pytorch_has_two_bias_vectors() -> None:
    torch_, keras_, jax_ = (ledger("LSTM", framework) for framework in FRAMEWORKS)
    assert counts(keras_) == counts(jax_)
    assert torch_.totals.macs == keras_.totals.macs
    assert torch_.totals.params == keras_.totals.params + 4 * 32
    for other in (keras_, jax_):
        (cause,) = netledger.diff(torch_, other).counting
        assert "bias vector" in cause.text
        assert cause.delta.params == -4 * 32
    assert not netledger.diff(keras_, jax_).counting

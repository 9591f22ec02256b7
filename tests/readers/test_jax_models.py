"""Real networks written in flax (linen, nnx), Equinox and plain JAX, against JAX itself.

Parameters are compared with the framework's own tree, output shapes with `jax.eval_shape`, and
multiply-accumulates with a count over the primitives of the trace (`products`), and where there
is one with a published number.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

import netledger
from netledger import Ledger
from netledger.ops import Opaque

jax = pytest.importorskip("jax")
jnp = jax.numpy
nn = pytest.importorskip("flax.linen")
nnx = pytest.importorskip("flax.nnx")
eqx = pytest.importorskip("equinox")

pytestmark = [pytest.mark.oracle, pytest.mark.filterwarnings("ignore")]


Products = Callable[[Any], int]


class Case(NamedTuple):
    """A model, what it is called on (without the batch), and published counts if there are any."""

    build: Callable[[], Any]
    inputs: Any
    params: int | None = None
    macs: int | None = None


CASES: dict[str, Case] = {}


def case(inputs: Any, params: int | None = None, macs: int | None = None) -> Any:
    def keep(build: Callable[[], Any]) -> Callable[[], Any]:
        CASES[build.__name__.replace("_", " ").strip()] = Case(build, inputs, params, macs)
        return build

    return keep


def linen(call: Callable[..., Any]) -> Any:
    """A module of linen from its ``__call__``."""
    return type("Net", (nn.Module,), {"__call__": nn.compact(call), "__annotations__": {}})()


KEY = jax.random.key(0)


# --- flax.linen -------------------------------------------------------------------------------


@case((224, 224, 3), 61_100_840, 714_188_480)
def linen_AlexNet() -> Any:
    def call(self: Any, x: Any) -> Any:
        x = nn.max_pool(nn.relu(nn.Conv(64, (11, 11), 4, padding=2)(x)), (3, 3), (2, 2))
        x = nn.max_pool(nn.relu(nn.Conv(192, (5, 5), padding=2)(x)), (3, 3), (2, 2))
        for width in (384, 256, 256):
            x = nn.relu(nn.Conv(width, (3, 3), padding=1)(x))
        x = nn.max_pool(x, (3, 3), (2, 2)).reshape(x.shape[0], -1)
        for width in (4096, 4096):
            x = nn.relu(nn.Dense(width)(nn.Dropout(0.5, deterministic=True)(x)))
        return nn.Dense(1000)(x)

    return linen(call)


@case((224, 224, 3), 138_357_544, 15_470_264_320)
def linen_VGG_16() -> Any:
    def call(self: Any, x: Any) -> Any:
        for width, count in ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3)):
            for _ in range(count):
                x = nn.relu(nn.Conv(width, (3, 3))(x))
            x = nn.max_pool(x, (2, 2), (2, 2))
        x = x.reshape(x.shape[0], -1)
        x = nn.relu(nn.Dense(4096)(x))
        return nn.Dense(1000)(nn.relu(nn.Dense(4096)(x)))

    return linen(call)


class Residual(nn.Module):
    width: int
    stride: int = 1
    deep: bool = False

    @nn.compact
    def __call__(self, x: Any, train: bool = False) -> Any:
        norm = functools.partial(nn.BatchNorm, use_running_average=not train)
        conv = functools.partial(nn.Conv, use_bias=False)
        s = (self.stride, self.stride)
        if self.deep:
            y = nn.relu(norm()(conv(self.width, (1, 1))(x)))
            y = nn.relu(norm()(conv(self.width, (3, 3), s, padding=1)(y)))
            y = norm()(conv(4 * self.width, (1, 1))(y))
        else:
            y = nn.relu(norm()(conv(self.width, (3, 3), s, padding=1)(x)))
            y = norm()(conv(self.width, (3, 3), padding=1)(y))
        if y.shape != x.shape:
            x = norm()(conv(y.shape[-1], (1, 1), s)(x))
        return nn.relu(x + y)


class ResNet(nn.Module):
    blocks: tuple[int, ...]
    deep: bool

    @nn.compact
    def __call__(self, x: Any, train: bool = False) -> Any:
        x = nn.Conv(64, (7, 7), (2, 2), padding=3, use_bias=False)(x)
        x = nn.relu(nn.BatchNorm(use_running_average=not train)(x))
        x = nn.max_pool(x, (3, 3), (2, 2), padding=((1, 1), (1, 1)))
        for i, count in enumerate(self.blocks):
            for j in range(count):
                x = Residual(64 * 2**i, 2 if i and not j else 1, self.deep)(x, train)
        return nn.Dense(1000)(x.mean((1, 2)))


@case((224, 224, 3), 11_689_512, 1_814_073_344)
def linen_ResNet_18() -> Any:
    return ResNet((2, 2, 2, 2), False)


@case((224, 224, 3), 25_557_032, 4_089_184_256)
def linen_ResNet_50() -> Any:
    return ResNet((3, 4, 6, 3), True)


@case((224, 224, 3), 4_231_976, 568_740_352)
def linen_MobileNet() -> Any:
    def call(self: Any, x: Any, train: bool = False) -> Any:
        def unit(x: Any, *args: Any, **kwargs: Any) -> Any:
            x = nn.Conv(*args, use_bias=False, **kwargs)(x)
            return nn.relu6(nn.BatchNorm(use_running_average=not train)(x))

        x = unit(x, 32, (3, 3), (2, 2))
        plan = [(64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2)]
        for width, stride in (*plan, *[(512, 1)] * 5, (1024, 2), (1024, 1)):
            x = unit(x, x.shape[-1], (3, 3), (stride, stride), feature_group_count=x.shape[-1])
            x = unit(x, width, (1, 1))
        return nn.Dense(1000)(x.mean((1, 2)))

    return linen(call)


@case((32, 32, 24))
def linen_DenseNet_block() -> Any:
    def call(self: Any, x: Any, train: bool = False) -> Any:
        for _ in range(4):
            y = nn.relu(nn.BatchNorm(use_running_average=not train)(x))
            x = jnp.concatenate([x, nn.Conv(12, (3, 3), use_bias=False)(y)], -1)
        return nn.avg_pool(nn.Conv(36, (1, 1))(x), (2, 2), (2, 2))

    return linen(call)


@case((64, 64, 3))
def linen_U_Net() -> Any:
    def call(self: Any, x: Any) -> Any:
        def twice(x: Any, width: int) -> Any:
            for _ in range(2):
                x = nn.relu(nn.GroupNorm(4)(nn.Conv(width, (3, 3))(x)))
            return x

        a = twice(x, 16)
        b = twice(nn.max_pool(a, (2, 2), (2, 2)), 32)
        c = twice(nn.max_pool(b, (2, 2), (2, 2)), 64)
        y = twice(jnp.concatenate([b, nn.ConvTranspose(32, (2, 2), (2, 2))(c)], -1), 32)
        y = twice(jnp.concatenate([a, nn.ConvTranspose(16, (3, 3), (2, 2))(y)], -1), 16)
        return nn.Conv(2, (1, 1))(y)

    return linen(call)


class Encoder(nn.Module):
    """A Transformer block."""

    heads: int
    hidden: int
    before: bool = True
    causal: bool = False

    @nn.compact
    def __call__(self, x: Any) -> Any:
        attend = nn.MultiHeadDotProductAttention(self.heads, deterministic=True)
        mask = nn.make_causal_mask(jnp.ones(x.shape[:2])) if self.causal else None

        def feed(y: Any) -> Any:
            return nn.Dense(x.shape[-1])(nn.gelu(nn.Dense(self.hidden)(y)))

        if self.before:
            x = x + attend(nn.LayerNorm()(x), mask=mask)
            return x + feed(nn.LayerNorm()(x))
        x = nn.LayerNorm()(x + attend(x, mask=mask))
        return nn.LayerNorm()(x + feed(x))


@case((224, 224, 3), 86_567_656, 17_563_828_224)
def linen_ViT_B_16() -> Any:
    def call(self: Any, x: Any) -> Any:
        x = nn.Conv(768, (16, 16), (16, 16), padding="VALID")(x)
        x = x.reshape(x.shape[0], -1, 768)
        token = self.param("token", nn.initializers.zeros, (1, 1, 768))
        x = jnp.concatenate([jnp.tile(token, (x.shape[0], 1, 1)), x], 1)
        x = x + self.param("positions", nn.initializers.zeros, (1, 197, 768))
        for _ in range(12):
            x = Encoder(12, 3072)(x)
        return nn.Dense(1000)(nn.LayerNorm()(x)[:, 0])

    return linen(call)


@case("int32[64]", 124_439_808)
def linen_GPT_2() -> Any:
    def call(self: Any, tokens: Any) -> Any:
        table = nn.Embed(50257, 768)
        places = self.param("places", nn.initializers.zeros, (1024, 768))
        x = table(tokens) + places[: tokens.shape[1]]
        for _ in range(12):
            x = Encoder(12, 3072, causal=True)(x)
        return table.attend(nn.LayerNorm()(x))

    return linen(call)


@case({"tokens": "int32[N,32]", "kinds": "int32[N,32]"})
def linen_BERT_encoder() -> Any:
    def call(self: Any, tokens: Any, kinds: Any) -> Any:
        x = nn.Embed(1000, 64)(tokens) + nn.Embed(2, 64)(kinds)
        x = nn.LayerNorm()(x)
        for _ in range(2):
            x = Encoder(4, 256, before=False)(x)
        return nn.tanh(nn.Dense(64)(x[:, 0]))

    return linen(call)


@case((32, 32, 3))
def linen_MLP_Mixer() -> Any:
    def call(self: Any, x: Any) -> Any:
        def mlp(x: Any, width: int) -> Any:
            return nn.Dense(x.shape[-1])(nn.gelu(nn.Dense(width)(x)))

        x = nn.Conv(32, (4, 4), (4, 4))(x).reshape(x.shape[0], 64, 32)
        for _ in range(3):
            y = mlp(nn.LayerNorm()(x).swapaxes(1, 2), 48).swapaxes(1, 2)
            x = x + y
            x = x + mlp(nn.LayerNorm()(x), 128)
        return nn.Dense(10)(x.mean(1))

    return linen(call)


@case((20, 16))
def linen_LSTM() -> Any:
    def call(self: Any, x: Any) -> Any:
        x = nn.RNN(nn.OptimizedLSTMCell(32))(x)
        return nn.Dense(5)(x[:, -1])

    return linen(call)


@case((20, 16))
def linen_GRU_both_ways() -> Any:
    def call(self: Any, x: Any) -> Any:
        return nn.Bidirectional(nn.RNN(nn.GRUCell(32)), nn.RNN(nn.GRUCell(32)))(x)

    return linen(call)


@case("int32[12]")
def linen_bag_of_embeddings() -> Any:
    def call(self: Any, tokens: Any) -> Any:
        return nn.Dense(4)(nn.Embed(500, 32)(tokens).mean(1))

    return linen(call)


@case((16, 32))
def linen_mixture_of_experts() -> Any:
    def call(self: Any, x: Any) -> Any:
        gate = nn.softmax(nn.Dense(4, name="gate")(x))
        up = self.param("up", nn.initializers.lecun_normal(), (4, 32, 64))
        down = self.param("down", nn.initializers.lecun_normal(), (4, 64, 32))
        best, chosen = jax.lax.top_k(gate, 2)
        share = (nn.one_hot(chosen, 4) * best[..., None]).sum(-2)
        y = nn.relu(jnp.einsum("ntd,edh->nteh", x, up))
        return jnp.einsum("nteh,ehd,nte->ntd", y, down, share)

    return linen(call)


@case((24, 16))
def linen_state_space() -> Any:
    def call(self: Any, x: Any) -> Any:
        a = self.param("a", nn.initializers.normal(), (8, 8))
        b = self.param("b", nn.initializers.normal(), (16, 8))
        c = self.param("c", nn.initializers.normal(), (8, 16))

        def step(h: Any, u: Any) -> Any:
            h = h @ a + u @ b
            return h, h @ c

        _, y = jax.lax.scan(step, jnp.zeros((x.shape[0], 8)), x.swapaxes(0, 1))
        return x + y.swapaxes(0, 1)

    return linen(call)


@case((10, 32))
def linen_einsum_attention() -> Any:
    def call(self: Any, x: Any) -> Any:
        q, k, v = (nn.DenseGeneral((4, 8), use_bias=False, name=n)(x) for n in "qkv")
        weights = nn.softmax(jnp.einsum("nqhd,nkhd->nhqk", q, k) / math.sqrt(8))
        y = jnp.einsum("nhqk,nkhd->nqhd", weights, v)
        return nn.DenseGeneral(32, axis=(-2, -1), name="out")(y)

    return linen(call)


@case((128, 8))
def linen_dilated_1D() -> Any:
    def call(self: Any, x: Any) -> Any:
        for d in (1, 2, 4, 8):
            y = nn.relu(nn.Conv(16, (3,), kernel_dilation=d, padding="CAUSAL")(x))
            x = nn.Conv(16, (1,))(x) + y
        return x

    return linen(call)


@case((4000, 1))
def linen_audio() -> Any:
    def call(self: Any, x: Any) -> Any:
        for width, kernel, stride in ((32, 10, 5), (32, 8, 4), (64, 4, 2)):
            x = nn.gelu(nn.GroupNorm(8)(nn.Conv(width, (kernel,), stride, padding="VALID")(x)))
        return nn.Dense(10)(x.max(1))

    return linen(call)


@case((8, 16, 16, 1))
def linen_3D() -> Any:
    def call(self: Any, x: Any) -> Any:
        x = nn.relu(nn.Conv(8, (3, 3, 3), padding="VALID")(x))
        x = nn.max_pool(x, (2, 2, 2), (2, 2, 2))
        return nn.Dense(3)(nn.Conv(16, (3, 3, 3))(x).mean((1, 2, 3)))

    return linen(call)


@case((28, 28, 1))
def linen_autoencoder() -> Any:
    def call(self: Any, x: Any) -> Any:
        x = nn.relu(nn.Conv(8, (3, 3), (2, 2))(x))
        x = nn.relu(nn.Conv(16, (3, 3), (2, 2))(x))
        z = nn.Dense(8)(x.reshape(x.shape[0], -1))
        y = nn.relu(nn.Dense(7 * 7 * 16)(z)).reshape(-1, 7, 7, 16)
        y = nn.relu(nn.ConvTranspose(8, (3, 3), (2, 2))(y))
        return nn.sigmoid(nn.ConvTranspose(1, (3, 3), (2, 2))(y))

    return linen(call)


@case([(16, 16, 3), (16, 16, 3)])
def linen_siamese() -> Any:
    def call(self: Any, a: Any, b: Any) -> Any:
        conv, dense = nn.Conv(8, (3, 3)), nn.Dense(16)
        left, right = (dense(nn.relu(conv(x)).mean((1, 2))) for x in (a, b))
        return nn.Dense(1)(jnp.abs(left - right))

    return linen(call)


@case("int32[16]")
def linen_scan_over_layers() -> Any:
    class Layer(nn.Module):
        @nn.compact
        def __call__(self, x: Any, _: Any) -> Any:
            return x + nn.Dense(32)(nn.relu(nn.Dense(64)(nn.RMSNorm()(x)))), None

    def call(self: Any, tokens: Any) -> Any:
        x = nn.Embed(100, 32)(tokens)
        layers = nn.scan(Layer, variable_axes={"params": 0}, split_rngs={"params": True}, length=6)
        return layers()(x, None)[0]

    return linen(call)


# --- flax.nnx ---------------------------------------------------------------------------------


def modules(build: Callable[[Any], dict[str, Any]], call: Callable[..., Any]) -> Any:
    """A module of nnx from a function that makes its parts, and its ``__call__``."""

    def init(self: Any) -> None:
        for name, part in build(nnx.Rngs(0)).items():
            setattr(self, name, part)

    net = type("Net", (nnx.Module,), {"__init__": init, "__call__": call})
    return nnx.eval_shape(net)


@case((784,), 784 * 256 + 256 + 256 * 10 + 10, 784 * 256 + 256 * 10)
def nnx_MLP() -> Any:
    def build(r: Any) -> dict[str, Any]:
        return {"up": nnx.Linear(784, 256, rngs=r), "down": nnx.Linear(256, 10, rngs=r)}

    return modules(build, lambda self, x: self.down(nnx.relu(self.up(x))))


@case((28, 28, 1))
def nnx_CNN() -> Any:
    def build(r: Any) -> dict[str, Any]:
        return {
            "conv": nnx.Conv(1, 16, (3, 3), rngs=r),
            "norm": nnx.BatchNorm(16, rngs=r),
            "deep": nnx.Conv(16, 32, (3, 3), strides=2, feature_group_count=4, rngs=r),
            "drop": nnx.Dropout(0.5, rngs=r),
            "out": nnx.Linear(32, 10, rngs=r),
        }

    def call(self: Any, x: Any) -> Any:
        x = nnx.max_pool(nnx.relu(self.norm(self.conv(x))), (2, 2), (2, 2))
        return self.out(self.drop(nnx.relu(self.deep(x)).mean((1, 2))))

    return modules(build, call)


@case((12, 32))
def nnx_Transformer() -> Any:
    def build(r: Any) -> dict[str, Any]:
        attention = nnx.MultiHeadAttention(4, 32, decode=False, rngs=r)
        up, down = nnx.Linear(32, 64, rngs=r), nnx.Linear(64, 32, rngs=r)
        return {
            "attend": attention,
            "up": up,
            "down": down,
            "first": nnx.LayerNorm(32, rngs=r),
            "second": nnx.RMSNorm(32, rngs=r),
        }

    def call(self: Any, x: Any) -> Any:
        x = x + self.attend(self.first(x))
        return x + self.down(nnx.silu(self.up(self.second(x))))

    return modules(build, call)


@case((20, 16))
def nnx_LSTM() -> Any:
    def build(r: Any) -> dict[str, Any]:
        return {"rnn": nnx.RNN(nnx.OptimizedLSTMCell(16, 32, rngs=r), rngs=r)}

    return modules(build, lambda self, x: self.rnn(x))


@case("int32[9]")
def nnx_tied_embedding() -> Any:
    def build(r: Any) -> dict[str, Any]:
        return {"table": nnx.Embed(200, 16, rngs=r), "mix": nnx.Linear(16, 16, rngs=r)}

    return modules(build, lambda self, t: self.table.attend(self.mix(self.table(t))))


@case((8, 8, 16))
def nnx_shared_twice() -> Any:
    def build(r: Any) -> dict[str, Any]:
        conv = nnx.Conv(16, 16, (3, 3), rngs=r)
        return {"a": conv, "b": conv, "up": nnx.ConvTranspose(16, 8, (4, 4), (2, 2), rngs=r)}

    return modules(build, lambda self, x: self.up(self.b(nnx.relu(self.a(x)))))


# --- Equinox ----------------------------------------------------------------------------------


def equinox(build: Callable[[], dict[str, Any]], call: Callable[..., Any]) -> Any:
    """A module of Equinox from its parts and its ``__call__``."""
    parts = build()

    def init(self: Any) -> None:
        for name, part in parts.items():
            setattr(self, name, part)

    body = {"__init__": init, "__call__": call, "__annotations__": dict.fromkeys(parts, Any)}
    return type("Net", (eqx.Module,), body)()


@case((16,), (16 * 32 + 32) + (32 * 32 + 32) + (32 * 4 + 4), 16 * 32 + 32 * 32 + 32 * 4)
def equinox_MLP() -> Any:
    return eqx.nn.MLP(16, 4, 32, 2, key=KEY)


@case((3, 32, 32))
def equinox_CNN() -> Any:
    e = eqx.nn

    def build() -> dict[str, Any]:
        return {
            "a": e.Conv2d(3, 16, 3, padding=1, key=KEY),
            "n": e.GroupNorm(4, 16),
            "p": e.MaxPool2d(2, 2),
            "b": e.Conv2d(16, 32, 3, stride=2, groups=2, key=KEY),
            "q": e.AvgPool2d(7, 7),
            "o": e.Linear(32, 10, key=KEY),
        }

    def call(self: Any, x: Any, key: Any = None) -> Any:
        x = self.p(jax.nn.relu(self.n(self.a(x))))
        return self.o(self.q(jax.nn.relu(self.b(x))).ravel())

    return equinox(build, call)


@case((3, 16, 16))
def equinox_BatchNorm() -> Any:
    def build() -> dict[str, Any]:
        norm = eqx.nn.BatchNorm(8, axis_name="batch", mode="batch")
        return {"conv": eqx.nn.Conv2d(3, 8, 3, key=KEY), "norm": norm}

    def call(self: Any, x: Any, state: Any) -> Any:
        x, state = self.norm(self.conv(x), state)
        return jax.nn.relu(x), state

    return equinox(build, call)


@case((15, 8))
def equinox_GRU() -> Any:
    def build() -> dict[str, Any]:
        return {"cell": eqx.nn.GRUCell(8, 16, key=KEY), "out": eqx.nn.Linear(16, 3, key=KEY)}

    def call(self: Any, xs: Any) -> Any:
        h, _ = jax.lax.scan(lambda h, x: (self.cell(x, h), None), jnp.zeros(16), xs)
        return self.out(h)

    return equinox(build, call)


@case((15, 8))
def equinox_LSTM() -> Any:
    def build() -> dict[str, Any]:
        return {"cell": eqx.nn.LSTMCell(8, 16, key=KEY)}

    def call(self: Any, xs: Any) -> Any:
        start = (jnp.zeros(16), jnp.zeros(16))
        return jax.lax.scan(lambda s, x: ((t := self.cell(x, s)), t[0]), start, xs)[1]

    return equinox(build, call)


@case((10, 32))
def equinox_attention() -> Any:
    def build() -> dict[str, Any]:
        attend = eqx.nn.MultiheadAttention(4, 32, use_query_bias=True, key=KEY)
        return {
            "attend": attend,
            "norm": eqx.nn.LayerNorm(32),
            "mlp": eqx.nn.Linear(32, 32, key=KEY),
        }

    def call(self: Any, x: Any) -> Any:
        y = jax.vmap(self.norm)(x)
        x = x + self.attend(y, y, y)
        return x + jax.vmap(self.mlp)(x)

    return equinox(build, call)


@case((8, 16, 16))
def equinox_upsampling() -> Any:
    def build() -> dict[str, Any]:
        up = eqx.nn.ConvTranspose2d(8, 4, 4, stride=2, padding=1, key=KEY)
        return {"up": up, "act": eqx.nn.PReLU()}

    return equinox(build, lambda self, x: self.act(self.up(x)))


@case("int32[7]")
def equinox_embedding() -> Any:
    def build() -> dict[str, Any]:
        return {"table": eqx.nn.Embedding(50, 8, key=KEY), "norm": eqx.nn.RMSNorm(8)}

    return equinox(build, lambda self, t: jax.vmap(self.norm)(jax.vmap(self.table)(t)))


# --- what they are compared with --------------------------------------------------------------


def reference(
    model: Any, inputs: Any, products: Products
) -> tuple[int, int, int, list[tuple[int, ...]]]:
    """Parameters, other state, multiply-accumulates and output shapes at a batch of 1, from JAX."""
    from netledger.readers.inputs import call_arguments

    given = call_arguments(inputs)

    def struct(t: Any) -> Any:
        return jax.ShapeDtypeStruct((1, *t.shape[1:]), jnp.dtype(t.dtype))

    args = tuple(map(struct, given.args))
    kwargs = {name: struct(t) for name, t in given.kwargs.items()}

    def size(tree: Any) -> int:
        return sum(math.prod(leaf.shape) for leaf in jax.tree_util.tree_leaves(tree))

    if isinstance(model, nn.Module):
        variables = jax.eval_shape(lambda: model.init(KEY, *zeros(args), **zeros(kwargs)))
        learned = size(variables["params"])
        rest = size(variables) - learned
        call = lambda *a, **k: model.apply(variables_of(variables), *a, **k)  # noqa: E731
    elif isinstance(model, nnx.Module):
        graph, params, other = nnx.split(model, nnx.Param, ...)
        learned = size(params)
        rest = size(nnx.state(model, nnx.BatchStat))

        def call(*a: Any, **k: Any) -> Any:
            made = nnx.merge(graph, variables_of(params), variables_of(other))
            made.eval()
            return made(*a, **k)
    else:
        learned = size(eqx.filter(model, eqx.is_inexact_array))
        whole = eqx.nn.inference_mode(model)
        if isinstance(getattr(model, "norm", None), eqx.nn.BatchNorm):
            state = eqx.nn.State(whole)
            rest = 16  # the running statistics, whose first values the module holds
            learned -= rest
            call = jax.vmap(lambda *a: whole(*a, state)[0], axis_name="batch")
        else:
            rest = 0
            call = jax.vmap(whole)
    jaxpr, out = jax.make_jaxpr(call, return_shape=True)(*args, **kwargs)
    shapes = [tuple(leaf.shape) for leaf in jax.tree_util.tree_leaves(out)]
    return learned, rest, products(jaxpr.jaxpr), shapes


def zeros(tree: Any) -> Any:
    return jax.tree_util.tree_map(lambda s: jnp.zeros(s.shape, s.dtype), tree)


def variables_of(tree: Any) -> Any:
    """Zeros while tracing: nothing is allocated."""
    keyed = lambda s: jax.random.key(0) if "key" in str(s.dtype) else jnp.zeros(s.shape, s.dtype)  # noqa: E731
    return jax.tree_util.tree_map(keyed, tree)


def agree(name: str, products: Products) -> Ledger:
    one = CASES[name]
    model = one.build()
    ledger = netledger.ledger(model, one.inputs)
    learned, rest, macs, shapes = reference(model, one.inputs, products)
    totals = ledger.totals
    assert (totals.params, totals.buffers) == (learned, rest)
    assert totals.macs == macs
    assert one.params in (None, totals.params)
    assert one.macs in (None, totals.macs)
    at_one = netledger.ledger(ledger.graph, batch=1)
    made = {v: t for row in at_one.ops for v, t in zip(row.made, row.outputs, strict=True)}
    assert [made[v].shape for v in ledger.graph.outputs] == shapes
    assert not ledger.findings
    assert totals.complete, [row for row in ledger.ops if row.unknown]
    return ledger


SAMPLE = [
    *("linen AlexNet", "linen U Net", "linen BERT encoder", "linen LSTM", "linen siamese"),
    *("linen mixture of experts", "linen scan over layers", "linen GRU both ways", "linen 3D"),
    *("nnx CNN", "nnx Transformer", "nnx LSTM", "nnx tied embedding", "nnx shared twice"),
    *("equinox BatchNorm", "equinox attention", "equinox embedding"),
]


@pytest.mark.parametrize("name", SAMPLE)
def test_models(name: str, products: Products) -> None:
    agree(name, products)


@pytest.mark.slow
def test_every_model(products: Products, capsys: Any) -> None:
    """All of them; `make prove` keeps the table in docs/proofs/jax.md."""
    lines = [
        "| model | rows | parameters | buffers | multiply-accumulates | published | differs |",
        "|---|---:|---:|---:|---:|---|---|",
    ]
    made = derived = 0
    for name, one in CASES.items():
        totals = (ledger := agree(name, products)).totals
        rules = [row.op for row in ledger.ops if row.op is not None]
        made, derived = made + len(rules), derived + sum(not isinstance(op, Opaque) for op in rules)
        numbers = (len(ledger.ops), totals.params, totals.buffers, totals.macs)
        known = "the same" if one.params else ""
        lines.append(f"| {name} | {' | '.join(f'{n:,}' for n in numbers)} | {known} | 0 |")
        with capsys.disabled():
            print(lines[-1], flush=True)
    head = (
        "# JAX models\n\n"
        f"{len(CASES)} networks in flax (linen and nnx) and Equinox, JAX {jax.__version__}: "
        "parameters and buffers equal the framework's own tree, output shapes those of the trace, "
        "and multiply-accumulates a count over the shapes of its convolutions and dot products; "
        "where other frameworks publish the counts of the same network, these too. "
        f"{derived:,} of {made:,} operations ({derived / made:.1%}) are derived by rule; the "
        "others store nothing and multiply nothing. Written by `make prove`.\n\n"
    )
    path = Path(__file__).parents[2] / "docs" / "proofs" / "jax.md"
    path.write_text(head + "\n".join(lines) + "\n")

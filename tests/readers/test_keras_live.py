"""Live Keras models against what Keras says of them; the backend does not matter."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from math import prod
from pathlib import Path
from typing import Any

import pytest

import netledger
from netledger import Ledger, NetledgerError, references
from netledger.ops import Opaque

os.environ.setdefault("KERAS_BACKEND", "torch")

pytestmark = [
    pytest.mark.oracle,
    pytest.mark.filterwarnings("ignore"),  # Keras' own warnings
]

SMALL = ["MobileNetV2", "ResNet50", "DenseNet121", "EfficientNetB0", "ConvNeXtTiny"]


@pytest.fixture(scope="module")
def keras() -> Any:
    logging.getLogger("absl").setLevel(logging.ERROR)
    return pytest.importorskip("keras")


def count(variables: Any) -> int:
    return sum(prod(v.shape) for v in variables)


def agree(ledger: Ledger, model: Any) -> None:
    """Parameters, trainable and not, and the shapes of the outputs are Keras' own."""
    totals = ledger.totals
    assert totals.params + totals.buffers == model.count_params()
    assert totals.trainable == count(model.trainable_weights)
    assert totals.frozen + totals.buffers == count(model.non_trainable_weights)
    assert not ledger.findings
    made = {value: t for row in ledger.ops for value, t in zip(row.made, row.outputs, strict=True)}
    for value, tensor in zip(ledger.graph.outputs, model.outputs or (), strict=False):
        shape = made[value].shape
        assert len(shape) == len(tensor.shape)
        assert all(said in (None, d) for d, said in zip(shape, tensor.shape, strict=True))


@contextmanager
def unallocated(keras: Any) -> Iterator[None]:
    """Variables that are made here get a shape and never a value."""
    from keras.src.backend.common import global_state

    with keras.StatelessScope(initialize_variables=False):
        yield
    global_state.set_global_attribute("uninitialized_variables", [])


@pytest.mark.parametrize("name", SMALL[:2])
def test_multiply_accumulates(name: str, run_by_jax: Callable[[Any], int]) -> None:
    model = references.resolve(f"keras:{name}")
    assert netledger.ledger(model).totals.macs == run_by_jax(model)


@pytest.mark.parametrize("name", SMALL)
def test_applications(keras: Any, name: str) -> None:
    with unallocated(keras):
        model = getattr(keras.applications, name)(weights=None)
    ledger = netledger.ledger(model)
    agree(ledger, model)
    assert ledger.totals.complete
    assert all(v._value is None for v in model.weights), "nothing was allocated"


def test_a_reference_allocates_nothing(keras: Any) -> None:
    from keras.src.backend.common import global_state

    waiting = global_state.get_global_attribute("uninitialized_variables") or []
    before = list(waiting)
    ledger = netledger.ledger("keras:VGG19")
    assert ledger.totals.params == 143_667_240
    assert global_state.get_global_attribute("uninitialized_variables") == before


def test_a_file_and_the_live_model_are_the_same(keras: Any, tmp_path: Path) -> None:
    model = keras.applications.MobileNet(weights=None, input_shape=(64, 64, 3), alpha=0.25)
    model.save(tmp_path / "net.keras")
    stored = netledger.ledger(tmp_path / "net.keras")
    live = netledger.ledger(model)
    assert live.totals == stored.totals
    assert [row.name for row in live.ops] == [row.name for row in stored.ops]
    assert live.graph.outputs == stored.graph.outputs


def nested(keras: Any) -> Any:
    layers = keras.layers
    shared = layers.Dense(8, name="shared")
    inner = keras.Sequential([keras.Input((8,)), layers.Dense(8), layers.BatchNormalization()])
    x, y = keras.Input((8,), name="x"), keras.Input((8,), name="y")
    left, right = inner(shared(x)), inner(shared(y))
    return keras.Model([x, y], [layers.Add()([left, right]), left], name="two")


def test_nested_and_shared(keras: Any) -> None:
    model = nested(keras)
    ledger = netledger.ledger(model)
    agree(ledger, model)
    assert ledger.totals.params == 2 * 72 + 16
    assert ledger.totals.macs == 4 * 64
    assert len(ledger.graph.ties) == 2 + 2 + 4


def test_frozen_layers_and_single_variables(keras: Any) -> None:
    model = keras.Sequential(
        [keras.Input((8,)), keras.layers.Dense(4), keras.layers.Dense(3), keras.layers.Dense(2)]
    )
    model.layers[0].trainable = False
    model.layers[1].kernel.trainable = False
    ledger = netledger.ledger(model)
    agree(ledger, model)
    assert ledger.totals.frozen == 36 + 12


def test_frozen_batch_normalisation(keras: Any) -> None:
    model = keras.Sequential([keras.Input((4, 4, 3)), keras.layers.BatchNormalization()])
    model.trainable = False
    ledger = netledger.ledger(model)
    agree(ledger, model)
    assert (ledger.totals.frozen, ledger.totals.buffers) == (6, 6)


def test_ways_of_indexing(keras: Any) -> None:
    """Whole axes, numbers, new axes, steps; and dots for the axes that are left."""
    x = keras.Input((5, 8))
    parts = [x[:, 0], x[:, :, None], x[:, 1:, ::2], x[..., 0], x[..., 1:2], x[..., -1, :]]
    model = keras.Model(x, [*parts, x[..., None], x[:, None, ..., 2:4]])
    ledger = netledger.ledger(model)
    agree(ledger, model)
    assert ledger.totals.complete


def test_an_optimizer_does_not_count(keras: Any) -> None:
    model = keras.Sequential([keras.Input((8,)), keras.layers.Dense(4)])
    model.compile("adam", "mse", metrics=["mae"])
    model.optimizer.build(model.trainable_variables)
    assert netledger.ledger(model).totals.params == 36


def test_one_kernel_in_two_layers(keras: Any) -> None:
    first = keras.layers.Dense(8, name="a")
    first.build((None, 8))

    class Tied(keras.layers.Layer):
        def __init__(self) -> None:
            super().__init__(name="b")
            self.table = first.kernel

        def build(self, shape: Any) -> None:
            self.bias = self.add_weight(shape=(8,), name="bias")

        def call(self, x: Any) -> Any:
            return keras.ops.matmul(x, self.table) + self.bias

    model = keras.Sequential([keras.Input((8,)), first, Tied()])
    ledger = netledger.ledger(model)
    agree(ledger, model)
    assert ledger.totals.params == 64 + 16
    assert len(ledger.graph.ties) == 1
    assert ledger.graph.ties[0][0] == ("a", "weight")
    assert ledger.totals.macs == 128


@pytest.mark.parametrize("policy", ["float16", "mixed_bfloat16"])
def test_dtypes(keras: Any, policy: str) -> None:
    model = keras.Sequential(
        [keras.Input((8, 8, 3)), keras.layers.Conv2D(4, 3, dtype=policy), keras.layers.Flatten()]
    )
    ledger = netledger.ledger(model)
    stored = {p.dtype for row in ledger.ops for p in row.parameters}
    assert stored == {model.layers[0].variable_dtype}
    agree(ledger, model)


def test_other_inputs(keras: Any) -> None:
    model = keras.Sequential([keras.Input((None, None, 3)), keras.layers.Conv2D(4, 3)])
    assert netledger.ledger(model, (10, 10, 3)).totals.macs == 64 * 27 * 4
    assert netledger.ledger(model, "10x12x3").totals.macs == 80 * 27 * 4
    fixed = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Conv2D(4, 3)])
    ledger = netledger.ledger(fixed, (10, 10, 3))
    assert ledger.totals.macs == 64 * 27 * 4
    assert not ledger.findings


def test_a_sequential_that_is_not_built(keras: Any) -> None:
    model = keras.Sequential([keras.layers.Dense(4), keras.layers.Dense(2)], name="late")
    with pytest.raises(NetledgerError) as caught:
        netledger.ledger(model)
    assert str(caught.value) == (
        "UsageError: the model 'late' is not built: the shapes of its layers are not known\n"
        "  hint    give the inputs, or call model.build(shape) first"
    )
    ledger = netledger.ledger(model, (8,))
    assert ledger.totals.params == 36 + 10
    assert not model.built
    assert not model.layers[0].built


def subclassed(keras: Any) -> Any:
    layers, ops = keras.layers, keras.ops

    class Block(layers.Layer):
        def __init__(self, width: int, **kwargs: Any) -> None:
            super().__init__(**kwargs)
            self.norm = layers.LayerNormalization(name="norm")
            self.up = layers.Dense(2 * width, name="up")
            self.down = layers.Dense(width, name="down")

        def call(self, x: Any) -> Any:
            return x + self.down(ops.gelu(self.up(self.norm(x))))

    class Net(keras.Model):
        def __init__(self) -> None:
            super().__init__(name="net")
            self.embed = layers.Dense(16, name="embed")
            self.blocks = [Block(16) for _ in range(2)]
            self.scale = self.add_weight(shape=(16,), initializer="ones", name="scale")
            self.mixer = self.add_weight(shape=(16, 4), name="mixer")
            self.unused = layers.Dense(3, name="unused")
            self.unused.build((None, 16))

        def call(self, x: Any, training: bool = False) -> Any:
            x = self.embed(x)
            for block in self.blocks:
                x = block(x)
            return ops.mean(ops.matmul(x * self.scale, self.mixer), axis=1)

    return Net()


def test_subclassed(keras: Any) -> None:
    model = subclassed(keras)
    model(keras.ops.zeros((2, 5, 8)))
    before = trace_of(model)
    ledger = netledger.ledger(model)
    assert trace_of(model) == before
    assert ledger.totals.complete
    assert ledger.totals.params == model.count_params()
    block = 16 * 32 * 2
    assert ledger.totals.macs == 5 * (8 * 16 + 2 * block + 16 * 4)
    names = [row.name for row in ledger.ops]
    assert {"embed", "blocks.0.up", "blocks.1.down", "scale", "mixer"} <= set(names)
    assert next(n for n in ledger.graph.nodes if n.name == "blocks.0.up").scope == "blocks.0"
    assert not ledger.findings
    unused = [row for row in ledger.ops if "unused" in row.name]
    assert sum(row.params for row in unused) == 51
    assert netledger.ledger(model, (7, 8)).totals.macs == ledger.totals.macs // 5 * 7


def trace_of(model: Any) -> Any:
    """What following a model could leave behind in it."""
    return [
        (layer.name, len(layer._inbound_nodes), len(layer._outbound_nodes), len(layer._losses))
        for layer in model._flatten_layers()
    ]


def test_subclassed_and_not_built(keras: Any) -> None:
    with pytest.raises(NetledgerError, match="not built"):
        netledger.ledger(subclassed(keras))


def test_a_call_that_cannot_be_followed(keras: Any) -> None:
    class Odd(keras.Model):
        def __init__(self) -> None:
            super().__init__(name="odd")
            self.dense = keras.layers.Dense(4, name="dense")

        def call(self, x: Any) -> Any:
            if isinstance(x, keras.KerasTensor):
                raise ValueError("numbers only")
            return self.dense(x)

    model = Odd()
    model(keras.ops.zeros((1, 3)))
    ledger = netledger.ledger(model)
    assert ledger.totals.params == 16
    assert ledger.rows[-1].macs is None
    assert "numbers only" in ledger.rows[-1].unknown["macs"]
    assert "parameters only" in ledger.rows[-1].unknown["macs"]
    assert not ledger.totals.complete


def test_a_layer_of_ones_own_that_cannot_be_followed(keras: Any) -> None:
    class Odd(keras.layers.Layer):
        def build(self, shape: Any) -> None:
            self.w = self.add_weight(shape=(shape[-1], 2), name="w")

        def call(self, x: Any) -> Any:
            if isinstance(x, keras.KerasTensor):
                raise RuntimeError("numbers only")
            return keras.ops.matmul(x, self.w)

    class Net(keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.first = keras.layers.Dense(4)
            self.odd = Odd()

        def call(self, x: Any) -> Any:
            return self.odd(self.first(x))

    model = Net()
    model(keras.ops.zeros((1, 3)))
    ledger = netledger.ledger(model)
    row = ledger.row("odd")
    assert row.kind == "Odd"
    assert "macs" in row.unknown
    assert row.params == 8
    assert ledger.totals.params == 24


def test_a_layer_that_is_used_twice_in_a_row_of_layers(keras: Any) -> None:
    """Keras' configuration of it lists the layer once."""
    again = keras.Sequential([keras.Input((8,)), keras.layers.Dense(8)])
    model = keras.Sequential([keras.Input((8,)), again, keras.layers.ReLU(), again])
    ledger = netledger.ledger(model)
    agree(ledger, model)
    assert ledger.totals.macs == 2 * 64


def test_an_output_of_a_layer_without_a_rule_has_its_size(keras: Any) -> None:
    layers = keras.layers
    spectrum = layers.STFTSpectrogram(frame_length=16, frame_step=8, fft_length=16)
    model = keras.Sequential([keras.Input((64, 1)), spectrum])
    ledger = netledger.ledger(model)
    agree(ledger, model)
    last = ledger.ops[-1]
    assert str(last.outputs[0]) == "float32[N, 7, 9]"
    assert last.unknown == {"macs": "no rule describes this kind of layer"}


def test_the_scores_of_attention(keras: Any) -> None:
    x = keras.Input((10, 32))
    attention = keras.layers.MultiHeadAttention(4, 8)
    model = keras.Model(x, attention(x, x, return_attention_scores=True))
    ledger = netledger.ledger(model)
    agree(ledger, model)
    assert str(ledger.ops[-1].outputs[0]) == "float32[N, 4, 10, 10]"
    assert ledger.totals.macs == 4 * 10 * 32 * 32 + 2 * 4 * 10 * 10 * 8
    assert ledger.totals.complete


def test_a_sum_of_products_over_any_axes(keras: Any) -> None:
    class Own(keras.layers.Layer):
        def build(self, shape: Any) -> None:
            self.w = self.add_weight(shape=(shape[-1], 5))

        def call(self, x: Any) -> Any:
            return keras.ops.einsum("...i,ij->...j", x, self.w)

    ledger = netledger.ledger(keras.Sequential([keras.Input((7, 8)), Own()]))
    assert (ledger.totals.params, ledger.totals.macs) == (40, 7 * 8 * 5)


def test_a_layer_is_no_model(keras: Any) -> None:
    with pytest.raises(NetledgerError) as caught:
        netledger.ledger(keras.layers.Dense(4), (8,))
    assert caught.value.fact == "a Dense is a layer of Keras, not a model"
    assert caught.value.hint == "put it into one: keras.Sequential([keras.Input((8,)), layer])"


def test_several_inputs_by_name(keras: Any) -> None:
    class Two(keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.table = keras.layers.Embedding(10, 4)
            self.dense = keras.layers.Dense(4)

        def call(self, tokens: Any, x: Any = None) -> Any:
            return {"sum": self.table(tokens) + self.dense(x)}

    model = Two()
    model(keras.ops.zeros((2, 5), "int32"), x=keras.ops.zeros((2, 5, 3)))
    ledger = netledger.ledger(model, {"tokens": "int32[N,5]", "x": "float32[N,5,3]"})
    assert ledger.totals.params == 40 + 16
    assert ledger.totals.macs == 5 * 12
    assert set(ledger.graph.inputs) == {"tokens", "x"}


def test_the_other_backend() -> None:
    """The same counts on JAX; a process of its own, for the backend cannot be changed."""
    if os.environ["KERAS_BACKEND"] == "jax":
        pytest.skip("this is the other backend")
    pytest.importorskip("jax")
    selected = "subclassed or nested or not_built or file_and_the_live or multiply"
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", __file__, "-k", selected],
        env={**os.environ, "KERAS_BACKEND": "jax"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout[-3000:]


@pytest.mark.slow
def test_every_application(keras: Any, run_by_jax: Callable[[Any], int], capsys: Any) -> None:
    """All of `keras.applications`; `make prove` keeps the table in docs/proofs/keras-live.md."""
    lines = [
        "| model | rows | parameters | trainable | buffers | multiply-accumulates | differs |",
        "|---|---:|---:|---:|---:|---:|---|",
    ]
    made = derived = 0
    for name in [n for n in dir(keras.applications) if n[0].isupper()]:
        with unallocated(keras):
            model = getattr(keras.applications, name)(weights=None)
        ledger = netledger.ledger(model)
        agree(ledger, model)
        totals = ledger.totals
        assert totals.complete
        rules = [row.op for row in ledger.ops if row.op is not None]
        made, derived = made + len(rules), derived + sum(not isinstance(op, Opaque) for op in rules)
        numbers = (len(ledger.ops), totals.params, totals.trainable, totals.buffers)
        macs = totals.macs
        if not isinstance(macs, int):  # the input's size is left open
            macs = netledger.ledger(model, (224, 224, 3)).totals.macs
            name += " (at 224 × 224)"
        assert macs == run_by_jax(model)
        lines.append(f"| {name} | {' | '.join(f'{n:,}' for n in numbers)} | {macs:,} | 0 |")
        with capsys.disabled():
            print(lines[-1], flush=True)
    head = (
        "# Live Keras models\n\n"
        f"Every network of `keras.applications` (Keras {keras.__version__}, backend "
        f"{keras.backend.backend()}) as a live object, built without allocating a weight: "
        "parameters and buffers together equal Keras' `count_params()`, trainable and not equal "
        "its own lists, the output shapes its `outputs`, and multiply-accumulates a count over "
        "the convolutions and dot products that JAX would run for one image. "
        f"{derived:,} of {made:,} operations ({derived / made:.1%}) are derived by rule. "
        "Written by `make prove`.\n\n"
    )
    path = Path(__file__).parents[2] / "docs" / "proofs" / "keras-live.md"
    path.write_text(head + "\n".join(lines) + "\n")

"""JAX functions and modules: what is stored, what is unknown, what is told to the user."""

from __future__ import annotations

import functools
import sys
from typing import Any

import pytest

import netledger
from netledger import Ledger, NetledgerError
from netledger.readers import jax_function
from netledger.readers.inputs import Whole

jax = pytest.importorskip("jax")
jnp = jax.numpy

pytestmark = [pytest.mark.oracle, pytest.mark.filterwarnings("ignore")]

STRUCT = jax.ShapeDtypeStruct


def params() -> dict[str, Any]:
    return {
        "up": {"kernel": STRUCT((8, 16), jnp.float32), "bias": STRUCT((16,), jnp.float32)},
        "down": {"kernel": STRUCT((16, 4), jnp.float32)},
    }


def mlp(params: Any, x: Any) -> Any:
    x = jax.nn.relu(x @ params["up"]["kernel"] + params["up"]["bias"])
    return x @ params["down"]["kernel"]


def show(ledger: Ledger) -> list[tuple[str, str, str]]:
    return [(row.name, row.kind, str(row.outputs[0])) for row in ledger.ops]


def test_a_function_and_its_parameters() -> None:
    ledger = netledger.ledger(mlp, (params(), (8,)))
    assert show(ledger) == [
        ("x", "Input", "float32[N, 8]"),
        ("up", "Linear", "float32[N, 16]"),
        ("relu", "ReLU", "float32[N, 16]"),
        ("down", "Linear", "float32[N, 4]"),
    ]
    totals = ledger.totals
    assert (totals.params, totals.biases, totals.macs) == (8 * 16 + 16 + 64, 16, 8 * 16 + 64)
    assert not ledger.findings


def test_an_array_has_its_batch_first() -> None:
    ledger = netledger.ledger(mlp, (params(), STRUCT((32, 8), jnp.float32)))
    assert str(ledger.ops[0].outputs[0]) == "float32[N, 8]"
    assert netledger.ledger(mlp, (params(), (8,)), batch=5).totals.macs == 5 * (128 + 64)


def test_jit_and_vmap_change_nothing() -> None:
    plain = netledger.ledger(mlp, (params(), (8,))).totals
    jitted = netledger.ledger(jax.jit(mlp), (params(), (8,))).totals
    mapped = netledger.ledger(jax.vmap(mlp, (None, 0)), (params(), (8,))).totals
    assert (plain.params, plain.macs) == (jitted.params, jitted.macs)
    assert (plain.params, plain.macs) == (mapped.params, mapped.macs)


def test_bound_and_captured_arrays_are_parameters() -> None:
    real = jax.tree.map(lambda s: jnp.ones(s.shape), params())
    bound = netledger.ledger(functools.partial(mlp, real), (8,))
    assert bound.totals.params == 208
    assert {"up", "down"} <= {row.name for row in bound.ops}
    weight = jnp.ones((8, 3))
    captured = netledger.ledger(lambda x: x @ weight, (8,))
    assert captured.totals.params == 24
    assert captured.totals.macs == 24


def test_captured_inside_of_jit() -> None:
    weight = jnp.ones((8, 3))
    ledger = netledger.ledger(jax.jit(lambda x: x @ weight + x @ weight), (8,))
    assert (ledger.totals.params, ledger.totals.macs) == (24, 48)
    nnx = pytest.importorskip("flax.nnx")
    ledger = netledger.ledger(nnx.jit(nnx.Linear(8, 4, rngs=nnx.Rngs(0))), (8,))
    assert (ledger.totals.params, ledger.totals.macs) == (36, 32)


def test_apply_of_flax_is_a_function() -> None:
    nn = pytest.importorskip("flax.linen")

    class Net(nn.Module):
        @nn.compact
        def __call__(self, x: Any) -> Any:
            return nn.BatchNorm(use_running_average=True)(nn.Dense(4)(x))

    variables = jax.eval_shape(Net().init, jax.random.key(0), STRUCT((1, 8), jnp.float32))
    ledger = netledger.ledger(Net().apply, (variables, (8,)))
    assert (ledger.totals.params, ledger.totals.buffers, ledger.totals.macs) == (44, 8, 32)
    assert ledger.ops[1].name == "Dense_0"


def test_one_array_in_two_places_counts_once() -> None:
    table = STRUCT((50, 8), jnp.float32)

    def net(params: Any, tokens: Any) -> Any:
        return params["in"][tokens] @ params["out"].T

    ledger = netledger.ledger(net, ({"in": table, "out": table}, "int32[6]"))
    assert ledger.totals.params == 400
    assert ledger.totals.macs == 6 * 400
    assert len(ledger.graph.ties) == 1
    assert [row.kind for row in ledger.ops][-2:] == ["Embedding", "Linear"]


def test_what_is_never_used_is_shown() -> None:
    stored = {**params(), "spare": {"kernel": STRUCT((3, 5), jnp.float32)}}
    ledger = netledger.ledger(mlp, (stored, (8,)))
    assert ledger.totals.params == 208 + 15
    assert ledger.row("spare.kernel").kind == "Tensor"
    assert "spare.kernel" in {f.row for f in netledger.check(ledger)}


def test_a_loop_counts_every_step() -> None:
    def net(params: Any, x: Any) -> Any:
        def step(h: Any, u: Any) -> Any:
            h = jnp.tanh(u @ params["in"] + h @ params["back"])
            return h, h

        return jax.lax.scan(step, jnp.zeros((x.shape[0], 5)), x.swapaxes(0, 1))[0]

    stored = {"in": STRUCT((3, 5), jnp.float32), "back": STRUCT((5, 5), jnp.float32)}
    ledger = netledger.ledger(net, (stored, (7, 3)))
    assert ledger.totals.macs == 7 * (15 + 25)
    assert ledger.totals.params == 40
    assert str(ledger.ops[-1].outputs[0]) == "float32[N, 5]"
    assert not ledger.findings


def test_a_loop_of_unknown_length_is_unknown() -> None:
    def net(params: Any, x: Any) -> Any:
        return jax.lax.while_loop(lambda y: y.sum() > 1, lambda y: y @ params["w"], x)

    ledger = netledger.ledger(net, ({"w": STRUCT((4, 4), jnp.float32)}, (4,)))
    assert ledger.totals.params == 16
    assert not ledger.totals.complete
    row = ledger.row("while")
    assert row.unknown["macs"] == "the number of steps of this loop depends on the data"


@pytest.mark.parametrize("same", [True, False])
def test_branches(same: bool) -> None:
    def net(params: Any, x: Any) -> Any:
        other = (lambda y: -(y @ params["w"])) if same else (lambda y: y)
        return jax.lax.cond(x.sum() > 0, lambda y: y @ params["w"], other, x)

    ledger = netledger.ledger(net, ({"w": STRUCT((4, 4), jnp.float32)}, (4,)))
    assert ledger.totals.params == 16
    row = ledger.row("cond")
    if same:
        assert row.macs == 16
        assert ledger.totals.complete
    else:
        assert row.unknown["macs"] == "one of 2 branches runs, of 0 to 16 multiply-accumulates"


def test_what_no_rule_covers_is_unknown() -> None:
    ledger = netledger.ledger(jax.lax.linalg.cholesky, (4, 4))
    assert ledger.row("cholesky").unknown["macs"] == "no rule describes it"
    assert not ledger.totals.complete


def test_a_computed_kernel_counts_its_products() -> None:
    def net(params: Any, x: Any) -> Any:
        kernel = jnp.tanh(params["k"]) * 2
        return jax.lax.conv_general_dilated(
            x, kernel, (1, 1), "VALID", dimension_numbers=("NHWC", "HWIO", "NHWC")
        )

    ledger = netledger.ledger(net, ({"k": STRUCT((3, 3, 2, 4), jnp.float32)}, (6, 6, 2)))
    assert ledger.totals.params == 72
    assert ledger.totals.macs == 16 * 72


def test_a_function_without_a_batch() -> None:
    def net(params: Any, x: Any) -> Any:
        return params["w"] @ x

    ledger = netledger.ledger(net, ({"w": STRUCT((3, 8), jnp.float32)}, STRUCT((8,), jnp.float32)))
    assert ledger.totals.macs == 24
    assert ledger.totals.params == 24


def test_training_is_not_traced() -> None:
    nn = pytest.importorskip("flax.linen")

    class Net(nn.Module):
        @nn.compact
        def __call__(self, x: Any, train: bool) -> Any:
            x = nn.BatchNorm(use_running_average=not train)(nn.Dense(4)(x))
            return nn.Dropout(0.5, deterministic=not train)(x)

    ledger = netledger.ledger(Net(), (8,))
    assert [row.kind for row in ledger.ops] == ["Input", "Linear", "BatchNorm"]
    assert (ledger.totals.params, ledger.totals.buffers) == (36 + 8, 8)


def test_a_module_may_have_chosen_inference_itself() -> None:
    """Flax refuses the choice in both places."""
    nn = pytest.importorskip("flax.linen")
    totals = netledger.ledger(nn.BatchNorm(use_running_average=True), (8,)).totals
    assert (totals.params, totals.buffers, totals.complete) == (16, 16, True)


def test_a_module_is_left_as_it_was() -> None:
    nnx = pytest.importorskip("flax.nnx")
    rngs = nnx.Rngs(0)

    class Net(nnx.Module):
        def __init__(self) -> None:
            self.norm = nnx.BatchNorm(3, rngs=rngs)
            self.drop = nnx.Dropout(0.5, rngs=rngs)
            self.up = nnx.Linear(3, 4, rngs=rngs)

        def __call__(self, x: Any) -> Any:
            return self.drop(self.up(self.norm(x)))

    net = Net()
    net.train()
    before = jax.tree.map(str, nnx.to_pure_dict(nnx.state(net)))
    calls = (Net.__call__, nnx.Linear.__call__, nnx.BatchNorm.__call__)
    ledger = netledger.ledger(net, (3,))
    assert jax.tree.map(str, nnx.to_pure_dict(nnx.state(net))) == before
    assert (Net.__call__, nnx.Linear.__call__, nnx.BatchNorm.__call__) == calls
    assert not net.norm.use_running_average
    assert not net.drop.deterministic
    assert (ledger.totals.params, ledger.totals.buffers) == (16 + 6, 6)


def test_an_abstract_equinox_module() -> None:
    eqx = pytest.importorskip("equinox")
    make = functools.partial(eqx.nn.MLP, 8192, 4096, 65536, 1)
    net = eqx.filter_eval_shape(make, key=jax.random.key(0))
    ledger = netledger.ledger(net, (8192,))
    assert ledger.totals.params == 8192 * 65536 + 65536 + 65536 * 4096 + 4096
    assert ledger.totals.macs == 8192 * 65536 + 65536 * 4096
    assert "__call__" in vars(eqx.nn.Linear)
    one = netledger.ledger(net, (STRUCT((8192,), jnp.float32),))
    assert one.totals.macs == ledger.totals.macs


def test_errors() -> None:
    with pytest.raises(NetledgerError) as caught:
        netledger.ledger(mlp)
    assert str(caught.value) == (
        "UsageError: mlp does not say what it is called on\n"
        "  hint    give shapes without the batch: --input 224x224x3, ledger(model, (224, 224, 3))"
    )
    with pytest.raises(NetledgerError) as caught:
        netledger.ledger(mlp, (params(), (9,)))
    assert str(caught.value).startswith(
        "UsageError: calling mlp on abstract arrays failed: TypeError: dot_general requires"
    )
    with pytest.raises(NetledgerError) as caught:
        netledger.ledger(mlp, (params(),))
    assert "mlp needs the argument 'x'" in str(caught.value)
    with pytest.raises(NetledgerError) as caught:
        netledger.ledger(mlp, {"params": params(), "x": "N,8", "y": "3"})
    assert "mlp has no argument 'y'" in str(caught.value)


def test_keys_of_random_numbers_are_no_inputs() -> None:
    def net(params: Any, x: Any, key: Any) -> Any:
        x = x @ params["w"]
        return jnp.where(jax.random.bernoulli(key, 0.5, x.shape), x, 0)

    ledger = netledger.ledger(net, ({"w": STRUCT((4, 6), jnp.float32)}, (4,)))
    assert list(ledger.graph.inputs) == ["x"]
    assert (ledger.totals.params, ledger.totals.macs) == (24, 24)
    assert ledger.totals.complete


def test_the_command_line(tmp_path: Any) -> None:
    path = tmp_path / "jax_net_of_ours.py"
    path.write_text(
        "import flax.linen as nn\n"
        "class Net(nn.Module):\n"
        "    @nn.compact\n"
        "    def __call__(self, x, train: bool = True):\n"
        "        return nn.Dense(10)(x.mean((1, 2)))\n"
        "def build():\n"
        "    return Net()\n"
    )
    for inputs in ("8x8x3", Whole({"x": "2x8x8x3"})):
        ledger = netledger.ledger(f"{path}:build", inputs)
        assert (ledger.totals.params, ledger.totals.macs) == (40, 30)
    assert [row.kind for row in ledger.ops] == ["Input", "GlobalAvgPool", "Linear"]


def test_what_is_accepted(monkeypatch: pytest.MonkeyPatch) -> None:
    assert jax_function.accepts_live(mlp)
    assert jax_function.accepts_live(jax.jit(mlp))
    assert not jax_function.accepts_live(dict)
    assert not jax_function.accepts_live(3)
    monkeypatch.delitem(sys.modules, "jax")
    assert not jax_function.accepts_live(mlp)


def test_a_method_that_calls_itself_otherwise() -> None:
    nn = pytest.importorskip("flax.linen")

    class Short(nn.Module):
        @nn.compact
        def __call__(m, x):  # type: ignore[no-untyped-def]
            return nn.Dense(3)(x)

    assert netledger.ledger(Short(), (8,)).totals.params == 27


def test_what_moves_numbers_only() -> None:
    """A transform of Fourier, a placement on devices, sums of all that came before."""

    def model(x: Any) -> Any:
        x = jnp.fft.irfft(jnp.fft.rfft(x))
        x = jax.lax.with_sharding_constraint(x, jax.sharding.SingleDeviceSharding(jax.devices()[0]))
        return jax.lax.associative_scan(jnp.add, x, axis=1)

    ledger = netledger.ledger(model, (8,))
    assert ledger.totals.complete and ledger.totals.macs == 0
    assert not ledger.findings
    assert str(ledger.ops[-1].outputs[0]) == "float32[N, 8]"

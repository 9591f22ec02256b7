"""JAX functions that run in parts: over the batch, over devices, over groups of rows."""

from __future__ import annotations

from typing import Any

import pytest

import netledger

jax = pytest.importorskip("jax")
jnp, lax = jax.numpy, jax.lax

pytestmark = [pytest.mark.oracle, pytest.mark.filterwarnings("ignore")]

X = jax.ShapeDtypeStruct((4, 8), jnp.float32)
STORED = {"w": jax.ShapeDtypeStruct((8, 8), jnp.float32)}


def totals(net: Any) -> tuple[int, int, bool]:
    ledger = netledger.ledger(net, (STORED, X))
    assert not ledger.findings
    return ledger.totals.params, ledger.totals.macs, ledger.totals.complete


def test_a_map_over_the_batch() -> None:
    assert totals(lambda p, x: lax.map(lambda row: row @ p["w"], x)) == (64, 64, True)


def test_stacked_weights() -> None:
    def net(p: Any, x: Any) -> Any:
        return lax.scan(lambda c, w: (c @ w, None), x, jnp.stack([p["w"]] * 3))[0]

    assert totals(net) == (64, 3 * 64, True)


def test_rows_of_chosen_experts() -> None:
    """Each row meets one of two matrices; which, depends on the data."""

    def net(p: Any, x: Any) -> Any:
        return lax.ragged_dot(x, p["w"].reshape(2, 8, 4), jnp.array([1, 3]))

    assert totals(net) == (64, 8 * 4, True)


@pytest.mark.parametrize("check", [True, False])
def test_devices_count_together(check: bool) -> None:
    """Four of them, two by two: halves of the batch, halves of the features that are summed."""
    from jax.sharding import AbstractMesh
    from jax.sharding import PartitionSpec as Places

    def part(w: Any, x: Any) -> Any:
        return lax.psum(x @ w, "features")

    def net(p: Any, x: Any) -> Any:
        places = (Places("features", None), Places("batch", "features"))
        mesh = AbstractMesh((2, 2), ("batch", "features"))
        run = jax.shard_map(
            part, mesh=mesh, in_specs=places, out_specs=Places("batch", None), check_vma=check
        )
        return run(p["w"], x)

    ledger = netledger.ledger(net, (STORED, X))
    assert "4 devices run it, each on its part" in ledger.row("shard_map").op.describe(())
    assert (ledger.totals.macs, ledger.totals.complete) == (4 * 64, True)


def test_what_a_device_does_may_be_unknown() -> None:
    from jax.sharding import AbstractMesh
    from jax.sharding import PartitionSpec as Places

    def net(p: Any, x: Any) -> Any:
        mesh = AbstractMesh((2,), ("batch",))
        whole, halves = Places(), Places("batch", None)
        run = jax.shard_map(
            lambda w, x: jnp.linalg.qr(x @ w)[0],
            mesh=mesh,
            in_specs=(whole, halves),
            out_specs=halves,
        )
        return run(p["w"], x)

    ledger = netledger.ledger(net, (STORED, X))
    why = "2 devices run it, and no rule describes all of what one does"
    assert ledger.row("shard_map").unknown["macs"] == why

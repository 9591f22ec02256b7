"""What generated JAX code defines itself where flax has no such thing."""

from __future__ import annotations

LRN = '''
def local_response_norm(
    x: jax.Array, size: int, alpha: float, beta: float, k: float
) -> jax.Array:
    """Divides by neighbouring channels: Krizhevsky and others (2012), 3.3."""
    before, after = size // 2, (size - 1) // 2
    window = (1,) * (x.ndim - 1) + (size,)
    padding = ((0, 0),) * (x.ndim - 1) + ((before, after),)
    total = jax.lax.reduce_window(
        x * x, 0.0, jax.lax.add, window, (1,) * x.ndim, padding
    )
    return x / (k + alpha / size * total) ** beta
'''
ADAPTIVE = '''
def adaptive_pool(
    x: jax.Array, sizes: tuple[int, ...], reduce: Callable[..., jax.Array]
) -> jax.Array:
    """Pools to a given size: window i of O is floor(i I/O) … ceil((i + 1) I/O)."""
    for axis, size in enumerate(sizes, start=1):
        length = x.shape[axis]
        parts = []
        for i in range(size):
            start, stop = i * length // size, -(-(i + 1) * length // size)
            window = jax.lax.slice_in_dim(x, start, stop, axis=axis)
            parts.append(reduce(window, axis=axis, keepdims=True))
        x = jnp.concatenate(parts, axis=axis)
    return x
'''
RECURRENT = '''
class Recurrent(nnx.Module):
    """An RNN, GRU or LSTM with the gates and the two bias vectors of PyTorch.

    Takes [batch, time, features]; begins with zeros. Returns the sequence, or what ends
    it, and the last states of all layers and directions.
    """

    def __init__(
        self,
        kind: str,
        in_features: int,
        hidden_size: int,
        num_layers: int = 1,
        bidirectional: bool = False,
        biases: int = 2,
        return_sequences: bool = True,
        *,
        rngs: nnx.Rngs,
    ) -> None:
        self.kind, self.hidden_size, self.num_layers = kind, hidden_size, num_layers
        self.return_sequences = return_sequences
        self.suffixes = ("", "_reverse") if bidirectional else ("",)
        rows, bound = (
            {"RNN": 1, "GRU": 3, "LSTM": 4}[kind] * hidden_size,
            hidden_size**-0.5,
        )
        for layer in range(num_layers):
            width = len(self.suffixes) * hidden_size if layer else in_features
            sizes = {"weight_ih": (rows, width), "weight_hh": (rows, hidden_size)}
            sizes |= {name: (rows,) for name in ("bias_ih", "bias_hh")[:biases]}
            for suffix in self.suffixes:
                for name, size in sizes.items():
                    start = jax.random.uniform(
                        rngs.params(), size, minval=-bound, maxval=bound
                    )
                    setattr(self, f"{name}_l{layer}{suffix}", nnx.Param(start))

    def __call__(self, x: jax.Array) -> tuple[jax.Array, ...]:
        ends = []
        for layer in range(self.num_layers):
            made = [self._pass(x, f"_l{layer}{suffix}") for suffix in self.suffixes]
            x = jnp.concatenate([sequence for sequence, _ in made], axis=-1)
            ends += [state for _, state in made]
        if not self.return_sequences:
            last = ends[-len(self.suffixes) :]
            x = jnp.concatenate([state[0] for state in last], axis=-1)
        return x, *(jnp.stack(states) for states in zip(*ends, strict=True))

    def _pass(
        self, x: jax.Array, suffix: str
    ) -> tuple[jax.Array, tuple[jax.Array, ...]]:
        """One layer in one direction."""

        def bias(name: str) -> jax.Array | float:
            return (
                getattr(self, name + suffix)[...]
                if hasattr(self, name + suffix)
                else 0.0
            )

        into, back = (getattr(self, f"weight_{n}{suffix}")[...].T for n in ("ih", "hh"))

        def step(
            state: tuple[jax.Array, ...], x: jax.Array
        ) -> tuple[tuple[jax.Array, ...], jax.Array]:
            from_x, from_h = (
                x @ into + bias("bias_ih"),
                state[0] @ back + bias("bias_hh"),
            )
            if self.kind == "RNN":
                state = (jnp.tanh(from_x + from_h),)
            elif self.kind == "GRU":
                (r_x, z_x, n_x), (r_h, z_h, n_h) = (
                    jnp.split(part, 3, axis=-1) for part in (from_x, from_h)
                )
                keep, reset = nnx.sigmoid(z_x + z_h), nnx.sigmoid(r_x + r_h)
                state = ((1 - keep) * jnp.tanh(n_x + reset * n_h) + keep * state[0],)
            else:
                i, f, g, o = jnp.split(from_x + from_h, 4, axis=-1)
                cell = nnx.sigmoid(f) * state[1] + nnx.sigmoid(i) * jnp.tanh(g)
                state = (nnx.sigmoid(o) * jnp.tanh(cell), cell)
            return state, state[0]

        start = (jnp.zeros((x.shape[0], self.hidden_size), x.dtype),)
        start *= 2 if self.kind == "LSTM" else 1
        reverse = suffix.endswith("_reverse")
        state, sequence = jax.lax.scan(step, start, x.swapaxes(0, 1), reverse=reverse)
        return sequence.swapaxes(0, 1), state
'''
STORED = '''
class Stored(nnx.Module):
    """A tensor by itself."""

    def __init__(
        self, shape: tuple[int, ...], learned: bool = True, dtype: str = "float32"
    ) -> None:
        kind = nnx.Param if learned else nnx.BatchStat
        self.weight = kind(jnp.zeros(shape, dtype))

    def __call__(self) -> jax.Array:
        return self.weight[...]
'''
EXTRAS = {
    "local_response_norm": LRN,
    "adaptive_pool": ADAPTIVE,
    "Recurrent": RECURRENT,
    "Stored": STORED,
}
"""By name; the source defines those that it calls."""

"""What generated Keras code defines itself where it needs it."""

from __future__ import annotations

LOCAL_RESPONSE_NORM = '''\
@keras.saving.register_keras_serializable("netledger")
class LocalResponseNormalization(layers.Layer):
    """x / (k + alpha / size × Σ x²)^beta over neighbouring channels; AlexNet, section 3.3."""

    def __init__(
        self,
        size: int = 5,
        alpha: float = 1e-4,
        beta: float = 0.75,
        k: float = 1.0,
        **kwargs: object,
    ) -> None:
        super().__init__(**kwargs)
        self.size, self.alpha, self.beta, self.k = size, alpha, beta, k

    def call(self, x: keras.KerasTensor) -> keras.KerasTensor:
        channels = x.shape[-1]
        around = (self.size // 2, (self.size - 1) // 2)
        squares = ops.pad(ops.square(x), [(0, 0)] * (len(x.shape) - 1) + [around])
        total = sum(squares[..., i : i + channels] for i in range(self.size))
        return x / (self.k + self.alpha / self.size * total) ** self.beta

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        return input_shape

    def get_config(self) -> dict:
        own = {"size": self.size, "alpha": self.alpha, "beta": self.beta, "k": self.k}
        return {**super().get_config(), **own}
'''

SCALE = '''\
@keras.saving.register_keras_serializable("netledger")
class Scale(layers.Layer):
    """A learned factor and offset for each channel; nothing is normalised."""

    def __init__(
        self, factor: bool = True, offset: bool = True, **kwargs: object
    ) -> None:
        super().__init__(**kwargs)
        self.factor, self.offset = factor, offset
        self.gamma = self.beta = None

    def build(self, input_shape: tuple) -> None:
        size = input_shape[-1:]
        if self.factor:
            self.gamma = self.add_weight(name="gamma", shape=size, initializer="ones")
        if self.offset:
            self.beta = self.add_weight(name="beta", shape=size, initializer="zeros")

    def call(self, x: keras.KerasTensor) -> keras.KerasTensor:
        x = x if self.gamma is None else x * self.gamma
        return x if self.beta is None else x + self.beta

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        return input_shape

    def get_config(self) -> dict:
        own = {"factor": self.factor, "offset": self.offset}
        return {**super().get_config(), **own}
'''

NORMAL = '''\
def normal() -> keras.initializers.Initializer:
    """Initial weights as published: N(0, {std}²)."""
    return keras.initializers.RandomNormal(stddev={std})
'''

STORED = '''\
@keras.saving.register_keras_serializable("netledger")
class Stored(layers.Layer):
    """A tensor by itself, whatever the layer is called with."""

    def __init__(self, shape: tuple, learned: bool = True, **kwargs: object) -> None:
        super().__init__(**kwargs)
        self.shape, self.learned = tuple(shape), learned

    def build(self, input_shape: tuple) -> None:
        self.kernel = self.add_weight(
            name="kernel" if self.learned else "moving_kernel",
            shape=self.shape,
            initializer="zeros",
            trainable=self.learned,
        )

    def call(self, x: keras.KerasTensor) -> keras.KerasTensor:
        return ops.convert_to_tensor(self.kernel)

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        return self.shape

    def get_config(self) -> dict:
        own = {"shape": self.shape, "learned": self.learned}
        return {**super().get_config(), **own}
'''

EXTRAS = {
    "LocalResponseNormalization": LOCAL_RESPONSE_NORM,
    "Scale": SCALE,
    "Stored": STORED,
}
"""By the name of the class."""

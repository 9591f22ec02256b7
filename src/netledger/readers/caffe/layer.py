"""One layer of a Caffe file, and the inputs that its data layers describe."""

from __future__ import annotations

from collections.abc import Sequence

from netledger.errors import SpecError
from netledger.formula import Dim
from netledger.graph import Shape
from netledger.readers.caffe.text import Message, shown
from netledger.readers.common import unknown_shape

LOSSES = frozenset(("Accuracy", "Silence", "HDF5Output", "DetectionEvaluate"))
DATA = frozenset(
    ("Input", "Data", "ImageData", "MemoryData", "HDF5Data", "DummyData", "WindowData")
)
_V1_TYPES = {
    "ABSVAL": "AbsVal",
    "ARGMAX": "ArgMax",
    "BNLL": "BNLL",
    "ELTWISE": "Eltwise",
    "HDF5_DATA": "HDF5Data",
    "HDF5_OUTPUT": "HDF5Output",
    "IM2COL": "Im2col",
    "LRN": "LRN",
    "MVN": "MVN",
    "RELU": "ReLU",
    "SOFTMAX_LOSS": "SoftmaxWithLoss",
    "TANH": "TanH",
}


class Layer:
    """A layer of the file, with the values that it takes once they are known."""

    def __init__(self, message: Message, kind: str, source: str) -> None:
        self.message, self.type, self.source = message, kind, source
        self.bottoms, self.tops = message.texts("bottom"), message.texts("top")
        self.name = message.text("name") or (self.tops[0] if self.tops else kind)
        self.inputs: tuple[str, ...] = ()
        self.shapes: tuple[Shape | None, ...] = ()
        self.batch: int | None = None
        self.frozen = False
        self.untold = ""
        """What it says of its function that its operations do not."""

    @property
    def is_loss(self) -> bool:
        """True for a number about the network, which no later layer should need."""
        if self.type == "SoftmaxWithLoss":
            return False  # its softmax is the network's own output
        return self.type in LOSSES or self.type.endswith("Loss")

    def param(self, name: str) -> Message:
        """The message of hyperparameters of this kind of layer."""
        return self.message.message(f"{name}_param")

    @property
    def shape(self) -> Shape:
        """The first input's shape; () if it is not known, or there is none."""
        return (self.shapes[0] if self.shapes else None) or ()

    def first(self) -> None:
        """Takes the first input only; the others are labels or references."""
        self.inputs, self.shapes = self.inputs[:1], self.shapes[:1]

    def axis(self, message: Message, default: int = 1, field: str = "axis") -> int:
        """An axis, counted from the front where the rank is known."""
        axis = message.integer(field, default)
        rank = len(self.shape)
        return axis + rank if -rank <= axis < 0 else axis

    def rates_are_zero(self) -> bool:
        """True if no learned parameter moves: all learning rates are given, and are 0."""
        specs = self.message.fields.get("param", [])
        given = [p.number("lr_mult", 1) for p in specs if isinstance(p, Message)]
        given += self.message.numbers("blobs_lr")
        learned = 1 if self.flag_of_bias() is False else 2
        return bool(given) and not any(given) and len(given) >= learned

    def flag_of_bias(self) -> bool | None:
        """Whether the layer has a bias, if it says so."""
        for name, values in self.message.fields.items():
            if name.endswith("_param") and isinstance(values[0], Message):
                found = values[0]
                if found.has("bias_term"):
                    return found.flag("bias_term", True)
        return True if self.type in ("Convolution", "InnerProduct", "Deconvolution") else None

    def shared_names(self) -> list[str]:
        """For each parameter the name by which it is shared, or nothing."""
        specs = self.message.fields.get("param", [])
        return [p.text("name") if isinstance(p, Message) else p for p in specs]


def type_of(message: Message) -> str:
    """The kind of a layer, as the second generation calls it."""
    if message.name != "layers":
        kind = message.text("type")
    else:
        word = message.word("type")
        kind = _V1_TYPES.get(word) or "".join(part.capitalize() for part in word.split("_"))
    if not kind:
        raise SpecError("a layer has no type")
    return kind


def shape_of_data(layer: Layer, top: int) -> tuple[Sequence[Dim], str]:
    """The shape of an input, and what had to be assumed for it."""
    shapes = layer.param("input").messages("shape") or layer.param("dummy_data").messages("shape")
    if shapes:
        return shapes[min(top, len(shapes) - 1)].integers("dim"), ""
    if top:
        return (1,), ""  # labels
    memory = layer.param("memory_data")
    if memory.has("height"):
        fields = ("batch_size", "channels", "height", "width")
        return [memory.integer(field, 1) for field in fields], ""
    height, width = _crop(layer)
    if not height:
        return unknown_shape("", 4), ""
    transform = layer.message.message("transform_param")
    means = len(transform.numbers("mean_value"))
    if means == 3 or transform.flag("force_color", False):
        return (1, 3, height, width), ""
    if transform.flag("force_gray", False):
        return (1, 1, height, width), ""
    note = f"{shown(layer.tops[0])} is taken to have 3 channels, which the file does not say"
    return (1, 3, height, width), note


def _crop(layer: Layer) -> tuple[int, int]:
    """The height and width that images are cut or resized to; 0 if the file does not say."""
    transform = layer.message.message("transform_param")
    candidates = [transform, layer.param("data"), layer.param("window_data")]
    for message in candidates:
        if size := message.integer("crop_size", 0):
            return size, size
    image = layer.param("image_data")
    return image.integer("new_height", 0), image.integer("new_width", 0)

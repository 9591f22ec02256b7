"""Writers of one network in many formats.

A format that cannot say something says it in other words: its rule turns an operation into a chain
of operations that the format has, exactly, or raises `CannotSay`. The writers then write one layer
for one operation.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from netledger import Graph
from netledger.ops.base import Op
from netledger.render import yaml

from .caffe import caffe_words, write_caffe
from .convnet import convnet_words, write_convnet
from .keras_model import keras_words, write_json, write_keras
from .pytorch import onnx_words, torch_words, write_onnx, write_pt2
from .words import CannotSay, Format, channels_first, restated


def same_words(op: Op, shape: tuple[int, ...]) -> Sequence[Op]:
    return (op,)


def write_spec(graph: Graph, path: Path) -> None:
    path.write_text(yaml.write(graph))


FORMATS = {
    "spec": Format("yaml", write_spec, same_words),
    "Caffe": Format("prototxt", write_caffe, caffe_words),
    "cuda-convnet": Format("cfg", write_convnet, convnet_words),
    "ONNX": Format("onnx", write_onnx, onnx_words, ("torch", "onnx"), first=True),
    ".pt2": Format("pt2", write_pt2, torch_words, ("torch",), first=True),
    "Keras JSON": Format("json", write_json, keras_words, ("keras", "torch")),
    ".keras": Format("keras", write_keras, keras_words, ("keras", "torch", "h5py")),
}


def say(graph: Graph, name: str) -> Graph | str:
    """A network in the words of a format; or why it cannot be said there."""
    form = FORMATS[name]
    try:
        made = restated(graph, form.restate)
    except CannotSay as why:
        return str(why)
    return channels_first(made) if form.first else made

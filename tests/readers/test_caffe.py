"""Caffe: published networks of both generations, and every kind of layer."""

from __future__ import annotations

import pytest

import netledger
from netledger.errors import GraphError, SpecError

WEIGHTS = {"Convolution": "convolution", "InnerProduct": "inner_product", "Pooling": "pooling"}


def layer(name, kind, bottom="", top="", more="", **param):
    """A layer of the second generation; `param` goes to the message of its kind."""
    words = {"Convolution": "convolution", "InnerProduct": "inner_product", "Pooling": "pooling"}
    words |= {"LRN": "lrn", "Concat": "concat", "Eltwise": "eltwise", "Scale": "scale"}
    fields = " ".join(f"{k}: {v}" for k, v in param.items())
    inner = f"{words.get(kind, kind.lower())}_param {{ {fields} }}" if param else ""
    bottoms = "".join(f' bottom: "{b}"' for b in bottom.split())
    tops = "".join(f' top: "{t}"' for t in (top or name).split())
    return f'layer {{ name: "{name}" type: "{kind}"{bottoms}{tops} {more} {inner} }}\n'


def inputs(size, channels=3, batch=10):
    dims = f"dim: {batch} dim: {channels} dim: {size} dim: {size}"
    return f'layer {{ name: "data" type: "Input" top: "data" input_param {{ shape {{ {dims} }} }} }}\n'


class Chain:
    """Layers one after the other; ReLU in place, as Caffe's own files write it."""

    def __init__(self, text, last="data"):
        self.text, self.last = text, last

    def add(self, name, kind, **param):
        in_place = kind in ("ReLU", "Dropout")
        self.text += layer(name, kind, self.last, self.last if in_place else name, **param)
        self.last = self.last if in_place else name
        return self

    def conv(self, name, out, k, relu=True, **param):
        self.add(name, "Convolution", num_output=out, kernel_size=k, **param)
        return self.add(f"relu_{name}", "ReLU") if relu else self

    def pool(self, name, **param):
        return self.add(name, "Pooling", pool="MAX", **param)

    def fc(self, name, out, relu=True):
        self.add(name, "InnerProduct", num_output=out)
        if relu:
            self.add(f"relu_{name}", "ReLU").add(f"drop_{name}", "Dropout", dropout_ratio=0.5)
        return self


def alexnet(norm_first=True):
    """Caffe's AlexNet (normalise, then pool) or CaffeNet (pool, then normalise)."""
    net = Chain('name: "AlexNet"\n' + inputs(227)).conv("conv1", 96, 11, stride=4)

    def norm_and_pool(i):
        steps = [lambda: net.add(f"norm{i}", "LRN", local_size=5, alpha=0.0001, beta=0.75)]
        steps.append(lambda: net.pool(f"pool{i}", kernel_size=3, stride=2))
        for step in steps if norm_first else reversed(steps):
            step()

    norm_and_pool(1)
    net.conv("conv2", 256, 5, pad=2, group=2)
    norm_and_pool(2)
    net.conv("conv3", 384, 3, pad=1).conv("conv4", 384, 3, pad=1, group=2)
    net.conv("conv5", 256, 3, pad=1, group=2).pool("pool5", kernel_size=3, stride=2)
    net.fc("fc6", 4096).fc("fc7", 4096).fc("fc8", 1000, relu=False)
    return net.add("prob", "Softmax").text


def lenet():
    net = Chain('name: "LeNet"\n' + inputs(28, channels=1, batch=64))
    net.conv("conv1", 20, 5, relu=False, stride=1).pool("pool1", kernel_size=2, stride=2)
    net.conv("conv2", 50, 5, relu=False, stride=1).pool("pool2", kernel_size=2, stride=2)
    net.add("ip1", "InnerProduct", num_output=500).add("relu1", "ReLU")
    return net.add("ip2", "InnerProduct", num_output=10).add("prob", "Softmax").text


def squeezenet():
    net = Chain('name: "SqueezeNet"\n' + inputs(227)).conv("conv1", 96, 7, stride=2)
    net.pool("pool1", kernel_size=3, stride=2)
    sizes = {2: (16, 64), 3: (16, 64), 4: (32, 128), 5: (32, 128), 6: (48, 192), 7: (48, 192)}
    for i, (squeeze, expand) in (sizes | {8: (64, 256), 9: (64, 256)}).items():
        net.conv(f"fire{i}/squeeze1x1", squeeze, 1)
        before = net.last
        net.conv(f"fire{i}/expand1x1", expand, 1)
        one, net.last = net.last, before
        net.conv(f"fire{i}/expand3x3", expand, 3, pad=1)
        net.text += layer(f"fire{i}/concat", "Concat", f"{one} {net.last}")
        net.last = f"fire{i}/concat"
        if i in (4, 8):
            net.pool(f"pool{i}", kernel_size=3, stride=2)
    net.add("drop9", "Dropout", dropout_ratio=0.5).conv("conv10", 1000, 1)
    net.add("pool10", "Pooling", pool="AVE", global_pooling="true")
    return net.add("prob", "Softmax").text


INCEPTION = {
    "3a": (64, 96, 128, 16, 32, 32),
    "3b": (128, 128, 192, 32, 96, 64),
    "4a": (192, 96, 208, 16, 48, 64),
    "4b": (160, 112, 224, 24, 64, 64),
    "4c": (128, 128, 256, 24, 64, 64),
    "4d": (112, 144, 288, 32, 64, 64),
    "4e": (256, 160, 320, 32, 128, 128),
    "5a": (256, 160, 320, 32, 128, 128),
    "5b": (384, 192, 384, 48, 128, 128),
}
"""Szegedy et al. (2014), table 1."""


def googlenet(heads=False):
    """bvlc_googlenet; with `heads`, the two auxiliary classifiers in the training phase."""
    net = Chain('name: "GoogleNet"\n' + inputs(224))
    net.conv("conv1/7x7_s2", 64, 7, stride=2, pad=3).pool("pool1", kernel_size=3, stride=2)
    net.add("pool1/norm1", "LRN", local_size=5)
    net.conv("conv2/3x3_reduce", 64, 1).conv("conv2/3x3", 192, 3, pad=1)
    net.add("conv2/norm2", "LRN", local_size=5).pool("pool2", kernel_size=3, stride=2)
    for name, (a, b0, b, c0, c, d) in INCEPTION.items():
        start, tops = net.last, []
        for steps in (((a, 1),), ((b0, 1), (b, 3)), ((c0, 1), (c, 5)), ((0, 3), (d, 1))):
            net.last = start
            for out, k in steps:
                at = f"{name}/{len(tops)}/{k}x{k}"
                if out:
                    net.conv(at, out, k, pad=k // 2)
                else:
                    net.pool(at, kernel_size=3, stride=1, pad=1)
            tops.append(net.last)
        net.text += layer(f"{name}/output", "Concat", " ".join(tops))
        net.last = f"{name}/output"
        if name in ("4a", "4d") and heads:
            net.text += _head(f"loss_{name}", net.last)
        if name in ("3b", "4e"):
            net.pool(f"pool_{name}", kernel_size=3, stride=2)
    net.add("pool5", "Pooling", pool="AVE", kernel_size=7, stride=1)
    net.add("drop5", "Dropout", dropout_ratio=0.4)
    return net.fc("classifier", 1000, relu=False).add("prob", "Softmax").text


def _head(name, start):
    text = layer(f"{name}/pool", "Pooling", start, pool="AVE", kernel_size=5, stride=3)
    text += layer(f"{name}/conv", "Convolution", f"{name}/pool", num_output=128, kernel_size=1)
    text += layer(f"{name}/fc", "InnerProduct", f"{name}/conv", num_output=1024)
    text += layer(f"{name}/classifier", "InnerProduct", f"{name}/fc", num_output=1000)
    return text.replace(' type: "', ' include { phase: TRAIN } type: "')


@pytest.fixture
def book(tmp_path):
    """The ledger of a prototxt text."""

    def make(text, **options):
        path = tmp_path / "net.prototxt"
        path.write_text(text)
        return netledger.ledger(str(path), **options)

    return make


PUBLISHED = [
    # Jia et al., Caffe Model Zoo; counts by arithmetic from its deploy files.
    (alexnet(), 60_965_224, 724_406_816),
    (alexnet(norm_first=False), 60_965_224, None),
    (lenet(), 431_080, 2_293_000),
    (googlenet(), 6_998_552, 1_582_671_872),
    ("state { phase: TRAIN }\n" + googlenet(heads=True), 13_378_280, None),
    (googlenet(heads=True), 6_998_552, 1_582_671_872),
    (squeezenet(), 1_248_424, None),  # Iandola et al. (2016)
]


@pytest.mark.parametrize(("text", "params", "macs"), PUBLISHED)
def test_published_networks(book, text, params, macs):
    totals = book(text).totals
    assert totals.params == params
    assert macs is None or totals.macs == macs
    assert totals.complete


def test_the_first_pooling_differs_between_alexnet_and_caffenet_but_not_the_macs(book):
    assert book(alexnet()).totals.macs == book(alexnet(norm_first=False)).totals.macs


def test_sizes_and_neurons_of_alexnet(book):
    ledger = book(alexnet())
    sizes = {row.name: row.outputs[0].shape[1:] for row in ledger.ops}
    assert sizes["conv1"] == (96, 55, 55)
    assert sizes["pool5"] == (256, 6, 6)
    assert ledger.totals.neurons == 659_272


V1 = {
    "Convolution": "CONVOLUTION",
    "Pooling": "POOLING",
    "InnerProduct": "INNER_PRODUCT",
    "ReLU": "RELU",
    "Softmax": "SOFTMAX",
    "Dropout": "DROPOUT",
    "LRN": "LRN",
    "Concat": "CONCAT",
}


def first_generation(text, size, channels=3):
    """The same network as Caffe wrote it before 2014: layers, enum types, input_dim."""
    text = text.replace(inputs(size, channels, 64 if channels == 1 else 10), "")
    for new, old in V1.items():
        text = text.replace(f'type: "{new}"', f"type: {old}")
    dims = "".join(f"input_dim: {d}\n" for d in (10, channels, size, size))
    return f'input: "data"\n{dims}' + text.replace("layer {", "layers {")


@pytest.mark.parametrize(
    ("text", "size", "channels"),
    [(alexnet(), 227, 3), (lenet(), 28, 1), (googlenet(), 224, 3), (squeezenet(), 227, 3)],
)
def test_both_generations_give_one_ledger(book, text, size, channels):
    old = first_generation(text, size, channels)
    assert "layer {" not in old
    new, old = book(text), book(old)
    assert [r.to_dict() for r in new.ops] == [r.to_dict() for r in old.ops]

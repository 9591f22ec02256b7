"""Caffe: published networks of both generations, and every kind of layer."""

from __future__ import annotations

import pytest

import netledger
from netledger.errors import GraphError, ShapeError, SpecError
from netledger.graph import BATCH

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
    return (
        f'layer {{ name: "data" type: "Input" top: "data" input_param {{ shape {{ {dims} }} }} }}\n'
    )


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


INPUT = 'input: "data" input_shape { dim: 2 dim: 6 dim: 9 dim: 8 }\n'
MAP = (6, 9, 8)
UP = "num_output: 2 kernel_size: 4 stride_h: 2 stride_w: 2 pad: 1"
KINDS = [
    # type, its param message, kind in the ledger, output shape, parameters, buffers
    ("Convolution", "num_output: 4 kernel_size: 3", "Conv", (4, 7, 6), 220, 0),
    ("Convolution", "num_output: 4 kernel_h: 3 kernel_w: 1", "Conv", (4, 7, 8), 76, 0),
    ("Convolution", "num_output: 4 kernel_size: [3, 1] pad: [1, 0]", "Conv", (4, 9, 8), 76, 0),
    ("Convolution", "num_output: 4 kernel_size: 3 dilation: 2", "Conv", (4, 5, 4), 220, 0),
    ("Convolution", "num_output: 4 kernel_size: 3 group: 2", "Conv", (4, 7, 6), 112, 0),
    ("Convolution", "num_output: 4 kernel_size: 3 bias_term: false", "Conv", (4, 7, 6), 216, 0),
    (
        "Convolution",
        "num_output: 4 kernel_size: 3 stride_h: 2 stride_w: 3",
        "Conv",
        (4, 4, 2),
        220,
        0,
    ),
    ("ConvolutionDepthwise", "num_output: 6 kernel_size: 3", "Conv", (6, 7, 6), 60, 0),
    (
        "Deconvolution",
        "num_output: 2 kernel_size: 4 stride: 2 pad: 1",
        "ConvTranspose",
        (2, 18, 16),
        194,
        0,
    ),
    ("Pooling", "kernel_size: 2 stride: 2", "MaxPool", (6, 5, 4), 0, 0),
    ("Pooling", "kernel_size: 2 stride: 2 round_mode: FLOOR", "MaxPool", (6, 4, 4), 0, 0),
    ("Pooling", "pool: AVE kernel_size: 3 stride: 2 pad: 1", "AvgPool", (6, 5, 5), 0, 0),
    ("Pooling", "pool: AVE kernel_size: 2 stride: 3 pad: 1", "AvgPool", (6, 4, 3), 0, 0),
    ("Pooling", "pool: AVE global_pooling: true", "GlobalAvgPool", (6, 1, 1), 0, 0),
    ("InnerProduct", "num_output: 5", "Linear", (5,), 2165, 0),
    ("InnerProduct", "num_output: 5 axis: -1 bias_term: false", "Linear", (6, 9, 5), 40, 0),
    ("LRN", "local_size: 3 norm_region: WITHIN_CHANNEL", "LocalResponseNorm", MAP, 0, 0),
    ("ReLU", "negative_slope: 0.1", "LeakyReLU", MAP, 0, 0),
    ("PReLU", "", "PReLU", MAP, 6, 0),
    ("PReLU", "channel_shared: true", "PReLU", MAP, 1, 0),
    ("Sigmoid", "", "Sigmoid", MAP, 0, 0),
    ("TanH", "", "Tanh", MAP, 0, 0),
    ("ELU", "alpha: 0.5", "ELU", MAP, 0, 0),
    ("AbsVal", "", "Abs", MAP, 0, 0),
    ("BNLL", "", "Softplus", MAP, 0, 0),
    ("Power", "power: 2 shift: 1", "Power", MAP, 0, 0),
    ("Dropout", "dropout_ratio: 0.3", "Dropout", MAP, 0, 0),
    ("Softmax", "axis: 1", "Softmax", MAP, 0, 0),
    ("BatchNorm", "use_global_stats: true", "BatchNorm", MAP, 0, 12),
    ("Scale", "bias_term: true", "Scale", MAP, 12, 0),
    ("Scale", "axis: 1 num_axes: 2", "Scale", MAP, 54, 0),
    ("Bias", "axis: -1", "Scale", MAP, 8, 0),
    ("Flatten", "", "Flatten", (432,), 0, 0),
    ("Flatten", "axis: 2", "Flatten", (6, 72), 0, 0),
    ("Reshape", "shape { dim: 0 dim: 3 dim: -1 }", "Reshape", (3, 144), 0, 0),
    ("Reshape", "shape { dim: 2 dim: -1 }", "Reshape", (432,), 0, 0),
    ("Reshape", "shape { dim: -1 } axis: 2", "Reshape", (6, 72), 0, 0),
    ("Reshape", "shape { dim: 1 } axis: -1 num_axes: 0", "Reshape", (6, 9, 8, 1), 0, 0),
    ("Reduction", "axis: 2 operation: MEAN", "Reduce", (6,), 0, 0),
    ("MVN", "", "InstanceNorm", MAP, 0, 0),
    ("MVN", "across_channels: true", "LayerNorm", MAP, 0, 0),
    ("Permute", "order: [0, 2, 3, 1]", "Permute", (9, 8, 6), 0, 0),
]
MESSAGES = {
    "ConvolutionDepthwise": "convolution",
    "Deconvolution": "convolution",
    "AbsVal": "absval",
    "InnerProduct": "inner_product",
    "BatchNorm": "batch_norm",
    "Convolution": "convolution",
}


@pytest.mark.parametrize(("kind", "param", "word", "shape", "params", "buffers"), KINDS)
def test_a_kind_of_layer(book, kind, param, word, shape, params, buffers):
    message = f"{MESSAGES.get(kind, kind.lower())}_param {{ {param} }}"
    ledger = book(INPUT + layer("x", kind, "data", more=message))
    row = ledger.row("x")
    assert (row.kind, row.outputs[0].shape[1:]) == (word, shape)
    assert (ledger.totals.params, ledger.totals.buffers) == (params, buffers)
    assert ledger.totals.complete and row.source.endswith("net.prototxt:2")


def test_layers_with_several_inputs_or_outputs(book):
    text = INPUT + layer("s", "Slice", "data", "a b c", more="slice_param { slice_point: [1, 3] }")
    text += layer("t", "Slice", "c", "c1 c2 c3") + layer("cc", "Concat", "a b")
    text += layer("e", "Eltwise", "c1 c2", operation="MAX") + layer("sp", "Split", "e", "e1 e2")
    text += layer("m", "Eltwise", "e1 e2", operation="PROD") + layer("d", "Concat", "m cc")
    ledger = book(text)
    assert [t.shape[1] for t in ledger.row("s").outputs] == [1, 2, 3]
    assert ledger.row("e").kind == "Maximum" and ledger.row("m").kind == "Multiply"
    assert ledger.row("d").outputs[0].shape[1:] == (4, 9, 8)


def test_a_single_number_is_reshaped(book):
    """Found by fuzzing: it has no axis of which the batch could be asked."""
    text = INPUT + layer("m", "Reduction", "data", more="reduction_param { axis: 0 }")
    shape = "reshape_param { shape { dim: 1 dim: 1 } }"
    ledger = book(text + layer("r", "Reshape", "m", more=shape))
    assert ledger.row("m").outputs[0].shape == ()
    assert ledger.row("r").outputs[0].shape == (1, 1)


def test_a_scale_by_another_layer_meets_it_from_an_axis_on(book):
    """Squeeze and excitation, as Caffe writes it."""
    text = INPUT + layer("g", "Pooling", "data", pool="AVE", global_pooling="true")
    text += layer("fc", "InnerProduct", "g", num_output=6)
    text += layer("x", "Scale", "data fc", axis=0)
    ledger = book(text)
    assert ledger.row("x").kind == "Multiply"
    assert ledger.row("x").outputs[0].shape[1:] == MAP
    assert ledger.totals.params == 42


def test_crop(book):
    text = INPUT + layer("p", "Pooling", "data", kernel_size=2, stride=2)
    text += layer("c", "Crop", "data p", axis=2, offset=1)
    assert book(text).ops[-1].outputs[0].shape[1:] == (6, 5, 4)


def test_a_crop_that_does_not_fit(book):
    text = INPUT + layer("p", "Pooling", "data", kernel_size=2, stride=2)
    text += layer("c", "Crop", "p data", axis=2, offset=1)
    with pytest.raises(
        ShapeError, match=r"c \(Crop\): cannot cut 9 out of 5 from 1 on, along axis 2"
    ):
        book(text)


def test_embeddings_and_lstm(book):
    text = 'input: "words" input_shape { dim: 7 dim: 2 }\n'
    text += layer("em", "Embed", "words", input_dim=30, num_output=6)
    text += layer("lstm", "LSTM", "em", more="recurrent_param { num_output: 8 }")
    ledger = book(text)
    assert ledger.row("em").params == 180
    assert ledger.row("lstm").params == 4 * 8 * (6 + 8) + 4 * 8
    assert ledger.totals.params == 180 + 6 + 480
    assert ledger.row("lstm").outputs[0].shape == (7, BATCH, 8)
    assert ledger.row("lstm").macs == 7 * 4 * 8 * (6 + 8)  # a sequence of 7


def test_time_is_the_first_axis_of_a_sequence(book):
    """As in Caffe's own LRCN: words and where sentences begin, then a vocabulary."""
    text = 'input: "words" input_shape { dim: 20 dim: 3 } input: "cont" input_shape '
    text += "{ dim: 20 dim: 3 }\n"
    text += layer("em", "Embed", "words", input_dim=30, num_output=6, bias_term="false")
    text += layer("lstm", "LSTM", "em cont", more="recurrent_param { num_output: 8 }")
    text += layer("fc", "InnerProduct", "lstm", num_output=30, axis=2)
    ledger = book(text)
    assert ledger.graph.inputs["words"].shape == (20, BATCH)
    assert ledger.ops[-1].outputs[0].shape == (20, BATCH, 30)
    assert ledger.totals.macs == 20 * (4 * 8 * (6 + 8) + 8 * 30)


def test_a_plain_recurrent_layer_has_an_output_layer(book):
    text = 'input: "x" input_shape { dim: 7 dim: 2 dim: 6 }\n'
    text += layer("rnn", "RNN", "x", more="recurrent_param { num_output: 8 }")
    ledger = book(text)
    assert ledger.totals.params == (8 * (6 + 8) + 8) + (8 * 8 + 8)
    assert ledger.ops[-1].outputs[0].shape == (7, BATCH, 8)
    assert ledger.totals.macs == 7 * (8 * (6 + 8) + 8 * 8)


@pytest.mark.parametrize("size", [13, 10, 7])
def test_spatial_pyramid_pooling(book, size):
    """He et al. (2014): 1 + 4 + 16 windows a map, whatever its size."""
    text = inputs(size, channels=6)
    text += layer("spp", "SPP", "data", pyramid_height=3, pool="MAX")
    text += layer("fc", "InnerProduct", "spp", num_output=5)
    ledger = book(text)
    assert ledger.row("spp").outputs[0].shape[1:] == (6 * 21,)
    assert ledger.totals.params == 6 * 21 * 5 + 5
    assert ledger.totals.complete


def test_a_pyramid_of_one_level_is_a_pooling(book):
    ledger = book(inputs(9) + layer("spp", "SPP", "data", pyramid_height=1, pool="AVE"))
    assert ledger.row("spp").kind == "AvgPool"
    assert ledger.row("spp").outputs[0].shape[1:] == (3, 1, 1)


def test_tiles(book):
    text = 'input: "x" input_shape { dim: 1 dim: 3 dim: 4 dim: 5 }\n'
    text += layer("t", "Tile", "x", more="tile_param { axis: 2 tiles: 3 }")
    assert book(text).ops[-1].outputs[0].shape[1:] == (3, 12, 5)


def test_shared_parameters_count_once(book):
    share = 'param { name: "w" } param { name: "b" }'
    text = INPUT + layer("a", "Convolution", "data", more=share, num_output=6, kernel_size=3)
    text += layer("b", "Convolution", "a", more=share, num_output=6, kernel_size=3)
    totals = book(text).totals
    assert totals.params == 6 * 6 * 9 + 6


def test_one_convolution_over_two_bottoms_counts_once(book):
    text = INPUT + layer("p", "Pooling", "data", kernel_size=2, stride=2)
    text += layer("c", "Convolution", "data p", "c1 c2", num_output=4, kernel_size=3)
    ledger = book(text)
    assert ledger.totals.params == 220
    assert ledger.totals.macs == 216 * (7 * 6 + 3 * 2)


def test_layers_whose_learning_rate_is_0_are_frozen(book):
    text = INPUT
    for name, rates in {"a": "param { lr_mult: 0 } param { lr_mult: 0 }", "b": ""}.items():
        text += layer(name, "InnerProduct", "data", more=rates, num_output=2)
    totals = book(text).totals
    assert (totals.trainable, totals.frozen) == (866, 866)


def test_what_no_rule_describes_is_unknown_with_a_reason(book):
    text = (
        INPUT
        + layer("x", "ROIPooling", "data")
        + layer("c", "Convolution", "x", num_output=4, kernel_size=1)
    )
    ledger = book(text)
    assert not ledger.totals.complete
    assert "no rule describes this kind of layer" in ledger.row("x").unknown["params"]
    assert str(ledger.row("c").params) == "4x_C + 4"


def test_losses_and_labels_are_no_part_of_the_network(book):
    text = 'layer { name: "d" type: "Data" top: "data" top: "label"\n'
    text += "  transform_param { crop_size: 12 mean_value: [104, 117, 123] } }\n"
    text += layer("fc", "InnerProduct", "data", num_output=5)
    text += layer("acc", "Accuracy", "fc label") + layer("loss", "SoftmaxWithLoss", "fc label")
    text += layer("l2", "EuclideanLoss", "fc label")
    ledger = book(text)
    assert [row.name for row in ledger.ops] == ["data", "fc.flatten", "fc", "loss"]
    assert str(ledger.graph.inputs["data"]) == "float32[N, 3, 12, 12]"
    assert ledger.totals.complete and ledger.graph.outputs == ("loss",)


def test_a_loss_that_feeds_a_layer_stays_as_one_unknown_number(book):
    text = INPUT + layer("loss", "EuclideanLoss", "data data") + layer("p", "Power", "loss")
    ledger = book(text)
    assert ledger.row("loss").outputs[0].shape == ()
    assert "a loss or a score" in ledger.row("loss").unknown["macs"]


def test_the_number_of_channels_that_a_file_does_not_say_is_told(book):
    text = 'layer { name: "d" type: "Data" top: "data" transform_param { crop_size: 12 } }\n'
    ledger = book(text + layer("fc", "InnerProduct", "data", num_output=5))
    assert "'data' is taken to have 3 channels" in ledger.graph.title


def test_an_input_without_size_is_symbolic_until_it_is_given(book):
    text = 'layer { name: "d" type: "Data" top: "data" }\n'
    text += layer("c", "Convolution", "data", num_output=4, kernel_size=3)
    assert str(book(text).row("c").params) == "36C + 4"
    assert book(text, inputs="1x28x28").row("c").params == 40


def test_phases_levels_and_stages(book):
    rules = {
        "a": "include { phase: TEST }",
        "b": "include { phase: TRAIN } include { min_level: 1 }",
        "c": "exclude { phase: TEST }",
        "d": 'include { stage: "deploy" }',
        "e": 'include { not_stage: "deploy" }',
    }
    text = INPUT + "".join(layer(n, "ReLU", "data", more=rule) for n, rule in rules.items())

    def kept(state):
        return "".join(row.name for row in book(state + text).ops[1:])

    assert kept("") == "ae"
    assert kept("state { phase: TRAIN }\n") == "bce"
    assert kept('state { level: 1 stage: "deploy" }\n') == "abd"


@pytest.mark.parametrize(
    "text",
    [
        'name: "a b" # comment\nlayer < name: \'x\' type: "Re" "LU", bottom: "data"; top: "x" >',
        'layer: { name: "\\x78" type: "ReLU" bottom: ["data"] top: "x" relu_param {} }',
    ],
)
def test_every_way_to_write_protobuf_text(book, text):
    assert book(INPUT + text).row("x").kind == "ReLU"


def test_a_missing_blob_and_a_wrong_layer_are_named(book):
    with pytest.raises(GraphError, match=r"x \(ReLU\): takes 'daat'"):
        book(INPUT + layer("x", "ReLU", "daat"))
    with pytest.raises(SpecError, match="inner_product_param has no num_output"):
        book(INPUT + layer("x", "InnerProduct", "data"))


@pytest.mark.parametrize(
    ("text", "name"),
    [
        (alexnet(), "alexnet-caffe"),
        (alexnet(norm_first=False), "caffenet"),
        (googlenet(), "googlenet-caffe"),
    ],
)
def test_a_file_and_the_zoo_give_the_same_books(book, text, name):
    ours, zoo = book(text), netledger.ledger(name)

    def rows(ledger):
        """Each layer with weights: parameters, MACs and output, whatever the order of axes."""
        with_weights = [row for row in ledger.ops if row.parameters]
        return sorted(
            (row.params, row.macs, sorted(map(str, row.outputs[0].shape))) for row in with_weights
        )

    assert rows(ours) == rows(zoo)
    for count in ("params", "weights", "biases", "macs", "neurons"):
        assert getattr(ours.totals, count) == getattr(zoo.totals, count)

"""cuda-convnet: AlexNet as its author's programs read it, and every kind of layer."""

from __future__ import annotations

import pytest

import netledger
from netledger.errors import NetledgerError

HEAD = "[data]\ntype=data\ndataIdx=0\n\n[labels]\ntype=data\ndataIdx=1\n\n"
TAIL = "[probs]\ntype=softmax\ninputs={0}\n\n[logprob]\ntype=cost.logreg\ninputs=labels,probs\n"


def section(name, kind, **values):
    return "\n".join([f"[{name}]", f"type={kind}", *(f"{k}={v}" for k, v in values.items()), "\n"])


def conv(name, inputs, channels, filters, size, **more):
    more = {"padding": 0, "stride": 1, "sharedBiases": 1, "partialSum": 1, "initW": 0.01} | more
    shape = {"channels": channels, "filters": filters, "filterSize": size}
    return section(name, "conv", inputs=inputs, **shape, **more)


def norm_and_pool(i, inputs, channels):
    """Response normalisation, then 3×3 pooling at every second position."""
    text = section(f"rnorm{i}", "cmrnorm", inputs=inputs, channels=channels, size=5)
    return text + pool(f"pool{i}", f"rnorm{i}", channels)


def pool(name, inputs, channels):
    values = {"pool": "max", "start": 0, "sizeX": 3, "stride": 2, "outputsX": 0}
    return section(name, "pool", inputs=inputs, channels=channels, **values)


def fc(name, inputs, outputs, **more):
    return section(name, "fc", inputs=inputs, outputs=outputs, initW=0.01, **more)


def alexnet(filters, groups):
    """Krizhevsky et al. (2012). `filters` are kernels of a group; `groups` of the five layers."""
    (a, b, c, d, e), (_, g2, _, g4, g5) = filters, groups
    made = [f * g for f, g in zip(filters, groups, strict=True)]
    relu = {"neuron": "relu"}
    text = HEAD + conv("conv1", "data", 3, a, 11, stride=4, **relu)
    text += norm_and_pool(1, "conv1", made[0])
    text += conv("conv2", "pool1", made[0], b, 5, padding=2, groups=g2, initB=1, **relu)
    text += norm_and_pool(2, "conv2", made[1])
    text += conv("conv3", "pool2", made[1], c, 3, padding=1, **relu)
    text += conv("conv4", "conv3", made[2], d, 3, padding=1, groups=g4, **relu)
    text += conv("conv5", "conv4", made[3], e, 3, padding=1, groups=g5, **relu)
    text += pool("pool5", "conv5", made[4]) + fc("fc4096a", "pool5", 4096, **relu)
    text += section("dropout1", "dropout2", inputs="fc4096a", keep=0.5)
    text += fc("fc4096b", "dropout1", 4096, **relu)
    text += section("dropout2", "dropout2", inputs="fc4096b", keep=0.5)
    return text + fc("fc1000", "dropout2", 1000) + TAIL.format("fc1000")


PAPER = alexnet((96, 128, 384, 192, 128), (1, 2, 1, 2, 2))
HALF = alexnet((48, 128, 192, 192, 256), (1, 1, 1, 1, 1))
ONE_TOWER = alexnet((64, 192, 384, 256, 256), (1, 1, 1, 1, 1))


@pytest.fixture
def book(tmp_path):
    """The ledger of a layer file."""

    def make(text, inputs="3x224x224"):
        path = tmp_path / "layers.cfg"
        path.write_text(text)
        return netledger.ledger(str(path), inputs)

    return make


@pytest.mark.parametrize(
    ("text", "params", "macs", "neurons"),
    [
        (PAPER, 60_965_224, 724_406_816, 659_272),
        (HALF, 59_798_312, 391_514_384, 355_864),
        (ONE_TOWER, 61_100_840, 714_188_480, 494_184),
    ],
)
def test_alexnet(book, text, params, macs, neurons):
    totals = book(text).totals
    assert (totals.params, totals.macs, totals.neurons) == (params, macs, neurons)
    assert totals.complete


def test_convolutions_round_up(book):
    ledger = book(PAPER)
    sizes = {row.name: row.outputs[0].shape[1:] for row in ledger.ops}
    assert sizes["conv1"] == (96, 55, 55)  # 1 + ⌈(224 − 11)/4⌉
    assert sizes["pool1"] == (96, 27, 27)
    assert sizes["pool5"] == (256, 6, 6)


def test_the_size_of_images_is_a_symbol_until_it_is_given(book):
    ledger = book(PAPER, None)
    assert str(ledger.graph.inputs["data"]) == "float32[N, 3, S, S]"
    assert ledger.totals.params.python() != "60965224"
    assert ledger.row("conv5").params == 442_624


def test_the_size_of_images_may_be_in_the_file(book):
    text = PAPER.replace("dataIdx=0", f"dataIdx=0\nstart=0\nend={3 * 224 * 224}")
    assert book(text, None).totals.params == 60_965_224


IMAGES = "[data]\ntype=data\ndataIdx=0\nstart=0\nend=192\n\n"
"""8×8 pixels of 3 channels."""


def layer(name, kind, inputs, **values):
    return section(name, kind, inputs=inputs, **values)


KINDS = [
    # type, its values, kind in the ledger, output shape, parameters
    (
        "conv",
        {"channels": 3, "filters": 16, "filterSize": 3, "padding": 1},
        "Conv",
        (16, 8, 8),
        448,
    ),
    ("conv", {"channels": 3, "filters": 4, "filterSize": 3, "stride": 2}, "Conv", (4, 4, 4), 112),
    ("conv", {"channels": 3, "filters": 2, "filterSize": 3, "groups": 3}, "Conv", (6, 6, 6), 60),
    ("local", {"channels": 3, "filters": 4, "filterSize": 3}, "LocallyConnected", (4, 6, 6), 4032),
    ("fc", {"outputs": 10}, "Linear", (10,), 1930),
    ("pool", {"pool": "max", "channels": 3, "sizeX": 3, "stride": 2}, "MaxPool", (3, 4, 4), 0),
    ("pool", {"pool": "avg", "channels": 3, "sizeX": 2, "stride": 2}, "AvgPool", (3, 4, 4), 0),
    ("rnorm", {"channels": 3, "size": 3}, "LocalResponseNorm", (3, 8, 8), 0),
    ("cnorm", {"channels": 3, "sizeX": 3}, "LocalResponseNorm", (3, 8, 8), 0),
    ("neuron", {"neuron": "tanh[1.7,0.66]"}, "Tanh", (3, 8, 8), 0),
    ("neuron", {"neuron": "softrelu"}, "Softplus", (3, 8, 8), 0),
    ("dropout", {}, "Dropout", (3, 8, 8), 0),
    ("softmax", {}, "Softmax", (192,), 0),
]


@pytest.mark.parametrize(("kind", "values", "word", "shape", "params"), KINDS)
def test_a_kind_of_layer(book, kind, values, word, shape, params):
    ledger = book(IMAGES + layer("x", kind, "data", **values), None)
    row = ledger.row("x")
    assert (row.kind, row.outputs[0].shape[1:]) == (word, shape)
    assert ledger.totals.params == params and ledger.totals.complete


def test_biases_that_are_not_shared_are_one_for_each_position(book):
    text = IMAGES + conv("x", "data", 3, 4, 3, sharedBiases=0)
    ledger = book(text, None)
    assert (ledger.totals.weights, ledger.totals.biases) == (4 * 27, 4 * 6 * 6)


def test_several_inputs_have_kernels_of_their_own_and_one_bias(book):
    text = IMAGES + conv("a", "data", 3, 4, 3, padding=1)
    text += conv("x", "data,a", "3,4", 8, "3,5", padding="1,2")
    ledger = book(text, None)
    assert ledger.row("x").kind == "Add"
    assert ledger.totals.params == 112 + 8 * (3 * 9 + 4 * 25) + 8


def test_a_fully_connected_layer_of_several_inputs(book):
    text = IMAGES + fc("a", "data", 6) + fc("x", "a,data", 5)
    ledger = book(text, None)
    assert ledger.row("x").params == (6 + 192) * 5 + 5


def test_numbers_in_a_row_are_seen_as_images_again(book):
    text = IMAGES + fc("a", "data", 64) + conv("x", "a", 4, 8, 3)
    assert book(text, None).row("x").outputs[0].shape[1:] == (8, 2, 2)


def test_sums_maxima_and_concatenations(book):
    text = IMAGES + layer("s", "eltsum", "data,data") + layer("m", "eltmax", "data,s")
    text += layer("c", "concat", "m,data") + fc("f", "c", 4) + layer("d", "concat", "f,c")
    ledger = book(text, None)
    assert ledger.row("c").outputs[0].shape[1:] == (6, 8, 8)
    assert ledger.row("d").outputs[0].shape[1:] == (4 + 384,)
    assert (ledger.row("s").kind, ledger.row("m").kind) == ("Add", "Maximum")


def test_weights_of_another_layer_count_once(book):
    text = IMAGES + conv("a", "data", 3, 4, 3) + conv("b", "data", 3, 4, 3, weightSource="a")
    totals = book(text, None).totals
    assert (totals.weights, totals.biases) == (108, 8)


def test_filters_that_see_channels_drawn_at_random(book):
    text = IMAGES + conv("a", "data", 3, 4, 3)
    text += conv("x", "a", 4, 8, 3, groups=2, randSparse="true", filterChannels=3)
    ledger = book(text, None)
    assert ledger.row("x").params == 16 * 3 * 9 + 16
    assert "drawn at random" in ledger.row("x").unknown["macs"]


def test_poolings_that_start_outside_or_stop_early(book):
    values = {"pool": "max", "channels": 3, "sizeX": 3, "stride": 2}
    for start, size in ((-1, 4), (2, 3)):  # 1 + ⌈(8 − start − 3)/2⌉
        ledger = book(IMAGES + layer("x", "pool", "data", start=start, **values), None)
        assert ledger.row("x").elements == 3 * size * size
    early = book(IMAGES + layer("x", "pool", "data", outputsX=2, **values), None)
    assert early.ops[-1].elements == 12 and early.totals.complete


def test_what_no_rule_describes_is_unknown_with_a_reason(book):
    ledger = book(IMAGES + layer("x", "blocksparse", "data") + fc("f", "x", 2), None)
    assert not ledger.totals.complete
    assert "no rule describes this kind of layer" in ledger.row("x").unknown["params"]


def test_the_place_of_an_error_is_the_layer_and_the_line(book):
    with pytest.raises(NetledgerError) as caught:
        book(IMAGES + conv("x", "data", 3, "few", 3), None)
    assert caught.value.where == "x (conv)"
    assert caught.value.source.endswith("layers.cfg:7")

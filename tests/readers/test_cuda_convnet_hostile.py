"""Hostile cuda-convnet files: each ends in its own error; mutants end in a ledger or an error."""

from __future__ import annotations

import pytest

IN = "[data]\ntype=data\ndataIdx=0\nstart=0\nend=192\n"


def sec(name, kind, inputs="data", **values):
    lines = [f"[{name}]", f"type={kind}", f"inputs={inputs}"]
    return "\n".join([*lines, *(f"{k}={v}" for k, v in values.items()), ""])


def conv(**values):
    base = {"channels": 3, "filters": 16, "filterSize": 3}
    return IN + sec("c", "conv", **(base | values))


def pool(**values):
    base = {"pool": "max", "channels": 3, "sizeX": 3, "stride": 2}
    return IN + sec("p", "pool", **(base | values))


FILES = {
    "bracket_never_closed": IN + "[conv1\ntype=conv\n",
    "name_in_two_brackets": IN + "[[conv1]]\ntype=conv\n",
    "empty_name": IN + "[]\ntype=conv\n",
    "nul_in_a_name": IN + "[a\0b]\ntype=conv\n",
    "value_before_the_first_layer": IN + "[c]\ntype=conv\n= 3\n",
    "not_a_value": conv() + "hello\n",
    "continued_line": conv() + "initW=0.1,\n  0.2\n",
    "key_with_signs": conv() + "a b=3\n",
    "nul_in_a_key": conv() + "a\0=3\n",
    "not_utf8": conv().encode() + b"# \xff\n",
    "too_large": conv() + "#" * (2**20),
    "sixty_four_mib": conv().encode() + b"#" * (64 * 2**20),
    "two_layers_of_one_name": conv() + "[c]\ntype=fc\n",
    "key_twice": conv() + "filters=32\n",
    "key_twice_in_capitals": conv() + "FILTERS=32\n",
    "too_many_layers": IN + "".join(f"[a{i}]\ntype=fc\n" for i in range(1000)),
    "name_of_10001_characters": IN + "[" + "x" * 10001 + "]\ntype=fc\n",
    "too_many_inputs": IN + sec("c", "concat", ",".join(["data"] * 1001)),
    "no_type": IN + "[c]\ninputs=data\n",
    "no_inputs": IN + "[c]\ntype=fc\noutputs=3\n",
    "only_data": IN,
    "only_costs": IN + sec("l", "cost.logreg", "data,data"),
    "missing_input": IN + sec("f", "fc", "dta", outputs=3),
    "input_of_no_name": IN + sec("f", "fc", "data,", outputs=3),
    "cycle": IN + sec("a", "fc", "b", outputs=3) + sec("b", "fc", "a", outputs=3),
    "own_input": IN + sec("a", "fc", "a", outputs=3),
    "no_filters": IN + sec("c", "conv", channels=3, filterSize=3),
    "no_channels": IN + sec("c", "conv", filters=16, filterSize=3),
    "misspelt_key": IN + sec("c", "conv", channels=3, filter=16, filterSize=3),
    "filters_in_words": conv(filters="many"),
    "negative_filters": conv(filters=-16),
    "no_stride": conv(stride=0),
    "negative_padding": conv(padding=-1),
    "number_beyond_int64": conv(filters=2**63),
    "number_of_50_digits": conv(filters="9" * 50),
    "product_beyond_int64": conv(filters=2**62, groups=3),
    "fraction_of_a_filter": conv(filters="1.5"),
    "interpolated": conv(filters="%(channels)s"),
    "python_code": conv(filters="__import__('os').getpid()"),
    "filters_for_two_inputs": conv(filters="16,16"),
    "groups_do_not_divide": conv(groups=2),
    "filter_larger_than_the_image": conv(filterSize=9),
    "channels_of_no_square": conv(channels=5),
    "no_channels_at_all": conv(channels=0),
    "shared_biases_perhaps": conv(sharedBiases="perhaps"),
    "too_few_modules": conv(modulesX=2),
    "sparse_without_channels": conv(randSparse="true"),
    "sparse_of_0_channels": conv(randSparse="true", filterChannels=0),
    "images_of_no_square": conv().replace("192", "100"),
    "images_of_minus_one": conv().replace("192", "-1"),
    "unknown_pooling": pool(pool="median"),
    "pool_of_two_inputs": pool().replace("inputs=data", "inputs=data,data"),
    "pool_starts_outside": pool(start=100),
    "unknown_neuron": conv(neuron="spiking"),
    "neuron_of_code": conv(neuron="tanh[a](b)"),
    "weights_of_nothing": conv(weightSource="c9"),
    "weights_of_itself": conv(weightSource="c"),
    "weights_of_another_shape": conv()
    + conv(filters=32, weightSource="c")[len(IN) :].replace("[c]", "[d]"),
    "no_outputs": IN + sec("f", "fc"),
    "outputs_0": IN + sec("f", "fc", outputs=0),
    "sum_of_two_sizes": IN
    + sec("f", "fc", outputs=3)
    + sec("g", "fc", outputs=4)
    + sec("s", "eltsum", "f,g"),
    "norm_of_no_size": IN + sec("n", "cmrnorm", channels=3),
    "keep_a_nan": IN + sec("d", "dropout2", keep="nan"),
}


@pytest.mark.parametrize("name", FILES)
def test_a_hostile_file_gives_its_error(refused, tmp_path, name):
    content = FILES[name]
    path = tmp_path / "layers.cfg"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    refused(name, path)


def test_every_file_has_its_expected_error(refused):
    assert FILES.keys() == refused.names()


def test_nine_hundred_layers_of_unknown_size_end_in_time(inspect_file, tmp_path):
    layers = (
        sec(f"a{i + 1}", "conv", f"a{i}", channels=4, filters=4, filterSize=3, stride=1)
        for i in range(900)
    )
    path = tmp_path / "layers.cfg"
    path.write_text("[a0]\ntype=data\ndataIdx=0\n" + "".join(layers))
    kind, result = inspect_file(path)
    assert kind == "ledger" and len(result.ops) == 901


SEEDS = [
    conv(neuron="relu", padding=1, stride=2)
    + sec("p", "pool", "c", pool="max", channels=16, sizeX=3, stride=2, start=0, outputsX=0)
    + sec("n", "cmrnorm", "p", channels=16, size=5)
    + sec("f", "fc", "n", outputs=10, neuron="tanh[1,2]")
    + sec("s", "softmax", "f")
    + sec("l", "cost.logreg", "data,s"),
    conv(sharedBiases=0, padding=1)
    + sec("o", "local", "c", channels=16, filters=4, filterSize=3, padding=1, groups=1)
    + sec("e", "eltsum", "c,c")
    + sec("d", "dropout2", "e", keep=0.5)
    + sec("k", "concat", "o,d")
    + sec("f", "fc", "k,data", outputs=12),
    "[data]\ntype=data\ndataIdx=0\n\n"
    + sec(
        "c",
        "conv",
        "data,data",
        channels="3,3",
        filters="8,8",
        filterSize="3,5",
        padding="1,2",
        stride="1,1",
        groups="1,1",
    )
    + sec("m", "eltmax", "c,c")
    + sec("x", "neuron", "m", neuron="logistic")
    + sec("z", "mystery", "x")
    + sec("f", "fc", "z", outputs=4, weightSource=""),
]
TOKEN = r"[\w.-]+|[^\w\s]|\n"
NUMBERS = ["0", "-1", "65536", str(2**31), str(2**63 - 1), str(2**63), "1e5", "nan", "9" * 40]
NUMBERS += ["007", "1,2", "1.5", "true", "%(a)s", "", "[3]", "0x10"]


def test_a_thousand_mutants(read_mutants, tmp_path):
    path = tmp_path / "layers.cfg"
    read_mutants(path, SEEDS, token=TOKEN, word=r"[^\W\d_]", numbers=NUMBERS, glue="")

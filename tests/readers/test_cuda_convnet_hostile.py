"""Hostile cuda-convnet files: each ends in its own error; mutants end in a ledger or an error."""

from __future__ import annotations

import random
import re

import pytest

import netledger

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


EXPECTED = {
    "bracket_never_closed": ("SpecError: layers.cfg:6: '[conv1' is not a [layer]"),
    "name_in_two_brackets": ("SpecError: layers.cfg:6: '[[conv1]]' is not a [layer]"),
    "empty_name": ("SpecError: layers.cfg:6: '[]' is not a [layer]"),
    "nul_in_a_name": ("SpecError: layers.cfg:6: '[a\\x00b]' is not a [layer]"),
    "value_before_the_first_layer": ("SpecError: layers.cfg:8: expected key=value; got '= 3'"),
    "not_a_value": ("SpecError: layers.cfg:12: expected key=value; got 'hello'"),
    "continued_line": ("SpecError: layers.cfg:13: expected key=value; got '0.2'"),
    "key_with_signs": ("SpecError: layers.cfg:12: expected key=value; got 'a b=3'"),
    "nul_in_a_key": ("SpecError: layers.cfg:12: expected key=value; got 'a\\x00=3'"),
    "not_utf8": ("SpecError: layers.cfg: not UTF-8 text (byte 106)"),
    "too_large": (
        "SpecError: layers.cfg: the file has 1,048,680 bytes; at most 1,048,576 are read"
    ),
    "sixty_four_mib": (
        "SpecError: layers.cfg: the file has 67,108,968 bytes; at most 1,048,576 are read"
    ),
    "two_layers_of_one_name": ("SpecError: layers.cfg:12: two layers are called 'c'"),
    "key_twice": ("SpecError: layers.cfg:12: filters stands twice in [c]"),
    "key_twice_in_capitals": ("SpecError: layers.cfg:12: FILTERS stands twice in [c]"),
    "too_many_layers": ("SpecError: layers.cfg: has more than 1,000 layers"),
    "name_of_10001_characters": ("SpecError: layers.cfg:6: a name of 10,001 characters"),
    "too_many_inputs": (
        "SpecError: c: inputs has 1,001 values; at most 1,000 are read\n  source  layers.cfg:6"
    ),
    "no_type": ("SpecError: c: has no type\n  source  layers.cfg:6"),
    "no_inputs": (
        "SpecError: c (fc): has no inputs\n"
        "  source  layers.cfg:6\n"
        "  hint    did you mean 'outputs'?"
    ),
    "only_data": ("SpecError: layers.cfg: has no layers but data and costs"),
    "only_costs": ("SpecError: layers.cfg: has no layers but data and costs"),
    "missing_input": (
        "GraphError: f (fc): takes 'dta', which no layer makes\n  source  layers.cfg:6"
    ),
    "input_of_no_name": (
        "GraphError: f (fc): takes '', which no layer makes\n  source  layers.cfg:6"
    ),
    "cycle": (
        "GraphError: a (fc): takes 'b', which is defined only later, or is a cost\n"
        "  source  layers.cfg:6\n"
        "  hint    list it after that layer"
    ),
    "own_input": (
        "GraphError: a (fc): takes 'a', which is defined only later, or is a cost\n"
        "  source  layers.cfg:6\n"
        "  hint    list it after that layer"
    ),
    "no_filters": (
        "SpecError: c (conv): has no filters\n"
        "  source  layers.cfg:6\n"
        "  hint    did you mean 'filtersize'?"
    ),
    "no_channels": ("SpecError: c (conv): has no channels\n  source  layers.cfg:6"),
    "misspelt_key": (
        "SpecError: c (conv): has no filters\n"
        "  source  layers.cfg:6\n"
        "  hint    did you mean 'filter' or 'filtersize'?"
    ),
    "filters_in_words": (
        "SpecError: c (conv): filters must be whole numbers; got 'many'\n  source  layers.cfg:6"
    ),
    "negative_filters": (
        "FieldError: c (conv): out_channels must be an integer of at least 1; got -16\n"
        "  source  layers.cfg:6"
    ),
    "no_stride": (
        "FieldError: c (conv): stride must be an integer of at least 1, or one for each"
        " axis; got 0\n"
        "  source  layers.cfg:6"
    ),
    "negative_padding": (
        "FieldError: c (conv): padding must be an integer of at least 0, one for each a"
        "xis, a [before, after] pair for each axis, 'same' or 'valid' or 'causal'; got "
        "-1\n"
        "  source  layers.cfg:6"
    ),
    "number_beyond_int64": (
        "FieldError: c (conv): out_channels must be an integer of at least 1; got 92233"
        "72036854775808\n"
        "  source  layers.cfg:6"
    ),
    "number_of_50_digits": (
        "SpecError: c (conv): filters must be whole numbers; got '999999999999999999999"
        "99999999999999999999999999999'\n"
        "  source  layers.cfg:6"
    ),
    "product_beyond_int64": (
        "FieldError: c (conv): out_channels must be an integer of at least 1; got 13835"
        "058055282163712\n"
        "  source  layers.cfg:6"
    ),
    "fraction_of_a_filter": (
        "SpecError: c (conv): filters must be whole numbers; got '1.5'\n  source  layers.cfg:6"
    ),
    "interpolated": (
        "SpecError: c (conv): filters must be whole numbers; got '%(channels)s'\n"
        "  source  layers.cfg:6"
    ),
    "python_code": (
        "SpecError: c (conv): filters must be whole numbers; got \"__import__('os').getp"
        'id()"\n'
        "  source  layers.cfg:6"
    ),
    "filters_for_two_inputs": (
        "SpecError: c (conv): filters has 2 values for 1 inputs\n  source  layers.cfg:6"
    ),
    "groups_do_not_divide": (
        "ShapeError: c (Conv): in_channels=3 is not divisible by groups=2\n"
        "  input   data: float32[N, 3, 8, 8]\n"
        "  source  layers.cfg:6\n"
        "  hint    groups must divide 3"
    ),
    "filter_larger_than_the_image": (
        "ShapeError: c (Conv): a window of 9 does not fit a map of 8\n"
        "  input   data: float32[N, 3, 8, 8]\n"
        "  source  layers.cfg:6\n"
        "  hint    use a smaller kernel_size, more padding, or a larger input"
    ),
    "channels_of_no_square": (
        "SpecError: data (data): 192 numbers are no square images of 5 channels\n"
        "  source  layers.cfg:1"
    ),
    "no_channels_at_all": ("SpecError: c: images of 0 channels\n  source  layers.cfg:6"),
    "shared_biases_perhaps": (
        "SpecError: c (conv): sharedBiases must be true or false; got 'perhaps'\n"
        "  source  layers.cfg:6"
    ),
    "too_few_modules": (
        "ShapeError: c (conv): modulesX=2, but 6 positions cover the image\n  source  layers.cfg:6"
    ),
    "sparse_without_channels": (
        "SpecError: c (conv): has no filterChannels\n"
        "  source  layers.cfg:6\n"
        "  hint    did you mean 'channels' or 'filters'?"
    ),
    "sparse_of_0_channels": (
        "SpecError: c (conv): filterChannels must be at least 1; got 0\n  source  layers.cfg:6"
    ),
    "images_of_no_square": (
        "SpecError: data (data): 100 numbers are no square images of 3 channels\n"
        "  source  layers.cfg:1"
    ),
    "images_of_minus_one": (
        "SpecError: data (data): -1 numbers are no square images of 3 channels\n"
        "  source  layers.cfg:1"
    ),
    "unknown_pooling": (
        "SpecError: p (pool): pool must be max, maxabs or avg; got 'median'\n  source  layers.cfg:6"
    ),
    "pool_of_two_inputs": ("SpecError: p (pool): takes 1 input; got 2\n  source  layers.cfg:6"),
    "pool_starts_outside": (
        "ShapeError: p.start2 (Slice): nothing of an axis of 8 is left between 100 and "
        "None\n"
        "  input   data: float32[N, 3, 8, 8]\n"
        "  source  layers.cfg:6"
    ),
    "unknown_neuron": ("SpecError: c (conv): unknown neuron 'spiking'\n  source  layers.cfg:6"),
    "neuron_of_code": ("SpecError: c (conv): unknown neuron 'tanh[a](b)'\n  source  layers.cfg:6"),
    "weights_of_nothing": (
        "GraphError: c (conv): shares the weights of 'c9', which come later or never\n"
        "  source  layers.cfg:6"
    ),
    "weights_of_itself": (
        "GraphError: c (conv): shares the weights of 'c', which come later or never\n"
        "  source  layers.cfg:6"
    ),
    "weights_of_another_shape": (
        "GraphError: d (conv): shares the weights of 'c', which are [16, 3, 3, 3]; its "
        "own would be [32, 3, 3, 3]\n"
        "  source  layers.cfg:12"
    ),
    "no_outputs": (
        "SpecError: f (fc): has no outputs\n"
        "  source  layers.cfg:6\n"
        "  hint    did you mean 'inputs'?"
    ),
    "outputs_0": (
        "FieldError: f (fc): out_features must be an integer of at least 1; got 0\n"
        "  source  layers.cfg:6"
    ),
    "sum_of_two_sizes": (
        "ShapeError: s (Add): shapes [N, 3] and [N, 4] do not fit together\n"
        "  input   f: float32[N, 3], g: float32[N, 4]\n"
        "  source  layers.cfg:14\n"
        "  hint    sizes must be equal, or 1"
    ),
    "norm_of_no_size": ("SpecError: n (cmrnorm): has no sizeX\n  source  layers.cfg:6"),
    "keep_a_nan": (
        "SpecError: d (dropout2): keep must be a number; got 'nan'\n  source  layers.cfg:6"
    ),
}


@pytest.mark.parametrize("name", FILES)
def test_a_hostile_file_gives_its_error(inspect_file, tmp_path, name):
    content = FILES[name]
    path = tmp_path / "layers.cfg"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    assert inspect_file(path) == ("error", EXPECTED[name])


def test_every_file_has_its_expected_error():
    assert FILES.keys() == EXPECTED.keys()


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
TOKEN = re.compile(r"[\w.-]+|[^\w\s]|\n")
SMALL = [str(i) for i in range(1, 17)]
NUMBERS = ["0", "-1", "65536", str(2**31), str(2**63 - 1), str(2**63), "1e5", "nan", "9" * 40]
NUMBERS += ["007", "1,2", "1.5", "true", "%(a)s", "", "[3]", "0x10"]
CHANGES = [*["number"] * 6, *["word"] * 3, "delete", "double", "swap", "splice"]


def mutant(rng):
    """A network with one or two changes to its tokens: most still are layers."""
    tokens = TOKEN.findall(rng.choice(SEEDS))
    words = [t for t in tokens if t[0].isalpha()]
    for _ in range(rng.randint(1, 2)):
        i = rng.randrange(len(tokens))
        kind = rng.choice(CHANGES)
        if kind == "number":
            places = [j for j, t in enumerate(tokens) if t[0].isdigit() or t[0] == "-"]
            tokens[rng.choice(places or [i])] = rng.choice(NUMBERS if rng.random() < 0.4 else SMALL)
        elif kind == "word":
            places = [j for j, t in enumerate(tokens) if t[0].isalpha()]
            tokens[rng.choice(places or [i])] = rng.choice(words)
        elif kind == "delete":
            del tokens[i : i + rng.choice((1, 1, 2, 5, 20))]
        elif kind == "double":
            tokens[i:i] = tokens[i : i + rng.choice((1, 4, 12, 40))]
        elif kind == "swap":
            j = rng.randrange(len(tokens))
            tokens[i], tokens[j] = tokens[j], tokens[i]
        else:
            other = TOKEN.findall(rng.choice(SEEDS))
            j = rng.randrange(len(other))
            tokens[i:i] = other[j : j + rng.choice((4, 12, 30))]
        tokens = [t for t in tokens if t] or ["\n"]
    return "".join(tokens)


def test_the_seeds_are_networks(inspect_file, tmp_path):
    path = tmp_path / "layers.cfg"
    for seed in SEEDS:
        path.write_text(seed)
        assert inspect_file(path)[0] == "ledger"


def test_a_thousand_mutants(inspect_file, tmp_path):
    rng = random.Random(20120930)
    path = tmp_path / "layers.cfg"
    kinds = []
    for _ in range(1000):
        path.write_text(mutant(rng))
        kind, result = inspect_file(path)
        kinds.append(kind)
        if kind == "ledger":
            again = netledger.infer(result.graph)
            assert again.totals == result.totals
        else:
            assert result.partition(":")[0].endswith("Error")
    assert kinds.count("ledger") > 100 and kinds.count("error") > 100

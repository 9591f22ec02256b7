"""Hostile prototxt files: each ends in its own error; mutants end in a ledger or an error."""

from __future__ import annotations

import pytest

IN = 'input: "data" input_shape { dim: 1 dim: 3 dim: 8 dim: 8 }\n'


def L(name, kind, bottom="data", more="", top=None):
    blobs = f'bottom: "{bottom}" top: "{top or name}"'
    return f'layer {{ name: "{name}" type: "{kind}" {blobs} {more} }}\n'


def conv(more, name="c", bottom="data"):
    return L(name, "Convolution", bottom, f"convolution_param {{ {more} }}")


def cut(tops, more=""):
    tops = "".join(f' top: "{t}"' for t in tops)
    return f'layer {{ name: "s" type: "Slice" bottom: "data"{tops} slice_param {{ {more} }} }}'


OLD = "input_dim: 1 input_dim: 3 input_dim: 8 input_dim: 8"
SHARED = 'param { name: "w" } convolution_param { kernel_size: 3 num_output: '
C = conv("num_output: 4 kernel_size: 3")
FILES = {
    "pyramid_of_a_million_levels": IN + L("s", "SPP", more="spp_param { pyramid_height: 1000000 }"),
    "brace_never_closed": IN + 'layer { name: "a"',
    "brace_closed_twice": IN + C + "}",
    "wrong_bracket": IN + 'layer { name: "a" >',
    "quote_never_closed": IN + 'layer { name: "a\n type: "ReLU" }',
    "nested_65_deep": IN + "layer { " + "a { " * 65 + "} " * 65 + "}",
    "nested_100000_deep": IN + "layer { " + "a{" * 100000,
    "no_value": IN + "layer { name: }",
    "no_colon": IN + 'layer { name "a" }',
    "value_without_field": IN + "layer { : 3 }",
    "list_never_closed": IN + conv("num_output: 4 kernel_size: [3, 3"),
    "ends_in_a_field": IN + "layer {\n name:",
    "nul": IN + "layer { \0 }",
    "not_utf8": (IN + C).encode() + b"# \xff\xfe",
    "utf16": b"layer {" + ("layer { }").encode("utf-16-le"),
    "too_large": IN + C + " " * (4 * 2**20),
    "sixty_four_mib": (IN + C).encode() + b"#" * (64 * 2**20),
    "too_many_values": IN + "layer { " + "a:1 " * 500001 + "}",
    "long_name": IN + L("x" * 10001, "ReLU"),
    "too_many_layers": IN + "layer{}" * 10001,
    "solver": 'net: "train.prototxt"\nbase_lr: 0.01\n',
    "merge_conflict": "layer {\n<<<<<<< HEAD\n}\n",
    "both_generations": IN + C + 'layers { name: "x" type: RELU bottom: "c" top: "x" }',
    "first_of_all_generations": f'input: "data" {OLD}\nlayers {{ layer {{ type: "conv" }} }}',
    "no_layers": IN,
    "no_layers_in_this_phase": IN + L("a", "ReLU", more="include { phase: TRAIN }"),
    "no_type": IN + 'layer { name: "a" bottom: "data" top: "a" }',
    "type_without_quotes": IN + 'layer { name: "a" type: ReLU bottom: "data" top: "a" }',
    "name_given_twice": IN + 'layer { name: "a" name: "b" type: "ReLU" bottom: "data" top: "a" }',
    "two_layers_of_one_name": IN + L("a", "ReLU") + L("a", "TanH", "a", top="b"),
    "two_layers_make_one_blob": IN + L("a", "ReLU") + L("b", "TanH", top="a"),
    "two_inputs_of_one_name": 'input: "data" input: "data"\n'
    + IN[14:]
    + "input_shape { dim: 1 dim: 3 }",
    "missing_bottom": IN + L("a", "ReLU", "dta"),
    "cycle": IN + L("a", "ReLU", "b") + L("b", "ReLU", "a"),
    "own_output_as_input": IN + L("a", "Eltwise", "a"),
    "no_num_output": IN + conv("kernel_size: 3"),
    "no_kernel_size": IN + conv("num_output: 4"),
    "kernel_twice": IN + conv("num_output: 4 kernel_size: 3 kernel_h: 3"),
    "negative_num_output": IN + conv("num_output: -4 kernel_size: 3"),
    "zero_stride": IN + conv("num_output: 4 kernel_size: 3 stride: 0"),
    "negative_pad": IN + conv("num_output: 4 kernel_size: 3 pad: -1"),
    "number_of_70_digits": IN + conv("num_output: " + "9" * 70 + " kernel_size: 3"),
    "number_beyond_int64": IN + conv("num_output: 9223372036854775808 kernel_size: 3"),
    "octal_number": IN + conv("num_output: 010 kernel_size: 3"),
    "fraction_of_a_kernel": IN + conv("num_output: 4 kernel_size: 2.5"),
    "text_for_a_number": IN + conv('num_output: "4" kernel_size: 3'),
    "message_for_a_number": IN + conv("num_output { a: 4 } kernel_size: 3"),
    "number_for_a_message": IN + L("c", "Convolution", more="convolution_param: 3"),
    "two_messages": IN + L("c", "Convolution", more="convolution_param {} convolution_param {}"),
    "kernel_larger_than_the_map": IN + conv("num_output: 4 kernel_size: 9"),
    "groups_do_not_divide": IN + conv("num_output: 4 kernel_size: 3 group: 2"),
    "four_kernel_sizes": IN + conv("num_output: 4 kernel_size: [1, 2, 3, 4]"),
    "channels_on_another_axis": IN + conv("num_output: 4 kernel_size: 3 axis: 2"),
    "input_of_size_0": IN.replace("dim: 8", "dim: 0") + C,
    "negative_input": IN.replace("dim: 8", "dim: -8") + C,
    "input_without_axes": 'input: "data" input_shape { }\n' + C,
    "inputs_without_shapes_enough": IN.replace("input:", 'input: "b" input:') + C,
    "input_dim_is_cut": 'input: "data" input_dim: 1 input_dim: 3\n' + C,
    "infinite_rate": IN + L("d", "Dropout", more="dropout_param { dropout_ratio: inf }"),
    "include_and_exclude": IN
    + L("a", "ReLU", more="include { phase: TEST } exclude { phase: TRAIN }"),
    "slices_do_not_rise": IN + cut("abc", "slice_point: [2, 1]"),
    "slice_beyond_the_end": IN + cut("ab", "slice_point: 7"),
    "slices_of_3_in_2": IN + cut("ab"),
    "slice_along_no_axis": IN + cut("ab", "axis: 9"),
    "reshape_does_not_fit": IN
    + L("r", "Reshape", more="reshape_param { shape { dim: 0 dim: 100 } }"),
    "reshape_copies_no_axis": IN
    + L("r", "Reshape", more="reshape_param { shape { dim: [1, 1, 1, 1, 0] } }"),
    "unknown_eltwise": IN + L("e", "Eltwise", more="eltwise_param { operation: DIV }"),
    "flag_is_maybe": IN + conv("num_output: 4 kernel_size: 3 bias_term: maybe"),
    "shared_weights_of_two_shapes": IN
    + L("a", "Convolution", more=SHARED + "4 }")
    + L("b", "Convolution", more=SHARED + "5 }"),
    "slice_points_of_other_tops": IN + cut("abc", "slice_point: 1"),
    "escapes_in_a_name": IN + L("\x1b[31mred\u202e", "Convolution"),
    "pool_stride_0": IN + L("p", "Pooling", more="pooling_param { kernel_size: 2 stride: 0 }"),
    "permute_names_no_axis": IN + L("p", "Permute", more="permute_param { order: [0, 1, 1, 2] }"),
}


@pytest.mark.parametrize("name", FILES)
def test_a_hostile_file_gives_its_error(refused, tmp_path, name):
    content = FILES[name]
    path = tmp_path / "net.prototxt"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    refused(name, path)


def test_every_file_has_its_expected_error(refused):
    assert FILES.keys() == refused.names()


CHAINS = {
    "doubled 9,000 times": lambda i: f'bottom: "a{i - 1}" bottom: "a{i - 1}" type: "Concat"',
    "strides of 10": lambda i: (
        f'bottom: "a{i - 1}" type: "Convolution" convolution_param '
        "{ num_output: 1 kernel_size: 1 stride: 10 pad: 5 }"
    ),
    "unknown": lambda i: f'bottom: "a{i - 1}" type: "Foo"',
    "in a row": lambda i: f'bottom: "a{i - 1}" type: "ReLU"',
}


@pytest.mark.parametrize("name", CHAINS)
def test_nine_thousand_layers_end_in_time(inspect_file, tmp_path, name):
    layers = (f'layer {{ name: "a{i}" top: "a{i}" {CHAINS[name](i)} }}' for i in range(1, 9001))
    path = tmp_path / "net.prototxt"
    path.write_text(IN.replace("data", "a0") + "\n".join(layers))
    kind, result = inspect_file(path)
    if name == "doubled 9,000 times":
        assert "an axis of 2^63 or more" in result
    elif name == "unknown":
        assert "has 9,000 layers and sizes that the file does not state" in result
    else:
        assert kind == "ledger" and len(result.ops) == 9001


SEEDS = [
    IN
    + conv("num_output: 4 kernel_size: 3 pad: 1 group: 1")
    + L("r", "ReLU", "c", top="c")
    + L("p", "Pooling", "c", "pooling_param { pool: AVE kernel_size: 3 stride: 2 pad: 1 }")
    + L("n", "LRN", "p", "lrn_param { local_size: 5 alpha: 0.1 }")
    + L("f", "InnerProduct", "n", "inner_product_param { num_output: 10 bias_term: false }")
    + L("s", "Softmax", "f"),
    'name: "x" state { phase: TEST }\n'
    'layer { name: "d" type: "Data" top: "data" top: "label" transform_param { crop_size: 12 } }\n'
    + L("b", "BatchNorm")
    + L("sc", "Scale", "b", "scale_param { bias_term: true axis: 1 }")
    + 'layer { name: "sl" type: "Slice" bottom: "sc" top: "s1" top: "s2" top: "s3" }\n'
    'layer { name: "e" type: "Eltwise" bottom: "s1" bottom: "s2" top: "e" '
    "eltwise_param { operation: MAX } }\n"
    'layer { name: "cc" type: "Concat" bottom: "e" bottom: "s3" top: "cc" }\n'
    + L("rs", "Reshape", "cc", "reshape_param { shape { dim: 0 dim: 2 dim: -1 } }")
    + L("fl", "Flatten", "rs", "flatten_param { axis: 1 }")
    + 'layer { name: "l" type: "SoftmaxWithLoss" bottom: "fl" bottom: "label" top: "l" '
    "include { phase: TEST } }\n",
    'input: "data" input_dim: 1 input_dim: 4 input_dim: 9 input_dim: 9\n'
    'layers { name: "c" type: CONVOLUTION bottom: "data" top: "c" blobs_lr: 0 blobs_lr: 0 '
    'param: "w" convolution_param { num_output: 4 kernel_h: 3 kernel_w: 1 stride: 2 } }\n'
    'layers { name: "dc" type: DECONVOLUTION bottom: "c" top: "dc" '
    "convolution_param { num_output: 2 kernel_size: 4 stride: 2 pad: 1 } }\n"
    'layers { name: "e" type: ELTWISE bottom: "dc" bottom: "dc" top: "e" }\n'
    'layers { name: "fc" type: INNER_PRODUCT bottom: "e" top: "fc" '
    "inner_product_param { num_output: 3 } }\n",
    'input: "x" input_shape { dim: 5 dim: 2 dim: 7 }\n'
    'layer { name: "em" type: "Embed" bottom: "i" top: "em" '
    "embed_param { input_dim: 30 num_output: 6 } }\n"
    + L("lstm", "LSTM", "x", "recurrent_param { num_output: 8 }")
    + L("pe", "Permute", "lstm", "permute_param { order: [1, 0, 2] }")
    + L("m", "Reduction", "lstm", "reduction_param { axis: 1 operation: MEAN }")
    + L("u", "Mystery", "lstm")
    + L("pr", "PReLU", "lstm"),
]
SEEDS[3] = (
    SEEDS[3]
    .replace('input: "x"', 'input: "x" input: "i"')
    .replace("dim: 7 }", "dim: 7 } input_shape { dim: 5 dim: 2 }", 1)
)
TOKEN = r'"[^"]*"|[\w.+-]+|[^\s\w]|\n'
NUMBERS = ["0", "-1", "1", "2", "3", "7", "16", "65536", str(2**31), str(2**63 - 1), str(2**63)]
NUMBERS += ["1e400", "nan", "0x10", "007", "9" * 40, "true", '"4"', "{", "[1, 2]", "1.5"]


def test_a_thousand_mutants(read_mutants, tmp_path):
    path = tmp_path / "net.prototxt"
    read_mutants(path, SEEDS, token=TOKEN, word='"', numbers=NUMBERS, glue=" ")

"""Hostile prototxt files: each ends in its own error; mutants end in a ledger or an error."""

from __future__ import annotations

import random
import re

import pytest

import netledger

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


EXPECTED = {
    "brace_never_closed": ("SpecError: net.prototxt:2: 'layer' has no closing bracket"),
    "brace_closed_twice": ("SpecError: net.prototxt:3: unexpected '}': nothing is open"),
    "wrong_bracket": ("SpecError: net.prototxt:2: unexpected '>': 'layer' ends with '}'"),
    "quote_never_closed": ("SpecError: net.prototxt:2: a text has no closing quote"),
    "nested_65_deep": ("SpecError: net.prototxt:2: messages are nested deeper than 64"),
    "nested_100000_deep": ("SpecError: net.prototxt:2: messages are nested deeper than 64"),
    "no_value": ("SpecError: net.prototxt:2: expected a value of 'name'; got '}'"),
    "no_colon": ("SpecError: net.prototxt:2: expected ':' or '{' after 'name'"),
    "value_without_field": ("SpecError: net.prototxt:2: expected the name of a field; got ':'"),
    "list_never_closed": (
        "SpecError: net.prototxt:2: the list 'kernel_size' has no closing bracket"
    ),
    "ends_in_a_field": (
        "SpecError: net.prototxt:3: expected a value of 'name'; got the end of the file"
    ),
    "nul": ("SpecError: net.prototxt:2: the character '\\x00' has no meaning here"),
    "not_utf8": ("SpecError: net.prototxt: not UTF-8 text (byte 175)"),
    "utf16": ("SpecError: net.prototxt:1: the character '\\x00' has no meaning here"),
    "too_large": (
        "SpecError: net.prototxt: the file has 4,194,477 bytes; at most 4,194,304 are read"
    ),
    "sixty_four_mib": (
        "SpecError: net.prototxt: the file has 67,109,037 bytes; at most 4,194,304 are read"
    ),
    "too_many_values": ("SpecError: net.prototxt:2: more than 200,000 values"),
    "long_name": (
        "SpecError: net.prototxt:2: a text of 10,001 characters; at most 10,000 are read"
    ),
    "too_many_layers": ("SpecError: net.prototxt: has 10,001 layers; at most 10,000 are read"),
    "solver": (
        "SpecError: net.prototxt: this is a solver, not a network\n"
        "  hint    read the file that its net names"
    ),
    "merge_conflict": ("SpecError: net.prototxt:2: expected the name of a field; got '<'"),
    "both_generations": (
        "SpecError: net.prototxt: has both layer and layers, two generations of one"
    ),
    "first_of_all_generations": (
        "SpecError: net.prototxt:2: a layer of Caffe's first generation (before 2014)\n"
        "  hint    Caffe's own upgrade_net_proto_text brings it up to date"
    ),
    "no_layers": ("SpecError: net.prototxt: has no layers in this phase"),
    "no_layers_in_this_phase": ("SpecError: net.prototxt: has no layers in this phase"),
    "no_type": ("SpecError: net.prototxt:2: a layer has no type"),
    "type_without_quotes": (
        "SpecError: net.prototxt:2: layer: type must be a quoted text; got 'ReLU'"
    ),
    "name_given_twice": (
        "SpecError: net.prototxt:2: layer: name is given 2 times; once is allowed"
    ),
    "two_layers_of_one_name": ("GraphError: two layers are called 'a'\n  source  net.prototxt:3"),
    "two_layers_make_one_blob": (
        "GraphError: b (TanH): two layers make 'a'\n  source  net.prototxt:3"
    ),
    "two_inputs_of_one_name": ("GraphError: two layers make 'data'\n  source  net.prototxt"),
    "missing_bottom": (
        "GraphError: a (ReLU): takes 'dta', which no layer before it makes\n"
        "  source  net.prototxt:2\n"
        "  hint    did you mean 'data'?"
    ),
    "cycle": (
        "GraphError: a (ReLU): takes 'b', which no layer before it makes\n  source  net.prototxt:2"
    ),
    "own_output_as_input": (
        "GraphError: a (Eltwise): takes 'a', which no layer before it makes\n"
        "  source  net.prototxt:2"
    ),
    "no_num_output": (
        "SpecError: c (Convolution): convolution_param has no num_output\n  source  net.prototxt:2"
    ),
    "no_kernel_size": (
        "SpecError: c (Convolution): convolution_param has no kernel_size\n  source  net.prototxt:2"
    ),
    "kernel_twice": (
        "SpecError: c (Convolution): convolution_param: has both kernel_size and kernel"
        "_h or kernel_w\n"
        "  source  net.prototxt:2"
    ),
    "negative_num_output": (
        "FieldError: c (Convolution): out_channels must be an integer of at least 1; go"
        "t -4\n"
        "  source  net.prototxt:2"
    ),
    "zero_stride": (
        "FieldError: c (Convolution): stride must be an integer of at least 1, or one f"
        "or each axis; got 0\n"
        "  source  net.prototxt:2"
    ),
    "negative_pad": (
        "FieldError: c (Convolution): padding must be an integer of at least 0, one for"
        " each axis, a [before, after] pair for each axis, 'same' or 'valid' or 'causal"
        "'; got -1\n"
        "  source  net.prototxt:2"
    ),
    "number_of_70_digits": (
        "SpecError: c (Convolution): convolution_param: num_output must be a whole numb"
        "er; got '999999999999999999999999999999999999999999999999999999999999999999999"
        "9'\n"
        "  source  net.prototxt:2"
    ),
    "number_beyond_int64": (
        "FieldError: c (Convolution): out_channels must be an integer of at least 1; go"
        "t 9223372036854775808\n"
        "  source  net.prototxt:2"
    ),
    "octal_number": (
        "SpecError: c (Convolution): convolution_param: num_output must be a whole numb"
        "er; got '010'\n"
        "  source  net.prototxt:2"
    ),
    "fraction_of_a_kernel": (
        "SpecError: c (Convolution): convolution_param: kernel_size must be a whole num"
        "ber; got '2.5'\n"
        "  source  net.prototxt:2"
    ),
    "text_for_a_number": (
        "SpecError: c (Convolution): convolution_param: num_output must be a whole numb"
        "er; got '4'\n"
        "  source  net.prototxt:2"
    ),
    "message_for_a_number": (
        "SpecError: c (Convolution): convolution_param: num_output must be a whole numb"
        "er; got a message\n"
        "  source  net.prototxt:2"
    ),
    "number_for_a_message": (
        "SpecError: c (Convolution): layer: convolution_param must be a message in brac"
        "es; got '3'\n"
        "  source  net.prototxt:2"
    ),
    "two_messages": (
        "SpecError: c (Convolution): layer: convolution_param is given 2 times; once is"
        " allowed\n"
        "  source  net.prototxt:2"
    ),
    "kernel_larger_than_the_map": (
        "ShapeError: c (Conv): a window of 9 does not fit a map of 8\n"
        "  input   data: float32[N, 3, 8, 8]\n"
        "  source  net.prototxt:2\n"
        "  hint    use a smaller kernel_size, more padding, or a larger input"
    ),
    "groups_do_not_divide": (
        "ShapeError: c (Conv): in_channels=3 is not divisible by groups=2\n"
        "  input   data: float32[N, 3, 8, 8]\n"
        "  source  net.prototxt:2\n"
        "  hint    groups must divide 3"
    ),
    "four_kernel_sizes": (
        "ShapeError: c (Conv): kernel_size has 4 values for an input with 2 spatial axe"
        "s\n"
        "  input   data: float32[N, 3, 8, 8]\n"
        "  source  net.prototxt:2\n"
        "  hint    give one number for all axes, or one for each"
    ),
    "channels_on_another_axis": (
        "SpecError: c (Convolution): convolution_param: only axis 1 is known as the cha"
        "nnels\n"
        "  source  net.prototxt:2"
    ),
    "input_of_size_0": (
        "SpecError: the input 'data' has an axis of size 0\n"
        "  source  net.prototxt\n"
        "  hint    a size is at least 1"
    ),
    "negative_input": (
        "SpecError: the input 'data' has an axis of size -8\n"
        "  source  net.prototxt\n"
        "  hint    a size is at least 1"
    ),
    "input_without_axes": ("SpecError: the input 'data' has 0 axes\n  source  net.prototxt"),
    "inputs_without_shapes_enough": ("SpecError: net.prototxt: has 1 shapes for 2 inputs"),
    "input_dim_is_cut": ("SpecError: net.prototxt: has 2 input_dim for 1 inputs; each has four"),
    "infinite_rate": (
        "SpecError: d (Dropout): dropout_param: dropout_ratio must be a finite number; "
        "got 'inf'\n"
        "  source  net.prototxt:2"
    ),
    "include_and_exclude": (
        "SpecError: net.prototxt:2: a layer has both include and exclude rules"
    ),
    "slices_do_not_rise": (
        "ShapeError: s (Slice): slice_param: the points do not rise, or pass the end of"
        " 3\n"
        "  source  net.prototxt:2"
    ),
    "slice_beyond_the_end": (
        "ShapeError: s (Slice): slice_param: the points do not rise, or pass the end of"
        " 3\n"
        "  source  net.prototxt:2"
    ),
    "slices_of_3_in_2": (
        "ShapeError: s (Slice): cannot cut an axis of 3 into 2 equal parts\n"
        "  source  net.prototxt:2"
    ),
    "slice_along_no_axis": (
        "ShapeError: s (Slice): axis 9 does not exist in a tensor of 4 axes\n"
        "  source  net.prototxt:2"
    ),
    "reshape_does_not_fit": (
        "ShapeError: r (Reshape): cannot reshape [3, 8, 8] (192 numbers) to [100]\n"
        "  input   data: float32[N, 3, 8, 8]\n"
        "  source  net.prototxt:2\n"
        "  hint    the number of numbers must stay the same"
    ),
    "reshape_copies_no_axis": (
        "ShapeError: r (Reshape): reshape_param: there is no axis 4 to copy\n"
        "  source  net.prototxt:2"
    ),
    "unknown_eltwise": (
        "SpecError: e (Eltwise): eltwise_param: unknown operation 'DIV'\n  source  net.prototxt:2"
    ),
    "flag_is_maybe": (
        "SpecError: c (Convolution): convolution_param: bias_term must be true or false"
        "; got 'maybe'\n"
        "  source  net.prototxt:2"
    ),
    "shared_weights_of_two_shapes": (
        "GraphError: b (Convolution): shares 'w' with 'a', where it is [4, 3, 3, 3]; he"
        "re it is [5, 3, 3, 3]\n"
        "  source  net.prototxt:3"
    ),
    "slice_points_of_other_tops": (
        "SpecError: s (Slice): slice_param has 1 slice_point for 3 tops\n  source  net.prototxt:2"
    ),
    "escapes_in_a_name": (
        "SpecError: \x1b[31mred\u202e (Convolution): convolution_param has no num_output\n"
        "  source  net.prototxt:2"
    ),
    "pool_stride_0": (
        "FieldError: p (Pooling): stride must be an integer of at least 1, or one for e"
        "ach axis; got 0\n"
        "  source  net.prototxt:2"
    ),
    "permute_names_no_axis": (
        "ShapeError: p (Permute): order 0×1×1×2 does not name each axis of [N, 3, 8, 8]"
        " once\n"
        "  input   data: float32[N, 3, 8, 8]\n"
        "  source  net.prototxt:2\n"
        "  hint    it must be a permutation of 0 … 3"
    ),
}


@pytest.mark.parametrize("name", FILES)
def test_a_hostile_file_gives_its_error(inspect_file, tmp_path, name):
    content = FILES[name]
    path = tmp_path / "net.prototxt"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    assert inspect_file(path) == ("error", EXPECTED[name])


def test_every_file_has_its_expected_error():
    assert FILES.keys() == EXPECTED.keys()


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
SMALL = [str(i) for i in range(1, 13)]
TOKEN = re.compile(r'"[^"]*"|[\w.+-]+|[^\s\w]|\n')
NUMBERS = ["0", "-1", "1", "2", "3", "7", "16", "65536", str(2**31), str(2**63 - 1), str(2**63)]
NUMBERS += ["1e400", "nan", "0x10", "007", "9" * 40, "true", '"4"', "{", "[1, 2]", "1.5"]


CHANGES = [*["number"] * 6, *["word"] * 2, "delete", "double", "swap", "splice"]


def mutant(rng):
    """A network with one or two changes to its tokens: most still are protobuf text."""
    tokens = TOKEN.findall(rng.choice(SEEDS))
    words = [t for t in tokens if t[0] == '"']
    for _ in range(rng.randint(1, 2)):
        i = rng.randrange(len(tokens))
        kind = rng.choice(CHANGES)
        if kind == "number":
            places = [j for j, t in enumerate(tokens) if t[0].isdigit() or t[0] == "-"]
            tokens[rng.choice(places or [i])] = rng.choice(NUMBERS if rng.random() < 0.4 else SMALL)
        elif kind == "word":
            places = [j for j, t in enumerate(tokens) if t[0] == '"']
            tokens[rng.choice(places or [i])] = rng.choice(words)
        elif kind == "delete":
            del tokens[i : i + rng.choice((1, 1, 2, 5, 20))]
        elif kind == "double":
            tokens[i:i] = tokens[i : i + rng.choice((1, 3, 10, 40))]
        elif kind == "swap":
            j = rng.randrange(len(tokens))
            tokens[i], tokens[j] = tokens[j], tokens[i]
        else:
            other = TOKEN.findall(rng.choice(SEEDS))
            j = rng.randrange(len(other))
            tokens[i:i] = other[j : j + rng.choice((1, 5, 30))]
        if not tokens:
            break
    return " ".join(tokens)


def test_the_seeds_are_networks(inspect_file, tmp_path):
    path = tmp_path / "net.prototxt"
    for seed in SEEDS:
        path.write_text(seed)
        assert inspect_file(path)[0] == "ledger"


def test_a_thousand_mutants(inspect_file, tmp_path):
    rng = random.Random(20120930)
    path = tmp_path / "net.prototxt"
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

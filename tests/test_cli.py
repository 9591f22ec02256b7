"""The command line, as a stranger uses it."""

from __future__ import annotations

import csv
import io
import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

import netledger
from netledger.cli import main
from netledger.formula import substitute


def run(*words: str) -> Result:
    return CliRunner().invoke(main, list(words), prog_name="netledger")


def test_show_prints_the_ledger() -> None:
    result = run("show", "alexnet")
    assert result.exit_code == 0
    assert "Conv-1" in result.stdout and "55x55x96" in result.stdout
    assert "62,378,344" in result.stdout and "1,135,256,096" in result.stdout
    assert result.stderr == ""


def test_a_pipe_gets_plain_text_of_any_width() -> None:
    text = run("show", "alexnet").stdout
    assert "\x1b" not in text and "…" not in text


def test_json_is_the_contract() -> None:
    data = json.loads(run("show", "alexnet", "--format", "json").stdout)
    assert data["schema"] == "netledger/1"
    assert data["model"] == {"name": "alexnet", "source": "zoo", "reader": "zoo"}
    assert data["inputs"] == [
        {"name": "Input Image", "shape": ["N", 227, 227, 3], "dtype": "float32"}
    ]
    row = next(row for row in data["rows"] if row["name"] == "Conv-1")
    contract = {
        "name": "Conv-1",
        "op": "Conv",
        "scope": "",
        "inputs": ["Input Image"],
        "outputs": [{"shape": ["N", 55, 55, 96], "dtype": "float32"}],
        "weights": 34848,
        "biases": 96,
        "buffers": 0,
        "params": 34944,
        "macs": 105415200,
        "elements": 290400,
        "receptive_field": [11, 11],
        "unknown": [],
    }
    assert {key: row[key] for key in contract} == contract
    weight = {
        "name": "weight",
        "role": "weight",
        "shape": [96, 3, 11, 11],
        "count": 34848,
        "trainable": True,
        "tied_to": None,
    }
    assert {key: row["parameters"][0][key] for key in weight} == weight
    totals = {
        "weights": 62367776,
        "biases": 10568,
        "params": 62378344,
        "trainable": 62378344,
        "frozen": 0,
        "buffers": 0,
        "macs": 1135256096,
        "neurons": 659272,
        "complete": True,
    }
    assert {key: data["totals"][key] for key in totals} == totals
    assert data["findings"] == []


def test_rows_are_named_as_in_the_blogs_table() -> None:
    rows = csv.DictReader(io.StringIO(run("show", "alexnet", "-f", "csv").stdout))
    names = [next(iter(row.values())) for row in rows]
    assert names[:13] == [
        "Input Image", "Conv-1", "MaxPool-1", "Conv-2", "MaxPool-2", "Conv-3", "Conv-4", "Conv-5",
        "MaxPool-3", "FC-1", "FC-2", "FC-3", "Output",
    ]  # fmt: skip


def test_batch() -> None:
    one = json.loads(run("show", "lenet5", "-f", "json").stdout)
    eight = json.loads(run("show", "lenet5", "-f", "json", "--batch", "8").stdout)
    assert eight["totals"]["macs"] == 8 * one["totals"]["macs"]
    assert eight["totals"]["params"] == one["totals"]["params"]
    assert eight["rows"][0]["outputs"][0]["shape"][0] == 8


def test_views() -> None:
    ops = json.loads(run("show", "alexnet", "-f", "json", "--ops").stdout)
    layers = json.loads(run("show", "alexnet", "-f", "json").stdout)
    assert len(ops["rows"]) > len(layers["rows"])
    assert ops["totals"] == layers["totals"]
    depth = json.loads(run("show", "resnet50", "-f", "json", "--depth", "1").stdout)
    assert "layer1" in [row["name"] for row in depth["rows"]]


def test_symbols() -> None:
    data = json.loads(run("show", "alexnet", "--input", "HxWx3", "-f", "json").stdout)
    shape = data["rows"][1]["outputs"][0]["shape"]
    assert shape == ["N", "(H - 11)//4 + 1", "(W - 11)//4 + 1", 96]
    assert eval(data["totals"]["params"], {"H": 227, "W": 227}) == 62378344
    assert eval(data["totals"]["macs"], {"H": 227, "W": 227}) == 1135256096


def test_yaml_reads_back(tmp_path: Path) -> None:
    spec = tmp_path / "net.yaml"
    assert run("show", "googlenet", "-f", "yaml", "-o", str(spec)).exit_code == 0
    again, first = netledger.ledger(str(spec)), netledger.ledger("googlenet")
    assert again.to_dict()["rows"] == first.to_dict()["rows"]


def test_output_goes_to_a_file(tmp_path: Path) -> None:
    target = tmp_path / "alexnet.md"
    result = run("show", "alexnet", "-f", "markdown", "-o", str(target))
    assert result.stdout == ""
    assert (
        target.read_text(encoding="utf-8").rstrip()
        == run("show", "alexnet", "-f", "markdown").stdout.rstrip()
    )


def test_zoo_lists_every_network() -> None:
    text = run("zoo").stdout
    data = json.loads(run("zoo", "--format", "json").stdout)
    assert [entry["name"] for entry in data] == list(netledger.zoo.NETWORKS)
    assert all(entry["name"] in text and f"{entry['params']:,}" in text for entry in data)


def test_schema_is_json() -> None:
    assert "properties" in json.loads(run("schema").stdout)


def test_explain_formats() -> None:
    text = run("explain", "alexnet", "Conv-1").stdout
    assert "W = K² × C × N = 11² × 3 × 96 = 34,848" in text
    assert r"K^{2} \times C \times N" in run("explain", "alexnet", "Conv-1", "-f", "latex").stdout
    assert "$W = K^{2}" in run("explain", "alexnet", "Conv-1", "-f", "markdown").stdout
    data = json.loads(run("explain", "alexnet", "-f", "json").stdout)
    assert data["totals"][0]["value"] == 62378344
    derived = {d["quantity"]: d["value"] for d in data["rows"][1]["derivations"]}
    assert derived["size"] == 55 and derived["weights"] == 34848


def test_layer_lists_operations_and_keys() -> None:
    assert "conv" in run("layer").stdout
    keys = run("layer", "conv").stdout
    assert "kernel_size" in keys and "(required)" in keys


def test_layer_reads_values_of_every_kind() -> None:
    words = ["layer", "conv", "-i", "32x32x4", "out_channels=8", "kernel_size=3x5"]
    text = run(*words, "padding=[[1,2],[0,1]]", "bias=false", "dilation=1").stdout
    assert "O_h = (I − K_h + P_h1 + P_h2)/S + 1 = (32 − 3 + 1 + 2)/1 + 1 = 33" in text
    assert "biases" not in text


def test_completion_knows_the_zoo_and_the_operations() -> None:
    environment = {
        **os.environ,
        "_NETLEDGER_COMPLETE": "bash_complete",
        "COMP_WORDS": "netledger show alex",
        "COMP_CWORD": "2",
    }
    command = [sys.executable, "-m", "netledger"]
    result = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert "plain,alexnet-2012" in result.stdout


def terminal(columns: int, *words: str, **environment: str) -> str:
    """What a command prints on a terminal of so many columns."""
    leader, follower = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "netledger", *words],
        stdout=follower,
        stderr=follower,
        env={**os.environ, "COLUMNS": str(columns), "TERM": "xterm-256color", **environment},
    )
    os.close(follower)
    chunks = []
    try:
        while chunk := os.read(leader, 65536):
            chunks.append(chunk)
    except OSError:  # the other end is closed
        pass
    process.wait()
    os.close(leader)
    return b"".join(chunks).decode()


def test_a_terminal_gets_colour_unless_it_asks_for_none() -> None:
    assert "\x1b[" in terminal(120, "show", "alexnet")
    assert "\x1b[" not in terminal(120, "show", "alexnet", NO_COLOR="1")


def test_a_narrow_terminal_loses_columns_but_no_digit() -> None:
    text = terminal(60, "show", "alexnet", NO_COLOR="1")
    assert max(map(len, text.splitlines())) <= 60
    assert "62,378,344" in text and "37,752,832" in text


def test_a_closed_pipe_is_no_error() -> None:
    command = f"{sys.executable} -m netledger explain resnet152 | head -1"
    result = subprocess.run(command, shell=True, capture_output=True, text=True, check=True)
    assert result.stderr == ""


# Every kind of wrong word, with its whole message.
WRONG = {
    "show alexnt": """\
UnknownName: unknown network or file 'alexnt'
  hint    did you mean 'alexnet' or 'alexnet-owt' or 'lenet5'?
""",
    "show no/such/file.yaml": """\
UnknownName: unknown network or file 'no/such/file.yaml'
  hint    'netledger zoo' lists the networks; a file is named by its path
""",
    "show alexnet --input 227x227": """\
UsageError: the input has 3 axes without the batch (227x227x3); got 227x227
  hint    write 227x227x3
""",
    "show alexnet --input 227xx3": """\
UsageError: '227xx3' is not a shape: '' is no size
  hint    write for instance 3x224x224, HxWx3, 4hx4wx3, or int64[128]
""",
    "show alexnet --input 227x-1x3": """\
UsageError: '227x-1x3': a size must be at least 1; got -1
  hint    write for instance 3x224x224, HxWx3, 4hx4wx3, or int64[128]
""",
    "show alexnet --input 0x227x3": """\
UsageError: '0x227x3': a size must be at least 1; got 0
  hint    write for instance 3x224x224, HxWx3, 4hx4wx3, or int64[128]
""",
    "show alexnet --input 9999999999999999999x2x3": """\
UsageError: '9999999999999999999x2x3': a size must be at most 9,223,372,036,854,775,807; \
got 9,999,999,999,999,999,999
""",
    "show alexnet --input Nx227x3": """\
UsageError: 'Nx227x3': N is the batch, which is not part of the shape
  hint    use another letter, or leave it out
""",
    "show alexnet --input 3x224x224": """\
UsageError: 3x224x224 is not in the network's axis order (227x227x3)
  hint    write 224x224x3
""",
    "show alexnet --input image=3x3x3": """\
UnknownName: unknown input 'image'
  hint    did you mean 'Input Image'?
""",
    "show alexnet --input a=3x3x3 --input 3x3x3": """\
UsageError: some inputs are named and some are not
  hint    write NAME=SHAPE for all
""",
    "show alexnet --input 9x9x3 --input 9x9x3": """\
UsageError: alexnet has 1 input (Input Image); 2 given
  hint    name them: NAME=SHAPE
""",
    "show .": """\
SpecError: .: a folder without a model in it
  hint    a folder needs model.safetensors, pytorch_model.bin or an index of shards
""",
    "show alexnet -o no/such/folder/x": """\
UsageError: cannot write no/such/folder/x: No such file or directory
""",
    "explain alexnet Conv1": """\
UnknownName: unknown row 'Conv1'
  hint    did you mean 'Conv-1' or 'Conv-5' or 'Conv-4'?
""",
    "layer convolve": """\
UnknownName: unknown operation 'convolve'
  hint    did you mean 'conv'?
""",
    "layer conv out_channels=96": """\
UsageError: no input is given
  hint    add --input 227x227x3
""",
    "layer conv -i 9x9x3": """\
FieldError: conv needs out_channels: an integer of at least 1 (number of kernels)
""",
    "layer conv -i 9x9x3 out_channels=0 kernel_size=3": """\
FieldError: out_channels must be an integer of at least 1; got 0
""",
    "layer conv -i 9x9x3 out_channels=2.5 kernel_size=3": """\
FieldError: out_channels must be an integer of at least 1; got 2.5
""",
    "layer conv -i 9x9x3 out_channels=true kernel_size=3": """\
FieldError: out_channels must be an integer of at least 1; got True
""",
    "layer conv -i 9x9x3 out_channels=2 kernel_size=three": """\
FieldError: kernel_size must be an integer of at least 1, or one for each axis; got 'three'
""",
    "layer conv -i 9x9x3 out_channels=2 kernel=3": """\
UnknownName: unknown key of conv 'kernel'
  hint    did you mean 'kernel_size'?
""",
    "layer conv -i 9x9x3 out_channels=2 kernel_size=3 padding=full": """\
FieldError: padding must be an integer of at least 0, one for each axis, a [before, after] pair \
for each axis, 'same' or 'valid' or 'causal'; got 'full'
""",
    "layer conv -i 9x9x3 out_channels=2 kernel_size=3 kernel_size=3": """\
UsageError: 'kernel_size' is given twice
""",
    "layer conv -i 9x9x3 out_channels 2": """\
UsageError: 'out_channels' is not of the form key=value
  hint    write stride=4
""",
    "layer conv -i 9x9x3 out_channels=2 kernel_size=[[3": """\
UsageError: cannot read the list '[[3'
  hint    write [[1,2],[0,1]]
""",
    "layer conv -i 9 out_channels=2 kernel_size=3": """\
ShapeError: conv (Conv): needs a tensor of 3 to 5 axes (a batch, channels and 1 to 3 spatial \
axes); got [N, 9]
  input   input: float32[N, 9]
  hint    the batch counts as an axis: an input of 227x227x3 has four
""",
    "layer conv -i 9x9x3 out_channels=2 kernel_size=3x3x3": """\
ShapeError: conv (Conv): kernel_size has 3 values for an input with 2 spatial axes
  input   input: float32[N, 9, 9, 3]
  hint    give one number for all axes, or one for each
""",
    "layer conv -i 9x9x3 out_channels=4 kernel_size=3 groups=2": """\
ShapeError: conv (Conv): in_channels=3 is not divisible by groups=2
  input   input: float32[N, 9, 9, 3]
  hint    groups must divide 3
""",
    "layer conv -i 9x9x4 out_channels=3 kernel_size=3 groups=2": """\
ShapeError: conv (Conv): out_channels=3 is not divisible by groups=2
  input   input: float32[N, 9, 9, 4]
  hint    groups must divide 3
""",
    "layer conv -i 9x9x3 out_channels=4 kernel_size=11": """\
ShapeError: conv (Conv): a window of 11 does not fit a map of 9
  input   input: float32[N, 9, 9, 3]
  hint    use a smaller kernel_size, more padding, or a larger input
""",
    "layer conv -i 9x9x3 -i 9x9x3 out_channels=4 kernel_size=3": """\
ShapeError: conv (Conv): takes 1 input; got 2
  input   input1: float32[N, 9, 9, 3], input2: float32[N, 9, 9, 3]
  hint    name them with inputs:
""",
    "layer add -i 3x4 -i 5": """\
ShapeError: add (Add): shapes [N, 3, 4] and [N, 5] do not fit together
  input   input1: float32[N, 3, 4], input2: float32[N, 5]
  hint    sizes must be equal, or 1
""",
    "layer multi_head_attention -i 10x64 num_heads=7": """\
ShapeError: multi_head_attention (MultiHeadAttention): 64 features cannot be shared out to 7 heads
  input   input: float32[N, 10, 64]
  hint    num_heads must divide the features, or key_dim must be given
""",
    "layer mat_mul -i 3x4 -i 5x6": """\
ShapeError: mat_mul (MatMul): cannot multiply [N, 3, 4] by [N, 5, 6]: 4 columns meet 5 rows
  input   input1: float32[N, 3, 4], input2: float32[N, 5, 6]
  hint    the last axis of the first must equal the last but one of the second
""",
    "layer reshape -i 3x4 shape=5,-1": """\
ShapeError: reshape (Reshape): cannot reshape [3, 4] (12 numbers) to [5, -1]
  input   input: float32[N, 3, 4]
  hint    the number of numbers must stay the same
""",
}


@pytest.mark.parametrize("words", WRONG)
def test_wrong_words_get_one_message(words: str) -> None:
    result = run(*words.split())
    assert result.stderr == WRONG[words]
    assert result.exit_code == 2
    assert result.stdout == ""


def test_the_ledger_up_to_the_failing_layer_is_shown() -> None:
    result = run("show", "alexnet", "--input", "20x20x3")
    assert result.exit_code == 2
    assert "Conv-2" in result.stderr and "stopped at MaxPool-2" in result.stderr
    assert result.stderr.endswith(
        "ShapeError: MaxPool-2 (MaxPool): a window of 3 does not fit a map of 1\n"
        "  input   relu_2: float32[N, 1, 1, 256]\n"
        "  hint    use a smaller kernel_size, more padding, or a larger input\n"
    )


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("shw alexnet", "No such command 'shw'. did you mean 'show'?"),
        ("show", "Missing argument 'MODEL'."),
        ("show alexnet --batch 0", "0 is not in the range x>=1."),
        ("show alexnet --depth none", "'none' is not a valid integer range."),
        ("show alexnet --format tabel", "'tabel' is not one of 'table', 'markdown'"),
        ("show alexnet --layout hcw", "'hcw' is not one of 'hwc', 'chw', 'source'."),
        ("show alexnet --colour", "No such option '--colour'"),
        ("explain", "Missing argument 'MODEL'."),
    ],
)
def test_wrong_usage_is_told_by_the_command_line_itself(words: str, message: str) -> None:
    result = run(*words.split())
    assert message in result.stderr
    assert result.exit_code == 2


@pytest.mark.parametrize("command", ["", "show", "explain", "layer", "zoo", "schema"])
def test_every_command_has_help(command: str) -> None:
    result = run(*([command] if command else []), "--help")
    assert result.exit_code == 0 and "Usage" in result.stdout


@pytest.mark.parametrize(
    ("words", "file", "begins"),
    [
        ("show lenet5", "a.csv", "name,operation"),
        ("show lenet5", "a.md", "**lenet5**"),
        ("show lenet5", "a.json", "{"),
        ("show lenet5", "a.tex", "%"),
        ("show lenet5", "a.yml", "name: lenet5"),
        ("show lenet5", "a.txt", "lenet5 ·"),
        ("show lenet5 -f json", "a.csv", "{"),
        ("explain lenet5", "a.json", "{"),
        ("layer linear -i 8 out_features=2", "a.md", "**linear**"),
        ("zoo", "a.json", "["),
        ("check lenet5", "a.sarif", "{"),
        ("diff lenet5 alexnet", "a.json", "{"),
    ],
)
def test_the_files_ending_tells_the_format(
    words: str, file: str, begins: str, tmp_path: Path
) -> None:
    path = tmp_path / file
    assert run(*words.split(), "-o", str(path)).stderr == ""
    assert path.read_text(encoding="utf-8").startswith(begins)


def test_an_ending_that_the_command_does_not_write_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    result = run("zoo", "-o", str(path))
    assert result.exit_code == 2 and not path.exists()
    assert "give --format: table, json" in result.stderr


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "SpecError: net.onnx: the file is empty\n"),
        (
            b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n",
            "SpecError: net.onnx: the file stands for one that was not downloaded (Git LFS)\n"
            "  hint    'git lfs pull' in its folder downloads it\n",
        ),
        (
            b"\n<!DOCTYPE html>\n<html></html>",
            "SpecError: net.onnx: this is a web page, not the file that it may offer\n"
            "  hint    download the file itself\n",
        ),
    ],
)
def test_what_is_often_found_in_place_of_a_model(
    content: bytes, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net.onnx").write_bytes(content)
    result = run("show", "net.onnx")
    assert (result.exit_code, result.stderr) == (2, message)


def test_a_folder_with_a_configuration_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bert").mkdir()
    (tmp_path / "bert" / "config.json").write_text('{"model_type": "bert"}')
    assert run("show", "bert").stderr == (
        "SpecError: bert: a folder without a model in it\n"
        "  hint    a folder needs model.safetensors, pytorch_model.bin or an index of shards; "
        "'hf:FOLDER' builds what config.json describes, with transformers\n"
    )


def test_help_lists_every_format_that_is_read() -> None:
    text = run("show", "--help").stdout
    words = "spec keras .h5 to_json onnx .pt2 .pth safetensors config.json gguf caffe cuda-convnet"
    assert [word for word in words.split() if word not in text.lower()] == []


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["show", ""], "the name of a network or file is empty"),
        (["show", "src"], "src: a folder without a model in it"),
        (["show", "alexnet", "-i", "224x224"], "hint    write 224x224x3"),
        (["show", "alexnet", "-i", "1x224x224x3"], "leave the batch out"),
        (["show", "mlp", "-i", "1x28x28"], "the input has 1 axis without the batch"),
        (["layer", "linear", "-i", "1e3", "out_features=2"], "'1e3' is no size"),
        (["layer", "linear", "-i", "5", "out_features=1e3"], "hint    write 1000"),
    ],
)
def test_hints_say_what_to_write(
    words: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "src").mkdir()
    (tmp_path / "mlp").write_text("layers: [linear: {out_features: 2}]\ninput: [8]\n")
    monkeypatch.chdir(tmp_path)
    result = run(*words)
    assert result.exit_code == 2 and message in result.stderr


UP_AND_DOWN = """\
input: [64, 64, 3]
layers:
- conv: {out_channels: 8, kernel_size: 3, padding: 1, name: wide}
- max_pool: {kernel_size: 2}
- conv_transpose: {out_channels: 8, kernel_size: 2, stride: 2, name: up}
- concat: {axis: -1, inputs: [wide, up]}
"""


def test_inputs_may_be_formulas(tmp_path: Path) -> None:
    """Only a multiple of 2 comes back to its own size after halving."""
    path = tmp_path / "net.yaml"
    path.write_text(UP_AND_DOWN)
    assert run("show", str(path), "--input", "HxWx3").exit_code == 2
    assert "(2 × h)x(2 × w)x16" in run("show", str(path), "--input", "2hx2*wx3").stdout
    formula = netledger.ledger(str(path), "2hx2*wx3").totals.macs
    numbers = netledger.ledger(str(path), (10, 14, 3)).totals.macs
    assert substitute(formula, {"h": 5, "w": 7}) == numbers


def test_values_in_other_spellings() -> None:
    from netledger.layer import parse_value

    assert [parse_value(t) for t in ("yes", "No", "True", "FALSE")] == [True, False, True, False]
    assert parse_value("1_000") == 1000 and parse_value("1e-3") == 0.001


def test_descriptions_of_operations_are_plain_text() -> None:
    from netledger.layer import describe_operations

    assert describe_operations("einsum").startswith(
        "einsum: A sum of products by index letters, bqd,bkd->bqk.\n"
    )
    assert describe_operations("relu") == (
        "relu: A function of each number: relu, gelu, tanh and so on.\n\n"
        "for instance: netledger layer relu --input SHAPE"
    )
    assert describe_operations("gelu") == (
        "gelu: A function of each number: relu, gelu, tanh and so on.\n\n"
        "  approximate  a gelu by way of tanh: true or false; default false\n\n"
        "for instance: netledger layer gelu --input SHAPE"
    )
    refused = run("layer", "relu", "alpha=1", "--input", "8").stderr
    assert refused == (
        "UnknownName: unknown key of relu 'alpha'\n  hint    relu has no hyperparameters\n"
    )
    assert "`" not in describe_operations(None)


def test_words_of_other_tools_get_a_hint() -> None:
    from netledger.errors import SYNONYMS
    from netledger.ops import by_key

    assert set(SYNONYMS.values()) <= set(by_key()) and not set(SYNONYMS) & set(by_key())
    assert "did you mean 'linear'?" in run("layer", "Dense").stderr
    assert "did you mean 'multi_head_attention'?" in run("layer", "mha").stderr


def test_a_module_is_answered_with_its_own_rows() -> None:
    error = run("explain", "resnet50", "layer1").stderr
    assert "layer1 is a module; its rows are: layer1.0." in error and "layer4" not in error


@pytest.mark.parametrize("view", [[], ["--depth", "1"], ["--ops"]])
def test_inputs_name_rows_that_are_in_the_file(view: list[str]) -> None:
    rows = json.loads(run("show", "resnet18", "-f", "json", *view).stdout)["rows"]
    names = {row["name"] for row in rows}
    assert all(name in names for row in rows for name in row["inputs"])
    lines = list(csv.DictReader(io.StringIO(run("show", "resnet18", "-f", "csv", *view).stdout)))
    assert [line["inputs"] for line in lines] == [", ".join(row["inputs"]) for row in rows]

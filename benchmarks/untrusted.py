"""Files of strangers, as large as the bounds allow: their ledger and its JSON, against the promise.

The promise is 2 s and 1 s more for each 20 MB of metadata, and 512 MB of memory. Neighbouring
layers differ in size, so that little can be asked once and remembered. The promise is made for a
machine that makes AlexNet's ledger in 0.4 ms; how fast this one was is told by that ledger, made
in the same process, and the times count in proportion to it.
"""

from __future__ import annotations

import json
import struct
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

MIB = 1 << 20

OURS = """
import json, statistics, sys, time
import netledger
from netledger import infer, zoo
from pathlib import Path

def memory(reset=False):
    if reset:
        Path("/proc/self/clear_refs").write_text("5")
    return int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) * 1024

def file():
    ledger = netledger.ledger(sys.argv[1])
    assert ledger.totals and ledger.rows and ledger.to_dict()

alexnet = zoo.load("alexnet")

def spent(action):
    began = time.process_time()
    action()
    return time.process_time() - began

netledger.ledger("alexnet").to_dict()  # what every command needs is imported
before = memory(reset=True)
def beside():
    return [spent(lambda: infer(alexnet).totals) for _ in range(200)]

runs = []
for _ in range(3):
    around = beside()
    time_of_file = spent(file)
    runs.append((time_of_file, statistics.median(around + beside())))
print(json.dumps({"runs": runs, "memory": memory() - before}))
"""

STEADY = 0.4e-3
"""What AlexNet's ledger takes, in seconds, on the machine that the promise is made for."""


def width(i: int) -> int:
    """The size of layer `i`: 997 different ones."""
    return 1 + i * 31 % 997


def module(i: int) -> str:
    """A name in a module of its own, as the experts of a mixture have."""
    return f"model.layers.{i // 100}.experts.{i % 100}.weight"


def onnx(path: Path) -> int:
    """20,000 convolutions, the shape of every value stated."""
    import onnx

    helper, count = onnx.helper, 20_000
    nodes, tensors, values = [], [], []
    for i in range(count):
        ins, outs = width(i), width(i + 1)
        taken = [f"x{i}", f"w{i}", f"b{i}"]
        nodes.append(helper.make_node("Conv", taken, [f"x{i + 1}"], f"/layer{i}/conv"))
        tensors.append(onnx.TensorProto(name=f"w{i}", data_type=1, dims=[outs, ins, 1, 1]))
        tensors.append(onnx.TensorProto(name=f"b{i}", data_type=1, dims=[outs]))
        values.append(helper.make_tensor_value_info(f"x{i + 1}", 1, ["N", outs, 8, 8]))
    x = helper.make_tensor_value_info("x0", 1, ["N", width(0), 8, 8])
    graph = helper.make_graph(nodes, "net", [x], values[-1:], tensors, value_info=values[:-1])
    path.write_bytes(helper.make_model(graph).SerializeToString())
    return 0


def torch_export(path: Path) -> int:
    """16,000 convolutions: no more fit into the JSON that is read."""

    def tensor(*sizes: int) -> dict[str, Any]:
        return {
            "dtype": 7,
            "sizes": [{"as_int": size} for size in sizes],
            "requires_grad": True,
            "strides": [{"as_int": 1} for _ in sizes],
            "storage_offset": {"as_int": 0},
            "layout": 7,
            "device": {"type": "cpu", "index": None},
        }

    def named(name: str) -> dict[str, Any]:
        return {"as_tensor": {"name": name}}

    count = 16_000
    values, nodes = {"x0": tensor(1, width(0), 8, 8)}, []
    specs: list[Any] = [{"user_input": {"arg": named("x0")}}]
    for i in range(count):
        ins, outs = width(i), width(i + 1)
        values[f"x{i + 1}"] = tensor(1, outs, 8, 8)
        for part, sizes in (("weight", (outs, ins, 1, 1)), ("bias", (outs,))):
            name = f"p_{i}_{part}"
            values[name] = tensor(*sizes)
            full = f"layers.{i}.{part}"
            specs.append({"parameter": {"arg": {"name": name}, "parameter_name": full}})
        taken = {"input": f"x{i}", "weight": f"p_{i}_weight", "bias": f"p_{i}_bias"}
        stack = f"L__self__,,net.Net;L__self___{i},layers.{i},torch.nn.modules.conv.Conv2d"
        node = {
            "target": "torch.ops.aten.conv2d.default",
            "inputs": [{"name": n, "arg": named(v), "kind": 1} for n, v in taken.items()],
            "outputs": [named(f"x{i + 1}")],
            "metadata": {"nn_module_stack": stack},
        }
        nodes.append(node)
    graph = {"inputs": [], "nodes": nodes, "tensor_values": values, "sym_int_values": {}}
    outputs = [{"user_output": {"arg": named(f"x{count}")}}]
    signature = {"input_specs": specs, "output_specs": outputs}
    program = {"graph_module": {"graph": graph, "signature": signature}}
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("net/models/model.json", json.dumps(program))
    return 0


def safetensors(path: Path) -> int:
    """150,000 tensors, each in a module of its own."""
    entries: dict[str, Any] = {}
    at = 0
    for i in range(150_000):
        end = at + 4 * width(i)
        entries[module(i)] = {"dtype": "F32", "shape": [width(i)], "data_offsets": [at, end]}
        at = end
    return _with_payload(path, struct.pack("<Q", len(json.dumps(entries))), entries, at)


def _with_payload(path: Path, head: bytes, entries: Any, payload: int) -> int:
    with path.open("wb") as file:
        file.write(head + json.dumps(entries).encode())
        file.truncate(file.tell() + payload)
    return payload


def gguf(path: Path) -> int:
    """150,000 tensors, each in a module of its own."""
    count, size = 150_000, 32
    head = [b"GGUF", struct.pack("<IQQ", 3, count, 0)]
    for i in range(count):
        name = module(i).encode()
        head.append(struct.pack("<Q", len(name)) + name)
        head.append(struct.pack("<IQIQ", 1, width(i) % 8 + 1, 0, size * i))
    text = b"".join(head)
    with path.open("wb") as file:
        file.write(text + bytes(-len(text) % size))
        file.truncate(file.tell() + size * count)
    return size * count


def vocabulary(path: Path) -> int:
    """Four million words of a vocabulary."""

    def text(value: bytes) -> bytes:
        return struct.pack("<Q", len(value)) + value

    count = 4_000_000
    words = struct.pack("<IIQ", 9, 8, count) + text(b"ab") * count
    pairs = text(b"general.architecture") + struct.pack("<I", 8) + text(b"llama")
    tensor = text(b"w.weight") + struct.pack("<IQIQ", 1, 8, 0, 0)
    pairs += text(b"tokenizer.ggml.tokens") + words
    head = b"GGUF" + struct.pack("<IQQ", 3, 1, 2) + pairs + tensor
    path.write_bytes(head + bytes(-len(head) % 32) + bytes(32))
    return 32


def state_dict(path: Path) -> int:
    """51,000 tensors of one storage: what a pickle of that many instructions can hold."""
    import torch

    count = 51_000
    whole = torch.zeros(count)
    torch.save({module(i): whole[i : i + 1] for i in range(count)}, path)
    return 4 * count


def keras(path: Path) -> int:
    """9,999 dense layers in a configuration."""
    start = {"name": "x0", "batch_shape": [None, 8], "dtype": "float32"}
    layers: list[Any] = [
        {"class_name": "InputLayer", "config": start, "name": "x0", "inbound_nodes": []}
    ]
    for i in range(9_999):
        history = {"keras_history": [f"x{i}", 0, 0], "shape": [None, 8], "dtype": "float32"}
        taken = {"class_name": "__keras_tensor__", "config": history}
        layers.append(
            {
                "class_name": "Dense",
                "config": {"name": f"x{i + 1}", "units": width(i), "use_bias": True},
                "name": f"x{i + 1}",
                "inbound_nodes": [{"args": [taken], "kwargs": {}}],
            }
        )
    ends = {"input_layers": [["x0", 0, 0]], "output_layers": [[f"x{len(layers) - 1}", 0, 0]]}
    config = {"name": "net", "layers": layers, **ends}
    path.write_text(json.dumps({"module": "keras", "class_name": "Functional", "config": config}))
    return 0


def hdf5(path: Path) -> int:
    """7,900 layers of two tensors each, without a configuration."""
    import h5py
    import numpy as np

    with h5py.File(path, "w") as file:
        layers = file.create_group("layers")
        for i in range(7_900):
            stored = layers.create_group(f"dense_{i}").create_group("vars")
            for j, shape in enumerate(((width(i), 2), (2,))):
                stored.create_dataset(str(j), shape, np.float32)
    return 0


def caffe(path: Path) -> int:
    """9,999 convolutions."""
    layers = (
        f'layer {{ name: "x{i}" type: "Convolution" bottom: "x{i - 1}" top: "x{i}" '
        f"convolution_param {{ num_output: {width(i)} kernel_size: 3 pad: 1 }} }}\n"
        for i in range(1, 10_000)
    )
    path.write_text('input: "x0" input_shape { dim: 1 dim: 3 dim: 8 dim: 8 }\n' + "".join(layers))
    return 0


def cuda_convnet(path: Path) -> int:
    """999 convolutions of maps whose size the file does not say."""
    layers = (
        f"[x{i}]\ntype=conv\ninputs=x{i - 1}\nchannels={4 * i}\nfilters={4 * i + 4}\n"
        "filterSize=3\nstride=1\n"
        for i in range(1, 1_000)
    )
    path.write_text("[x0]\ntype=data\ndataIdx=0\n" + "".join(layers))
    return 0


def spec(path: Path) -> int:
    """7,100 convolutions in YAML."""
    layers = (f"  - conv: {{out_channels: {width(i)}, kernel_size: 1}}\n" for i in range(7_100))
    path.write_text("name: net\ninput: [8, 8, 3]\nlayers:\n" + "".join(layers))
    return 0


FILES: dict[str, Callable[[Path], int]] = {
    "net.onnx": onnx,
    "net.pt2": torch_export,
    "net.safetensors": safetensors,
    "net.gguf": gguf,
    "words.gguf": vocabulary,
    "net.pt": state_dict,
    "net.json": keras,
    "net.weights.h5": hdf5,
    "net.prototxt": caffe,
    "net.cfg": cuda_convnet,
    "net.yaml": spec,
}
"""Each writes its file, and returns how many of its bytes are weights."""


def run() -> Iterator[tuple[str, str, str]]:
    """Measures."""
    with tempfile.TemporaryDirectory() as folder:
        for name, write in FILES.items():
            path = Path(folder) / name
            metadata = -write(path) + path.stat().st_size
            script = [sys.executable, "-c", OURS, str(path)]
            done = subprocess.run(script, check=True, capture_output=True, text=True)
            found = json.loads(done.stdout)
            path.unlink()
            promised = 2 + metadata / (20 * MIB)
            # The run whose proportion to the ledgers just before and after it is the middle one.
            _, (spent, beside), _ = sorted(found["runs"], key=lambda run: run[0] / run[1])
            share = spent / beside * STEADY / promised
            described = (write.__doc__ or "").partition(".")[0]
            yield (
                f"untrusted `{path.suffix}`, {metadata / 1e6:.1f} MB: {described}",
                f"{100 * share:.0f} % of {promised:.2f} s in proportion ({spent:.2f} s of CPU, "
                f"where AlexNet's ledger took {1000 * beside:.2f} ms); "
                f"{found['memory'] / MIB:.0f} MB",
                "≤ 100 %, ≤ 512 MB",
            )

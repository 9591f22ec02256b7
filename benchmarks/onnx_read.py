"""An ONNX file of 2 GB with its weights inside: netledger against onnx.load and infer_shapes."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

WIDTH, LAYERS = 2240, 106
"""Dense layers; together just under the 2 GiB that protobuf allows."""

OURS = """
import json, sys, time
import netledger
from pathlib import Path

def memory(reset=False):
    if reset:
        Path("/proc/self/clear_refs").write_text("5")
    return int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) * 1024

netledger.ledger("alexnet")  # what every command needs is imported
before = memory(reset=True)
times = []
for _ in range(5):
    began = time.perf_counter()
    ledger = netledger.ledger(sys.argv[1])
    times.append(time.perf_counter() - began)
print(json.dumps({"seconds": times[0], "again": min(times), "memory": memory() - before,
                  "whole": memory(), "params": ledger.totals.params}))
"""

THEIRS = """
import json, sys, time
import onnx
began = time.perf_counter()
model = onnx.shape_inference.infer_shapes(onnx.load(sys.argv[1]))
seconds = time.perf_counter() - began
sizes = [len(t.raw_data) // 4 for t in model.graph.initializer]
print(json.dumps({"seconds": seconds, "params": sum(sizes),
                  "shapes": len(model.graph.value_info)}))
"""


def write(path: Path) -> None:
    """Writes the file piece by piece, so that it never has to be in memory."""
    import onnx

    helper, names = onnx.helper, [f"w{i}" for i in range(LAYERS)]
    nodes = [
        helper.make_node("MatMul", [f"x{i}" if i else "x", name], [f"x{i + 1}"], f"fc{i}")
        for i, name in enumerate(names)
    ]
    ends = [helper.make_tensor_value_info(n, 1, ["batch", WIDTH]) for n in ("x", f"x{LAYERS}")]
    graph = helper.make_graph(nodes, "dense", ends[:1], ends[1:]).SerializeToString()
    head = helper.make_model(onnx.GraphProto()).SerializeToString()
    payload = bytes(range(256)) * (WIDTH * WIDTH * 4 // 256)
    tensors = []
    for name in names:
        tensor = onnx.TensorProto(name=name, data_type=1, dims=[WIDTH, WIDTH]).SerializeToString()
        inner = tensor + b"\x4a" + varint(len(payload))
        tensors.append(b"\x2a" + varint(len(inner) + len(payload)) + inner)
    size = len(graph) + sum(len(t) + len(payload) for t in tensors)
    head = head.replace(b"\x3a\x00", b"")  # the empty graph of the head
    with path.open("wb") as file:
        file.write(head + b"\x3a" + varint(size) + graph)
        for tensor in tensors:
            file.write(tensor)
            file.write(payload)
    assert 2e9 < path.stat().st_size < 2**31


def varint(value: int) -> bytes:
    """A number as protobuf writes it."""
    out = b""
    while value > 127:
        out, value = out + bytes([value & 127 | 128]), value >> 7
    return out + bytes([value])


def measure(code: str, path: Path) -> dict[str, float]:
    """Runs `code` in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-c", code, str(path)], check=True, capture_output=True, text=True
    )
    found: dict[str, float] = json.loads(done.stdout)
    return found


def run() -> Iterator[tuple[str, str, str]]:
    """Measures."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "large.onnx"
        write(path)
        ours, theirs = measure(OURS, path), measure(THEIRS, path)
    assert ours["params"] == theirs["params"] == LAYERS * WIDTH * WIDTH
    share = ours["seconds"] / theirs["seconds"]
    what = "2.1 GB of ONNX with weights inside"
    yield (
        f"{what}: time against onnx.load + infer_shapes",
        f"{100 * share:.2f} % ({1000 * ours['seconds']:.0f} ms of {theirs['seconds']:.1f} s)",
        "under 2 %",
    )
    yield (
        f"{what}: memory",
        f"{ours['memory'] / 1e6:.1f} MB more, {ours['whole'] / 1e6:.0f} MB in all",
        "under 100 MB",
    )
    assert share < 0.02
    assert ours["whole"] < 100e6

"""Coverage-guided fuzzing of the reader of exported programs: a ledger or a NetledgerError.

The input is the program's JSON; the archive around it is made here.

Run: python fuzz/fuzz_pt2.py -max_total_time=60
"""

from __future__ import annotations

import io
import json
import zipfile
from typing import Any

from target import fuzz


def sizes(*dims: int | str) -> dict[str, Any]:
    """A tensor of these sizes."""
    made = [
        {"as_int": d} if isinstance(d, int) else {"as_expr": {"expr_str": d, "hint": None}}
        for d in dims
    ]
    return {"dtype": 7, "sizes": made, "requires_grad": True}


def tensor(name: str) -> dict[str, Any]:
    """A tensor as an argument."""
    return {"as_tensor": {"name": name}}


def call(name: str, target: str, **args: Any) -> dict[str, Any]:
    """A node."""
    inputs = [{"name": key, "arg": value, "kind": 1} for key, value in args.items()]
    stack = f"L__self__,,Net;L__self__{name},{name},torch.nn.modules.Layer"
    return {
        "name": name,
        "target": f"torch.ops.aten.{target}",
        "inputs": inputs,
        "outputs": [tensor(name)],
        "metadata": {"nn_module_stack": stack},
    }


def program(batch: int | str) -> bytes:
    """A small network."""
    stored = {"w": (4, 3, 3, 3), "b": (4,), "m": (5, 144)}
    specs = [{"parameter": {"arg": {"name": n}, "parameter_name": f"l.{n}"}} for n in stored]
    values = {n: sizes(*shape) for n, shape in stored.items()}
    values |= {"x": sizes(batch, 3, 8, 8), "c": sizes(batch, 4, 6, 6), "f": sizes(batch, 144)}
    values |= {"y": sizes(batch, 5), "s": sizes(batch, 2)}
    nodes = [
        call("c", "conv2d.default", input=tensor("x"), weight=tensor("w"), bias=tensor("b")),
        call("f", "flatten.using_ints", self=tensor("c"), start_dim={"as_int": 1}),
        call("y", "linear.default", input=tensor("f"), weight=tensor("m")),
        call("s", "slice.Tensor", self=tensor("y"), dim={"as_int": 1}, end={"as_int": 2}),
    ]
    signature = {
        "input_specs": [*specs, {"user_input": {"arg": tensor("x")}}],
        "output_specs": [{"user_output": {"arg": tensor("s")}}],
    }
    graph = {"nodes": nodes, "tensor_values": values, "sym_int_values": {}}
    return json.dumps({"graph_module": {"graph": graph, "signature": signature}}).encode()


def archive(data: bytes) -> bytes:
    """A file of torch.export around a program."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as file:
        file.writestr("m/models/model.json", data)
    return out.getvalue()


if __name__ == "__main__":
    batches = (1, "Symbol('s0', integer=True)", "Mul(Integer(2), Symbol('s1'))")
    fuzz("torch_export", map(program, batches), longest=6000, wraps=(archive,))

"""PyTorch, and through it ONNX and .pt2."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from netledger import Graph, ops
from netledger.graph import Node
from netledger.infer import infer
from netledger.ops.base import Op

from .words import fixed_pool, padded_before, pairs, plain, quiet


def torch_words(op: Op, shape: tuple[int, ...]) -> Sequence[Op]:
    """PyTorch rounds poolings up, but not convolutions."""
    if isinstance(op, ops.Conv) and op.rounding != "floor":
        return padded_before(op, shape[0])
    return (op,)


def onnx_words(op: Op, shape: tuple[int, ...]) -> Sequence[Op]:
    """ONNX has PyTorch's words, but for poolings that choose their windows."""
    return fixed_pool(op, shape) if isinstance(op, ops.AdaptiveAvgPool) else torch_words(op, shape)


def torch_module(graph: Graph, lrn: Callable[[Any], Any]) -> Any:
    """A module that runs the nodes of a graph with channels first, one after the other."""
    import torch
    from torch import nn

    rows = {row.name: row for row in infer(graph).ops}

    def layer(node: Node) -> Any:
        op: Any = node.op
        shape = rows[node.name].input_types[0].shape
        functions: Mapping[str, Callable[[], Any]] = {
            "Conv": lambda: nn.Conv2d(
                shape[1], op.out_channels, op.kernel_size, op.stride, op.padding,
                groups=op.groups, bias=op.bias,
            ),
            "MaxPool": lambda: nn.MaxPool2d(
                op.kernel_size, op.step, op.padding, ceil_mode=op.rounding != "floor"
            ),
            "AvgPool": lambda: nn.AvgPool2d(op.kernel_size, op.step, op.padding),
            "AdaptiveAvgPool": lambda: nn.AdaptiveAvgPool2d(op.output_size),
            "GlobalAvgPool": lambda: nn.AdaptiveAvgPool2d(1),
            "Linear": lambda: nn.Linear(shape[-1], op.out_features, bias=op.bias),
            "BatchNorm": lambda: nn.BatchNorm2d(shape[1]),
            "LocalResponseNorm": lambda: lrn(op),
            "Pad": lambda: nn.ZeroPad2d([p for pair in reversed(pairs(op.padding)) for p in pair]),
            "ReLU": nn.ReLU,
            "Tanh": nn.Tanh,
            "Softmax": lambda: nn.Softmax(op.axis),
            "Dropout": lambda: nn.Dropout(op.rate),
            "Flatten": nn.Flatten,
        }  # fmt: skip
        return functions[op.kind]() if op.kind in functions else None

    class Interpreter(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            for node in graph.nodes:
                if (made := layer(node)) is not None:
                    self.add_module(plain(node.name), made)

        def forward(self, x: Any) -> Any:
            values = {next(iter(graph.inputs)): x}
            for node in graph.nodes:
                op: Any = node.op
                taken = [values[v] for v in node.inputs]
                if isinstance(op, ops.Add):
                    made = taken[0] + taken[1]
                elif isinstance(op, ops.Concat):
                    made = torch.cat(taken, op.axis)
                elif isinstance(op, ops.Permute):
                    made = taken[0].permute(*op.order)
                else:
                    made = getattr(self, plain(node.name))(taken[0])
                values[node.name] = made
            made = [values[v] for v in graph.outputs]
            return made[0] if len(made) == 1 else tuple(made)

    with torch.device("meta"):
        return Interpreter().eval()


def image(graph: Graph, device: str) -> Any:
    """A batch of two for the network's only input."""
    import torch

    (shape,) = (t.shape[1:] for t in graph.inputs.values())
    return torch.zeros(2, *shape, device=device)


def write_pt2(graph: Graph, path: Path) -> None:
    """Traced on the meta device, where tensors have shapes and no numbers."""
    import torch
    from torch import nn

    module = torch_module(graph, lambda op: nn.LocalResponseNorm(op.size, op.alpha, op.beta, op.k))
    batch = torch.export.Dim("N")
    with quiet():
        program = torch.export.export(module, (image(graph, "meta"),), dynamic_shapes=({0: batch},))
        torch.export.save(program, path)


def write_onnx(graph: Graph, path: Path) -> None:
    """By the exporter of PyTorch that keeps layers whole; LRN as ONNX's own operator."""
    import torch
    from torch import nn

    class Normalise(torch.autograd.Function):
        @staticmethod
        def forward(_: Any, x: Any, size: int, alpha: float, beta: float, k: float) -> Any:
            return x.clone()

        @staticmethod
        def symbolic(g: Any, x: Any, size: int, alpha: float, beta: float, k: float) -> Any:
            made = g.op("LRN", x, size_i=size, alpha_f=alpha, beta_f=beta, bias_f=k)
            return made.setType(x.type())

    class Norm(nn.Module):
        def __init__(self, op: Any) -> None:
            super().__init__()
            self.values = op.size, op.alpha, op.beta, op.k

        def forward(self, x: Any) -> Any:
            return Normalise.apply(x, *self.values)

    module = torch_module(graph, Norm).to_empty(device="cpu")
    for number, tensor in enumerate((*module.parameters(), *module.buffers()), start=1):
        tensor.data.fill_(number)  # no two alike, or the exporter would store them once
    with quiet():
        torch.onnx.export(
            module,
            (image(graph, "cpu"),),
            str(path),
            dynamo=False,
            input_names=["x"],
            dynamic_axes={"x": {0: "N"}},
            training=torch.onnx.TrainingMode.PRESERVE,
        )

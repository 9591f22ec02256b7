"""Networks of torchvision, built: what they compute is what torchvision computes.

Read live, from a .pt2 file and from an ONNX file; class token, position embeddings, windows and
relative positions of transformers included.
"""

from __future__ import annotations

import io
import re
import warnings
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import pytest

import netledger
from netledger import Graph
from netledger.build import write
from netledger.infer import infer

torch = pytest.importorskip("torch")
np = pytest.importorskip("numpy")

TARGETS = ("torch", "keras", "jax", "onnx")


def vit(models: Any) -> tuple[Any, int]:
    """A ViT of two layers, and the size of its images."""
    sizes = {"num_layers": 2, "num_heads": 4, "hidden_dim": 32, "mlp_dim": 64, "num_classes": 10}
    return models.VisionTransformer(image_size=32, patch_size=8, **sizes), 32


def maxvit(models: Any) -> tuple[Any, int]:
    """A MaxViT of two blocks."""
    sizes = {"stem_channels": 8, "block_channels": [8, 16], "block_layers": [1, 1], "head_dim": 4}
    rest = {"stochastic_depth_prob": 0.2, "partition_size": 2, "num_classes": 10}
    return models.MaxVit(input_size=(32, 32), **sizes, **rest), 32


def densenet(models: Any) -> tuple[Any, int]:
    """A DenseNet of two blocks, of different depth."""
    sizes = {"growth_rate": 4, "block_config": (3, 4), "num_init_features": 8, "num_classes": 10}
    return models.DenseNet(**sizes), 32


NETWORKS = {"vit": vit, "maxvit": maxvit, "densenet": densenet}


def scattered(module: Any) -> Any:
    """The module with weights of which none is zero, so that nothing fades out."""
    torch.manual_seed(0)
    for name, tensor in module.state_dict().items():
        if tensor.is_floating_point() and "running_var" not in name:
            wide = tensor.ndim > 1 and "position" not in name and "pos_" not in name
            tensor.normal_(0, (2 / tensor[0].numel()) ** 0.5 if wide else 0.5)
    return module.eval()


def own(graph: Graph, module: Any) -> dict[tuple[str, str], Any]:
    """The module's weights by the rows of its graph, which knows where they come from."""
    tensors = {**dict(module.named_parameters()), **dict(module.named_buffers())}
    return {
        (row.name, p.name): tensors[graph.homes[row.name, p.name][0]].detach().numpy()
        for row in infer(graph).ops
        for p in row.parameters
    }


def compared(graph: Graph, weights: Any, module: Any, size: int, builder: Any, close: Any) -> None:
    """What is built of the graph gives what the module gives."""
    x = torch.randn(2, 3, size, size)
    model = builder.make(graph)
    builder.load(model, graph, weights)
    with torch.no_grad():
        expected = module(x).numpy()
    close(builder.run(model, graph, [x.numpy()]), [expected])


@pytest.mark.parametrize("to", TARGETS)
@pytest.mark.parametrize("name", NETWORKS)
def test_live(name: str, to: str, torchvision: Any, target: Any, close: Any) -> None:
    module, size = NETWORKS[name](torchvision.models)
    graph = netledger.read(scattered(module), (3, size, size))
    compared(graph, own(graph, module), module, size, target(to), close)


def exported(module: Any, size: int, path: Path) -> Graph:
    """Written by PyTorch's own exporters, for batches of any size, and read."""
    x = torch.randn(2, 3, size, size)
    quiet = redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO())
    with warnings.catch_warnings(), quiet[0], quiet[1]:
        warnings.simplefilter("ignore")
        if path.suffix == ".onnx":
            names = {"input_names": ["x"], "dynamic_axes": {"x": {0: "N"}}}
            torch.onnx.export(module, (x,), str(path), dynamo=False, **names)
        else:
            batch = torch.export.Dim("N", min=2, max=64)
            program = torch.export.export(module, (x,), dynamic_shapes=({0: batch},))
            torch.export.save(program, str(path))
    return netledger.read(path)


# The exporter to ONNX computes MaxViT's tables of positions, so that the file has other weights.
@pytest.mark.parametrize(("name", "suffix"), [("vit", "pt2"), ("vit", "onnx"), ("maxvit", "pt2")])
def test_from_a_file(
    name: str, suffix: str, tmp_path: Path, torchvision: Any, target: Any, close: Any
) -> None:
    pytest.importorskip("onnx")
    module, size = NETWORKS[name](torchvision.models)
    live = netledger.read(scattered(module), (3, size, size))
    given = own(live, module)
    graph = exported(module, size, tmp_path / f"net.{suffix}")
    if suffix == "pt2":
        return compared(graph, own(graph, module), module, size, target("torch"), close)
    rows = [(row.name, p) for row in infer(graph).ops for p in row.parameters]
    arrays = [given[row.name, p.name] for row in infer(live).ops for p in row.parameters]
    weights = {(n, p.name): a for (n, p), a in zip(rows, arrays, strict=True)}
    assert all(weights[n, p.name].shape == tuple(p.shape) for n, p in rows)
    return compared(graph, weights, module, size, target("torch"), close)


def test_layers_that_take_lists_are_one_class(torchvision: Any) -> None:
    module, size = densenet(torchvision.models)
    code = str(write(netledger.read(module, (3, size, size)), "torch"))
    assert re.findall(r"class (\w+)", code) == [
        *("Denselayer", "Transition", "Denseblock", "Denseblock2", "Features", "DenseNet"),
    ]
    assert "self.denselayer4 = Denselayer(22)" in code
    assert "def forward(self, features: list[Tensor]) -> Tensor:" in code
    assert (
        "        features = [x]\n"
        "        for layer in (self.denselayer1, self.denselayer2, self.denselayer3):\n"
        "            features.append(layer(features))\n"
        "        return torch.cat(features, dim=1)\n"
    ) in code


@pytest.mark.slow
@pytest.mark.parametrize("to", TARGETS)
@pytest.mark.parametrize("name", ("vit_b_16", "maxvit_t", "densenet121"))
def test_the_published_ones(name: str, to: str, torchvision: Any, target: Any, close: Any) -> None:
    module = scattered(getattr(torchvision.models, name)(weights=None))
    graph = netledger.read(module, (3, 224, 224))
    compared(graph, own(graph, module), module, 224, target(to), close)

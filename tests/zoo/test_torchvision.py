"""Networks that follow torchvision, against torchvision itself: names, shapes, multiply-adds."""

from __future__ import annotations

from collections import Counter
from functools import cache
from importlib.util import find_spec
from typing import Any

import pytest

from netledger import zoo
from netledger.infer import infer
from netledger.references import beside_torchvision

pytestmark = pytest.mark.oracle

RESNETS = ["resnet18", "resnet34", "resnet50", "resnet101", "resnet152"]
OTHERS = ["alexnet-owt", "vgg16", "googlenet", "googlenet-aux"]
Stored = dict[str, tuple[int, ...]]


@cache
def torchvision() -> Any:
    """torchvision, also one whose compiled operators do not load beside this PyTorch."""
    pytest.importorskip("torch")
    if find_spec("torchvision") is None:
        pytest.skip("torchvision is not installed")
    return beside_torchvision("torchvision")


def built(name: str) -> Any:
    torch = pytest.importorskip("torch")
    models = torchvision().models
    make = getattr(models, "alexnet" if name == "alexnet-owt" else name.removesuffix("-aux"))
    heads = {"aux_logits": name.endswith("-aux")} if name.startswith("googlenet") else {}
    with torch.device("meta"):
        return make(init_weights=False, **heads) if heads else make()


def theirs(model: Any) -> Stored:
    stored = {name: tuple(t.shape) for name, t in model.state_dict().items()}
    return {name: shape for name, shape in stored.items() if "num_batches" not in name}


def ours(name: str) -> Stored:
    rows = infer(zoo.load(name)).ops
    return {f"{row.name}.{p.name}": tuple(p.shape) for row in rows for p in row.parameters}


@pytest.mark.parametrize("name", [*RESNETS, "googlenet", "googlenet-aux"])
def test_every_tensor_has_torchvisions_name_and_shape(name: str) -> None:
    assert ours(name) == theirs(built(name))


@pytest.mark.parametrize("name", ["alexnet-owt", "vgg16"])
def test_the_same_tensors_by_other_names_and_in_the_same_order(name: str) -> None:
    def bare(stored: Stored) -> list[tuple[str, tuple[int, ...]]]:
        return [(key.rpartition(".")[2], shape) for key, shape in stored.items()]

    assert bare(ours(name)) == bare(theirs(built(name)))


@pytest.mark.parametrize(
    ("name", "size"),
    [*((name, 224) for name in [*RESNETS, *OTHERS]), ("resnet50", 256), ("googlenet-aux", 301)],
)
def test_multiply_adds_of_a_forward(name: str, size: int) -> None:
    """PyTorch's counter, two operations to a multiply-add."""
    torch = pytest.importorskip("torch")
    from torch.utils.flop_counter import FlopCounterMode

    graph = zoo.load(name)
    model = built(name).train()  # auxiliary heads run in training only
    with FlopCounterMode(display=False) as counter:
        model(torch.empty(2, 3, size, size, device="meta"))
    ((input_name, t),) = graph.inputs.items()
    changed = graph.with_inputs({input_name: t._replace(shape=(t.shape[0], size, size, 3))})
    assert infer(changed, batch=2).totals.macs * 2 == counter.get_total_flops()


@pytest.mark.parametrize("name", ["resnet50", "googlenet-aux"])
def test_every_map_of_a_forward(name: str) -> None:
    """The outputs of all convolutions, normalisations and fully connected layers, by name."""
    torch = pytest.importorskip("torch")
    model, seen = built(name).train(), {}
    for path, module in model.named_modules():
        if list(module.parameters(recurse=False)):
            module.register_forward_hook(
                lambda _module, _inputs, out, path=path: seen.update({path: tuple(out.shape)})
            )
    model(torch.empty(2, 3, 224, 224, device="meta"))
    rows = [row for row in infer(zoo.load(name), batch=2).ops if row.parameters]
    found = {row.name: row.outputs[0].shape for row in rows}
    assert {k: (s[0], s[-1], *s[1:-1]) if len(s) == 4 else s for k, s in found.items()} == seen
    assert Counter(row.kind for row in rows)["Linear"] >= 1

"""A run in Keras, whatever its backend is."""

from __future__ import annotations

from typing import Any

from netledger.build import keras as target
from netledger.build.keras.code import Plan
from netledger.ops.recurrent import Recurrent
from netledger.verify.run import Case, Observed


def observe(case: Case) -> Observed:
    """Builds the network, runs it forward and backward, and looks."""
    plan = Plan.of(case.graph)
    found = Observed(plan.net, "")
    case.watch("building", 0, 1)
    with found.timed("build"):
        model = target.make(case.graph)
    import keras

    backend = keras.backend.backend()
    found.framework = f"Keras {keras.__version__} on {backend}"
    arrays = case.inputs(plan.net)
    layers = _layers(model, plan, found)
    _parameters(model, layers, found)
    if backend == "torch":
        _on_torch(model, layers, arrays, case, found)
    else:
        _elsewhere(model, layers, arrays, case, found, backend)
    return found


def _layers(model: Any, plan: Plan, found: Observed) -> dict[str, Any]:
    """The layer of each row."""
    layers: dict[str, Any] = {}
    for node in plan.net.graph.nodes:
        if plan.written[node.name].module is None:
            found.unseen[node.name] = "a function, not a layer, in Keras"
        else:
            layers[node.name] = model.get_layer(plan.layers[node.name])
    return layers


def _parameters(model: Any, layers: dict[str, Any], found: Observed) -> None:
    for row, layer in layers.items():
        found.parameters[row], found.buffers[row] = _counts(layer)
    found.totals["parameters"], found.totals["buffers"] = _counts(model)
    found.totals["trainable"] = _size(model.trainable_weights)


def _counts(layer: Any) -> tuple[int, int]:
    """Parameters, and running statistics, which Keras calls weights that are not trainable."""
    kept = [v for v in layer.non_trainable_weights if v.name.startswith("moving_")]
    stored = _size(layer.weights)
    return stored - _size(kept), _size(kept)


def _size(variables: Any) -> int:
    total = 0
    for variable in variables:
        count = 1
        for d in variable.shape:
            count *= int(d)
        total += count
    return total


def _observer(model: Any, layers: dict[str, Any]) -> Any:
    """The same layers, with what each of them makes as outputs."""
    import keras

    inputs = model.inputs if len(model.inputs) > 1 else model.inputs[0]
    return keras.Model(inputs, [layer.output for layer in layers.values()])


def _seen(
    layers: dict[str, Any], plan: dict[str, tuple[str, ...]], made: Any, found: Observed
) -> None:
    import keras

    for row, value in zip(layers, made if isinstance(made, list) else [made], strict=True):
        results = value if isinstance(value, list | tuple) else [value]
        for name, array in zip(plan[row], results, strict=False):
            found.saw(name, keras.ops.convert_to_numpy(array))


def _on_torch(model: Any, layers: dict[str, Any], arrays: Any, case: Case, found: Observed) -> None:
    """PyTorch counts along, tells what it keeps, and has the gradients."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    from netledger.verify.torch import Kept, mean

    given = arrays[0] if len(arrays) == 1 else arrays
    counter = FlopCounterMode(display=False)
    case.watch("forward, watched", 0, 1)
    with torch.no_grad(), counter:
        made = _observer(model, layers)(given, training=True)
    _seen(layers, _values(found), made, found)
    found.totals["macs"] = counter.get_total_flops() // 2 // case.batch
    if any(isinstance(node.op, Recurrent) for node in case.graph.nodes):
        found.whys["macs"] = "PyTorch's counter has no rule for recurrent layers"
    variables = [v.value for v in model.trainable_weights]
    kept = Kept([v.value for v in model.weights])
    case.watch("forward", 0, 1)
    with found.timed("forward"), kept.counting():
        made = model(given, training=True)
    case.watch("backward", 0, 1)
    with found.timed("backward"):
        mean(made).backward()
    found.saved_bytes = kept.bytes
    found.totals["gradients"] = sum(v.grad.numel() for v in variables if v.grad is not None)


def _elsewhere(
    model: Any, layers: dict[str, Any], arrays: Any, case: Case, found: Observed, backend: str
) -> None:
    """One step of training, by Keras itself; it does not hand out gradients."""
    import keras

    given = arrays[0] if len(arrays) == 1 else arrays
    case.watch("forward, watched", 0, 1)
    made = _observer(model, layers)(given, training=False)
    _seen(layers, _values(found), made, found)
    case.watch("forward", 0, 1)
    with found.timed("forward"):
        made = model(given, training=False)
    wanted = [keras.ops.zeros_like(m) for m in (made if isinstance(made, list) else [made])]
    losses = ["mean_squared_error"] * len(wanted)
    model.compile(optimizer="sgd", loss=losses if len(losses) > 1 else losses[0])
    case.watch("forward and backward", 0, 1)
    with found.timed("forward and backward"):
        model.train_on_batch(given, wanted if len(wanted) > 1 else wanted[0])
    found.whys["gradients"] = f"Keras on {backend} keeps its gradients to itself"
    found.whys["macs"] = f"Keras on {backend} does not count"


def _values(found: Observed) -> dict[str, tuple[str, ...]]:
    return {node.name: node.outputs for node in found.net.graph.nodes}

"""The spec: a network as YAML, in the operations' own words → a Graph."""

from __future__ import annotations

import re
from pathlib import Path

from netledger import strict_yaml
from netledger.builder import Names
from netledger.graph import Graph, TensorType
from netledger.readers.common import Source
from netledger.readers.spec.layer import Layer, read_layer
from netledger.readers.spec.links import link, tied
from netledger.readers.spec.values import Values, show
from netledger.schema import LAST, LAYOUTS, TOP_KEYS
from netledger.strict_yaml import Value

_LAYERS = re.compile(r"""^["']?layers["']?[ ]*:[ ]*(\#.*|\[.*)?\r?$""", re.MULTILINE)


def accepts(source: Source) -> bool:
    """True for text with a key ``layers`` at its top, and for all text that is called YAML."""
    if source.is_folder or b"\0" in source.head:
        return False
    if source.path.suffix.lower() in (".yaml", ".yml"):
        return True
    if source.head.lstrip().startswith(b"{"):  # JSON is YAML, but not all of it is a spec
        return False
    return _LAYERS.search(source.head.decode("utf-8", "ignore")) is not None


def read(source: Source) -> Graph:
    """The network that a spec describes.

    Raises:
        NetledgerError: If it is not a spec; the message names the line.
    """
    return parse(source.text(strict_yaml.LARGEST), source.name)


def parse(text: str, file: str = "spec") -> Graph:
    """The network that the text of a spec describes; `file` is what messages call it.

    >>> graph = parse("{input: [8], layers: [linear: {out_features: 2}, relu]}")
    >>> [node.name for node in graph.nodes]
    ['linear', 'relu']

    Raises:
        NetledgerError: If it is not a spec; the message names the line.
    """
    root = strict_yaml.parse(text, file)
    values = Values(file)
    if not isinstance(root.data, dict):
        fact = f"a spec is a mapping with the keys input and layers; got {show(root)}"
        raise values.fault(fact, root)
    top = values.mapping(root, "a spec", TOP_KEYS)
    name = values.text(top["name"], "name") if "name" in top else Path(file).stem
    title = values.text(top["title"], "title") if "title" in top else ""
    channels_last = True
    if "layout" in top:
        channels_last = values.word(top["layout"], "layout", LAYOUTS) == LAST
    if "symbols" in top:
        names = values.items(top["symbols"], "symbols")
        values.symbols |= {values.text(one, "a symbol") for one in names}
    inputs = _inputs(values, root, top)
    layers = _layers(values, root, top, Names(inputs), channels_last)
    returned = values.references(top["outputs"], "outputs") if "outputs" in top else None
    nodes, outputs = link(values, layers, inputs, returned)
    graph = Graph(name, inputs, nodes, outputs, title=title, source=file, reader="spec")
    return tied(values, graph, layers)


def _inputs(values: Values, root: Value, top: dict[str, Value]) -> dict[str, TensorType]:
    hint = "for instance input: [227, 227, 3], without the batch"
    if "input" in top and "inputs" in top:
        raise values.fault("input and inputs: one of the two is enough", top["inputs"], hint)
    if "input" in top:
        return {"input": values.input_type(top["input"], "input")}
    if "inputs" not in top:
        raise values.fault("the key input is missing", root, hint)
    named = top["inputs"]
    if not isinstance(named.data, dict):
        fact = f"inputs must be a mapping of names to shapes; got {show(named)}"
        raise values.fault(fact, named, "a single input is given with input")
    return {n: values.input_type(v, f"input {n!r}") for n, v in named.data.items()}


def _layers(
    values: Values, root: Value, top: dict[str, Value], names: Names, channels_last: bool
) -> dict[str, Layer]:
    if "layers" not in top:
        hint = "for instance layers: [flatten, linear: {out_features: 10}]"
        raise values.fault("the key layers is missing", root, hint)
    found: dict[str, Layer] = {}
    for number, item in enumerate(values.items(top["layers"], "layers"), start=1):
        layer = read_layer(values, number, item, names, channels_last)
        found[layer.name] = layer
    values.where = ""
    return found

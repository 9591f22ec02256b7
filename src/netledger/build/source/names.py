"""Names out of a graph as Python identifiers: nothing else of a foreign name gets into code."""

from __future__ import annotations

import builtins
import keyword
import re
from collections.abc import Iterable

LONGEST = 40

SPELLINGS = {
    "alexnet": "AlexNet",
    "caffenet": "CaffeNet",
    "googlenet": "GoogLeNet",
    "lenet": "LeNet",
    "resnet": "ResNet",
    "densenet": "DenseNet",
    "mobilenet": "MobileNet",
    "efficientnet": "EfficientNet",
    "squeezenet": "SqueezeNet",
    "vgg": "VGG",
}
"""How well-known networks are spelt as classes."""


def identifier(name: str, fallback: str = "layer") -> str:
    """A name in snake case: ``MaxPool-1`` → ``max_pool_1``, ``layer1.0`` → ``layer1_0``."""
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name[: 4 * LONGEST].replace("ReLU", "Relu"))
    plain = re.sub(r"[^A-Za-z0-9]+", "_", spaced).strip("_").lower()[:LONGEST].strip("_")
    if not plain:
        return fallback
    if plain[0].isdigit():
        plain = f"{fallback}_{plain}"
    reserved = keyword.iskeyword(plain) or keyword.issoftkeyword(plain) or hasattr(builtins, plain)
    return f"{plain}_" if reserved else plain


def class_name(name: str, fallback: str = "Network") -> str:
    """A name in capitals: ``alexnet-2012`` → ``AlexNet2012``."""
    words = re.findall(r"[A-Za-z]+|[0-9]+", name[: 4 * LONGEST])
    spelt = "".join(_spelt(word) for word in words)[:LONGEST]
    if not spelt:
        return fallback
    return f"{fallback}{spelt}" if spelt[0].isdigit() else spelt


def _spelt(word: str) -> str:
    for plain, spelling in SPELLINGS.items():
        if word.lower() == plain:
            return spelling
    return word[0].upper() + word[1:]


def text(name: str, longest: int = 100) -> str:
    """A name as it may stand in a comment or a docstring: printable ASCII, no quotes, one line."""
    kept = "".join(c if c.isascii() and c.isprintable() else "_" for c in name[:longest])
    return re.sub(r"[\"\\]", "_", kept).strip() or "_"


class Taken:
    """Identifiers that are used already."""

    def __init__(self, taken: Iterable[str] = ()) -> None:
        self._taken = set(taken)

    def make(self, name: str, gap: str = "_") -> str:
        """`name`, or with a number behind it."""
        found, number = name, 2
        while found in self._taken:
            found, number = f"{name}{gap}{number}", number + 1
        self._taken.add(found)
        return found

"""cuda-convnet layer files (``.cfg``), the kind that AlexNet was written in.

The two programs of Krizhevsky (2011, 2014) read them as INI files: a section is a layer. A file
does not say how large the images are, so their side is the symbol S until an input is given:
``--input 3x224x224``. Labels and costs are left out: they are no part of the network.
"""

from __future__ import annotations

import re

from netledger.graph import Graph
from netledger.readers.common import Source
from netledger.readers.cuda_convnet.ini import parse
from netledger.readers.cuda_convnet.net import Net

LARGEST = 2**20
"""The largest file that is read, in bytes; a network of hundreds of layers has less than 100 KB."""

_SECTION = re.compile(rb"(?:\s++|[#;][^\n]*+)*+\[[^\]\n]+\]\s*[\n#;]")
_TYPE = re.compile(
    rb"^type\s*[=:]\s*(?:data|conv|local|fc|pool|softmax|neuron|rnorm|cmrnorm|cnorm|cost\.[\w.]+|"
    rb"elt(?:sum|max)|concat|dropout2?)\s*$",
    re.MULTILINE | re.IGNORECASE,
)


def accepts(source: Source) -> bool:
    """True for INI sections with a type that cuda-convnet knows."""
    return _SECTION.match(source.head) is not None and _TYPE.search(source.head) is not None


def read(source: Source) -> Graph:
    """The network of a layer file.

    Raises:
        SpecError: If the file is not well formed, or a layer of it cannot be understood.
        GraphError: If layers are missing or defined twice.
    """
    return Net(parse(source.text(LARGEST), source.name), source.name).graph()

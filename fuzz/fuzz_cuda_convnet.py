"""Coverage-guided fuzzing of the cuda_convnet reader: a ledger or a NetledgerError, nothing else.

Run: python fuzz/fuzz_cuda_convnet.py -max_total_time=60
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["netledger"]):
    import netledger
    from netledger.readers import cuda_convnet
    from netledger.readers.common import Source

SEED = b"""
[data]
type=data
dataIdx=0
start=0
end=192

[c]
type=conv
inputs=data,data
channels=3,3
filters=4
padding=1
stride=1
filterSize=3,3
sharedBiases=0
neuron=tanh[1,2]

[p]
type=pool
pool=max
inputs=c
channels=4
sizeX=3
stride=2
start=-1

[n]
type=cmrnorm
inputs=p
channels=4
size=3

[f]
type=fc
inputs=n
outputs=5

[s]
type=softmax
inputs=f

[l]
type=cost.logreg
inputs=data,s
"""
FOLDER = Path(tempfile.mkdtemp(prefix="netledger-fuzz-"))


def one(data: bytes) -> None:
    """Reads one input."""
    path = FOLDER / "input"
    path.write_bytes(data)
    try:
        with Source.open(str(path)) as source:
            graph = cuda_convnet.read(source)
        ledger = netledger.infer(graph)
        assert ledger.totals and ledger.rows and ledger.to_dict()
    except netledger.NetledgerError as error:
        assert str(error)


def main() -> None:
    """Starts the fuzzer; its own options are those of libFuzzer."""
    corpus = FOLDER / "corpus"
    corpus.mkdir()
    (corpus / "seed").write_bytes(SEED)
    atheris.Setup([*sys.argv, str(corpus)], one)
    atheris.Fuzz()


if __name__ == "__main__":
    main()

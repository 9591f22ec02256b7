"""Coverage-guided fuzzing of the spec: a ledger or a NetledgerError, nothing else.

Run: python fuzz/fuzz_spec.py -max_total_time=60
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["netledger"]):
    import netledger
    from netledger.readers import spec
    from netledger.readers.common import Source

EXAMPLES = Path(__file__).parents[1] / "examples"
FOLDER = Path(tempfile.mkdtemp(prefix="netledger-fuzz-"))


def one(data: bytes) -> None:
    """Reads one input."""
    path = FOLDER / "input.yaml"
    path.write_bytes(data)
    try:
        with Source.open(str(path)) as source:
            graph = spec.read(source)
        ledger = netledger.infer(graph)
        assert ledger.totals and ledger.rows and ledger.to_dict()
    except netledger.NetledgerError as error:
        assert str(error)


def main() -> None:
    """Starts the fuzzer; its own options are those of libFuzzer."""
    corpus = FOLDER / "corpus"
    corpus.mkdir()
    for example in EXAMPLES.glob("*.yaml"):
        (corpus / example.stem).write_bytes(example.read_bytes())
    atheris.Setup([*sys.argv, "-max_len=3000", str(corpus)], one)
    atheris.Fuzz()


if __name__ == "__main__":
    main()

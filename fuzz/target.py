"""What all fuzz targets share: an input ends in a ledger or in a NetledgerError, nothing else."""

from __future__ import annotations

import importlib
import sys
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["netledger"]):
    import netledger
    from netledger.readers.common import Source

Wrap = Callable[[bytes], bytes]


def plain(data: bytes) -> bytes:
    """The input is the whole file."""
    return data


def fuzz(
    reader: str,
    seeds: Iterable[bytes],
    *,
    longest: int = 0,
    wraps: tuple[Wrap, ...] = (plain,),
    suffix: str = "",
    asked: bool = False,
) -> None:
    """Starts the fuzzer; the options of the command line are those of libFuzzer.

    Args:
        reader: The module of `netledger.readers`.
        seeds: The inputs that it begins with.
        longest: The largest input that is tried, in bytes; 0 is libFuzzer's own choice.
        wraps: What makes files of an input, each of which is read.
        suffix: Of the file's name.
        asked: Whether only inputs are read that the reader accepts as its own.
    """
    with atheris.instrument_imports(include=["netledger"]):
        module = importlib.import_module(f"netledger.readers.{reader}")
    folder = Path(tempfile.mkdtemp(prefix="netledger-fuzz-"))
    path = folder / f"input{suffix}"

    def one(data: bytes) -> None:
        for wrap in wraps:
            path.write_bytes(wrap(data))
            try:
                with Source.open(str(path)) as source:
                    if not module.accepts(source) and asked:
                        continue
                    graph = module.read(source)
                ledger = netledger.infer(graph)
                assert ledger.totals and ledger.to_dict() and ledger.rows is not None
            except netledger.NetledgerError as error:
                assert str(error)

    corpus = folder / "corpus"
    corpus.mkdir()
    for number, seed in enumerate(seeds):
        (corpus / f"seed{number:02}").write_bytes(seed)
    options = [f"-max_len={longest}"] if longest else []
    atheris.Setup([*sys.argv, *options, str(corpus)], one)
    atheris.Fuzz()

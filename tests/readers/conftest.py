"""Fixtures for the tests of readers."""

from __future__ import annotations

import importlib.util
import math
import random
import re
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

import netledger
from netledger.references import beside_torchvision

Inspect = Callable[..., tuple[str, Any]]
Refused = Callable[[str, Path], None]


@pytest.fixture(scope="session")
def torchvision() -> Any:
    """torchvision, also one whose compiled operators do not load beside this PyTorch.

    (PyPI has builds for CUDA only.) Its models need none of those, but importing it looks for two.
    """
    pytest.importorskip("torch")
    if importlib.util.find_spec("torchvision") is None:
        pytest.skip("torchvision is not installed")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return beside_torchvision("torchvision")


@pytest.fixture(scope="session")
def products() -> Callable[[Any], int]:
    """``products(jaxpr)``: its multiply-accumulates, counted without netledger."""
    return _products


@pytest.fixture(scope="session")
def run_by_jax() -> Callable[[Any], int]:
    """``run_by_jax(keras_model)``: products in what JAX would run for one sample."""
    return _run_by_jax


def _run_by_jax(model: Any) -> int:
    """On nothing but shapes."""
    import keras

    if keras.backend.backend() != "jax":
        pytest.skip("the trace is JAX's")
    import jax

    def shapes(variables: Any) -> list[Any]:
        return [jax.ShapeDtypeStruct(v.shape, v.dtype) for v in variables]

    def call(learned: Any, kept: Any, x: Any) -> Any:
        return model.stateless_call(learned, kept, x, training=False)[0]

    (x,) = model.inputs
    sample = jax.ShapeDtypeStruct((1, *(d or 224 for d in x.shape[1:])), x.dtype)
    variables = shapes(model.trainable_variables), shapes(model.non_trainable_variables)
    return _products(jax.make_jaxpr(call)(*variables, sample).jaxpr)


def _products(jaxpr: Any) -> int:
    """Multiply-accumulates of a trace, from the shapes of its convolutions and dot products."""
    total = 0
    for e in jaxpr.eqns:
        name, p = e.primitive.name, e.params
        if name == "dot_general":
            (summed, _), _ = p["dimension_numbers"]
            inner = math.prod(e.invars[0].aval.shape[i] for i in summed)
            total += math.prod(e.outvars[0].aval.shape) * inner * bool(summed)
        elif name == "conv_general_dilated":
            numbers, kernel = p["dimension_numbers"], e.invars[1].aval.shape
            taps = math.prod(kernel) // kernel[numbers.rhs_spec[0]]
            if any(d > 1 for d in p["lhs_dilation"]):  # every input meets every tap
                x = e.invars[0].aval.shape
                places = math.prod(x) // x[numbers.lhs_spec[1]]
                total += places * taps * kernel[numbers.rhs_spec[0]]
            else:
                total += math.prod(e.outvars[0].aval.shape) * taps
        else:
            times = p["length"] if name == "scan" else 1
            inner = [v for v in p.values() if hasattr(v, "eqns") or hasattr(v, "jaxpr")]
            total += times * sum(_products(getattr(v, "jaxpr", v)) for v in inner)
    return total


@pytest.fixture
def refused(request: pytest.FixtureRequest, inspect_file: Inspect) -> Refused:
    """``refused(name, path)``: a file ends in the error that is written down for that name.

    The errors of ``test_gguf.py`` and ``test_gguf_hostile.py`` stand word for word in
    ``gguf_errors.txt``; ``pytest --update-golden`` writes them. ``refused.names()`` lists them.
    """
    stem = request.path.stem.removeprefix("test_").partition("_hostile")[0]
    text = request.path.with_name(f"{stem}_errors.txt")
    blocks = text.read_text("utf-8").rstrip("\n").split("\n\n") if text.exists() else []
    expected = {name: error for name, _, error in (block.partition("\n") for block in blocks)}

    def refused(name: str, path: Path) -> None:
        verdict, found = inspect_file(path)
        assert verdict == "error", f"{name} was read"
        assert "\n\n" not in found
        if request.config.getoption("--update-golden"):
            expected[name] = found
            text.write_text("\n\n".join(map("\n".join, expected.items())) + "\n", "utf-8")
        assert found == expected.get(name)

    refused.names = expected.keys  # type: ignore[attr-defined]
    return refused


class Tokens:
    """Networks as text, of which mutants are made that most of the time are still networks.

    Args:
        seeds: The networks.
        token: What a token is.
        word: What a token begins with that is a name, or a text.
        numbers: What a number is rarely replaced with; else with a small one.
        glue: What tokens are joined with.
    """

    def __init__(
        self,
        seeds: Sequence[str],
        token: str,
        word: str,
        numbers: Sequence[str],
        glue: str,
    ) -> None:
        self.seeds, self.numbers, self.glue = seeds, numbers, glue
        self.token, self.word = re.compile(token), re.compile(word)

    def mutant(self, rng: random.Random) -> str:
        """A network with one or two changes."""
        tokens = self.token.findall(rng.choice(self.seeds))
        words = [t for t in tokens if self.word.match(t)]
        for _ in range(rng.randint(1, 2)):
            tokens = self._changed(tokens, words, rng) or ["\n"]
        return self.glue.join(tokens)

    def _changed(self, tokens: list[str], words: list[str], rng: random.Random) -> list[str]:
        i = rng.randrange(len(tokens))
        kind = rng.choice((*["number"] * 6, *["word"] * 3, "delete", "double", "swap", "splice"))
        if kind == "number":
            places = [j for j, t in enumerate(tokens) if t[0].isdigit() or t[0] == "-"]
            small = [str(n) for n in range(1, 17)]
            tokens[rng.choice(places or [i])] = rng.choice(
                self.numbers if rng.random() < 0.4 else small
            )
        elif kind == "word":
            places = [j for j, t in enumerate(tokens) if self.word.match(t)]
            tokens[rng.choice(places or [i])] = rng.choice(words)
        elif kind == "delete":
            del tokens[i : i + rng.choice((1, 1, 2, 5, 20))]
        elif kind == "double":
            tokens[i:i] = tokens[i : i + rng.choice((1, 4, 12, 40))]
        elif kind == "swap":
            j = rng.randrange(len(tokens))
            tokens[i], tokens[j] = tokens[j], tokens[i]
        else:
            other = self.token.findall(rng.choice(self.seeds))
            j = rng.randrange(len(other))
            tokens[i:i] = other[j : j + rng.choice((1, 5, 12, 30))]
        return [t for t in tokens if t]


@pytest.fixture
def read_mutants(inspect_file: Inspect) -> Callable[..., None]:
    """``read_mutants(path, seeds, token=…, word=…, numbers=…, glue=…)``.

    The seeds are networks; a thousand mutants of them end in a ledger that can be made again, or
    in an error, and a good many in either.
    """

    def read(path: Path, seeds: Sequence[str], **options: Any) -> None:
        for seed in seeds:
            path.write_text(seed)
            assert inspect_file(path)[0] == "ledger"
        tokens, rng, verdicts = Tokens(seeds, **options), random.Random(20120930), []
        for _ in range(1000):
            path.write_text(tokens.mutant(rng))
            verdict, found = inspect_file(path)
            verdicts.append(verdict)
            if verdict == "ledger":
                assert netledger.infer(found.graph).totals == found.totals
            else:
                assert found.partition(":")[0].endswith("Error")
        assert verdicts.count("ledger") > 100 and verdicts.count("error") > 100

    return read

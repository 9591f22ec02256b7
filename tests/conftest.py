"""Fixtures that tests of different files share."""

from __future__ import annotations

import math
import os
import random
import re
import signal
import sys
import sysconfig
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

import netledger
from netledger import Graph, Ledger, NetledgerError
from netledger.formula import symbol
from netledger.graph import BATCH, Node, TensorType
from netledger.infer import infer
from netledger.ops import Op

MEGABYTE = 1 << 20
Inspected = tuple[str, Ledger | str]
GOLDEN = Path(__file__).parent / "golden"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--update-golden", action="store_true", help="write the expected texts anew; read the diff"
    )


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Callable[[str | Path, str], None]:
    """Compares a text with the expected one: ``golden("alexnet.txt", text)``.

    The expected texts lie in ``tests/golden``; ``pytest --update-golden`` writes them.
    """

    def compare(name: str | Path, text: str) -> None:
        path = GOLDEN / name
        if request.config.getoption("--update-golden"):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        assert path.is_file(), f"{path} is missing: pytest --update-golden writes it"
        assert text == path.read_text(encoding="utf-8"), f"{path.name} differs"

    return compare


@pytest.fixture
def inspect_file() -> Callable[..., Inspected]:
    """Reads a file as one that is not trusted, and holds netledger to its promises about it.

    ``inspect_file(path, inputs=None, metadata=None)`` returns ``("ledger", Ledger)`` or
    ``("error", text)``; in the text the file's path is shortened to its name. It fails the test
    if anything but a NetledgerError is raised, beyond 512 MB of extra memory, if any other file is
    opened (for folders and shard lists: any outside their folder), anything connected to, started
    or unpickled, and if it hangs: ten times the promised 2 s + 1 s for each 20 MB of metadata (by
    default the file's size). The promised time itself is measured in `benchmarks/untrusted.py`,
    for a busy machine would fail it here.
    """
    return _inspect


def _inspect(path: Path | str, inputs: Any = None, metadata: int | None = None) -> Inspected:
    path = Path(path)
    if metadata is None:
        metadata = path.stat().st_size if path.is_file() else 0
    seconds = 2 + metadata / (20 * MEGABYTE)
    before = _memory(reset=True)
    with _watched(path) as breaches, _alarm(10 * seconds):
        result = _outcome(path, inputs)
    grown = _memory() - before
    assert not breaches, f"{path.name}: not promised: {breaches}"
    assert grown <= 512 * MEGABYTE, f"{path.name}: took {grown / MEGABYTE:.0f} MB"
    return result


def _outcome(path: Path, inputs: Any) -> Inspected:
    try:
        ledger = netledger.ledger(str(path), inputs)
        assert ledger.totals and ledger.rows and ledger.to_dict()
    except NetledgerError as error:
        return "error", str(error).replace(str(path), path.name)
    return "ledger", ledger


def _memory(reset: bool = False) -> int:
    """The peak of resident memory since the last reset, in bytes."""
    try:
        if reset:
            Path("/proc/self/clear_refs").write_text("5")
        status = Path("/proc/self/status").read_text()
        return int(status.split("VmHWM:")[1].split()[0]) * 1024
    except (OSError, IndexError):  # not Linux: the peak since the start
        import resource

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


@contextmanager
def _alarm(seconds: float) -> Iterator[None]:
    """Ends what hangs."""

    def ring(*_: Any) -> None:
        raise AssertionError(f"still running after {seconds:.0f} s")

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


_FORBIDDEN = (
    *("socket.", "subprocess.", "os.system", "os.exec", "os.posix_spawn", "os.fork"),
    *("pickle.", "urllib.", "http.", "shutil.", "os.remove", "os.rename", "os.mkdir"),
)
_PYTHON = tuple(
    os.path.realpath(folder)
    for folder in (
        *(sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")),
        Path(netledger.__file__).parent,
    )
)
"""Where modules are loaded from, which may happen at any first use."""
_watch: dict[str, Any] = {}


@contextmanager
def _watched(path: Path) -> Iterator[list[str]]:
    """Collects what is done beyond the promise."""
    if "hook" not in _watch:  # a hook can be added but never removed
        _watch["hook"] = True
        sys.addaudithook(_audit)
    folder = path if path.is_dir() else path.parent
    shards = path.is_dir() or path.name.endswith(".json")
    breaches: list[str] = []
    _watch.update(
        file=os.path.realpath(path),
        folder=os.path.realpath(folder) if shards else None,
        thread=threading.get_ident(),
        breaches=breaches,
    )
    try:
        yield breaches
    finally:
        _watch["breaches"] = None


def _audit(event: str, args: tuple[Any, ...]) -> None:
    breaches = _watch.get("breaches")
    if breaches is None or threading.get_ident() != _watch["thread"]:
        return
    if event == "open" and isinstance(args[0], str | bytes):
        opened, mode = os.fsdecode(args[0]), args[1]
        if not _may_open(opened, mode):
            breaches.append(f"open {opened} {mode}")
    elif event.startswith(_FORBIDDEN) and not _keeps_bytecode(args):
        breaches.append(f"{event} {args!r}"[:200])


def _keeps_bytecode(args: tuple[Any, ...]) -> bool:
    """Whether Python itself keeps what it compiled of a module that is imported first now."""
    path = os.path.realpath(os.fsdecode(args[0])) if args and isinstance(args[0], str) else ""
    return "__pycache__" in path and path.startswith(_PYTHON)


def _may_open(opened: str, mode: str | None) -> bool:
    real = os.path.realpath(opened)
    if real.startswith(_PYTHON):
        return True
    if mode not in (None, "r", "rb"):
        return False
    if real == _watch["file"] or opened.startswith("/proc/self/"):
        return True
    folder = _watch["folder"]
    return folder is not None and real.startswith(folder + os.sep)


@pytest.fixture(scope="session")
def any_value() -> Callable[[random.Random, Any], Any]:
    """``any_value(rng, rule)``: a value for a field, which it may well not be able to be."""
    return _any_value


@pytest.fixture(scope="session")
def any_layers() -> Callable[..., Iterator[Ledger]]:
    """``any_layers(op_class, tries)``: ledgers of one layer ``y``, of those tries that fit.

    It takes every operation by what its fields say, so an operation that is added needs no line.
    """
    return _any_layers


def _any_layers(op_class: type[Op], tries: int) -> Iterator[Ledger]:
    least, most = op_class.arity
    for i in range(tries):
        rng = random.Random(f"{op_class.key} {i}")
        fields = {
            name: _any_value(rng, rule)
            for name, rule in op_class.rules.items()
            if rule.default is ... or rng.random() < 0.5
        }
        base = (BATCH, *(rng.choice((1, 2, 3, 4, 6, 8)) for _ in range(rng.randint(0, 4))))
        ends = [
            (*base[:-1], rng.choice((*base[-1:], 5))) for _ in range(rng.randint(least, most or 3))
        ]
        shapes = [base if rng.random() < 0.7 else end for end in ends]
        if i % 10 == 9 and len(shapes) > 1:
            shapes[1] = (*base, 5)  # a matrix for each row of the first
        inputs = {f"x{k}": TensorType(shape) for k, shape in enumerate(shapes)}
        try:
            yield infer(Graph("one", inputs, (Node("y", op_class(**fields), tuple(inputs)),)))
        except NetledgerError:
            continue  # chance made no layer


_TEXTS = ("ab,bc->ac", "a", "", "float32", "ij->ji", "->", "...", "ab,ab->", "aa->a")


def _any_value(rng: random.Random, rule: Any) -> Any:
    """Something that a field may well not be able to be."""
    number = rng.choice((0, 1, 2, 3, -1, -2, 5, 1, 2, 3, 2**63 - 1))
    numbers = [rng.choice((0, 1, 2, 3, -1, 5)) for _ in range(rng.randint(0, 4))]
    pairs = [[rng.choice((0, 1, 2, -1)) for _ in range(2)] for _ in range(rng.randint(0, 4))]
    fixed: dict[str, Any] = {
        "flag": rng.random() < 0.5,
        "choice": rng.choice(rule.choices or ("",)),
        "text": rng.choice(_TEXTS),
        "number": rng.choice((0.5, 1, -1)),
        "dims": [
            rng.choice((0, -1, BATCH, 1, 2, 3, 4, 6, 8, symbol("H")))
            for _ in range(rng.randint(0, 4))
        ],
        "shapes": [[rng.choice((0, 1, 2, BATCH))], []][: rng.randint(0, 2)],
        "tensors": [["w", "weight", [2, 3], "float32", None]],
    }
    if rule.kind in fixed:
        return fixed[rule.kind]
    if rule.kind == "integer":
        return number
    more = [*rule.choices, pairs] if rule.kind == "padding" else []
    return rng.choice((number, numbers, *more))


@pytest.fixture(scope="session")
def evaluate_text() -> Callable[[str, dict[str, int]], Fraction]:
    """``evaluate_text(text, values)``: what a formula printed as text is worth."""
    return lambda text, values: _Reader(_text_tokens(text), values).read()


@pytest.fixture(scope="session")
def evaluate_latex() -> Callable[[str, dict[str, int]], Fraction]:
    """``evaluate_latex(text, values)``: what a formula printed as LaTeX is worth."""
    return lambda text, values: _Reader(_latex_tokens(text), values).read()


_SUPER = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹", "0123456789")
_SUB = str.maketrans("₀₁₂₃₄₅₆₇₈₉₋₊", "0123456789-+")
_TEXT = re.compile(
    r"(?P<number>\d{1,3}(?:,\d{3})+(?!\d)|\d+)|(?P<power>[⁰¹²³⁴⁵⁶⁷⁸⁹]+)"
    r"|(?P<word>mod|min|max)\b|(?P<name>[A-Za-z][A-Za-z0-9_]*[₀₁₂₃₄₅₆₇₈₉₋₊]*)|(?P<sign>\S)"
)
_LATEX = re.compile(
    r"\\left|\\right|(?P<number>\d{1,3}(?:\{,\}\d{3})+|\d+)|\^\{(?P<power>\d+)\}"
    r"|\\b?(?P<word>mod|min|max|frac)\b"
    r"|(?P<name>(?:\\text\{[^{}]+\}|[A-Za-z])(?:_\{[^{}]+\})?)|(?P<sign>\\[a-z]+|\S)"
)
_SIGNS = {
    "−": "-",
    "×": "*",
    r"\times": "*",
    r"\lfloor": "⌊",
    r"\rfloor": "⌋",
    r"\lceil": "⌈",
    r"\rceil": "⌉",
}


def _text_tokens(text: str) -> Iterator[tuple[str, Any]]:
    for kind, token in _tokens(_TEXT, text):
        if kind == "name":
            stem = token.rstrip("₀₁₂₃₄₅₆₇₈₉₋₊")
            yield "name", _same_name(stem, token[len(stem) :].translate(_SUB))
        else:
            yield kind, token


def _latex_tokens(text: str) -> Iterator[tuple[str, Any]]:
    for kind, token in _tokens(_LATEX, text):
        if kind == "name":
            base, _, index = token.partition("_{")
            yield "name", _same_name(base.removeprefix(r"\text{").rstrip("}"), index.rstrip("}"))
        else:
            yield kind, token


def _tokens(pattern: re.Pattern[str], text: str) -> Iterator[tuple[str, Any]]:
    for match in pattern.finditer(text):
        kind, token = match.lastgroup, match[match.lastgroup] if match.lastgroup else ""
        if kind == "number":
            yield kind, Fraction(re.sub(r"\D", "", token))
        elif kind == "power":
            yield kind, int(token.translate(_SUPER))
        elif kind == "sign":
            yield _SIGNS.get(token, token), token
        elif kind is not None:
            yield (token if kind == "word" else kind), token


def _same_name(stem: str, index: str) -> tuple[str, str]:
    """``P_s``, ``P_{s}`` and ``F₋₁``, ``F_{-1}`` as stem and index."""
    base, _, more = stem.partition("_")
    return base, more + index


class _Reader:
    """Reads printed mathematics from left to right, in exact fractions."""

    def __init__(self, tokens: Iterator[tuple[str, Any]], values: dict[str, int]) -> None:
        self.tokens = [*tokens, ("end", None)]
        self.values = {}
        for name, value in values.items():
            stem = name.rstrip("₀₁₂₃₄₅₆₇₈₉₋₊")
            self.values[_same_name(stem, name[len(stem) :].translate(_SUB))] = value

    def read(self) -> Fraction:
        result = self.sum()
        self.take("end")
        return result

    @property
    def next(self) -> str:
        return self.tokens[0][0]

    def take(self, kind: str) -> Any:
        found, token = self.tokens.pop(0)
        assert found == kind, f"{kind} expected, not {found} {token!r}"
        return token

    def sum(self) -> Fraction:
        if self.next == "-":
            self.take("-")
            total = -self.product()
        else:
            total = self.product()
        while self.next in ("+", "-", "mod"):
            sign, _ = self.tokens.pop(0)
            term = self.product()
            total = total + term if sign == "+" else total - term if sign == "-" else total % term
        return total

    def product(self) -> Fraction:
        result = self.factor()
        while self.next not in ("+", "-", "mod", "end", ",", ")", "}", "⌋", "⌉"):
            if self.next in ("*", "/"):
                times, _ = self.tokens.pop(0)
                factor = self.factor()
                result = result * factor if times == "*" else result / factor
            else:  # 2P
                result *= self.factor()
        return result

    def factor(self) -> Fraction:
        base = self.atom()
        return base ** self.take("power") if self.next == "power" else base

    def atom(self) -> Fraction:
        kind, token = self.tokens.pop(0)
        if kind == "number":
            return token
        if kind == "name":
            return Fraction(self.values[token])
        if kind == "(":
            return self.until(")")
        if kind in ("⌊", "⌈"):
            inner = self.until("⌋" if kind == "⌊" else "⌉")
            return Fraction(math.floor(inner) if kind == "⌊" else math.ceil(inner))
        if kind == "frac":
            return self.until("}", "{") / self.until("}", "{")
        assert kind in ("min", "max"), f"unexpected {token!r}"
        self.take("(")
        return (min if kind == "min" else max)(self.until(","), self.until(")"))

    def until(self, end: str, begin: str = "") -> Fraction:
        if begin:
            self.take(begin)
        result = self.sum()
        self.take(end)
        return result

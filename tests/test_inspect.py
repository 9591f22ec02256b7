"""The fixture that holds readers to the promises about files that are not trusted."""

from __future__ import annotations

import pickle
import socket
import time

import pytest

import netledger


def test_error_text_has_the_short_name(inspect_file, tmp_path):
    path = tmp_path / "nothing.bin"
    path.write_bytes(b"\x00\x01\x02")
    kind, text = inspect_file(path)
    assert kind == "error"
    assert text.startswith("SpecError: nothing.bin: ")


def test_a_zoo_network_is_a_ledger(inspect_file):
    kind, ledger = inspect_file("alexnet")
    assert kind == "ledger"
    assert ledger.totals.params == 62_378_344


def _opens_another(path):
    with open(__file__) as file:
        file.read()


def _connects(path):
    with socket.socket() as one:
        one.settimeout(0.01)
        one.connect_ex(("127.0.0.1", 9))


def _writes(path):
    with open(path, "a") as file:
        file.write("x")


@pytest.mark.parametrize(
    ("misbehave", "says"),
    [
        (_opens_another, "not promised: \\['open "),
        (_connects, "socket"),
        (_writes, "not promised: \\['open .* a'"),
        (lambda path: pickle.loads(pickle.dumps(ValueError)), "pickle.find_class"),
        (lambda path: [bytearray(600 << 20)], "took 6"),
    ],
)
def test_every_breach_is_seen(inspect_file, tmp_path, monkeypatch, misbehave, says):
    path = tmp_path / "file.bin"
    path.write_bytes(b"x")
    monkeypatch.setattr(netledger, "ledger", lambda *a: (misbehave(path), netledger.infer)[1])
    monkeypatch.setattr(netledger.infer, "totals", True, raising=False)
    monkeypatch.setattr(netledger.infer, "rows", True, raising=False)
    monkeypatch.setattr(netledger.infer, "to_dict", lambda: True, raising=False)
    with pytest.raises(AssertionError, match=says):
        inspect_file(path)


def test_what_hangs_is_ended(inspect_file, tmp_path, monkeypatch):
    path = tmp_path / "file.bin"
    path.write_bytes(b"x")
    monkeypatch.setattr(netledger, "ledger", lambda *a: time.sleep(600))
    little = -39 * (1 << 20)  # leaves a twentieth of a second of the promised two
    with pytest.raises(AssertionError, match="still running after"):
        inspect_file(path, metadata=little)


def test_other_exceptions_are_not_swallowed(inspect_file, tmp_path, monkeypatch):
    path = tmp_path / "file.bin"
    path.write_bytes(b"x")
    monkeypatch.setattr(netledger, "ledger", lambda *a: 1 // 0)
    with pytest.raises(ZeroDivisionError):
        inspect_file(path)

"""What a claim stands for."""

from __future__ import annotations

import pytest

from netledger.errors import NetledgerError
from netledger.reconcile.claim import parse_claim


@pytest.mark.parametrize(
    ("text", "quantity", "low", "high"),
    [
        ("62,378,344", "params", 62_378_344, 62_378_344),
        ("62378344", "params", 62_378_344, 62_378_344),
        ("62_378_344", "params", 62_378_344, 62_378_344),
        ("62 378 344 parameters", "params", 62_378_344, 62_378_344),
        (62_378_344, "params", 62_378_344, 62_378_344),
        ("60M", "params", 59_500_000, 60_999_999),
        ("60 million", "params", 59_500_000, 60_999_999),
        ("~60M params", "params", 59_500_000, 60_999_999),
        ("25.6 million", "params", 25_550_000, 25_699_999),
        ("138M:params", "params", 137_500_000, 138_999_999),
        ("0.27M", "params", 265_000, 279_999),
        ("0.5B", "params", 450_000_000, 599_999_999),
        ("1.2 billion", "params", 1_150_000_000, 1_299_999_999),
        ("4.1 GFLOPs", "flops", 4_050_000_000, 4_199_999_999),
        ("4.1G:macs", "macs", 4_050_000_000, 4_199_999_999),
        ("3.8e9:macs", "macs", 3_750_000_000, 3_899_999_999),
        ("300M mult-adds", "macs", 299_500_000, 300_999_999),
        ("528 MB", "bytes", 527_500_000, 528_999_999),
        ("528 MiB", "bytes", 527.5 * 2**20, 529 * 2**20 - 1),
        ("650,000 neurons", "neurons", 650_000, 650_000),
        ("7", "params", 7, 7),
    ],
)
def test_intervals(text: str | int, quantity: str, low: float, high: int) -> None:
    claim = parse_claim(text)
    assert (claim.quantity, claim.low, claim.high) == (quantity, int(low), high)
    assert claim.exact == (low == high)


def test_a_rounded_claim_covers_rounding_and_truncation() -> None:
    claim = parse_claim("60M")
    for count in (60_965_224, 60_000_000, 59_500_000, 60_400_000):
        assert claim.holds(count)
    for count in (59_499_999, 61_000_000, 62_378_344):
        assert not claim.holds(count)


def test_the_quantity_may_be_given_apart() -> None:
    assert parse_claim("4.1G", "macs").quantity == "macs"
    assert parse_claim("4.1G").quantity == "params"


EXAMPLES = "write for instance 62,378,344 or 60M, 4.1 GFLOPs, 4.1G:macs, 528 MB"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("many", f"UsageError: cannot read the claim 'many'\n  hint    {EXAMPLES}"),
        ("", f"UsageError: cannot read the claim ''\n  hint    {EXAMPLES}"),
        ("-5M", f"UsageError: cannot read the claim '-5M'\n  hint    {EXAMPLES}"),
        ("62,37", f"UsageError: cannot read the claim '62,37'\n  hint    {EXAMPLES}"),
        ("60Q", f"UsageError: cannot read the claim '60Q'\n  hint    {EXAMPLES}"),
        ("0", f"UsageError: the claim '0' is no count of at least 1\n  hint    {EXAMPLES}"),
        ("1.5", f"UsageError: the claim '1.5' is no whole number\n  hint    {EXAMPLES}"),
        (True, f"UsageError: a claim is a number or a text; got True\n  hint    {EXAMPLES}"),
        (
            "60M:dollars",
            "UnknownName: unknown quantity 'dollars'\n"
            "  hint    there are params, macs, flops, bytes, neurons, activations",
        ),
    ],
)
def test_what_cannot_be_read(text: object, message: str) -> None:
    with pytest.raises(NetledgerError) as caught:
        parse_claim(text)
    assert str(caught.value) == message

"""Coverage-guided fuzzing of the spec: a ledger or a NetledgerError, nothing else.

Run: python fuzz/fuzz_spec.py -max_total_time=60
"""

from __future__ import annotations

from pathlib import Path

from target import fuzz

EXAMPLES = Path(__file__).parents[1] / "examples"


if __name__ == "__main__":
    seeds = [path.read_bytes() for path in sorted(EXAMPLES.glob("*.yaml"))]
    fuzz("spec", seeds, longest=3000, suffix=".yaml")

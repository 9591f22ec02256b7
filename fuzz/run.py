"""Runs one fuzz target for some seconds and says in one line how it went.

Run: python fuzz/run.py fuzz/fuzz_onnx.py 60 [SEED]

With a seed the run is always the same as long as the code is: the inputs depend on the seed alone,
and there are at most so many as `RUNS` says, however fast the machine is. Without one, each run
looks elsewhere.

All that the target writes goes to a temporary folder. An input that breaks a promise is kept in
``fuzz/crashes/``, and the end of the fuzzer's output is shown.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

RUNS = {
    "fuzz_caffe": 25_000,
    "fuzz_cuda_convnet": 35_000,
    "fuzz_gguf": 70_000,
    "fuzz_keras": 45_000,
    "fuzz_onnx": 25_000,
    "fuzz_pickle": 14_000,
    "fuzz_pt2": 25_000,
    "fuzz_safetensors": 40_000,
    "fuzz_spec": 35_000,
}
"""How many inputs a target tries in some 60 seconds, on one of two slow cores."""
SLOWEST = 30
"""Seconds for one small input: the promise is 2, but the machine may be busy with other things."""
LARGEST = 1024
"""Megabytes for one input: the promise is 512, but libFuzzer's own tables are in it too."""
GRACE = 240
"""Seconds to start, to read the seeds and to stop."""
LONGEST = 40
"""Lines of output that a failure shows."""
CRASHES = Path(__file__).parent / "crashes"


def run(target: Path, seconds: int, seed: int | None) -> bool:
    """Runs a target; True if every input ended in a ledger or in an error of ours."""
    with tempfile.TemporaryDirectory(prefix="netledger-fuzz-") as folder:
        options = [
            f"-max_total_time={seconds}",
            f"-timeout={SLOWEST}",
            f"-rss_limit_mb={LARGEST}",
            f"-artifact_prefix={folder}/",
            "-print_final_stats=1",
        ]
        if seed is not None:
            options += [f"-seed={seed}", f"-runs={RUNS[target.stem]}"]
        command = [sys.executable, str(target.resolve()), *options]
        try:
            done = subprocess.run(
                command,
                cwd=folder,
                env={**os.environ, "TMPDIR": folder, "PYTHONHASHSEED": "0"},
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                timeout=seconds + GRACE,
            )
            code, output = done.returncode, done.stdout.decode("utf-8", "replace")
        except subprocess.TimeoutExpired as error:
            code, output = 1, (error.stdout or b"").decode("utf-8", "replace")
            output += f"\nstill running after {seconds + GRACE} seconds\n"
        kept = _keep(Path(folder), target.stem)
    runs = _last(r"number_of_executed_units: (\d+)", output)
    good = code == 0 and not kept and runs > 0
    word = "ok" if good else "FAILED"
    coverage = _last(r"cov: (\d+)", output)
    print(f"{target.stem}: {word}, {runs:,} runs, coverage {coverage:,}")
    if not good:
        print("\n".join([*output.splitlines()[-LONGEST:], *(f"kept: {path}" for path in kept)]))
    sys.stdout.flush()
    return good


def _keep(folder: Path, name: str) -> list[Path]:
    """Moves what libFuzzer has written about an input out of the temporary folder."""
    found = [path for kind in ("crash", "timeout", "oom") for path in folder.glob(f"{kind}-*")]
    if found:
        CRASHES.mkdir(exist_ok=True)
    return [Path(shutil.copy(path, CRASHES / f"{name}-{path.name[:20]}")) for path in found]


def _last(pattern: str, output: str) -> int:
    """The number that stands last in the output; 0 if there is none."""
    return int((re.findall(pattern, output) or ["0"])[-1])


if __name__ == "__main__":
    given = sys.argv[3:]
    sys.exit(not run(Path(sys.argv[1]), int(sys.argv[2]), int(given[0]) if given else None))

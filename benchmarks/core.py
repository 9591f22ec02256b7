"""The command as a whole process, a ledger in process, a million variants at once."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections.abc import Callable

Line = tuple[str, str, str]

# A small process of its own starts the one that is measured: a child's peak memory otherwise
# begins at that of its parent.
SPAWN = """
import os, sys
quiet = [(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)]
pid = os.posix_spawn(sys.executable, sys.argv[1:], os.environ, file_actions=quiet)
_, status, used = os.wait4(pid, 0)
print(status, used.ru_utime + used.ru_stime, used.ru_maxrss)
"""


def process(*arguments: str) -> tuple[float, float]:
    """CPU seconds and peak megabytes of one run of Python."""
    command = [sys.executable, "-I", "-S", "-c", SPAWN, sys.executable, *arguments]
    out = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    status, seconds, kilobytes = out.split()
    if int(status):
        raise RuntimeError(f"{arguments} ended with {status}")
    return float(seconds), int(kilobytes) / 1024


def timed(action: Callable[[], object], runs: int) -> tuple[float, float]:
    """Milliseconds of CPU time: the median and the shortest of so many runs."""
    action()
    found = []
    for _ in range(runs):
        begin = time.process_time()
        action()
        found.append(1000 * (time.process_time() - begin))
    return statistics.median(found), min(found)


def whole_process(runs: int = 15) -> list[Line]:
    """`netledger show alexnet` against the imports that it cannot do without, in turns."""
    show, imports = [], []
    for _ in range(runs):
        show.append(process("-m", "netledger", "show", "alexnet"))
        imports.append(process("-c", "import click, rich.table, yaml"))
    ours, theirs = statistics.median(s for s, _ in show), statistics.median(s for s, _ in imports)
    least = min(s for s, _ in show) / min(s for s, _ in imports)
    memory = max(m for _, m in show)
    return [
        (
            "`netledger show alexnet` against `import click, rich.table, yaml`, CPU time",
            f"{ours / theirs:.2f}× ({1000 * ours:.0f} ms against {1000 * theirs:.0f} ms; "
            f"shortest runs {least:.2f}×)",
            "≤ 2×",
        ),
        ("`netledger show alexnet`, peak memory", f"{memory:.0f} MB", "< 45 MB"),
    ]


def in_process() -> list[Line]:
    """Ledgers with their totals, from graphs that are there."""
    from netledger import infer, zoo

    lines = []
    for name, runs, target in (("alexnet", 500, "< 0.5 ms"), ("resnet152", 50, "< 10 ms")):
        graph = zoo.load(name)
        median, least = timed(lambda graph=graph: infer(graph).totals, runs)
        value = f"{median:.2f} ms (shortest {least:.2f} ms)"
        lines.append((f"ledger of {name} with totals", value, target))
    return lines


def million_variants() -> list[Line]:
    """AlexNets with eight hyperparameters and the input's two sizes drawn at random."""
    import numpy

    from netledger import zoo
    from netledger.variants import variants

    graph, count = zoo.load("alexnet"), 1_000_000
    rng = numpy.random.default_rng(2012)
    changes = {(f"Conv-{i}", "out_channels"): rng.integers(16, 513, count) for i in range(1, 6)}
    changes |= {(f"FC-{i}", "out_features"): rng.integers(256, 8193, count) for i in (1, 2)}
    changes |= {("Input Image", axis): rng.integers(180, 301, count) for axis in (1, 2)}
    changes[("Conv-1", "kernel_size")] = rng.integers(3, 15, count)
    median, least = timed(lambda: variants(graph, changes), 3)
    value = f"{median / 1000:.2f} s (shortest {least / 1000:.2f} s)"
    return [("1,000,000 AlexNet variants, 10 things varied", value, "< 1 s")]


def run() -> list[Line]:
    """What was measured, the value, the target."""
    return [*whole_process(), *in_process(), *million_variants()]

"""Source code of our own, executed: the one place that does it.

What is executed was printed by a builder: identifiers that `names` made, numbers and quoted text.
Nothing that a file says gets into it in any other form.
"""

from __future__ import annotations

import linecache
import sys
from types import ModuleType
from typing import Any


def execute(source: str, name: str) -> dict[str, Any]:
    """The names that the code defines; its classes know the code, for tracebacks and `inspect`."""
    title = f"netledger_built_{name}"
    path = f"<{title}>"
    module = ModuleType(title)
    module.__file__ = path
    linecache.cache[path] = (len(source), None, source.splitlines(True), path)
    sys.modules[title] = module
    exec(compile(source, path, "exec"), module.__dict__)
    return module.__dict__

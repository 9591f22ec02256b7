"""One network, written in PyTorch, Keras and JAX."""

from __future__ import annotations

import os

os.environ.setdefault("KERAS_BACKEND", "torch")

"""What a model is called with where the user does not say: known from the model itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from netledger.errors import UsageError
from netledger.graph import BATCH, TensorType
from netledger.readers.inputs import Arguments

TOKENS = 128
"""How many tokens a language model is shown, if it takes as many."""


def default_arguments(model: Any) -> Arguments:
    """The inputs that a model itself asks for.

    Raises:
        UsageError: If nothing is known of them.
    """
    for package, rule in _RULES.items():
        if any(kind.__module__.partition(".")[0] == package for kind in type(model).__mro__):
            found = rule(model)
            if found is not None:
                return found
    raise UsageError(
        f"nothing says what {type(model).__name__} is called with",
        hint="give --input 3x224x224 (in Python inputs=(3, 224, 224)), or all arguments: "
        """--input '{"tokens": "int64[1,128]"}'""",
    )


def _image(*shape: int) -> Arguments:
    return Arguments((TensorType((BATCH, *shape)),))


def _timm(model: Any) -> Arguments | None:
    config = getattr(model, "pretrained_cfg", None) or getattr(model, "default_cfg", None)
    size = getattr(config, "input_size", None) or (config or {}).get("input_size")
    return _image(*size) if size else None


_TORCHVISION = {
    "inception": (3, 299, 299),
    "segmentation": (3, 520, 520),
    "video.mvit": (3, 16, 224, 224),
    "video.swin_transformer": (3, 16, 224, 224),
    "video.s3d": (3, 16, 224, 224),
    "video": (3, 16, 112, 112),
}
"""Sizes by module of torchvision.models; those of the weights that come with them."""


def _torchvision(model: Any) -> Arguments | None:
    module = type(model).__module__.partition("torchvision.models.")[2].replace("quantization.", "")
    if not module:
        return None
    if module.startswith("detection"):
        return Arguments(([TensorType((3, 800, 800))],))
    if module.startswith("optical_flow"):
        return Arguments((TensorType((BATCH, 3, 520, 960)), TensorType((BATCH, 3, 520, 960))))
    size = next((s for start, s in _TORCHVISION.items() if module.startswith(start)), None)
    size = size or (3, *[getattr(model, "image_size", 224)] * 2)
    return _image(*size)


def _transformers(model: Any) -> Arguments | None:
    config = getattr(model, "config", None)
    name = getattr(model, "main_input_name", "input_ids")
    if config is None:
        return None
    if name == "pixel_values":
        size = getattr(config, "image_size", None) or 224
        height, width = size if isinstance(size, list | tuple) else (size, size)
        channels = getattr(config, "num_channels", 3)
        return Arguments((), {name: TensorType((BATCH, channels, height, width))})
    if name != "input_ids":
        return None
    text = config.get_text_config() if hasattr(config, "get_text_config") else config
    most = getattr(text, "max_position_embeddings", None) or TOKENS
    tokens = TensorType((BATCH, min(TOKENS, most)), "int64")
    given = {name: tokens}
    if getattr(config, "is_encoder_decoder", False):
        given["decoder_input_ids"] = tokens
    return Arguments((), given)


_RULES: dict[str, Callable[[Any], Arguments | None]] = {
    "timm": _timm,
    "torchvision": _torchvision,
    "transformers": _transformers,
}

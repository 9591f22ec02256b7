"""The table of layers: those that move numbers, scale them, or pass them on."""

from __future__ import annotations

from netledger.errors import FieldError
from netledger.ops import (
    Add,
    Dropout,
    Expand,
    Flatten,
    Identity,
    Multiply,
    Pad,
    Permute,
    Reshape,
    Resize,
    Slice,
)
from netledger.ops.pointwise import Arithmetic
from netledger.readers.keras.call import Call, LayerRule


def rescaling(call: Call) -> str:
    """``Rescaling``: times a constant, perhaps plus another."""
    value = _with_number(call, Multiply, "scale", call.first)
    if not call.config.get("offset"):
        return value
    return _with_number(call, Add, "offset", value, part="offset")


def _with_number(call: Call, kind: type[Arithmetic], key: str, value: str, part: str = "") -> str:
    """A sum or a product with a number of the configuration; it may have one for each channel."""
    number = call.config.get(key, 0)
    if isinstance(number, int | float) and not isinstance(number, bool):
        return call.add(kind(constant=number), value, part=part)
    return call.add(kind(), value, part=part, untold=key)


def flatten(call: Call) -> str:
    """``Flatten``."""
    return call.add(Flatten() if len(call.shape) > 1 else Reshape([1]))


def permute(call: Call) -> str:
    """``Permute``: axes counted from 1, the batch stays."""
    return call.add(Permute([0, *call.config.integers("dims")]))


def repeat(call: Call) -> str:
    """``RepeatVector``."""
    value = call.add(Reshape([1, call.shape[-1]]), part="row")
    return call.add(Expand([-1, call.config.get("n"), -1]), value)


def pad(sign: int) -> LayerRule:
    """``ZeroPadding1D`` to ``3D``, and with the sign −1 ``Cropping1D`` to ``3D``."""

    def rule(call: Call) -> str:
        said = call.config.get("padding" if sign > 0 else "cropping", 1)
        rank = len(call.shape) - 2
        per = said if isinstance(said, list | tuple) else [said] * rank
        if rank == 1 and len(per) == 2 and all(type(p) is int for p in per):
            per = [per]
        pairs = [[p, p] if type(p) is int else p for p in per]
        if any(
            not isinstance(p, list | tuple) or len(p) != 2 or any(type(v) is not int for v in p)
            for p in pairs
        ):
            raise FieldError(f"padding must be integers or pairs of them; got {str(said)[:80]}")
        signed = [[sign * before, sign * after] for before, after in pairs]
        return call.add(Pad(signed, channels_last=call.last))

    return rule


def upsample(call: Call) -> list[str]:
    """``UpSampling1D`` to ``3D``."""
    mode = call.config.text("interpolation", "nearest")
    if mode not in ("nearest", "bilinear", "bicubic"):
        return call.opaque(f"no rule describes the interpolation {mode[:40]!r}")
    op = Resize(scale=call.config.get("size", 2), mode=mode, channels_last=call.last)
    return [call.add(op)]


def resizing(call: Call) -> list[str]:
    """``Resizing`` to a fixed size."""
    mode = call.config.text("interpolation", "bilinear")
    mode = mode if mode in ("nearest", "bilinear", "bicubic", "area") else "bilinear"
    size = [call.config.integer("height"), call.config.integer("width")]
    op = Resize(size=size, mode=mode, channels_last=call.last)
    usual = call.config.get("interpolation", "bilinear") == mode
    ratio = [key for key in _RATIOS if call.config.get(key)]
    return [call.add(op, untold=ratio[0] if ratio else "" if usual else "interpolation")]


_RATIOS = ("crop_to_aspect_ratio", "pad_to_aspect_ratio", "antialias")


def crop_to(call: Call) -> str:
    """``CenterCrop`` and ``RandomCrop`` to a fixed size."""
    value = call.first
    for at, key in enumerate(("height", "width"), start=1 if call.last else 2):
        cut = Slice(axis=at, stop=call.config.integer(key))
        value = call.add(cut, value, part=key, untold="place of the crop")
    return value


def same(call: Call) -> str:
    """Layers that pass their input on, at least when not training."""
    return call.add(Identity(), call.first)


def equalization(call: Call) -> str:
    """``Equalization``, which is done at all times."""
    return call.add(Identity(), call.first, untold="equalization")


def dropout(call: Call) -> str:
    """The dropout family."""
    rate = call.config.get("rate", call.config.get("drop_path_rate", 0.5))
    rate = rate if isinstance(rate, int | float) and not isinstance(rate, bool) else 0.5
    return call.add(Dropout(rate), call.first)


def numbered(base: str, rule: LayerRule, *numbers: int) -> dict[str, LayerRule]:
    """The same rule under several names: ``Conv1D``, ``Conv2D``, ``Conv3D``."""
    return {base.format(n): rule for n in numbers or (1, 2, 3)}


SHAPING: dict[str, LayerRule] = {
    "Rescaling": rescaling,
    "StochasticDepth": dropout,
    "Flatten": flatten,
    "Reshape": lambda call: call.add(Reshape(list(call.config.integers("target_shape")))),
    "Permute": permute,
    "RepeatVector": repeat,
    **numbered("ZeroPadding{}D", pad(1)),
    **numbered("Cropping{}D", pad(-1)),
    **numbered("UpSampling{}D", upsample),
    "Resizing": resizing,
    "CenterCrop": crop_to,
    "RandomCrop": crop_to,
    **{
        kind: dropout
        for kind in (
            *("Dropout", "SpatialDropout1D", "SpatialDropout2D", "SpatialDropout3D"),
            *("AlphaDropout", "GaussianDropout", "FixedDropout"),
        )
    },
    **{
        kind: same
        for kind in (
            *("GaussianNoise", "ActivityRegularization", "Masking", "Identity", "InputLayer"),
            *("RandomFlip", "RandomRotation", "RandomZoom", "RandomTranslation", "RandomShear"),
            *("RandomContrast", "RandomBrightness", "RandomHue", "RandomSaturation"),
            *("RandomGaussianBlur", "RandomGrayscale", "RandomInvert", "Solarization"),
            *("RandomColorJitter", "RandomColorDegeneration", "RandomPosterization"),
            *("RandomSharpness", "RandomErasing", "RandomPerspective"),
        )
    },
    "Equalization": equalization,
}

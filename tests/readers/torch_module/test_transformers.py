"""Architectures of transformers, whole, from their default configurations, on the meta device."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import netledger

pytestmark = pytest.mark.oracle

SAMPLE = {
    "bert": "encoder",
    "gpt2": "decoder",
    "t5": "encoder-decoder",
    "vit": "vision",
    "convnext": "vision, convolutions",
    "wav2vec2": "audio",
    "whisper": "audio, encoder-decoder",
    "mixtral": "mixture of experts",
    "mamba": "state space",
    "llama": "decoder, grouped-query attention",
    "clip_text_model": "text tower",
    "segformer": "segmentation",
}
"""One of each kind, for every run of the tests."""


PAGE = Path(__file__).parents[3] / "docs" / "proofs" / "transformers.md"


def make(transformers: Any, kind: str) -> tuple[Any, dict[str, Any]]:
    """The model of a kind of configuration, and what it is called with."""
    import torch

    config = transformers.AutoConfig.for_model(kind)
    text = config.get_text_config()
    experts = any("expert" in key for key in (*vars(config), *vars(text)))
    # Products of many experts at once are there in bfloat16 only.
    kwargs = {"dtype": torch.bfloat16} if experts else {}
    with torch.device("meta"):
        model = transformers.AutoModel.from_config(config, **kwargs).eval()
        return model, arguments(model, config)


def arguments(model: Any, config: Any) -> dict[str, Any]:
    """Tensors without numbers for the model's main input."""
    import torch

    name = model.main_input_name
    dtype = model.dtype
    if name == "pixel_values":
        size = getattr(config, "image_size", None) or 224
        if isinstance(size, dict):
            size = (size["height"], size["width"])
        height, width = size if isinstance(size, list | tuple) else (size, size)
        channels = getattr(config, "num_channels", 3) or 3
        return {name: torch.zeros(1, channels, height, width, dtype=dtype)}
    if name == "input_values":
        return {name: torch.zeros(1, 16000, dtype=dtype)}
    if name == "input_features":
        length = 2 * getattr(config, "max_source_positions", 1500)
        given = {name: torch.zeros(1, getattr(config, "num_mel_bins", 80), length, dtype=dtype)}
    elif name == "input_ids":
        given = {name: torch.zeros(1, 16, dtype=torch.long)}
    else:
        raise LookupError(f"its main input is {name}")
    if config.is_encoder_decoder:
        given["decoder_input_ids"] = torch.zeros(1, 8, dtype=torch.long)
    return given


@pytest.mark.parametrize("kind", SAMPLE)
def test_a_kind_of_each(kind: str, transformers: Any, compare: Callable[..., Any]) -> None:
    model, given = make(transformers, kind)
    compared = compare(model, given)
    assert compared.differences == []
    assert compared.ledger.totals.complete
    assert compared.derived > 0.98


LLAMA = {
    "model_type": "llama",
    "architectures": ["LlamaForCausalLM"],
    "hidden_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "intermediate_size": 128,
    "vocab_size": 100,
}
BESIDE = {"auto_map": {"AutoModelForCausalLM": "modeling.Own"}}


@pytest.mark.parametrize("more", [{}, BESIDE, {"quantization_config": {"quant_method": "gptq"}}])
def test_a_folder_with_a_config(more: Any, transformers: Any, tmp_path: Path) -> None:
    """Nothing but the config is read; parameters by hand."""
    (tmp_path / "config.json").write_text(json.dumps({**LLAMA, **more}))
    (tmp_path / "modeling.py").write_text("raise RuntimeError('was run')")
    totals = netledger.ledger(f"hf:{tmp_path}").totals
    block = 64 * 64 * 2 + 64 * 32 * 2 + 3 * 64 * 128 + 2 * 64
    assert totals.params == 2 * 100 * 64 + 2 * block + 64


@pytest.mark.parametrize(
    ("more", "fact", "hint"),
    [
        (
            BESIDE,
            "FILE: models of type 'lama' are made by code beside it (auto_map), which is not run",
            "look at that code; then name what makes the model: file.py:attribute",
        ),
        ({}, "unknown model_type of transformers 'lama'", "did you mean 'llama'"),
    ],
)
def test_a_config_of_a_kind_of_its_own(
    more: Any, fact: str, hint: str, transformers: Any, tmp_path: Path
) -> None:
    file = tmp_path / "config.json"
    file.write_text(json.dumps({**LLAMA, **more, "model_type": "lama"}))
    (tmp_path / "modeling.py").write_text("raise RuntimeError('was run')")
    with pytest.raises(netledger.NetledgerError) as caught:
        netledger.ledger(f"hf:{tmp_path}")
    assert caught.value.fact == fact.replace("FILE", str(file))
    assert caught.value.hint.startswith(hint)


@pytest.mark.slow
def test_all(transformers: Any, compare: Callable[..., Any]) -> None:
    """All kinds that run by themselves; the table is kept in docs/proofs/transformers.md."""
    from transformers.models.auto.modeling_auto import MODEL_MAPPING_NAMES

    equal, exceptions, unrunnable = [], [], []
    for kind in MODEL_MAPPING_NAMES:
        try:
            model, given = make(transformers, kind)
            runs(model, given)
        except Exception as error:
            unrunnable.append((kind, brief(error)))
            continue
        began = time.perf_counter()
        try:
            compared = compare(model, given)
        except Exception as error:
            exceptions.append((kind, type(model).__name__, brief(error)))
            continue
        took = time.perf_counter() - began
        said = compared.differences
        print(kind, type(model).__name__, f"{took:.1f} s", said[:2] or "equal", flush=True)
        if said:
            exceptions.append((kind, type(model).__name__, said[0]))
        else:
            equal.append((kind, type(model).__name__, compared))
    PAGE.write_text(page(transformers, equal, exceptions, unrunnable), encoding="utf-8")
    assert len(equal) >= 100
    assert share(equal) > 0.99


def runs(model: Any, given: dict[str, Any]) -> None:
    """A plain forward pass: whether the model runs without numbers at all."""
    import torch

    with torch.no_grad():
        model(**given)


def brief(error: Exception) -> str:
    """An error in one line, without the folders of this machine."""
    said = " ".join(str(error).split())
    return f"{type(error).__name__}: {said[:140]}".replace("|", "\\|")


def share(equal: Any) -> float:
    """The share of all rows that a rule describes."""
    rows = sum(len([r for r in c.ledger.ops if r.op is not None]) for _, _, c in equal)
    return 1 - sum(len(c.opaque) for _, _, c in equal) / rows


def page(transformers: Any, equal: Any, exceptions: Any, unrunnable: Any) -> str:
    import torch

    rows = sum(len([r for r in c.ledger.ops if r.op is not None]) for _, _, c in equal)
    opaque = sum(len(c.opaque) for _, _, c in equal)
    lines = [
        "# Architectures of transformers",
        "",
        f"Each kind of configuration of transformers {transformers.__version__} with its default "
        f"values, made and traced by PyTorch {torch.__version__} on the meta device: nothing is "
        "downloaded, allocated or computed. Equal means: parameters (shared ones once), "
        "buffers and tied groups are the module's own, every shape that a rule derives is the "
        "recorded one, and the multiply-accumulates are half of what FlopCounterMode counts there "
        "(which has no rule for `_grouped_mm`, the products of chosen experts: rows × K × N by "
        "hand). Text of 16 tokens (and 8 for a decoder), an image of the configuration's size, or "
        "a second of sound. Written by `make prove`.",
        "",
        f"**{len(equal)} of {len(equal) + len(exceptions)} architectures that run on the meta "
        f"device are equal; {rows - opaque:,} of their {rows:,} operations "
        f"({share(equal):.2%}) are derived by a rule,** the others move numbers about "
        "or are recorded with their reason; none of them multiplies and adds.",
        "",
        "| kind | class | operations | parameters | buffers | MACs |",
        "|---|---|---:|---:|---:|---:|",
    ]
    for kind, name, compared in equal:
        totals = compared.ledger.totals
        count = len(compared.ledger.ops)
        lines.append(
            f"| {kind} | {name} | {count:,} | {totals.params:,} | {totals.buffers:,} "
            f"| {totals.macs:,} |"
        )
    if exceptions:
        lines += ["", "## Not equal", "", "| kind | class | why |", "|---|---|---|"]
        lines += [f"| {kind} | {name} | {why} |" for kind, name, why in exceptions]
    lines += ["", "## Not tried", "", "These do not run on the meta device by themselves with "]
    lines[-1] += "the inputs above, whoever traces them."
    lines += ["", "| kind | what it says |", "|---|---|"]
    lines += [f"| {kind} | {why} |" for kind, why in unrunnable]
    return "\n".join(lines) + "\n"

"""torch against the driver and the cards, bitsandbytes against the dials."""

from __future__ import annotations

from llmops.doctor.facts import BitsandbytesFacts, GpuFacts, TorchFacts
from llmops.doctor.finding import Finding, error, ok, warning

TORCH, BITSANDBYTES = "torch", "bitsandbytes"
_WHEELS = ((13, 0), (12, 8), (12, 6))
"""CUDA versions that PyTorch has wheels for, newest first."""
_INSTALL = "pip install uv && uv pip install --reinstall-package torch torch --torch-backend"
"""uv knows where each build of torch is kept (https://docs.astral.sh/uv/guides/integration/pytorch)."""
_NEW_DRIVER = "sudo ubuntu-drivers install    # a newer driver, then reboot"


def check_torch(torch: TorchFacts, gpu: GpuFacts, *, is_needed: bool = True, uses_gpu: bool = True) -> Finding:
    """Can it be imported, was it built for what the driver runs, has it code for these cards."""
    if torch.broken is not None:
        if not is_needed:
            return warning(
                TORCH, f"torch {torch.broken}; this engine does without it.", "pip install --force-reinstall torch"
            )
        return error(TORCH, f"torch {torch.broken}.", "pip install --force-reinstall torch")
    if not gpu.cards or not uses_gpu or not is_needed:
        return ok(TORCH, f"torch {torch.version}, on the CPU." if is_needed else f"torch {torch.version} is not used.")
    if torch.rocm is not None or torch.cuda is None:
        built = "ROCm" if torch.rocm is not None else "the CPU alone"
        return error(TORCH, f"torch {torch.version} is built for {built}: the GPU is not used.", _matching(gpu))
    return _against_driver(torch, gpu) or _against_cards(torch, gpu)


def _against_driver(torch: TorchFacts, gpu: GpuFacts) -> Finding | None:
    built = _version(torch.cuda)
    limit = "" if gpu.cuda is None else f"{gpu.cuda[0]}.{gpu.cuda[1]}"
    pair = f"torch {torch.version} is built for CUDA {torch.cuda}, and driver {gpu.driver} runs CUDA up to {limit}"
    if gpu.cuda is not None and built is not None and built[0] > gpu.cuda[0]:
        return error(TORCH, f"{pair}: the GPU can't be used.", _matching(gpu))
    if not torch.cuda_available:
        said = f" ({torch.complaint})" if torch.complaint else ""
        why = f"torch {torch.version}, built for CUDA {torch.cuda}, sees no GPU though the driver does{said}."
        hidden = 'echo "$CUDA_VISIBLE_DEVICES"    # empty or -1 hides every GPU; else `sudo modprobe nvidia_uvm`'
        return error(TORCH, why, hidden)
    if gpu.cuda is not None and built is not None and built > gpu.cuda:
        why = f"{pair}: most works (same major version), and code that is compiled at run time may not."
        return warning(TORCH, why, _matching(gpu))
    return None


def _against_cards(torch: TorchFacts, gpu: GpuFacts) -> Finding:
    for card in gpu.cards:
        if (
            card.capability is not None
            and torch.architectures
            and not has_code_for(card.capability, torch.architectures)
        ):
            major, minor = card.capability
            why = (
                f"torch {torch.version} has no code for {card.name} (compute capability {major}.{minor}): it has "
                f"{', '.join(torch.architectures)}."
            )
            return error(TORCH, why, _matching(gpu))
    return ok(TORCH, f"torch {torch.version}, built for CUDA {torch.cuda}, sees the GPU.")


def has_code_for(capability: tuple[int, int], architectures: tuple[str, ...]) -> bool:
    """Machine code (`sm_`) runs on cards of its major version, from its minor one on; PTX (`compute_`) on newer."""
    for name in architectures:
        kind, _, digits = name.partition("_")
        number = "".join(each for each in digits if each.isdigit())
        if len(number) < 2:
            return True  # of a kind that is not known here
        have = int(number[:-1]), int(number[-1])
        if (kind == "sm" and have[0] == capability[0] and have[1] <= capability[1]) or (
            kind == "compute" and have <= capability
        ):
            return True
    return False


def check_bitsandbytes(facts: BitsandbytesFacts, gpu: GpuFacts, *, quantization: str) -> Finding:
    """An error where the dials ask for it, a warning elsewhere."""
    wrong = None
    if facts.broken is not None:
        wrong = f"bitsandbytes {facts.broken}"
    elif not facts.computes:
        wrong = f"bitsandbytes {facts.version} does not give numbers back as they went"
    elif gpu.cards and not facts.built_for_cuda:
        wrong = f"bitsandbytes {facts.version} has no CUDA library for this torch: it works on the CPU alone"
    if wrong is None:
        return ok(BITSANDBYTES, f"bitsandbytes {facts.version} is usable.")
    command = "pip install --force-reinstall 'bitsandbytes>=0.48'    # `python -m bitsandbytes` tells more"
    if quantization != "none":
        return error(BITSANDBYTES, f"{wrong}, and engine.quantization is {quantization}.", command)
    return warning(BITSANDBYTES, f"{wrong}: only engine.quantization needs it.", command)


def _matching(gpu: GpuFacts) -> str:
    """The newest build that this driver runs."""
    wheel = next((each for each in _WHEELS if gpu.cuda is None or each <= gpu.cuda), None)
    return _NEW_DRIVER if wheel is None else f"{_INSTALL}=cu{wheel[0]}{wheel[1]}"


def _version(text: str | None) -> tuple[int, ...] | None:
    try:
        return tuple(int(part) for part in (text or "").split(".")[:2])
    except ValueError:
        return None

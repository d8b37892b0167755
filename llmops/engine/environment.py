"""What the heavy libraries say of themselves, as one line of JSON: a script, so an import that crashes ends only it.

It imports nothing of llmops, so that it can tell of an installation that is half there.
"""

from __future__ import annotations

import json
import sys
import warnings
from typing import Any


def torch_report() -> dict[str, Any]:
    """Version, what it was built for, whether it sees a GPU, and what it complains about. Holds no GPU memory."""
    import torch

    with warnings.catch_warnings(record=True) as complaints:
        warnings.simplefilter("always")
        available = torch.cuda.is_available()
    report: dict[str, Any] = {
        "version": str(torch.__version__),
        "cuda": torch.version.cuda,
        "rocm": torch.version.hip,
        "cuda_available": available,
        "architectures": torch.cuda.get_arch_list() if available else [],
        "complaint": " ".join(str(complaints[0].message).split()) if complaints else None,
        "nccl": None,
    }
    if available and torch.distributed.is_available() and torch.distributed.is_nccl_available():
        report["nccl"] = ".".join(map(str, torch.cuda.nccl.version()))  # type: ignore[no-untyped-call]
    return report


def bitsandbytes_report() -> dict[str, Any]:
    """Version, whether its library is built for CUDA, and a block of numbers there and back in NF4, on the CPU."""
    import bitsandbytes
    import torch
    from bitsandbytes import cextension
    from bitsandbytes.functional import dequantize_4bit, quantize_4bit

    ones = torch.ones(64, 64)
    packed, state = quantize_4bit(ones, quant_type="nf4")
    return {
        "version": bitsandbytes.__version__,
        "built_for_cuda": bool(getattr(cextension.lib, "compiled_with_cuda", False)),
        "computes": bool(torch.equal(dequantize_4bit(packed, state), ones)),
    }


if __name__ == "__main__":
    reports = {"torch": torch_report, "bitsandbytes": bitsandbytes_report}
    print(json.dumps(reports[sys.argv[1]]()))  # noqa: T201

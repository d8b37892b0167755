"""The driver and the cards: is there one, can it be asked, who holds its memory, do cards reach each other."""

from __future__ import annotations

from collections.abc import Iterator

from llmops.doctor.facts import Card, GpuFacts, Holder, Problem, TorchFacts
from llmops.doctor.finding import Finding, error, ok, warning

DRIVER, VRAM, LINKS, PEERS, NCCL, EVENNESS = "gpu driver", "vram", "nvlink", "peer access", "nccl", "gpu evenness"
GIB = 1 << 30
HELD = 0.10
"""Share of a card that others may hold without a word: a desktop takes less."""
BUSY, APART = 0.3, 0.3
"""A card is idle beside a busy one when it is used this much less, and the other at least so much."""
_WITHOUT_CARD = (
    "No NVIDIA card is here, so the model runs on the CPU: small models answer, large ones are slow, and what the "
    "hardware does is told of processor and memory"
)
_MENDS: dict[Problem, tuple[str, str]] = {
    "library_missing": (
        "An NVIDIA card is in this machine, and the driver's library libnvidia-ml.so.1 is not to be found: the driver "
        "is not installed, or this container was started without the GPU",
        "sudo ubuntu-drivers install    # in a container: start it with `docker run --gpus all`",
    ),
    "driver_not_loaded": ("The driver is installed, but its kernel module is not loaded", "sudo modprobe nvidia"),
    "mismatch": (
        "The driver's library and its kernel module have different versions: one was updated under the other",
        "sudo reboot",
    ),
    "no_permission": (
        "This user may not ask the driver",
        'sudo usermod -aG video,render "$USER"    # then log in again',
    ),
    "failed": ("The driver does not answer", "nvidia-smi    # what it says, and `sudo dmesg | grep -i -e nvrm -e xid`"),
}


def check_driver(gpu: GpuFacts) -> Finding:
    """Can the cards be asked. Without any it is the CPU, which is no fault."""
    if gpu.problem is None and gpu.cards:
        names = ", ".join(dict.fromkeys(card.name for card in gpu.cards))
        cuda = "" if gpu.cuda is None else f", runs CUDA up to {gpu.cuda[0]}.{gpu.cuda[1]}"
        return ok(DRIVER, f"NVML answers: driver {gpu.driver}{cuda}; {len(gpu.cards)} x {names}.")
    if not gpu.is_on_bus and gpu.problem in (None, "library_missing", "driver_not_loaded"):
        return ok(DRIVER, f"{_WITHOUT_CARD}.")
    if gpu.problem is None:
        return error(
            DRIVER, "The driver answers and shows no card: it fell off the bus, or is hidden.", "nvidia-smi -L"
        )
    why, command = _MENDS[gpu.problem]
    return error(DRIVER, f"{why}{f' ({gpu.told})' if gpu.told else ''}.", command)


def check_memory(gpu: GpuFacts) -> Iterator[Finding]:
    """Free memory of each card, and whose the rest is."""
    for number, card in enumerate(gpu.cards):
        yield _memory(number, card, is_contained=gpu.is_contained)


def _memory(number: int, card: Card, *, is_contained: bool) -> Finding:
    if card.total_bytes is None or card.used_bytes is None:
        return ok(VRAM, f"GPU {number} shares the machine's memory, or does not tell its own.")
    free = f"GPU {number} has {(card.total_bytes - card.used_bytes) / GIB:.1f} of {card.total_bytes / GIB:.1f} GiB free"
    others = sorted((each for each in card.holders if not each.is_ours), key=lambda each: -(each.used_bytes or 0))
    ours_bytes = sum(each.used_bytes or 0 for each in card.holders if each.is_ours)
    foreign_bytes = card.used_bytes - ours_bytes
    whose = ", ".join(map(_holder, others[:4])) + (f" and {len(others) - 4} more" if len(others) > 4 else "")
    ours = f"; serve holds {ours_bytes / GIB:.1f} GiB" if ours_bytes else ""
    if foreign_bytes <= HELD * card.total_bytes or any(
        each.is_ours and each.used_bytes is None for each in card.holders
    ):
        return ok(VRAM, f"{free}{ours}.")
    if not others:
        held = f"{foreign_bytes / GIB:.1f} GiB are held by nobody that can be seen"
        why = f"{free}{ours}; {held}: another container or user"
        return warning(VRAM, f"{why}.", "sudo nvidia-smi")
    if is_contained or others[0].name is None:  # its number is no number to end something by
        return warning(VRAM, f"{free}{ours}; held by {whose}, by the driver's numbers.", "nvidia-smi    # on the host")
    return warning(VRAM, f"{free}{ours}; held by {whose}.", f"kill {others[0].pid}    # if nobody needs it")


def _holder(holder: Holder) -> str:
    size = "" if holder.used_bytes is None else f" {holder.used_bytes / GIB:.1f} GiB"
    return f"{holder.name or 'a process of another container or user'} ({holder.pid}){size}"


def check_links(gpu: GpuFacts) -> Iterator[Finding]:
    """Of several cards: NVLinks that are down, pairs that can't read each other's memory."""
    if len(gpu.cards) < 2:
        return
    down = {number: card for number, card in enumerate(gpu.cards) if not all(card.links.values())}
    if down:
        told = ", ".join(f"GPU {at}: {sum(card.links.values())} of {len(card.links)}" for at, card in down.items())
        yield warning(
            LINKS, f"NVLinks are down ({told} up), so cards talk slower than they could.", "nvidia-smi nvlink -s"
        )
    elif any(card.links for card in gpu.cards):
        yield ok(LINKS, f"All NVLinks are up ({', '.join(str(len(card.links)) for card in gpu.cards)} a card).")
    else:
        yield ok(LINKS, "The cards have no NVLink: they talk over PCIe, which costs tensor parallelism the most.")
    apart = [pair for pair, reaches in gpu.peers.items() if reaches is False]
    if apart:
        pairs = ", ".join(f"{one}-{other}" for one, other in apart)
        why = (
            f"These GPUs can't read each other's memory: {pairs}. Copies go through the machine's memory. The card "
            "may not know it (GeForce), or a virtual machine, the IOMMU or ACS of a PCIe bridge forbids it"
        )
        yield warning(PEERS, f"{why}.", "nvidia-smi topo -p2p r")
    elif any(gpu.peers.values()):
        yield ok(PEERS, "Every GPU that was asked reads the others' memory.")


def check_nccl(gpu: GpuFacts, torch: TorchFacts) -> Iterator[Finding]:
    """Of several cards: what they talk with."""
    if len(gpu.cards) < 2 or torch.broken is not None or not torch.cuda_available:
        return
    if torch.nccl is None:
        why = "This torch has no NCCL: a model over several GPUs by tensor parallelism can't run."
        yield warning(NCCL, why, "pip install --force-reinstall torch")
    else:
        yield ok(NCCL, f"NCCL {torch.nccl}.")


def check_evenness(gpu: GpuFacts, *, device_map: str | None, mean_use: dict[str, float]) -> Iterator[Finding]:
    """Of several cards: does one work while another waits. `mean_use`: from the record, by card id."""
    if len(gpu.cards) < 2:
        return
    use = [mean_use.get(card.id, card.utilization) for card in gpu.cards]
    told = ", ".join(f"GPU {at} {100 * each:.0f} %" for at, each in enumerate(use) if each is not None)
    known = [each for each in use if each is not None]
    over = "over the last hour" if mean_use else "now"
    if not known or max(known) < BUSY or max(known) - min(known) < APART:
        yield ok(EVENNESS, f"No GPU waits for another ({told or 'none tells its use'}, {over}).")
        return
    usual = (
        "serve uses one GPU unless engine.device_map spreads the model"
        if device_map is None
        else "engine.device_map puts whole layers on each, so they take turns; or max_memory lets one hold all"
    )
    yield warning(
        EVENNESS, f"The GPUs are used unevenly ({told}, {over}). Usual cause: {usual}.", "llmops explain uneven-gpus"
    )

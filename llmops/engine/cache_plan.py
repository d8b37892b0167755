"""How much KV cache to ask for: arithmetic from a memory budget to pages, batch and longest conversation."""

from __future__ import annotations

import dataclasses

# Short prompts share their beginning only in whole pages.
PAGE_SIZE = 32
# The scheduler stops taking new prompts when less than 15 % of the pages are free.
USABLE = 0.85
# Of ended requests: what a cache that gives memory back keeps for those that begin alike.
_KEPT_TOKENS_A_RUN, _KEPT_TOKENS_IDLE = 1024, 4096


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class CachePlan:
    """What the batch loop is started with. max_model_len: the longest prompt and answer it can take.

    kv_bytes_per_token, mask_bytes_per_cell: as in `plan_cache`.
    """

    num_blocks: int
    max_batch_tokens: int
    max_running: int
    max_model_len: int
    kv_bytes_per_token: int
    mask_bytes_per_cell: int = 0

    @property
    def tokens(self) -> int:
        """Prompts and answers that it holds at once."""
        return longest(self.num_blocks)

    @property
    def cache_bytes(self) -> int:
        """All pages."""
        return self.num_blocks * PAGE_SIZE * self.kv_bytes_per_token

    def kept_tokens(self, *, is_busy: bool) -> int:
        """Prompts of ended requests that keep their memory, where a cache gives memory back."""
        return _KEPT_TOKENS_A_RUN * self.max_running if is_busy else _KEPT_TOKENS_IDLE

    @property
    def held_bytes(self) -> int:
        """What is laid out beforehand: all pages, and the mask over them."""
        bytes_per_token = self.kv_bytes_per_token + self.mask_bytes_per_cell * self.max_batch_tokens
        return self.num_blocks * PAGE_SIZE * bytes_per_token

    def shrunk(self) -> CachePlan:
        """A quarter less, for the start after the device ran out of memory."""
        blocks = max(1, self.num_blocks * 3 // 4)
        return dataclasses.replace(
            self,
            num_blocks=blocks,
            max_batch_tokens=max(self.max_running, self.max_batch_tokens * 3 // 4),
            max_model_len=min(self.max_model_len, longest(blocks)),
        )

    def utilization(self, lengths: list[int]) -> float:
        """Share of the cache that generations of these lengths hold; shared beginnings count for each."""
        return min(1.0, _pages(lengths) / self.num_blocks)

    def room_tokens(self, lengths: list[int]) -> int:
        """The longest prompt and answer that is read at once beside generations of these lengths; a longer one waits
        until some of them end."""
        return min(self.max_model_len, max(0, self.tokens - _pages(lengths) * PAGE_SIZE))


def _pages(lengths: list[int]) -> int:
    return sum(-(-length // PAGE_SIZE) for length in lengths)


def longest(num_blocks: int) -> int:
    """The longest prompt and answer that so many pages take, or all of them together."""
    return int(USABLE * num_blocks * PAGE_SIZE)


def plan_cache(
    *,
    budget_bytes: int,
    kv_bytes_per_token: int,
    mask_bytes_per_cell: int,
    max_batch_tokens: int,
    max_running: int,
    model_len: int,
) -> CachePlan:
    """As much cache as `max_running` longest conversations fill, within the budget.

    mask_bytes_per_cell: without flash attention a mask of max_batch_tokens by cache tokens is held; 0 with it.
    """
    max_batch_tokens = max(max_batch_tokens, max_running)
    bytes_per_token = kv_bytes_per_token + mask_bytes_per_cell * max_batch_tokens
    affordable = budget_bytes // (bytes_per_token * PAGE_SIZE)
    useful = int(max_running * model_len / USABLE / PAGE_SIZE) + 1
    num_blocks = max(2, min(affordable, useful))
    return CachePlan(
        num_blocks=num_blocks,
        max_batch_tokens=max_batch_tokens,
        max_running=max_running,
        max_model_len=min(model_len, longest(num_blocks)),
        kv_bytes_per_token=kv_bytes_per_token,
        mask_bytes_per_cell=mask_bytes_per_cell,
    )

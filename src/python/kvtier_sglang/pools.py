"""One host pool of SGLang and the keys of its pages."""
from __future__ import annotations

from typing import Any, Sequence

from kvtier.guarded import GuardedBlocks

from .naming import anchor_of, digest_of, is_replicated, shape_of, stage_of
from .pages import HeadPages, Pages, pages_of


class Pool:
    """A pool with a name (``kv``, ``mamba``, ``swa``, …), how its pages lie, what their keys are and where their blocks are."""

    def __init__(self, name: str, pool: Any, config: Any, blocks: GuardedBlocks) -> None:
        self.name = name
        self.blocks = blocks
        self.pool = anchor_of(pool)
        self.page_size = int(getattr(self.pool, "page_size", 1) or 1)
        self.logical = getattr(self.pool, "kv_buffer", self) is None
        """True for a pool without memory of its own, whose data are in side pools."""
        replicated = is_replicated(config, name, pool)
        self.writes = not (replicated and int(config.tp_rank) != 0)
        """False where another rank stores the same bytes."""
        self._pages = None if self.logical else pages_of(self.pool)
        side = "" if name == "kv" else f".{name}-{digest_of(shape_of(self.pool))}"
        share = "" if replicated else f"/tp{config.tp_rank}of{config.tp_size}"
        self._tail = (side + stage_of(config)).encode(), share.encode()
        self.parts = 1 if self._pages is None else len(self._pages.keys(b""))
        """Blocks of a page."""

    @property
    def pages(self) -> Pages:
        """Where pages lie."""
        if self._pages is None:
            raise ValueError(f"pool {self.name} has no memory")
        return self._pages

    @property
    def is_cut_by_heads(self) -> bool:
        """True when nodes of other sizes read these pages too."""
        return isinstance(self._pages, HeadPages)

    def cut_by_heads(self, pages: HeadPages, writes: bool, blocks: GuardedBlocks) -> None:
        """Has pages cut by heads instead of stored whole for each rank."""
        self._pages, self.writes, self.blocks = pages, writes, blocks
        self._tail = b"", b""
        self.parts = len(pages.keys(b""))

    def keys(self, hashes: Sequence[str], generation: str = "") -> list[bytes]:
        """Keys of the blocks of pages, page by page."""
        tail = self._tail[0] + generation.encode() + self._tail[1]
        return [key for one in hashes for key in self.pages.keys(one.encode() + tail)]


def flat_keys(hashes: Sequence[str], config: Any, replicated: bool, generation: str = "") -> list[bytes]:
    """Keys of whole pages that the engine hands over as tensors."""
    share = "" if replicated else f"/tp{config.tp_rank}of{config.tp_size}"
    tail = f"{stage_of(config)}{generation}{share}.page".encode()
    return [one.encode() + tail for one in hashes]

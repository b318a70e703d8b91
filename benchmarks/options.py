"""How large a benchmark is run, and the few flags that all of them take."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """One run of a benchmark."""

    scale: str = "full"
    """`full` for figures to keep, `short` for a look, `tiny` to see that it works at all."""
    pairs: int = 5
    """Runs of ours and of the reference, in turn."""
    seed: int = 1
    events_max: int = 1_000_000
    """Largest log that the growth rows fill."""

    def pick(self, full: T, short: T, tiny: T) -> T:
        """Return the value for this scale."""
        return {"full": full, "short": short, "tiny": tiny}[self.scale]

    def sizes(self, full: Sequence[int], short: Sequence[int], tiny: Sequence[int]) -> list[int]:
        """Return the log sizes for this scale, as far as they are allowed."""
        return [size for size in self.pick(full, short, tiny) if size <= self.events_max]


def parse(arguments: Sequence[str] | None = None, *, scale: str = "full") -> Options:
    """Return the options that a command line asks for; the flags are those of `add_flags`."""
    parser = argparse.ArgumentParser()
    add_flags(parser)
    return chosen(parser.parse_args(arguments), scale)


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Add the flags that every benchmark takes."""
    parser.add_argument("--short", action="store_true", help="fewer and smaller runs")
    parser.add_argument("--full", action="store_true", help="runs of the size that figures are kept of")
    parser.add_argument("--tiny", action="store_true", help="one run of next to nothing: only shows that it works")
    parser.add_argument("--pairs", type=int, help="runs of ours and of the reference, in turn")
    parser.add_argument("--seed", type=int, default=1, help="of the load")
    parser.add_argument(
        "--events-max", type=int, default=1_000_000, help="largest log that is filled; 10000000 takes hours"
    )


def chosen(flags: argparse.Namespace, scale: str) -> Options:
    """Return the options of parsed flags; `scale` where none was asked for."""
    scale = "tiny" if flags.tiny else "short" if flags.short else "full" if flags.full else scale
    pairs = flags.pairs or {"full": 5, "short": 3, "tiny": 1}[scale]
    return Options(scale=scale, pairs=pairs, seed=flags.seed, events_max=flags.events_max)

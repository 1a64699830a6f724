"""Configs and steps that other processes can import."""

import os
import signal
import time
from pathlib import Path

from lingraft import engine
from lingraft.config import Config, InputPaths


class SmallConfig(Config):
    """A config of a run folder."""

    inputs: InputPaths = []
    """Files."""

    size: int = 1
    """A value."""


def write_length(shard: tuple[str, str]) -> dict[str, int]:
    """Write the length of a word to a file, once: a second call for the same shard leaves two lines."""
    folder, word = shard
    with (Path(folder) / f"{word}.txt").open("a") as file:
        file.write(f"{len(word)}\n")
    return {"letters": len(word)}


def fail_at_gamma(shard: tuple[str, str]) -> dict[str, int]:
    """Raise an exception of its own at one shard."""
    if shard[1] == "gamma":
        raise KeyError("gamma is not wanted")
    return write_length(shard)


def die_at_gamma(shard: tuple[str, str]) -> dict[str, int]:
    """Be killed at one shard, unless a file says that memory is enough now."""
    if shard[1] == "gamma" and not (Path(shard[0]) / "more-memory").exists():
        os.kill(os.getpid(), signal.SIGKILL)
    return write_length(shard)


def sleep_long(pid_file: str) -> dict[str, int]:
    """Say who is at work, and work on and on."""
    Path(pid_file).write_text(str(os.getpid()))
    time.sleep(600)
    return {}


def second_rank_is_killed(rank: int, world_size: int, processes: int) -> None:
    """A stage: one worker of its second rank is killed."""
    words = Path.cwd() / "words"
    words.mkdir(exist_ok=True)
    shard = (str(words), "gamma" if rank == 1 else "delta")
    engine.run(die_at_gamma, [engine.Task(shard[1], shard)], Path.cwd() / "markers", apart=True)


def second_rank_sleeps(rank: int, world_size: int, processes: int) -> None:
    """A stage: its second rank takes too long."""
    time.sleep(600 * rank)

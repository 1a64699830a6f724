"""Run one function over many shards: on this machine's cores, with one marker file a finished shard.

A step is a picklable function of one shard that writes its outputs atomically and returns its counters. The engine
writes `{markers}/{key}.json` with these counters once the function has returned; a rerun reads the marker instead of
calling the function again. What a step writes may depend on its shard alone, never on the number of workers.

Each worker is a pool of one process (concurrent.futures), so that when one dies (out of memory, kill -9) the
shard that it was at is known by name. The other workers finish theirs, and the run ends with an error.
"""

import multiprocessing
import os
import threading
from collections.abc import Callable, Iterable, Sequence, Sized
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing import connection
from pathlib import Path
from typing import Any

from lingraft.errors import LingraftError
from lingraft.runs import read_json, write_json

Step = Callable[[Any], dict[str, Any]]


@dataclass(frozen=True)
class Task:
    """One shard of a step: `key` names it in markers and messages, `shard` is what the function is given."""

    key: str
    shard: Any


def default_workers() -> int:
    """Return the number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def run(
    step: Step,
    tasks: Iterable[Task],
    markers: Path,
    *,
    workers: int = 1,
    apart: bool = False,
    preload: Sequence[str] = (),
    on_done: Callable[[str, dict[str, Any]], None] = lambda key, counters: None,
) -> dict[str, dict[str, Any]]:
    """Call `step(task.shard)` for each task that has no marker yet; return all counters by key, in the tasks' order.

    `tasks` is consumed lazily, at most two tasks a worker ahead, so shards may carry their data. With one worker the
    step runs in this process, unless it is to be kept `apart`, so that one that is killed does not take this process
    with it; more are forked from a process that has imported the modules `preload`.
    `on_done(key, counters)` is called after each task, also for those found done.
    Raises LingraftError that names the shard when a worker dies; an exception of `step` itself is raised as it is.
    """
    results: dict[str, dict[str, Any]] = {}
    if isinstance(tasks, Sized):
        workers = min(workers, len(tasks))  # a process more than there are shards only costs its start
    pool = _Pool(workers, preload) if workers > 1 or apart else None

    def finish(key: str, counters: dict[str, Any]) -> None:
        results[key] = counters
        on_done(key, counters)

    try:
        order = []
        for task in tasks:
            order.append(task.key)
            done = read_json(markers / f"{task.key}.json")
            if done is not None:
                finish(task.key, done)
            elif pool is None:
                finish(task.key, _run_one(step, task, markers))
            else:
                pool.submit(step, task, markers, finish)
        if pool is not None:
            pool.drain(finish)
        return {key: results[key] for key in order}
    finally:
        if pool is not None:
            pool.close()


def is_done(markers: Path, key: str) -> bool:
    """Whether the task `key` has its marker."""
    return (markers / f"{key}.json").exists()


def _run_one(step: Step, task: Task, markers: Path) -> dict[str, Any]:
    counters = step(task.shard)
    write_json(markers / f"{task.key}.json", counters)
    return counters


def _leave_with_parent() -> None:
    """End this worker when the process that started it is gone: after a kill -9 it would wait for ever."""

    def watch() -> None:
        connection.wait([multiprocessing.parent_process().sentinel])
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


class _Pool:
    """`workers` pools of one process each, so that a broken one tells which task broke it."""

    def __init__(self, workers: int, preload: Sequence[str]):
        methods = multiprocessing.get_all_start_methods()
        self._context = multiprocessing.get_context("forkserver" if "forkserver" in methods else "spawn")
        self._context.set_forkserver_preload(["__main__", *preload])  # heeded by the first pool of the process
        self._idle = [
            ProcessPoolExecutor(1, mp_context=self._context, initializer=_leave_with_parent) for _ in range(workers)
        ]
        self._busy: dict[Future, tuple[str, ProcessPoolExecutor]] = {}

    def submit(self, step: Step, task: Task, markers: Path, finish: Callable[[str, dict[str, Any]], None]) -> None:
        if not self._idle:
            self._collect(finish)
        worker = self._idle.pop()
        self._busy[worker.submit(_run_one, step, task, markers)] = (task.key, worker)

    def drain(self, finish: Callable[[str, dict[str, Any]], None]) -> None:
        while self._busy:
            self._collect(finish)

    def _collect(self, finish: Callable[[str, dict[str, Any]], None]) -> None:
        for future in wait(self._busy, return_when=FIRST_COMPLETED).done:
            key, worker = self._busy.pop(future)
            try:
                counters = future.result()
            except BrokenProcessPool:
                raise LingraftError(
                    f"the worker at shard {key} died",
                    "It was killed from outside, most often for want of memory; or it could not start, because a script"
                    " calls lingraft at its top level.",
                    "Repeat the command, with fewer --workers if memory is short: finished shards are kept."
                    " In a script, put the call under if __name__ == '__main__':",
                ) from None
            self._idle.append(worker)
            finish(key, counters)

    def close(self) -> None:
        for worker in [*self._idle, *(worker for _, worker in self._busy.values())]:
            worker.shutdown(wait=True, cancel_futures=True)

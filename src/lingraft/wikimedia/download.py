"""Fetch dumps: whole, verified, and never twice.

What is fetched is written to `{name}.part`, hashed on the way, and renamed when its size and sha1 are those of the
list. A broken transfer goes on where it broke, in the same run or in the next one; what comes out wrong is fetched
once more from its beginning, then from the next mirror. Two connections at most, as Wikimedia asks.

    lingraft corpus download --wiki el --what articles,page_props,langlinks --out dumps
"""

import fcntl
import hashlib
import os
import re
import shlex
import shutil
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPException, HTTPResponse
from itertools import groupby
from pathlib import Path
from typing import Any, BinaryIO, Literal
from urllib.parse import urlsplit

from pydantic import Field, field_validator

from lingraft import progress
from lingraft.config import Config, Names
from lingraft.errors import LingraftError, did_you_mean
from lingraft.wikimedia.dump_files import WHAT, DumpFile, find_files
from lingraft.wikimedia.mirrors import Mirrors, PassingError, RefusedError
from lingraft.wikimedia.siteinfo import dbname_language
from lingraft.wikimedia.wikis import database_name

CHUNK = 1 << 18
PROGRESS = 1 << 20
"""Bytes after which a transfer that broke counts as one that goes on, and is granted all its retries anew."""

State = Literal["missing", "begun", "whole"]


class DownloadConfig(Config):
    """Which files of which wiki are fetched, from where."""

    wiki: str
    """The wiki: el, elwiki, el.wikipedia, elwikivoyage."""

    date: str = "latest"
    """Run of the dumps, YYYYMMDD; latest is the newest in which all that is asked for is done."""

    what: Names = Field(["articles", "page_props", "langlinks"], min_length=1)
    """articles, page_props, langlinks, redirect, page; wb_items_per_site and wikidata are Wikidata's own."""

    mirrors: list[str] = Field(["https://dumps.wikimedia.org"], min_length=1)
    """Servers with the same folders, tried in order."""

    contact: str | None = None
    """Mail or web address that the User-Agent names, so that the servers' administrators can reach you."""

    connections: int = Field(2, ge=1, le=2)
    """Files fetched at a time; Wikimedia allows two."""

    retries: int = Field(5, ge=0)
    """Attempts after a fault, with growing waits, before the next mirror."""

    @field_validator("wiki")
    @classmethod
    def _wiki_is_a_database_name(cls, wiki: str) -> str:
        return database_name(wiki)

    @field_validator("date")
    @classmethod
    def _date_is_one(cls, date: str) -> str:
        if date != "latest" and not re.fullmatch(r"20\d{6}", date):
            raise ValueError(f"'{date}' is no date of a run: write it as 20261101, or latest")
        return date

    @field_validator("what")
    @classmethod
    def _what_is_known(cls, what: list[str]) -> list[str]:
        for name in what:
            if name not in WHAT:
                hint = did_you_mean(name, WHAT)
                raise ValueError(f"nothing is called '{name}'{': ' + hint if hint else ''} ({', '.join(WHAT)})")
        return list(dict.fromkeys(what))

    @field_validator("mirrors")
    @classmethod
    def _mirrors_are_addresses(cls, mirrors: list[str]) -> list[str]:
        for mirror in mirrors:
            if urlsplit(mirror).scheme not in ("http", "https") or not urlsplit(mirror).hostname:
                raise ValueError(f"mirror '{mirror}' is no address: write it as https://dumps.wikimedia.org")
        return mirrors

    @field_validator("contact")
    @classmethod
    def _contact_is_a_line(cls, contact: str | None) -> str | None:
        if contact is not None and not (contact.isprintable() and contact.isascii()):
            raise ValueError("contact is a mail or web address, in plain ASCII letters")
        return contact


class Plan:
    """The files that a download needs, and what of them is in the folder already."""

    def __init__(self, files: list[DumpFile], out: Path):
        self.files = files
        self.out = out
        self.states: list[State] = [self._state(file) for file in files]

    def _state(self, file: DumpFile) -> State:
        final = self.out / file.name
        if final.is_file() and final.stat().st_size == file.size:
            return "whole"
        return "begun" if _partial(self.out, file).exists() else "missing"

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(file.size for file in self.files)

    @property
    def to_fetch(self) -> int:
        """Bytes that are not in the folder yet."""
        return sum(
            file.size - min(file.size, _size(_partial(self.out, file)))
            for file, state in zip(self.files, self.states, strict=True)
            if state != "whole"
        )

    @property
    def free(self) -> int:
        """Free bytes on the disk of the folder, which need not be there yet."""
        folder = self.out.absolute()
        while not folder.exists():
            folder = folder.parent
        return shutil.disk_usage(folder).free

    def rows(self) -> list[dict[str, Any]]:
        """Return the files as rows of a table."""
        return [
            {"file": file.name, "bytes": file.size, "in the folder": state}
            for file, state in zip(self.files, self.states, strict=True)
        ]


def plan(config: DownloadConfig, out: str | Path, *, sleep: Callable[[float], Any] = time.sleep) -> Plan:
    """Ask the servers which files `config` means, and look which of them are in `out`; nothing is written."""
    return Plan(find_files(config.wiki, config.date, config.what, _mirrors(config, sleep)), Path(out))


def download(
    config: DownloadConfig, out: str | Path, *, quiet: bool = False, sleep: Callable[[float], Any] | None = None
) -> dict[str, Any]:
    """Fetch into the folder `out`; return {files: [(what, path)], bytes, fetched, kept}, the last three counts.

    Whole files with the right sha1 are kept, begun ones continued. A file that fails does not stop the others.
    Raises LingraftError for what the servers do not have, for want of disk space before anything is written, and, at
    the end, for files that could not be fetched whole, with what each mirror said.
    """
    stop, failed, kept = threading.Event(), [], 0
    mirrors = _mirrors(config, sleep or stop.wait)
    wanted = Plan(find_files(config.wiki, config.date, config.what, mirrors), Path(out))
    if wanted.to_fetch > wanted.free:
        raise LingraftError(
            f"not enough disk space in {out}: {wanted.to_fetch:,} bytes are to be fetched, {wanted.free:,} are free",
            cure="Free some space, choose another --out, or ask for less with --what.",
        )
    try:
        wanted.out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise LingraftError(f"cannot write to {out}", error.strerror or str(error), "Choose another --out.") from None
    with (
        progress.bar(f"download {config.wiki}", wanted.size, "B", quiet=quiet) as bar,
        ThreadPoolExecutor(config.connections) as pool,
    ):
        advance = _one_at_a_time(bar.advance)
        try:
            transfers = [pool.submit(_Transfer(file, wanted.out, mirrors, advance, stop).run) for file in wanted.files]
            for transfer in transfers:
                try:
                    kept += not transfer.result()
                except LingraftError as error:
                    failed.append(str(error))
        finally:
            stop.set()  # after Ctrl-C the threads end at their next chunk; what they wrote is kept
            pool.shutdown(cancel_futures=True)
    if failed:
        raise LingraftError(
            "\n".join(failed),
            f"{len(wanted.files) - len(failed)} of {len(wanted.files)} files are whole and stay in {out}.",
            "Repeat the command later: it goes on where it stopped. Or name another server with --mirror.",
        )
    return {
        "files": [(file.what, wanted.out / file.name) for file in wanted.files],
        "bytes": wanted.size,
        "fetched": len(wanted.files) - kept,
        "kept": kept,
    }


def build_command(config: DownloadConfig, files: Sequence[tuple[str, Path]]) -> str:
    """Return the `lingraft corpus build` command that uses files fetched as (what, path)."""
    options = {"articles": "--dump", "wikidata": "--wikidata"}
    words = ["lingraft", "corpus", "build"]
    for option, group in groupby(files, key=lambda file: options.get(file[0], "--sql")):
        words += [option, *(str(path) for _, path in group)]
    lang = dbname_language(config.wiki) or config.wiki
    return shlex.join([*words, "--lang", lang, "--out", f"out/{config.wiki}"])


def _mirrors(config: DownloadConfig, sleep: Callable[[float], Any]) -> Mirrors:
    return Mirrors(config.mirrors, config.contact, config.retries, sleep)


def _partial(folder: Path, file: DumpFile) -> Path:
    return folder / f"{file.name}.part"


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _one_at_a_time(advance: Callable[[float, str], None]) -> Callable[[float, str], None]:
    lock = threading.Lock()

    def advance_alone(amount: float, note: str) -> None:
        with lock:
            advance(amount, note)

    return advance_alone


class _StoppedError(Exception):
    """The download was interrupted."""


class _Transfer:
    """One file on its way: `held` bytes of it are in the .part file, `digest` is their sha1."""

    def __init__(
        self,
        file: DumpFile,
        folder: Path,
        mirrors: Mirrors,
        advance: Callable[[float, str], None],
        stop: threading.Event,
    ):
        self.file, self.mirrors, self.stop = file, mirrors, stop
        self.final, self.partial = folder / file.name, _partial(folder, file)
        self._advance = advance
        self.held = 0
        self.digest = hashlib.sha1()

    def run(self) -> bool:
        """Fetch the file unless it is whole already; return whether it had to be fetched."""
        try:
            if self._is_whole():
                return False
            with self.partial.open("ab+") as part:
                self._lock(part)
                self._read_held(part)
                self._fetch(part)
                os.fsync(part.fileno())
                self.partial.replace(self.final)
            return True
        except OSError as error:
            raise self._unwritable(error) from error

    def _unwritable(self, error: OSError) -> LingraftError:
        cure = "Free some space (or choose another --out) and repeat the command: what is there is kept."
        return LingraftError(f"cannot write {self.partial}", error.strerror or str(error), cure)

    def _is_whole(self) -> bool:
        if _size(self.final) != self.file.size:
            return False
        with self.final.open("rb") as file:
            self._read_held(file)
        if self.digest.hexdigest() == self.file.sha1:
            return True
        self._forget()
        return False

    def _lock(self, part: BinaryIO) -> None:
        try:
            fcntl.flock(part, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise LingraftError(f"{self.partial} is being written by another process", cure="Wait for it.") from None

    def _read_held(self, file: BinaryIO) -> None:
        """Hash what there is already."""
        file.seek(0)
        while chunk := file.read(PROGRESS):
            self._count(chunk)

    def _count(self, chunk: bytes) -> None:
        self.digest.update(chunk)
        self.held += len(chunk)
        self._advance(len(chunk), self.file.name)
        if self.stop.is_set():
            raise _StoppedError

    def _forget(self) -> None:
        self._advance(-self.held, self.file.name)
        self.held, self.digest = 0, hashlib.sha1()

    def _start_again(self, part: BinaryIO) -> None:
        part.truncate(0)
        self._forget()

    def _fetch(self, part: BinaryIO) -> None:
        """Fill the .part file from the first mirror that gives the right bytes."""
        said = []
        for mirror in self.mirrors.in_order():
            for _ in range(2):  # what came out wrong is fetched once more, from its beginning
                try:
                    self._fill(part, f"{mirror}/{self.file.path}")
                except (PassingError, RefusedError) as error:
                    said.append(f"{mirror}: {error}")
                    self.mirrors.put_last(mirror, error)
                    break
                if self.digest.hexdigest() == self.file.sha1:
                    return
                said.append(f"{mirror}: corrupt, its sha1 is {self.digest.hexdigest()} and not {self.file.sha1}")
                self._start_again(part)
        raise LingraftError(f"cannot fetch {self.file.name} ({self.file.size:,} bytes)", "\n".join(said))

    def _fill(self, part: BinaryIO, url: str) -> None:
        """Fetch until the file has its size, over as many connections as it takes."""
        if self.held > self.file.size:
            self._start_again(part)
        attempt = 0
        while self.held < self.file.size:
            if self.stop.is_set():
                raise _StoppedError
            before = self.held
            try:
                with self.mirrors.open(url, start=self.held) as response:
                    self._find_place(part, response)
                    self._write(part, response)
            except PassingError as fault:
                attempt = 0 if self.held - before >= PROGRESS else attempt + 1
                if attempt > self.mirrors.retries:
                    raise
                self.mirrors.wait(max(0, attempt - 1), fault)

    def _find_place(self, part: BinaryIO, response: HTTPResponse) -> None:
        """Make the .part file fit the answer: a server that knows no ranges begins again; a wrong range is refused."""
        if response.status != 206:
            self._start_again(part)
            return
        place = response.headers.get("Content-Range") or ""
        if not re.fullmatch(rf"bytes {self.held}-\d+/({self.file.size}|\*)", place):
            raise RefusedError(f"it gives '{place}' of a file that has {self.file.size:,} bytes, from {self.held:,} on")

    def _write(self, part: BinaryIO, response: HTTPResponse) -> None:
        """Append what the answer brings, no more than the file's size."""
        while self.held < self.file.size:
            try:
                chunk = response.read1(min(CHUNK, self.file.size - self.held))
            except (OSError, HTTPException) as error:
                raise PassingError(f"broken off at byte {self.held:,}: {error or type(error).__name__}") from None
            if not chunk:
                raise PassingError(f"broken off at byte {self.held:,} of {self.file.size:,}")
            part.write(chunk)
            part.flush()
            self._count(chunk)

"""What the servers hold: which files make up a dump, how large they are and what their sha1 is.

Each run of the dumps has its own `{wiki}/{date}/dumpstatus.json`: jobs, whether they are done, their files. The
articles come as one multistream file, or in parts; the parts of the largest wikis are joined by a job of its own,
hours later, and are then not needed. Wikidata's entities have no such file: their sizes are asked for, their sha1
stand in `other/wikibase/wikidatawiki/{date}/wikidata-{date}-sha1sums.txt`.

Source: https://wikitech.wikimedia.org/wiki/Dumps and the jobs' names in the dumps' own code (xmldumps-backup/dumps).
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lingraft.errors import LingraftError
from lingraft.wikimedia.mirrors import Mirrors, PassingError, RefusedError, UnavailableError, read_index

TABLES = ("page_props", "langlinks", "redirect", "page", "wb_items_per_site")
"""SQL dumps; the job that writes one is its name without underscores, and "table"."""

WHAT = ("articles", *TABLES, "wikidata")
"""What can be asked for."""

WIKIDATA = "wikidatawiki"
ENTITIES = f"other/wikibase/{WIKIDATA}"
"""The folder that mirrors have too; on Wikimedia's server it is also called wikidatawiki/entities."""

_SAFE_NAME = re.compile(r"\w[\w.-]*", re.ASCII)
_SHA1 = re.compile(r"[0-9a-f]{40}")
_FOLDER = re.compile(r'href="[^"]*?(\d{8})/?"')
_ENTITY_FILE = re.compile(r'href="[^"]*?wikidata-(\d{8})-all\.json\.gz"')


@dataclass(frozen=True)
class DumpFile:
    """One file: its name and its folder on the servers, size in bytes, sha1 in hex, and what it is one of WHAT."""

    name: str
    folder: str
    size: int
    sha1: str
    what: str

    @property
    def path(self) -> str:
        """Path on a mirror."""
        return f"{self.folder}/{self.name}"


def find_files(wiki: str, date: str, what: Sequence[str], mirrors: Mirrors) -> list[DumpFile]:
    """Return the files of `what` for a wiki (database name), of the run of `date` (YYYYMMDD, or "latest").

    "latest" is the newest run in which everything that was asked for is done. What stands on Wikidata has runs of
    its own: `wb_items_per_site` that of the same `date`, the entities (`wikidata`) the newest one up to it.
    Raises LingraftError for a wiki or a date that is not there, and for jobs that are not done.
    """
    of_wiki = [name for name in what if name not in ("wikidata", "wb_items_per_site")]
    files = _run_files(wiki, date, of_wiki, mirrors) if of_wiki else []
    if "wb_items_per_site" in what:
        files += _run_files(WIKIDATA, date, ["wb_items_per_site"], mirrors)
    if "wikidata" in what:
        files.append(_entities(date, mirrors))
    return files


def _run_files(wiki: str, date: str, what: Sequence[str], mirrors: Mirrors) -> list[DumpFile]:
    if date != "latest":
        return _complete(wiki, date, what, _jobs(wiki, date, mirrors))
    lacks: list[str] = []
    for run in _dates(wiki, mirrors):
        try:
            return _complete(wiki, run, what, _jobs(wiki, run, mirrors))
        except _NotDoneError as error:
            lacks.append(error.what)
        except UnavailableError as error:
            if not error.missing:
                raise
            lacks.append(f"{wiki} {run} has no dumpstatus.json")
    raise LingraftError(
        f"no run of {wiki} holds all of {', '.join(what)}", "\n".join(lacks), "Ask for less with --what."
    )


class _NotDoneError(LingraftError):
    """A run that lacks some of what was asked for."""


def _dates(wiki: str, mirrors: Mirrors) -> list[str]:
    """Return the dates of a wiki's runs, newest first."""
    try:
        listing = mirrors.find(f"{wiki}/", _read_text, f"the runs of {wiki}")
    except UnavailableError as error:
        if not error.missing:
            raise
        raise LingraftError(
            f"there are no dumps of '{wiki}'", error.why, "Give the wiki as el, elwiki, el.wikivoyage or elwikivoyage."
        ) from None
    return sorted(set(_FOLDER.findall(listing)), reverse=True)


def _read_text(response: Any) -> str:
    return read_index(response).decode("utf-8", errors="replace")


def _jobs(wiki: str, date: str, mirrors: Mirrors) -> Mapping[str, Any]:
    """Return the jobs of a run, by name."""

    def read(response: Any) -> Mapping[str, Any]:
        try:
            jobs = json.loads(read_index(response))["jobs"]
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise PassingError(f"dumpstatus.json is cut off or damaged ({type(error).__name__}: {error})") from None
        if not isinstance(jobs, dict):
            raise PassingError("dumpstatus.json holds no jobs")
        return jobs

    return mirrors.find(f"{wiki}/{date}/dumpstatus.json", read, f"the files of {wiki}, run {date}")


def _complete(wiki: str, date: str, what: Sequence[str], jobs: Mapping[str, Any]) -> list[DumpFile]:
    """Return the files of all of `what`, or raise _NotDoneError."""
    files, lacks = [], []
    for name in what:
        found = _articles(wiki, date, jobs) if name == "articles" else _table(wiki, date, name, jobs)
        if not found:
            lacks.append(f"{name} ({_state(name, jobs)})")
        files += map(_checked, found)
    if lacks:
        raise _NotDoneError(
            f"the run {date} of {wiki} does not hold {', '.join(lacks)}",
            "Jobs take days after the date of a run; old runs are removed.",
            "Take the newest run that holds everything with --date latest.",
        )
    return files


def _articles(wiki: str, date: str, jobs: Mapping[str, Any]) -> list[DumpFile]:
    """Return the multistream dump as one file if there is one, else its parts in the order of their pages."""
    name = re.compile(rf"{wiki}-{date}-pages-articles-multistream(\d*)\.xml(?:-p(\d+)p\d+)?\.bz2")
    for job in ("articlesmultistreamdumprecombine", "articlesmultistreamdump"):
        parts = []
        for file in _files(f"{wiki}/{date}", "articles", jobs.get(job)):
            found = name.fullmatch(file.name)
            if found:
                parts.append((int(found[1] or 0), int(found[2] or 0), file))
        if parts:
            return [file for *_, file in sorted(parts, key=lambda part: part[:2])]
    return []


def _table(wiki: str, date: str, table: str, jobs: Mapping[str, Any]) -> list[DumpFile]:
    files = _files(f"{wiki}/{date}", table, jobs.get(_table_job(table)))
    return [file for file in files if file.name == f"{wiki}-{date}-{table}.sql.gz"]


def _table_job(table: str) -> str:
    return table.replace("_", "") + "table"


def _state(name: str, jobs: Mapping[str, Any]) -> str:
    job = jobs.get("articlesmultistreamdump" if name == "articles" else _table_job(name))
    return str(job.get("status", "of unknown state")) if isinstance(job, dict) else "no such job"


def _files(folder: str, what: str, job: Any) -> list[DumpFile]:
    """Return the files of a job that is done; LingraftError for a name that is none, as "../x"."""
    if not isinstance(job, dict) or job.get("status") != "done" or not isinstance(job.get("files"), dict):
        return []
    for name in job["files"]:
        if not _SAFE_NAME.fullmatch(name):
            raise _untrusted(folder, f"the name {name!r} could lead out of the folder")
    return [
        DumpFile(name, folder, facts.get("size"), str(facts.get("sha1")).lower(), what)
        for name, facts in job["files"].items()
        if isinstance(facts, dict)
    ]


def _checked(file: DumpFile) -> DumpFile:
    """Return the file if its size and sha1 can be such; LingraftError otherwise."""
    if type(file.size) is not int or file.size < 0:
        raise _untrusted(file.folder, f"{file.name} has the size {file.size!r}")
    if not _SHA1.fullmatch(file.sha1):
        raise _untrusted(file.folder, f"{file.name} has the sha1 {file.sha1!r}")
    return file


def _untrusted(folder: str, fault: str) -> LingraftError:
    return LingraftError(f"the list of files of {folder} is not to be trusted", f"{fault}.", "Use another --mirror.")


def _entities(date: str, mirrors: Mirrors) -> DumpFile:
    """Return Wikidata's entities as JSON: those of the newest run, or of the newest one up to `date`."""
    dates = _dates(ENTITIES, mirrors)
    for run in dates:
        if date != "latest" and run > date:
            continue
        found = _entities_of(run, mirrors)
        if found:
            return found
    raise LingraftError(
        f"no dump of Wikidata's entities {'is there' if date == 'latest' else f'up to {date}'}",
        f"Runs: {', '.join(dates) or 'none'}.",
        "Use --date latest.",
    )


def _entities_of(run: str, mirrors: Mirrors) -> DumpFile | None:
    """Return a run's JSON dump; None when it has none, or not yet its sha1: some days bring other formats only."""
    folder = f"{ENTITIES}/{run}"
    listed = _ENTITY_FILE.search(mirrors.find(f"{folder}/", _read_text, f"Wikidata's run {run}"))
    if not listed:
        return None
    name = f"wikidata-{listed[1]}-all.json.gz"  # a file may be some days younger than its folder
    try:
        sums = mirrors.find(f"{folder}/wikidata-{listed[1]}-sha1sums.txt", _read_text, f"the sha1 of {name}")
    except UnavailableError as error:
        if error.missing:
            return None
        raise
    sha1 = re.search(rf"^([0-9a-f]{{40}})\s+\*?{re.escape(name)}$", sums, re.MULTILINE)
    if not sha1:
        return None
    size = mirrors.find(f"{folder}/{name}", _told_size, name, method="HEAD")
    return DumpFile(name, folder, size, sha1[1], "wikidata")


def _told_size(response: Any) -> int:
    told = response.headers.get("Content-Length") or ""
    if not told.isdecimal():
        raise RefusedError("it does not tell the file's size")
    return int(told)

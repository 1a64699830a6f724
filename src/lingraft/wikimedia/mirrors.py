"""Polite HTTP to the servers of the dumps: mirrors in order, patience with faults that pass, none with those that stay.

A fault (a broken connection, 429, 5xx) is waited out, each time twice as long, or as long as the server asks for. What
a mirror does not have or refuses is asked of the next one. Wikimedia asks for a User-Agent that names the tool and a
way to reach whoever runs it: https://foundation.wikimedia.org/wiki/Policy:User-Agent_policy.
"""

import time
from collections.abc import Callable, Sequence
from email.utils import parsedate_to_datetime
from http.client import HTTPException, HTTPResponse
from typing import Any, TypeVar
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

from lingraft import __version__
from lingraft.errors import LingraftError

TIMEOUT = 60
"""Seconds without a byte after which a connection counts as broken."""

LONGEST_WAIT = 600
"""Seconds: a server that asks for more is left for the next mirror."""

LARGEST_INDEX = 32 << 20
"""Bytes of a list of dumps or files; that of the English Wikipedia has under one MiB."""

_PASSING = {408, 425, 429, 500, 502, 503, 504}

Found = TypeVar("Found")


class PassingError(Exception):
    """What may go well the next time. `wait`: seconds that the server asks for."""

    def __init__(self, message: str, wait: float | None = None):
        super().__init__(message)
        self.wait = wait


class RefusedError(Exception):
    """What a mirror will not give, however often it is asked. `missing`: it says that there is no such thing."""

    def __init__(self, message: str, missing: bool = False):
        super().__init__(message)
        self.missing = missing


class UnavailableError(LingraftError):
    """No mirror gave what was asked for. `missing`: each of them answered that there is no such thing."""

    missing = False


class Mirrors:
    """Servers that hold the same dumps, tried in order; `retries` and `sleep` say how patiently."""

    def __init__(
        self,
        urls: Sequence[str],
        contact: str | None = None,
        retries: int = 5,
        sleep: Callable[[float], Any] = time.sleep,
    ):
        self.urls = [url.rstrip("/") for url in urls]
        self.agent = f"lingraft/{__version__} (corpus download{f'; {contact}' if contact else ''})"
        self.retries = retries
        self.sleep = sleep

    def open(self, url: str, *, method: str = "GET", start: int = 0) -> HTTPResponse:
        """Ask for a file from byte `start` on; raise PassingError or RefusedError."""
        headers = {"User-Agent": self.agent, "Accept-Encoding": "identity"}
        if start:
            headers["Range"] = f"bytes={start}-"
        try:
            return urlopen(Request(url, method=method, headers=headers), timeout=TIMEOUT)
        except HTTPError as error:
            error.close()
            said = f"HTTP {error.code} {error.reason}"
            if error.code in _PASSING:
                raise PassingError(said, _asked_wait(error.headers.get("Retry-After"))) from None
            raise RefusedError(said, missing=error.code in (404, 410)) from None
        except URLError as error:
            raise PassingError(str(error.reason)) from None
        except (OSError, HTTPException) as error:
            raise PassingError(_words(error)) from None

    def find(self, path: str, read: Callable[[HTTPResponse], Found], what: str, *, method: str = "GET") -> Found:
        """Return what `read` makes of the answer to `path`, of the first mirror that gives one.

        `read` may raise PassingError or RefusedError too. Raises UnavailableError with what each mirror said.
        """

        def ask(url: str) -> Found:
            with self.open(url, method=method) as response:
                try:
                    return read(response)
                except (OSError, HTTPException) as error:
                    raise PassingError(_words(error)) from None

        said, missing = [], True
        for mirror in self.in_order():
            try:
                return self.patiently(lambda mirror=mirror: ask(f"{mirror}/{path}"))
            except (PassingError, RefusedError) as error:
                said.append(f"{mirror}/{path}: {error}")
                missing = missing and isinstance(error, RefusedError) and error.missing
                self.put_last(mirror, error)
        unavailable = UnavailableError(
            f"cannot find {what}", "\n".join(said), "Check the connection, or name another server with --mirror."
        )
        unavailable.missing = missing
        raise unavailable

    def patiently(self, action: Callable[[], Found]) -> Found:
        """Call `action` until it raises no PassingError, at most `retries` times more, with growing waits between."""
        for attempt in range(self.retries):
            try:
                return action()
            except PassingError as fault:
                self.wait(attempt, fault)
        return action()

    def wait(self, attempt: int, fault: PassingError) -> None:
        """Sleep after attempt number `attempt` (from 0); RefusedError when the server asks for too long."""
        if fault.wait is not None and fault.wait > LONGEST_WAIT:
            raise RefusedError(f"{fault}, and asks to come back in {fault.wait:,.0f} seconds") from fault
        self.sleep(min(2**attempt, 60) if fault.wait is None else fault.wait)

    def in_order(self) -> tuple[str, ...]:
        """Return the mirrors in the order in which they are to be asked."""
        return tuple(self.urls)

    def put_last(self, mirror: str, error: Exception) -> None:
        """Ask a mirror that did not answer after the others from now on, so that it costs its retries once."""
        if isinstance(error, PassingError):
            self.urls = [url for url in self.urls if url != mirror] + [mirror]


def read_index(response: HTTPResponse) -> bytes:
    """Read a whole small answer; PassingError when it is cut off, RefusedError when it is no index, by its size."""
    data = response.read(LARGEST_INDEX + 1)
    if len(data) > LARGEST_INDEX:
        raise RefusedError(f"more than {LARGEST_INDEX:,} bytes, which is no list of dumps")
    told = response.headers.get("Content-Length")
    if told is not None and told.isdecimal() and len(data) < int(told):
        raise PassingError(f"cut off after {len(data):,} of {told} bytes")
    return data


def _words(error: Exception) -> str:
    return str(error) or type(error).__name__


def _asked_wait(header: str | None) -> float | None:
    """Return the seconds of a Retry-After header (seconds, or a date); None when it is not there or not readable."""
    if header is None:
        return None
    if header.strip().isdecimal():
        return float(header)
    try:
        return max(0.0, parsedate_to_datetime(header).timestamp() - time.time())
    except (TypeError, ValueError, OverflowError):
        return None

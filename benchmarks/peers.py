"""Other extractors, each in a venv of its own in the benchmark's work folder; None, and why, where that cannot be."""

import shutil
import subprocess
import sys
from pathlib import Path

MWPARSERFROMHELL = """
import bz2, html, re, sys
import mwparserfromhell
rest = ""
with bz2.open(sys.argv[1], "rt", encoding="utf-8") as file, open(sys.argv[2], "w", encoding="utf-8") as out:
    while part := file.read(1 << 20):
        *pages, rest = (rest + part).split("</page>")
        for page in pages:
            if "<ns>0</ns>" in page and "<redirect" not in page:
                text = re.search("<text[^>]*>([^<]*)", page)
                out.write(mwparserfromhell.parse(html.unescape(text[1])).strip_code() + "\\n" if text else "")
"""
"""What the library's documentation suggests: parse, and strip the code."""


def wikiextractor(work: Path, python: str | None) -> Path | None:
    """Return the script of WikiExtractor 3.1.0, whose regular expressions need a Python before 3.11."""
    python = python or _older_python()
    if python is None:
        print("WikiExtractor left out: it needs a Python before 3.11; name one with --wikiextractor-python")
        return None
    return _installed(work / "wikiextractor", python, "wikiextractor==3.1.0", "wikiextractor")


def gensim(work: Path) -> Path | None:
    """Return the Python of a venv with gensim, whose segment_wiki takes sections out of a dump."""
    return _installed(work / "gensim", sys.executable, "gensim==4.4.0", "python")


def mwparserfromhell(work: Path) -> Path | None:
    """Return the Python of a venv with mwparserfromhell."""
    return _installed(work / "mwparserfromhell", sys.executable, "mwparserfromhell==0.7.2", "python")


def library(work: Path, requirement: str) -> Path | None:
    """Return the Python of a venv with a library, as "pyahocorasick==2.3.1"."""
    return _installed(work / requirement.partition("=")[0], sys.executable, requirement, "python")


def version(python: Path) -> str:
    """Return "Python 3.10.13"."""
    return subprocess.run([python, "--version"], capture_output=True, text=True).stdout.strip()


def _installed(venv: Path, python: str, package: str, script: str) -> Path | None:
    """Make the venv if it is not there; return `script` in it."""
    path = venv / "bin" / script
    done = venv / "installed"
    if not done.exists():
        shutil.rmtree(venv, ignore_errors=True)
        subprocess.run([python, "-m", "venv", str(venv)], check=True)
        pip = [str(venv / "bin" / "pip"), "install", "--quiet", package]
        installed = subprocess.run(pip, capture_output=True, text=True)
        if installed.returncode:
            print(f"{package} left out: pip could not install it:\n{installed.stderr[-500:]}")
            return None
        done.touch()
    tried = subprocess.run([str(path), "--help"], capture_output=True, text=True)
    if tried.returncode:
        print(f"{package} left out: it does not start in {venv}: {tried.stderr.strip().splitlines()[-1]}")
        return None
    return path


def _older_python() -> str | None:
    """Return a Python from 3.7 to 3.10, from the path or from pyenv."""
    minors = range(10, 6, -1)
    found = [shutil.which(f"python3.{minor}") for minor in minors]
    for minor in minors:
        found += sorted((Path.home() / ".pyenv" / "versions").glob(f"3.{minor}.*/bin/python"))
    starts = (str(python) for python in found if python)
    return next(
        (python for python in starts if not subprocess.run([python, "-c", ""], capture_output=True).returncode), None
    )

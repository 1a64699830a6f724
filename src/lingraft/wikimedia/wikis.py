"""The names of one wiki: "el" and "el.wikipedia" for people, `elwiki` in files, el.wikipedia.org on the web.

Sources: https://meta.wikimedia.org/wiki/List_of_Wikipedias and the licence notes of the dumps,
https://dumps.wikimedia.org/legal.html.
"""

import re
from typing import NamedTuple
from urllib.parse import urlsplit

from lingraft.errors import LingraftError, did_you_mean
from lingraft.wikimedia.siteinfo import dbname_language, site

PROJECTS = {
    "wikipedia": "wiki",
    "wiktionary": "wiktionary",
    "wikibooks": "wikibooks",
    "wikinews": "wikinews",
    "wikiquote": "wikiquote",
    "wikisource": "wikisource",
    "wikiversity": "wikiversity",
    "wikivoyage": "wikivoyage",
}
"""Project -> end of its database names."""

_DBNAME = re.compile(r"[a-z][a-z0-9_]*(?:" + "|".join(PROJECTS.values()) + ")")
_NEW_LICENCE = "20230607"


class Licence(NamedTuple):
    """Terms of a wiki's text: name, identifier on the Hugging Face hub, address."""

    name: str
    id: str
    url: str


def database_name(wiki: str) -> str:
    """Return the name that a wiki has in the dumps: "el", "el.wikipedia", "elwiki" -> "elwiki"; "nb" -> "nowiki".

    Raises LingraftError for what is no wiki's name.
    """
    name = wiki.strip().lower().removeprefix("https://").rstrip("/").removesuffix(".org")
    if "." in name:
        lang, _, project = name.partition(".")
        if project not in PROJECTS:
            raise LingraftError(
                f"'{wiki}' is no wiki: there is no project '{project}'",
                did_you_mean(project, PROJECTS),
                f"Projects: {', '.join(PROJECTS)}.",
            )
        return site(lang).lang.replace("-", "_") + PROJECTS[project]
    if _DBNAME.fullmatch(name):
        return name
    return site(name).lang.replace("-", "_") + "wiki"


def address(dbname: str) -> str | None:
    """Return a wiki's place on the web: "elwikivoyage" -> "https://el.wikivoyage.org"; None if it has no language."""
    lang = dbname_language(dbname)
    project = next((project for project, end in reversed(PROJECTS.items()) if dbname.endswith(end)), None)
    return f"https://{lang}.{project}.org" if lang and project else None


def licence(address: str, date: str | None = None) -> Licence | None:
    """Return the licence of the text of the wiki at `address`, in a dump of `date` (YYYYMMDD); None where unknown.

    Text was under CC BY-SA 3.0 until 7 June 2023, under 4.0 since. Wikinews has terms of its own, which are not known
    here, nor are those of wikis outside Wikimedia.
    """
    project = (urlsplit(address).hostname or "").removesuffix(".org").rpartition(".")[2]
    if project not in PROJECTS or project == "wikinews":
        return None
    version = "3.0" if date and date < _NEW_LICENCE else "4.0"
    return Licence(
        f"CC BY-SA {version}", f"cc-by-sa-{version}", f"https://creativecommons.org/licenses/by-sa/{version}/"
    )

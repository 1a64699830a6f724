"""What a build is asked for."""

from collections.abc import Sequence
from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from lingraft.config import Config, InputPaths, Names, Size
from lingraft.entities.names import NAME_SOURCES
from lingraft.entities.sources import SOURCES
from lingraft.errors import did_you_mean


class BuildConfig(Config):
    """What goes into a corpus."""

    dump: InputPaths = Field(min_length=1)
    """MediaWiki export XML of one wiki (.xml, .bz2, .gz, .xz), whole or in parts. Multistream .bz2 uses all cores."""

    lang: str
    """Language code of the wiki, as in jawiki -> ja. It wins over the dump's header."""

    names: Names = ["en"]
    """Languages in which entities get names. Title pairs give names in the first."""

    wikidata: InputPaths = []
    """Wikidata entity JSON dumps (.json, .gz, .bz2); .json.gz reads ten times faster than .bz2."""

    titles: InputPaths = []
    """Tab-separated pairs: title in this wiki, title in the first name language."""

    sql: InputPaths = []
    """SQL dumps (.sql, .gz), known by their table: page_props, langlinks, redirect, page, wb_items_per_site."""

    interlanguage: bool = False
    """Whether lines like [[en:Tea]] in the wikitext are a source, as old dumps have them."""

    name_sources: Names = list(NAME_SOURCES[:-1])
    """Kinds of names, best first; `alias` is the one that the default leaves out."""

    priority: Names = list(SOURCES)
    """Sources, best first, for where they disagree. Those left out follow in their default order."""

    tables: Literal["drop", "rows"] = "drop"
    """What becomes of tables: left out, or a line of text for each row."""

    captions: bool = False
    """Whether the captions of pictures are kept, as blocks of their own."""

    templates: InputPaths = []
    """Files of template data (.toml) of your own, which win over those of the package: docs/templates.md."""

    limit: int | None = Field(None, gt=0)
    """Keep the first articles only; the dump is then read on one core."""

    strict: bool = False
    """Stop at a cut-off or damaged dump instead of keeping what can be read."""

    shard_size: Size = 4 << 20
    """Bytes of the dump in a shard."""

    @field_validator("names")
    @classmethod
    def _names_are_languages(cls, names: list[str]) -> list[str]:
        from lingraft.wikimedia.siteinfo import site

        for lang in names:
            site(lang)
        return names

    @field_validator("name_sources")
    @classmethod
    def _names_have_a_kind(cls, kinds: list[str]) -> list[str]:
        return _among("kind of names", kinds, NAME_SOURCES)

    @field_validator("priority")
    @classmethod
    def _all_sources_have_a_place(cls, sources: list[str]) -> list[str]:
        return list(dict.fromkeys([*_among("source", sources, SOURCES), *SOURCES]))

    @model_validator(mode="after")
    def _titles_elsewhere_need_a_language(self) -> Self:
        if self.titles and not self.names:
            raise ValueError("title pairs give names in the first name language, and names is empty: say names: [en]")
        if self.interlanguage and not self.names:
            raise ValueError("interlanguage lines are read in the name languages, and names is empty: say names: [en]")
        return self


def _among(what: str, names: list[str], valid: Sequence[str]) -> list[str]:
    for name in names:
        if name not in valid:
            near = did_you_mean(name, valid)
            raise ValueError(f"unknown {what} '{name}'{f': {near}' if near else '.'} Valid: {', '.join(valid)}.")
    return list(dict.fromkeys(names))

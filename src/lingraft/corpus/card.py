"""The README.md of an export: what the text is, where it is from, its licence and how to name its authors.

Front matter as the Hugging Face hub reads it: https://huggingface.co/docs/hub/datasets-cards.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from lingraft import __version__
from lingraft.corpus.read import Corpus

_HOW_TO_READ = {
    "hf": """```python
import datasets

articles = datasets.load_dataset(".", split="train")  # the path of this folder
```""",
    "jsonl": "`articles/*.jsonl.gz` hold one article a line, as JSON.",
    "wikiextractor": "`text/AA/wiki_00` and so on hold the articles in the layout of WikiExtractor.",
    "datatrove": """```python
from datatrove.pipeline.readers import JsonlReader

reader = JsonlReader("documents")  # in this folder
```""",
}

_SIZES = {"n<1K": 10**3, "1K<n<10K": 10**4, "10K<n<100K": 10**5, "100K<n<1M": 10**6, "1M<n<10M": 10**7}


def card(corpus: Corpus, form: str, names: Sequence[str], counters: Mapping[str, int]) -> str:
    """Return the README.md of an export in `form` (ExportConfig.to), with names in the languages `names`."""
    facts = {
        "source": corpus.address,
        "files": ", ".join(f"`{dump}`" for dump in corpus.dumps),
        "date of the dump": corpus.date,
        "language": corpus.lang,
        "articles": f"{counters['articles']:,}",
        "links": f"{counters['links']:,}",
        "characters": f"{counters['characters']:,}",
        "made by": f"lingraft {__version__}",
    }
    rows = "\n".join(f"| {name} | {value} |" for name, value in facts.items() if value)
    made_of = f"the articles of {corpus.address}, from the dump named below" if corpus.address else "text of one's own"
    columns = "" if form == "wikiextractor" else f"\n## Columns\n\n{_columns(form, names)}\n"
    return f"""{_front_matter(corpus, counters) if form == "hf" else ""}# {_title(corpus)}

Plain text with links to entities, made of {made_of}.

| | |
|---|---|
{rows}

{_HOW_TO_READ[form]}
{columns}
## Licence and attribution

{_licence(corpus)}
"""


def _title(corpus: Corpus) -> str:
    name = corpus.address.removeprefix("https://") if corpus.address else corpus.path.name
    return f"{name}, {corpus.date}" if corpus.date else name


def _front_matter(corpus: Corpus, counters: Mapping[str, int]) -> str:
    size = next((name for name, most in _SIZES.items() if counters["articles"] < most), "10M<n<100M")
    front: dict[str, Any] = {
        "license": corpus.licence.id if corpus.licence else "unknown",
        "language": [corpus.lang],
        "pretty_name": _title(corpus),
        "size_categories": [size],
        "task_categories": ["text-generation", "fill-mask"],
        "tags": ["wikipedia", "wikidata", "entity-linking", "lingraft"],
        "configs": [{"config_name": "default", "data_files": "articles/*.parquet"}],
    }
    return f"---\n{yaml.safe_dump(front, sort_keys=False, allow_unicode=True)}---\n\n"


def _columns(form: str, names: Sequence[str]) -> str:
    lines = [
        "- `id`, `revision`, `title`, `lang`: the page as the wiki knows it",
        "- `url`: the revision that was read",
        "- `text`: plain text; a blank line ends a block, a heading is a block, U+FFFC stands for a formula",
        "- `entity`: Wikidata item of the article (42 is Q42); a negative number is an entity without a known item",
        "- `sections`: `start`, `end`, `level`, `heading`; level 0 is the lead",
        "- `links`: `start`, `end`, `target`, `entity`, `name`; `text[start:end]` is the anchor, in code points",
        "- `flags`: what kind of page it is, as `disambiguation` or `list`",
    ]
    lines += [f"- `name_{lang}`, also in `links`: the entity's name in `{lang}`" for lang in names]
    if form == "datatrove":
        lines.insert(0, "`text` and `id` (wiki and page) are the Document's own, all others stand in `metadata`.\n")
    return "\n".join(lines)


def _licence(corpus: Corpus) -> str:
    if corpus.address is None:
        return "The licence is that of the text that was read, which lingraft does not know. Write it here."
    lines = [
        f"The text was written by the authors of {corpus.address}. Each article's `url` leads to the revision that was",
        "read, and from there to its history, which names them.",
    ]
    if corpus.licence is None:
        lines.append(f"lingraft does not know its licence: look at {corpus.address} and write it here.")
        return "\n".join(lines)
    example = next(corpus.articles(["id", "revision", "title"]))
    lines += [
        f"It is published under [{corpus.licence.name}]({corpus.licence.url}).",
        "Who passes it on, changed or not, names the authors, links the licence, says what was changed, and keeps the",
        "licence. For one article that reads",
        "",
        f"> {corpus.attribution(example)}; markup removed",
        "",
        "Ids and names of entities are from Wikidata (CC0) where they are items.",
    ]
    return "\n".join(lines)

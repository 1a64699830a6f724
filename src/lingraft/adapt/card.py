"""The model card: what the model was made from, and the recipe that makes it again."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from lingraft import __version__


def model_card(config: Mapping[str, Any], facts: Mapping[str, Any], languages: list[str]) -> str:
    """Return the README.md of a trained model: front matter, facts, licence note and the recipe as YAML."""
    base = Path(config["model"]).name if Path(config["model"]).exists() else config["model"]
    front = {"library_name": "transformers", "base_model": base, "tags": ["lingraft", "continued-training"]}
    insertion = config["insertion"]
    if insertion["operation"] == "none":
        how = "Plain text: no names were written into it."
    else:
        between = " between `<translate>` and `</translate>`" if insertion["tags"] else ""
        how = (
            f"Names ({', '.join(languages) or 'none'}) were written next to the mentions of entities: operation "
            f"`{insertion['operation']}`, probability {insertion['probability']}{between}."
        )
    rows = "\n".join(f"| {name} | {value} |" for name, value in facts.items())
    recipe = yaml.safe_dump(dict(config), sort_keys=False, allow_unicode=True)
    return f"""---
{yaml.safe_dump(front, sort_keys=False)}---

# {base}, continued by lingraft

The base model `{base}`, trained on with lingraft {__version__} on an encoded corpus. {how}

| | |
|---|---|
{rows}

## Licence

The text of Wikipedia is published under CC BY-SA 4.0; name Wikipedia and its authors as the source of the training
text. The weights also stand under the licence of the base model.

## Recipe

```yaml
train:
{"".join(f"  {line}" for line in recipe.splitlines(keepends=True))}```
"""

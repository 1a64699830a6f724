"""One self-contained HTML file a run: what was asked, what came out, drawn for people.

It stands to one side: it reads run folders (manifests and tables) and imports no stage.
"""

from lingraft.report.build import write

__all__ = ["write"]

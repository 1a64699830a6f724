"""What analysing and ranking are both given: a matrix, and where the features of its pairs come from."""

from pathlib import Path
from typing import Any, Self

from lingraft import runs
from lingraft.config import Config, InputPath, InputPaths, ModelName
from lingraft.transfer.features import FeatureSettings
from lingraft.transfer.results import STAGE as MATRIX


class MeasuredPairs(Config):
    """A matrix, and what is known of its pairs."""

    matrix: InputPath
    """Folder of a matrix, or a table (.csv, .tsv): donor, recipient, zero-shot, after, and perhaps seed."""

    corpora: InputPath | None = None
    """Texts by language, for overlap and sizes; those of the matrix, unless it is a table."""

    tokenizer: ModelName | None = None
    """Model whose tokens are compared; the base of the matrix, unless it is a table: then only words are."""

    typology: InputPaths = []
    """Folders of CLDF data sets, as WALS."""

    pairs: InputPath | None = None
    """Features of your own, in place of the three above or beside them: a table with donor, recipient and numbers
    (.parquet, .csv, .tsv), or a folder of `transfer analyse`. What is made of gains is left out."""

    features: FeatureSettings = FeatureSettings()
    """What of texts and data sets is compared."""

    def input_paths(self) -> list[Path]:
        """Return the input files; of a matrix its table, since more languages may be added to its folder."""
        table = self.matrix / "matrix.parquet"
        return [table if path == self.matrix and table.exists() else path for path in super().input_paths()]

    def resolved(self) -> Self:
        """Return the config with corpora and tokenizer of its matrix, where these are not given and still there."""
        if not self.matrix.is_dir():
            return self
        made = runs.read_manifest(self.matrix, MATRIX)["config"]
        changes: dict[str, Any] = {}
        if self.corpora is None and Path(made["corpora"]).is_dir():
            changes["corpora"] = Path(made["corpora"])
        if self.tokenizer is None and (self.corpora or changes):
            changes["tokenizer"] = made["model"]
        return self.replace(**changes)

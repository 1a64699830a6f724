"""One name an entity: of several, that of the best source, then the first in the alphabet."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lingraft.entities.names import NAME_SOURCES


def best_names(names: pa.Table) -> pa.Table:
    """Return (entity, name), sorted by entity, of a table (entity, name, source) of one language."""
    rank = pc.fill_null(pc.index_in(names["source"], pa.array(NAME_SOURCES)), len(NAME_SOURCES))
    names = names.append_column("rank", rank)
    names = names.sort_by([("entity", "ascending"), ("rank", "ascending"), ("name", "ascending")])
    entities = names["entity"].to_numpy()
    best = np.flatnonzero(np.diff(entities, prepend=entities[:1] - 1))
    return names.select(["entity", "name"]).take(best)

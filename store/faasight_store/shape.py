"""Where a store's tables are: in one database on one server, or on a cluster, behind Distributed tables.

On a cluster the data lies in `<database>_data` on every node, under the same names as on one server, and `<database>`
holds a Distributed table for each. So queries and inserts read the same in both shapes; only housekeeping must know.
"""

import re
from dataclasses import dataclass

SUFFIX = "_data"
_OF_DISTRIBUTED = re.compile(r"Distributed\('([^']+)'")

# What says in which shape the database was made: the engine of the table that is in every schema; "" before the first.
ASK = "SELECT any(engine_full) FROM system.tables WHERE database = currentDatabase() AND name = 'schema_migrations'"


@dataclass(frozen=True, slots=True)
class Shape:
    """The database that clients use, and the cluster that its tables are spread over ("" for none)."""

    database: str
    cluster: str = ""

    @classmethod
    def of_engine(cls, database: str, engine_full: str) -> "Shape":
        """Read the shape off the engine of a table, as `ASK` gives it."""
        found = _OF_DISTRIBUTED.match(engine_full)
        return cls(database, found[1] if found else "")

    @property
    def data(self) -> str:
        """The database that holds the rows."""
        return self.database + SUFFIX if self.cluster else self.database

    @property
    def on_cluster(self) -> str:
        """What a statement says to run on every node."""
        return f" ON CLUSTER `{self.cluster}`" if self.cluster else ""

    def table(self, name: str) -> str:
        """Return the table with the rows, as ALTER and DELETE name it."""
        return f"`{self.data}`.`{name}`{self.on_cluster}"

    def everywhere(self, table: str) -> str:
        """Return a table of the system as seen from all shards, from one replica each."""
        return f"cluster('{self.cluster}', {table})" if self.cluster else table

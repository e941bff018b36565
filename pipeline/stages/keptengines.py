"""The engines of the gate with a memory that outlasts the process, for who proves the same patches again."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass

from pipeline import rulebook
from pipeline.model.finding import Location
from pipeline.stages.prove import Engines


@dataclass
class KeptEngines(Engines):
    """As `Engines`; also where dangerous functions stand is kept in `cache`, by all that it depends on."""

    def residue(self, rule_id: str, contents: Mapping[str, bytes]) -> tuple[Location, ...]:
        """See `Engines.residue`."""
        digest = hashlib.sha256(b"residue\0" + rulebook.residues((rule_id,)))
        for info in self.infos():
            digest.update(f"\0{info.name} {info.version}".encode())
        for path in sorted(contents):
            digest.update(b"\0" + path.encode("utf-8", "surrogateescape") + b"\0" + hashlib.sha256(contents[path]).digest())
        key = digest.digest()
        known = self.cache.get_many([key]).get(key) if self.cache is not None else None
        if known is not None:
            return tuple(Location(*place) for place in json.loads(known))
        found = super().residue(rule_id, contents)
        if self.cache is not None:
            places = [[one.path, one.line, one.end_line, one.column, one.end_column] for one in found]
            self.cache.put_many({key: json.dumps(places).encode("ascii")})
        return found

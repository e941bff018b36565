"""One workflow as nodes with their places: every edit is made in the text, so that formatting and comments stay."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import yaml

from pipeline.formats import compose
from pipeline.rewriting.source import Source


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a job or of a composite action."""

    node: yaml.MappingNode
    job: yaml.MappingNode | None
    """None in a composite action."""


@dataclass(slots=True)
class Document:
    """A workflow that was read. All offsets are bytes in `source.data`."""

    source: Source
    root: yaml.MappingNode

    def offset(self, mark: yaml.Mark) -> int:
        """Where a mark lies."""
        return len(self.source.text[: mark.index].encode())

    def span(self, node: yaml.Node) -> tuple[int, int]:
        """Where a node begins and ends. A block text ends behind its last line."""
        return self.offset(node.start_mark), self.offset(node.end_mark)

    def jobs(self) -> Iterator[yaml.MappingNode]:
        """Every job."""
        jobs = child(self.root, "jobs")
        if isinstance(jobs, yaml.MappingNode):
            yield from (job for _, job in jobs.value if isinstance(job, yaml.MappingNode))

    def steps(self) -> Iterator[Step]:
        """Every step of every job, and those of a composite action."""
        for job in (*self.jobs(), None):
            steps = child(job, "steps") if job is not None else child(child(self.root, "runs"), "steps")
            if isinstance(steps, yaml.SequenceNode):
                yield from (Step(step, job) for step in steps.value if isinstance(step, yaml.MappingNode))


def read(source: Source) -> Document | None:
    """None when the file is no mapping that can be read to the end."""
    root = compose(source.text)
    return Document(source, root) if isinstance(root, yaml.MappingNode) else None


def entry(node: yaml.Node | None, key: str) -> tuple[yaml.Node, yaml.Node] | None:
    """Key and value of an entry of a mapping."""
    if not isinstance(node, yaml.MappingNode):
        return None
    return next(((k, v) for k, v in node.value if isinstance(k, yaml.ScalarNode) and k.value == key), None)


def child(node: yaml.Node | None, key: str) -> yaml.Node | None:
    """Value of an entry of a mapping; None where there is none."""
    found = entry(node, key)
    return found[1] if found else None


def text(node: yaml.Node | None) -> str:
    """What a scalar holds; "" for everything else."""
    return str(node.value) if isinstance(node, yaml.ScalarNode) else ""

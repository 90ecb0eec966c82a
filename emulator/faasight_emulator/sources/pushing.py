"""Sends what topics, buckets and buses bring, and counts what functions get of it."""

from collections.abc import Mapping
from dataclasses import dataclass

from faasight_emulator.sources.counting import SourceCounter
from faasight_emulator.targets import Targets


@dataclass(frozen=True, slots=True)
class Pusher:
    """Sends in the name of one source. `kind` is topic, bucket or bus."""

    targets: Targets
    counter: SourceCounter
    kind: str
    name: str

    def send(self, arn: str, body: str, attributes: Mapping[str, str] | None = None, group: str = "") -> None:
        """Send a body as `Targets.send` does, and raise what it raises."""
        parts = arn.split(":")
        if parts[2:3] != ["lambda"]:
            self.targets.send(arn, body, attributes, group)
            return
        tally = self.counter.tally(parts[6], self.kind, self.name)
        tally.add(received=1)
        self.targets.send(arn, body)
        tally.add(processed=1)

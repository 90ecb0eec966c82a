"""EventBridge: moto keeps the buses and takes events; the template's rules are matched and carried out here.

moto sends to queues alone and knows neither Input nor InputPath, so one rule of the emulator's on each bus passes
everything to an inbox.
"""

import contextlib
import json
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from faasight_emulator.aws import Client, making
from faasight_emulator.errors import EmulatorError
from faasight_emulator.invocation import Json
from faasight_emulator.model import Place
from faasight_emulator.sources.buckets import bridged_detail
from faasight_emulator.sources.inbox import PREFIX
from faasight_emulator.sources.model import Bus, Rule, Target
from faasight_emulator.sources.patterns import matches
from faasight_emulator.sources.pushing import Pusher

_EVERYTHING = json.dumps({"source": [{"prefix": ""}]})
# EventBridge itself tries for a day.
_RETRY_DELAYS = (0.1, 0.5, 2.0)


def create_buses(events: Client, place: Place, buses: Sequence[Bus]) -> None:
    """Make the buses. Raises StartError."""
    there = events.exceptions.ResourceAlreadyExistsException
    for bus in buses:
        with making(f"The bus '{bus.name}'", place), contextlib.suppress(there):
            events.create_event_bus(Name=bus.name)


class BusDelivery:
    """Carries out the rules of one bus."""

    def __init__(
        self,
        bus: str,
        rules: Sequence[Rule],
        place: Place,
        pusher: Pusher,
        warn: Callable[[str], None],
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._bus = bus
        self._rules = rules
        self._place = place
        self._pusher = pusher
        self._warn = warn
        self._sleep = sleep

    def tap(self, events: Client, inbox_arn: str) -> None:
        """Have the bus pass everything to the inbox. Raises ClientError, BotoCoreError."""
        rule = f"{PREFIX}everything"
        events.put_rule(Name=rule, EventBusName=self._bus, EventPattern=_EVERYTHING)
        whole = {"InputTemplate": "<aws.events.event.json>"}
        target = {"Id": "inbox", "Arn": inbox_arn, "InputTransformer": whole}
        events.put_targets(Rule=rule, EventBusName=self._bus, Targets=[target])

    def handle(self, body: str) -> None:
        """Bring one event to the targets of every rule that it matches."""
        event = envelope(json.loads(body))
        for rule in self._rules:
            if matches(rule.pattern, event):
                for target in rule.targets:
                    self._deliver(rule, target, event)

    def _deliver(self, rule: Rule, target: Target, event: Mapping[str, Json]) -> None:
        """Send, with retries; one target that fails keeps nothing from the others."""
        where = "" if rule.bus == "default" else f"{rule.bus}/"
        names = {
            "aws.events.rule-arn": self._place.arn("events", f"rule/{where}{rule.name}"),
            "aws.events.rule-name": rule.name,
            "aws.events.event.ingestion-time": event["time"],
        }
        text = target.input.of(event, names)
        error = self._send(target, text)
        if error is None:
            return
        if target.dead_letter is None:
            self._warn(f"Warning: the rule '{rule.name}' could not reach {target.arn}: {error}")
            return
        attributes = {
            "RULE_ARN": names["aws.events.rule-arn"],
            "TARGET_ARN": target.arn,
            "ERROR_CODE": "SDK_CLIENT_ERROR",
            "ERROR_MESSAGE": str(error)[:1024],
            "RETRY_ATTEMPTS": str(len(_RETRY_DELAYS)),
        }
        self._pusher.send(target.dead_letter, json.dumps(event), attributes)

    def _send(self, target: Target, text: str) -> Exception | None:
        last: Exception | None = None
        for delay in (*_RETRY_DELAYS, 0.0):
            try:
                self._pusher.send(target.arn, text, group=target.group)
            except (EmulatorError, BotoCoreError, ClientError) as error:
                last = error
                self._sleep(delay)
            else:
                return None
        return last


def envelope(event: Mapping[str, Any]) -> dict[str, Any]:
    """Return an event as targets get it: in the documented order, its time as text, an id of its own."""
    given = event.get("time")
    when = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if not isinstance(given, str) else given
    of_bucket = event["source"] == "aws.s3"
    return {
        "version": "0",
        # moto gives every event of a bucket the same id.
        "id": str(uuid.uuid4()) if of_bucket else event["id"],
        "detail-type": event["detail-type"],
        "source": event["source"],
        "account": event["account"],
        "time": when,
        "region": event["region"],
        "resources": event.get("resources", []),
        "detail": bridged_detail(event["detail-type"], event["detail"]) if of_bucket else event["detail"],
    }

"""Zero-code start under the real AWS runtime client."""

from typing import Any


def test_an_invocation_becomes_a_span(function: Any, sink: Any) -> None:
    sandbox = function("def handler(event, context):\n    return {'got': event}\n")
    outcome = sandbox.invoke({"a": 1})
    assert (outcome.kind, outcome.body) == ("response", {"got": {"a": 1}}), sandbox.output()
    (span,) = sink.wait()
    assert span.attributes["faas.coldstart"] is True
    assert span.resource["faas.name"] == "checkout"

"""Tiny functions that do what tests need to see: count, sleep, raise, leave, grow, print."""

import base64
import json
import logging
import os
import signal
import threading
import time
from pathlib import Path
from typing import Any

# ruff: noqa: T201 -- what a function prints is what the tests look for

if os.environ.get("SLEEP_AT_IMPORT"):
    time.sleep(float(os.environ["SLEEP_AT_IMPORT"]))

if "INITS" in os.environ:
    # A folder: each init leaves a file named by its number, and ends when another, "<number>-may-end", is there.
    number = len(list(Path(os.environ["INITS"]).glob("*-began")))
    Path(os.environ["INITS"], f"{number}-began").touch()
    while not Path(os.environ["INITS"], f"{number}-may-end").exists():
        time.sleep(0.01)

if "BREAKS" in os.environ and Path(os.environ["BREAKS"]).exists():
    raise ImportError("broken on purpose")

if "BREAKS_ONCE" in os.environ and Path(os.environ["BREAKS_ONCE"]).exists():
    Path(os.environ["BREAKS_ONCE"]).unlink()
    raise ImportError("broken once")

calls = 0
ticks = 0
hoard: list[bytearray] = []


def count(event: Any, context: Any) -> Any:
    """Answer how often this sandbox was called, and who it is."""
    global calls
    calls += 1
    return {"calls": calls, "pid": os.getpid(), "request_id": context.aws_request_id}


def echo(event: Any, context: Any) -> Any:
    return event


def show(event: Any, context: Any) -> Any:
    print(json.dumps(event))


def variables(event: Any, context: Any) -> Any:
    return dict(os.environ)


def about(event: Any, context: Any) -> Any:
    """Answer what the context says."""
    return {
        "function": context.function_name,
        "version": context.function_version,
        "memory": context.memory_limit_in_mb,
        "arn": context.invoked_function_arn,
        "log_stream": context.log_stream_name,
        "remaining_ms": context.get_remaining_time_in_millis(),
        "trace": os.environ["_X_AMZN_TRACE_ID"],
    }


def note_client(event: Any, context: Any) -> None:
    """Write down what the caller gave in its client context."""
    client = context.client_context
    Path(event["file"]).write_text(json.dumps(client.custom if client else None))


def bid_farewell(event: Any, context: Any) -> None:
    """Write a file when SIGTERM comes: seen by a thread, for the main one waits in C."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    signal.signal(signal.SIGTERM, lambda *_: None)
    signal.set_wakeup_fd(writer)

    def wait() -> None:
        os.read(reader, 1)
        Path(event["file"]).touch()
        os._exit(0)

    threading.Thread(target=wait, daemon=True).start()


def compute(event: Any, context: Any) -> Any:
    """Have a CPU for so long."""
    end = time.process_time() + event["seconds"]
    while time.process_time() < end:
        pass
    return "done"


def sleep(event: Any, context: Any) -> Any:
    time.sleep(event["seconds"])
    return {"pid": os.getpid()}


def tick(event: Any, context: Any) -> Any:
    """Answer how far a background thread has counted, 100 a second; the first call starts it."""
    global ticks

    def run() -> None:
        global ticks
        while True:
            time.sleep(0.01)
            ticks += 1

    if event.get("start"):
        threading.Thread(target=run, daemon=True).start()
    return {"ticks": ticks, "pid": os.getpid()}


def grow(event: Any, context: Any) -> Any:
    """Take memory, and touch it."""
    block = bytearray(event["mb"] * 1024 * 1024)
    block[::4096] = b"x" * len(block[::4096])
    if event.get("keep"):
        hoard.append(block)
    return len(block)


def fail(event: Any, context: Any) -> Any:
    raise ValueError(event.get("message", "no good"))


def leave(event: Any, context: Any) -> Any:
    os._exit(event["code"])


def keep(event: Any, context: Any) -> Any:
    """Write a file in the temporary folder, tell what is in it, and die if asked to."""
    note = Path(os.environ["TMPDIR"], "note")
    if "write" in event:
        note.write_text(event["write"])
    if "code" in event:
        os._exit(event["code"])
    time.sleep(event.get("seconds", 0))
    found = note.read_text() if note.exists() else None
    return {"found": found, "pid": os.getpid(), "sandbox": context.log_stream_name}


def large(event: Any, context: Any) -> Any:
    return "x" * (7 * 1024 * 1024)


def talk(event: Any, context: Any) -> Any:
    """Print lines and log a record of several lines."""
    print("one\ntwo")
    try:
        raise KeyError("missing")
    except KeyError:
        logging.getLogger().exception("three")
    print(json.dumps({"level": "INFO", "message": "four"}))


def batch(event: Any, context: Any) -> Any:
    """Take a batch of messages: a body that begins with 'bad' fails, by exception or as an item."""
    print(json.dumps({"bodies": [record["body"] for record in event["Records"]]}))
    bad = [record["messageId"] for record in event["Records"] if record["body"].startswith("bad")]
    if os.environ.get("PARTIAL"):
        return {"batchItemFailures": [{"itemIdentifier": one} for one in bad]}
    if bad:
        raise RuntimeError("a bad message")
    return None


def slow_batch(event: Any, context: Any) -> Any:
    time.sleep(0.3)
    print(json.dumps({"bodies": [record["body"] for record in event["Records"]]}))


def http(event: Any, context: Any) -> Any:
    """Answer an HTTP request with what came in, or with what the request asks for."""
    if event.get("body") and event["body"].startswith("{"):
        return json.loads(event["body"])
    return {"statusCode": 200, "body": json.dumps(event), "headers": {"X-Seen": "yes"}}


def call(event: Any, context: Any) -> Any:
    """Invoke another function by boto3."""
    import boto3

    answer = boto3.client("lambda").invoke(
        FunctionName=event["function"],
        Payload=json.dumps(event["payload"]),
        InvocationType=event.get("type", "RequestResponse"),
        ClientContext=base64.b64encode(json.dumps({"custom": event.get("custom", {})}).encode()).decode(),
    )
    return {
        "status": answer["StatusCode"],
        "error": answer.get("FunctionError"),
        "payload": answer["Payload"].read().decode(),
    }


def objects(event: Any, context: Any) -> Any:
    """Take one object of a bucket: a key that begins with 'bad' fails."""
    key = event["Records"][0]["s3"]["object"]["key"]
    print(json.dumps({"key": key}))
    if key.startswith("bad"):
        raise RuntimeError("a bad object")


def stream(event: Any, context: Any) -> Any:
    """Take records of a stream: data that begins with 'bad' fail, by exception or as an item."""
    datas = [base64.b64decode(record["kinesis"]["data"]).decode() for record in event["Records"]]
    print(json.dumps({"datas": datas, "at": time.monotonic_ns()}))
    bad = [one for one, data in zip(event["Records"], datas, strict=True) if data.startswith("bad")]
    if os.environ.get("PARTIAL"):
        return {"batchItemFailures": [{"itemIdentifier": one["kinesis"]["sequenceNumber"]} for one in bad]}
    if bad:
        raise RuntimeError("a bad record")
    return None


def held_stream(event: Any, context: Any) -> Any:
    """End when the gate is opened."""
    while not Path(os.environ["GATE"]).exists():
        time.sleep(0.01)


def start_sync(event: Any, context: Any) -> Any:
    """Run a state machine by boto3 and answer what came of it."""
    import boto3

    client = boto3.client("stepfunctions")
    answer = client.start_sync_execution(stateMachineArn=event["machine"], input=json.dumps(event["input"]))
    return {"status": answer["status"], "output": answer.get("output")}

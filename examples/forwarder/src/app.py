"""Forwards CloudWatch Logs to a FaaSight collector: a subscription filter calls it with each batch of a log group."""

import base64
import os
import urllib.error
import urllib.request

_PERMANENT = (400, 413)  # the same batch would be refused again
_TIMEOUT_S = 20


def handler(event: dict[str, dict[str, str]], _context: object) -> None:
    """Post the batch as it came, gzipped. What fails is raised: Lambda calls again, twice, and then gives up on it."""
    headers = {
        "Content-Type": "application/gzip",
        "X-Faasight-Region": os.environ["AWS_REGION"],
        "X-Faasight-Forwarder": os.environ["AWS_LAMBDA_FUNCTION_NAME"],  # its own lines are left out by the collector
        "X-Faasight-Environment": os.environ.get("FAASIGHT_ENVIRONMENT", "default"),
    }
    if token := os.environ.get("FAASIGHT_TOKEN"):
        headers["Authorization"] = f"Bearer {token}"
    url = os.environ["FAASIGHT_ENDPOINT"].rstrip("/") + "/v1/aws/logs"
    request = urllib.request.Request(url, base64.b64decode(event["awslogs"]["data"]), headers)  # noqa: S310  # our own setting
    try:
        with urllib.request.urlopen(request, timeout=_TIMEOUT_S):  # noqa: S310
            pass
    except urllib.error.HTTPError as error:
        if error.code not in _PERMANENT:
            raise
        print(f"the collector refused a batch for good: {error.code} {error.read()[:500]!r}")  # noqa: T201  # its log

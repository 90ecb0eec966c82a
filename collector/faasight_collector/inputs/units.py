"""CloudWatch's units as codes of UCUM, as CloudWatch itself translates them for OpenTelemetry.

Table: docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/, the page
CloudWatch-metric-streams-formats-opentelemetry-translation-100.html.
"""

_UCUM = {
    "Second": "s",
    "Seconds": "s",
    "Microseconds": "us",
    "Milliseconds": "ms",
    "Bytes": "By",
    "Kilobytes": "kBy",
    "Megabytes": "MBy",
    "Gigabytes": "GBy",
    "Terabytes": "TBy",
    "Bits": "bit",
    "Kilobits": "kbit",
    "Megabits": "MBit",
    "Gigabits": "GBit",
    "Terabits": "Tbit",
    "Percent": "%",
    "Count": "{Count}",
    "None": "1",
}


def ucum(unit: object) -> str:
    """Return the code of a unit such as `Milliseconds` or `Bytes/Second`; one that is not known stays as it is."""
    if not isinstance(unit, str) or not unit:
        return "1"
    return "/".join(_UCUM.get(part, part) for part in unit[:64].split("/"))

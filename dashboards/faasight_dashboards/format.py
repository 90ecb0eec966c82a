"""Numbers, durations, shares, money, sizes and times in words: units always."""

from datetime import UTC, datetime, tzinfo

NONE = "\N{EN DASH}"


def number(value: float | None) -> str:
    """Return 1234567 as 1.23M."""
    if value is None:
        return NONE
    size = abs(value)
    for limit, unit in ((1e9, "B"), (1e6, "M"), (1e3, "k")):
        if size >= limit:
            return f"{value / limit:.3g}{unit}"
    return f"{value:.3g}" if size < 100 else f"{value:.0f}"


def rate(count: float, seconds: float) -> str:
    """Return a count over a time as a rate in the unit that reads best."""
    per_s = count / seconds if seconds else 0.0
    for factor, unit in ((1, "s"), (60, "min"), (3600, "h")):
        if per_s * factor >= 1:
            return f"{number(per_s * factor)}/{unit}"
    return f"{number(per_s * 86400)}/d" if per_s else "0/s"


def ms(value: float | None) -> str:
    """Return a duration given in milliseconds: 640 µs, 9.5 ms, 320 ms, 1.20 s, 2.5 min, 3.1 h."""
    if value is None:
        return NONE
    if value == 0:
        return "0 ms"
    if value < 1:
        return f"{value * 1000:.0f} µs"
    if value < 10:
        return f"{value:.1f} ms"
    if value < 999.5:
        return f"{value:.0f} ms"
    for limit, scale, unit, digits in ((60_000, 1000, "s", 2), (3_600_000, 60_000, "min", 1)):
        if value < limit:
            return f"{value / scale:.{digits}f} {unit}"
    return f"{value / 3_600_000:.1f} h"


def percent(share: float | None, digits: int | None = None) -> str:
    """Return a share (0 to 1) in percent: two digits below 10 %, one above, unless told."""
    if share is None:
        return NONE
    if digits is None:
        digits = 2 if 0 < abs(share) < 0.1 else 1
    return f"{share * 100:.{digits}f}%"


# For whoever compares an estimate with a bill.
ABOUT_COST = "List prices on demand, first tier: no free tier, savings plan or tax is taken into account"


def usd(value: float | None) -> str:
    """Return US dollars, with enough digits for small ones to say something."""
    if value is None:
        return NONE
    if value == 0:
        return "$0"
    for limit, digits in ((1000, 0), (0.1, 2), (0.001, 4)):
        if abs(value) >= limit:
            return f"${value:,.{digits}f}"
    return f"${value:.2g}" if abs(value) >= 1e-4 else f"${value:.7f}".rstrip("0")


def size(count: float | None) -> str:
    """Return bytes: 512 B, 1.5 kB, 20 MB."""
    if count is None:
        return NONE
    for limit, unit in ((1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if count >= limit:
            return f"{count / limit:.3g} {unit}"
    return f"{count:.0f} B"


def megabytes(value: float | None) -> str:
    """Return megabytes as a cloud counts them."""
    return NONE if value is None else f"{value:.0f} MB"


def span(seconds: float) -> str:
    """Return a length of time in its one or two largest units: 45s, 14m, 2h 10m, 3d."""
    seconds = max(0, int(seconds))
    if seconds < 60:
        return f"{seconds}s"
    if seconds < 3600:
        return f"{seconds // 60}m"
    if seconds < 86400:
        hours, minutes = divmod(seconds // 60, 60)
        return f"{hours}h {minutes}m" if minutes and hours < 10 else f"{hours}h"
    return f"{seconds // 86400}d"


def age(moment: datetime, now: datetime) -> str:
    """Return how long ago something was."""
    seconds = (now - moment).total_seconds()
    return "just now" if seconds < 2 else f"{span(seconds)} ago"


def clock(moment: datetime, zone: tzinfo = UTC, *, date: bool = True, millis: bool = False) -> str:
    """Return a time in the viewer's zone: 2026-11-21 08:40:12."""
    local = moment.astimezone(zone)
    text = local.strftime("%Y-%m-%d %H:%M:%S" if date else "%H:%M:%S")
    return f"{text}.{local.microsecond // 1000:03d}" if millis else text


def utc(moment: datetime) -> str:
    """Return a time in UTC, for the hover of one shown in the viewer's zone."""
    return f"{clock(moment, UTC, millis=True)} UTC"

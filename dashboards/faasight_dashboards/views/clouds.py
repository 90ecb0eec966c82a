"""Whose cloud a function runs in, by name, with the way to it in that cloud's own console where that is known."""

from urllib.parse import quote

from dash import html
from dash.development.base_component import Component
from faasight_store.types import FunctionRow

from faasight_dashboards.components import badge

NAMES = {"aws": "AWS Lambda", "gcp": "Google Cloud", "azure": "Azure Functions"}


def cloud(row: FunctionRow) -> Component | None:
    """Return a badge with the provider's name, a link where its console can be linked; None if it is not known."""
    name = NAMES.get(row.provider)
    if name is None:
        return None
    href = console(row)
    if not href:
        return badge(name)
    title = f"{row.function} in the console of {name}"
    return html.A(badge(name), href=href, title=title, target="_blank", rel="noopener noreferrer")


def console(row: FunctionRow) -> str:
    """Return the address of a function in its provider's console, "" if what is known is not enough.

    Azure's portal asks for the resource group, which no invocation tells.
    """
    function, region, account = (quote(part, safe="") for part in (row.function, row.region, row.account))
    if row.provider == "aws" and region:
        return f"https://{region}.console.aws.amazon.com/lambda/home?region={region}#/functions/{function}"
    if row.provider == "gcp" and region and account:
        return (
            f"https://console.cloud.google.com/run/detail/{region}/{function}/observability/metrics?project={account}"
        )
    return ""

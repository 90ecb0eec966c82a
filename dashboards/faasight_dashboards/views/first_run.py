"""What a newcomer sees before the first event: what to paste, and a sign that we are waiting."""

from dash import dcc, html
from dash.development.base_component import Component

from faasight_dashboards.components import icon

_INSTALL = "pip install faasight"
_WRAP = """import faasight

@faasight.observe
def handler(event, context):
    return {"statusCode": 200}"""


def first_run(collector_url: str, *, with_token: bool = False) -> Component:
    """Return the steps; `collector_url` is where functions send their telemetry, perhaps with a token."""
    lambda_note = "On AWS Lambda with the layer it needs no code: set AWS_LAMBDA_EXEC_WRAPPER=/opt/faasight-exec."
    line = '{"level":"INFO","message":"hello","function":"my-function"}'
    where, header = f"export FAASIGHT_ENDPOINT={collector_url}", "-H 'Content-Type: application/json'"
    if with_token:
        where = f"faasight tokens create my-function\n{where}\nexport FAASIGHT_TOKEN=..."
        header = f'{header} -H "Authorization: Bearer $FAASIGHT_TOKEN"'
    steps = [
        _step(1, "Install the wrapper in your function", _INSTALL),
        _step(2, "Wrap the handler", _WRAP, lambda_note),
        _step(3, "Tell it where this collector is, and call the function", where),
        _step(4, "Or say hello from a shell", f"curl {collector_url}/v1/json-logs {header} -d '{line}'"),
    ]
    waiting = html.Div(
        [html.Span(className="pulse"), "Waiting for the first event…"], className="waiting", role="status"
    )
    head = html.Div(
        [
            html.Span(icon("zap"), className="mark"),
            html.H1("Connect your first function"),
            html.Span("This page turns into the overview by itself.", className="muted"),
        ],
        className="welcome",
    )
    return html.Div([head, html.Ol(steps), waiting], className="card first-run")


def _step(number: int, title: str, code: str, note: str = "") -> Component:
    target = f"first-run-code-{number}"
    copy = dcc.Clipboard(target_id=target, className="copy", title="Copy")
    parts = [
        html.B(title),
        html.Div([html.Pre(html.Code(code), id=target), copy], className="code"),
        html.Span(note, className="muted") if note else None,
    ]
    return html.Li(parts)

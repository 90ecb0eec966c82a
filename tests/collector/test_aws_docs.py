"""docs/aws.md: its template is valid CloudFormation, and what it names exists."""

import re
from pathlib import Path

import pytest
import yaml
from cfnlint.api import lint
from cfnlint.config import ManualArgs

from tests.fuzz.doors import doors

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "aws.md").read_text()


class _Tagged(yaml.SafeLoader):
    """YAML with CloudFormation's tags, whose values are taken as they are."""


_Tagged.add_multi_constructor("!", lambda loader, _, node: loader.construct_scalar(node))  # type: ignore[no-untyped-call]


def template() -> str:
    (block,) = re.findall(r"^```yaml\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
    return str(block)


@pytest.mark.parametrize(
    "text", [template(), (ROOT / "examples" / "forwarder" / "template.yaml").read_text()], ids=["page", "forwarder"]
)
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_template_is_valid_cloudformation(text: str) -> None:
    found = lint(text, config=ManualArgs(regions=["eu-west-1", "us-east-1"]))
    assert [f"{match.linenumber}: {match.message}" for match in found] == []


def test_the_stream_leads_to_a_door(tmp_path: Path) -> None:
    resources = yaml.load(template(), _Tagged)["Resources"]
    destination = resources["Stream"]["Properties"]["HttpEndpointDestinationConfiguration"]
    path = destination["EndpointConfiguration"]["Url"].removeprefix("${CollectorUrl}")
    assert path in doors(tmp_path / "journal")
    assert resources["Metrics"]["Properties"]["OutputFormat"] == "opentelemetry1.0"


def test_every_door_of_the_page_is_there(tmp_path: Path) -> None:
    named = set(re.findall(r"`POST (/v1/[a-z/-]+)`", PAGE))
    assert named == {path for path in doors(tmp_path / "journal") if path.startswith(("/v1/aws", "/v1/json"))}

"""IAM policies of authorizers."""

import pytest
from faasight_emulator.policy import decide

ARN = "arn:aws:execute-api:us-east-1:123456789012:shop/live/GET/orders/7"


def statement(effect: str, resource: object, action: object = "execute-api:Invoke") -> dict[str, object]:
    return {"Effect": effect, "Action": action, "Resource": resource}


@pytest.mark.parametrize(
    ("statements", "decision"),
    [
        ([], "none"),
        ([statement("Allow", ARN)], "allow"),
        (statement("Allow", [ARN.replace("7", "8"), ARN]), "allow"),
        ([statement("Allow", "*", "*")], "allow"),
        ([statement("Allow", "arn:aws:execute-api:*:shop/*/GET/*", ["EXECUTE-API:invoke"])], "allow"),
        ([statement("Allow", ARN.replace("7", "?"))], "allow"),
        ([statement("Allow", ARN + "?")], "none"),
        ([statement("Allow", ARN.replace("GET", "POST"))], "none"),
        ([statement("Allow", ARN.replace(".", "x").replace("-", "."))], "none"),
        ([statement("Allow", ARN, "s3:GetObject")], "none"),
        ([statement("Allow", "*"), statement("Deny", ARN)], "deny"),
        ([statement("Deny", ARN.replace("7", "8")), statement("Allow", "*")], "allow"),
        ([{"Effect": "Allow"}], "none"),
    ],
)
def test_decisions(statements: object, decision: str) -> None:
    """A deny wins, wildcards reach over slashes, and silence allows nothing."""
    assert decide({"Version": "2012-10-17", "Statement": statements}, ARN) == decision


@pytest.mark.parametrize("policy", [None, [], "x", 7, {"Statement": "x"}, {"Statement": [{"Effect": "Maybe"}]}])
def test_no_policies(policy: object) -> None:
    """What is no policy is an error of the authorizer."""
    with pytest.raises(ValueError, match=r"policy document|Effect"):
        decide(policy, ARN)

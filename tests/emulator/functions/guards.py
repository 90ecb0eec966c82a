"""Authorizers that do what tests need to see: allow, deny, say 401, fail, answer nonsense."""

import json
from typing import Any

# ruff: noqa: T201 -- what a function prints is what the tests look for


def token(event: Any, context: Any) -> Any:
    """Be a REST API's TOKEN authorizer: the token says what to answer."""
    print(json.dumps(event))
    word = event["authorizationToken"]
    if word == "nobody":
        raise Exception("Unauthorized")
    if word == "broken":
        raise ValueError("oh")
    if word == "nonsense":
        return {"principalId": "x", "policyDocument": "no policy"}
    resource = event["methodArn"] if word != "wide" else "arn:aws:execute-api:*/*/GET/*"
    effect = "Deny" if word == "deny" else "Allow"
    if word == "other":
        resource = "arn:aws:execute-api:us-east-1:123456789012:other/*"
    statement = {"Action": "execute-api:Invoke", "Effect": effect, "Resource": resource}
    policy = {"Version": "2012-10-17", "Statement": [statement]}
    return {"principalId": "ada", "policyDocument": policy, "context": {"plan": "gold", "n": 1, "yes": True}}


def simple(event: Any, context: Any) -> Any:
    """Be an HTTP API's REQUEST authorizer with simple responses."""
    print(json.dumps(event))
    return {"isAuthorized": event["identitySource"] == ["let me in"], "context": {"who": "ada", "n": 1}}


def request(event: Any, context: Any) -> Any:
    """Be a REQUEST authorizer with payload format 1.0 that answers a policy."""
    print(json.dumps(event))
    effect = "Allow" if event["queryStringParameters"]["key"] == "k" else "Deny"
    statement = {"Action": "execute-api:Invoke", "Effect": effect, "Resource": event["methodArn"]}
    return {"principalId": "bob", "policyDocument": {"Statement": [statement]}, "context": {"who": "bob"}}

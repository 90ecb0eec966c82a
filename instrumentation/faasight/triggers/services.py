"""AWS services that call a function as a hook of theirs: Cognito, CodePipeline, CloudFormation, Lex and the others."""

from __future__ import annotations

from faasight.spans import CONSUMER, SERVER
from faasight.triggers.reading import mapping, milliseconds, rows, tail, text, when
from faasight.triggers.trigger import Trigger

TYPE_CHECKING = False
if TYPE_CHECKING:
    from faasight.triggers.reading import Event


def _hook(service: str, name: str, *ids: str, asynchronous: bool = False) -> Trigger:
    """Make the trigger of a service that is no queue and no request: its kind is service, its name the service's."""
    title = f"{service} {name}".strip()
    return Trigger(title, CONSUMER if asynchronous else SERVER, "other", "service", service).known_by(*ids)


def cognito(event: Event) -> Trigger | None:
    """Recognise a user pool's trigger: `PreSignUp_SignUp` and its like. Nothing of the user is read."""
    if "userPoolId" not in event:
        return None
    trigger = _hook("cognito", text(event["triggerSource"]))
    trigger.attributes["aws.cognito.user_pool.id"] = text(event["userPoolId"])
    return trigger


def code_pipeline(event: Event) -> Trigger:
    """Recognise a pipeline's action."""
    return _hook("codepipeline", "", text(mapping(event["CodePipeline.job"]).get("id")), asynchronous=True)


def config(event: Event) -> Trigger | None:
    """Recognise a rule of AWS Config."""
    if "configRuleName" not in event:
        return None
    return _hook("config", text(event["configRuleName"]), asynchronous=True)


def cloud_formation(event: Event) -> Trigger | None:
    """Recognise a custom resource."""
    if "RequestType" not in event or "StackId" not in event:
        return None
    name = f"{text(event['RequestType'])} {text(event.get('LogicalResourceId'))}"
    return _hook("cloudformation", name, text(event.get("RequestId")), asynchronous=True)


def ses(items: object) -> Trigger:
    """Read mail that arrived; neither sender nor subject is kept."""
    mail = mapping(mapping(rows(items)[0].get("ses")).get("mail"))
    trigger = _hook("ses", "", text(mail.get("messageId")), asynchronous=True)
    trigger.sent(when(mail.get("timestamp")))
    return trigger


def code_commit(items: object) -> Trigger:
    """Read pushes to a repository."""
    first = rows(items)[0]
    trigger = _hook("codecommit", tail(first.get("eventSourceARN")), text(first.get("eventId")), asynchronous=True)
    trigger.sent(when(first.get("eventTime")))
    return trigger


def logs(event: Event) -> Trigger | None:
    """Recognise a subscription of CloudWatch Logs; its lines are not unpacked."""
    return _hook("logs", "", asynchronous=True) if "data" in mapping(event["awslogs"]) else None


def alarm(event: Event) -> Trigger | None:
    """Recognise an alarm of CloudWatch that calls a function."""
    if event.get("source") != "aws.cloudwatch":
        return None
    trigger = _hook("cloudwatch", text(mapping(event.get("alarmData")).get("alarmName")), asynchronous=True)
    trigger.sent(when(event.get("time")))
    return trigger


def object_lambda(event: Event) -> Trigger:
    """Recognise S3 Object Lambda: a read that the function answers. Its URL is signed, and not kept."""
    point = tail(mapping(event.get("configuration")).get("accessPointArn"), "/")
    return _hook("s3-object-lambda", point, text(event.get("xAmzRequestId")))


def batch_operations(event: Event) -> Trigger | None:
    """Recognise S3 Batch Operations."""
    tasks = rows(event["tasks"])
    if "invocationSchemaVersion" not in event or not tasks:
        return None
    trigger = _hook("s3-batch-operations", "", text(mapping(event.get("job")).get("id")))
    bucket = text(tasks[0].get("s3Bucket")) or text(tasks[0].get("s3BucketArn")).rpartition(":")[2]
    trigger.attributes["aws.s3.bucket"] = bucket
    trigger.attributes["aws.s3.key"] = text(tasks[0].get("s3Key"))
    return trigger


def connect(event: Event) -> Trigger | None:
    """Recognise a contact flow of Amazon Connect."""
    if event.get("Name") != "ContactFlowEvent":
        return None
    contact = mapping(mapping(event["Details"]).get("ContactData"))
    return _hook("connect", "", text(contact.get("ContactId")))


def lex(event: Event) -> Trigger | None:
    """Recognise a bot of Lex: the second version names its intent in sessionState, the first in currentIntent."""
    intent = mapping(event.get("currentIntent")) or mapping(mapping(event.get("sessionState")).get("intent"))
    if not intent and "invocationSource" not in event:
        return None
    trigger = _hook("lex", text(intent.get("name")), text(event.get("sessionId")))
    trigger.attributes["aws.lex.bot.name"] = text(mapping(event["bot"]).get("name"))
    return trigger


def alexa(event: Event) -> Trigger | None:
    """Recognise a skill of Alexa."""
    request = mapping(event.get("request"))
    if "version" not in event or "type" not in request:
        return None
    name = text(mapping(request.get("intent")).get("name")) or text(request["type"])
    return _hook("alexa", name, text(request.get("requestId")))


def code_deploy(event: Event) -> Trigger:
    """Recognise a hook of a deployment."""
    return _hook("codedeploy", "", text(event.get("DeploymentId")), asynchronous=True)


def rotation(event: Event) -> Trigger | None:
    """Recognise a rotation of Secrets Manager; neither secret nor token is kept."""
    if "Step" not in event or "ClientRequestToken" not in event:
        return None
    return _hook("secretsmanager", text(event["Step"]), asynchronous=True)


def bedrock_agent(event: Event) -> Trigger | None:
    """Recognise an action group of a Bedrock agent."""
    if "actionGroup" not in event:
        return None
    action = text(event.get("function")) or text(event.get("apiPath"))
    return _hook("bedrock", f"{text(event['actionGroup'])} {action}".strip(), text(event.get("sessionId")))


def iot_button(event: Event) -> Trigger | None:
    """Recognise an IoT button."""
    if "serialNumber" not in event:
        return None
    return _device("button", text(event["clickType"]))


def iot_click(event: Event) -> Trigger | None:
    """Recognise a device of IoT 1-Click."""
    return _device("1-click", "") if "deviceInfo" in event else None


def iot_events(event: Event) -> Trigger | None:
    """Recognise a detector of IoT Events."""
    inner = mapping(event["event"])
    detector = mapping(mapping(inner.get("payload")).get("detector"))
    if "detectorModelName" not in detector:
        return None
    trigger = _device(text(detector["detectorModelName"]), text(inner.get("eventName")))
    trigger.sent(milliseconds(inner.get("eventTime")))
    return trigger


def _device(name: str, action: str) -> Trigger:
    return Trigger(f"iot {action or name}", CONSUMER, "pubsub", "iot", name)


def warm_up(event: Event) -> Trigger | None:
    """Recognise a ping that only keeps the function warm: serverless-plugin-warmup's and lambda-warmer's."""
    if event.get("warmer") is not True and event.get("source") != "serverless-plugin-warmup":
        return None
    trigger = Trigger("warm-up", SERVER, "timer")  # no source: whoever pings is no part of the user's system
    trigger.attributes["faasight.warm_up"] = True
    return trigger

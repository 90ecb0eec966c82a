"""Queues and tables of a template as data."""

from faasight_emulator.document import Value
from faasight_emulator.model import Queue, Table
from faasight_emulator.section import Section

_QUEUE_NUMBERS = ("DelaySeconds", "MessageRetentionPeriod", "ReceiveMessageWaitTimeSeconds", "MaximumMessageSize")
_QUEUE_FLAGS = ("FifoQueue", "ContentBasedDeduplication")


def queue_from(logical_id: str, name: str, properties: Section) -> Queue:
    """Return the queue of an AWS::SQS::Queue. Raises TemplateError."""
    visibility = properties.integer("VisibilityTimeout", 30, 0, 43_200)
    attributes = {"VisibilityTimeout": str(visibility)}
    for key in _QUEUE_NUMBERS:
        if key in properties:
            attributes[key] = str(properties.integer(key, 0, 0, 1_209_600))
    for key in _QUEUE_FLAGS:
        if properties.flag(key, False):
            attributes[key] = "true"
    redrive = properties.section("RedrivePolicy")
    target = None
    if "deadLetterTargetArn" in redrive:
        target = (redrive.text("deadLetterTargetArn"), redrive.integer("maxReceiveCount", 10, 1, 1000))
    return Queue(logical_id, name, visibility, target, attributes)


def table_from(logical_id: str, name: str, properties: Section) -> Table:
    """Return the table of an AWS::DynamoDB::Table. Raises TemplateError."""
    definition: dict[str, Value] = {"BillingMode": "PAY_PER_REQUEST"}
    for key in ("AttributeDefinitions", "KeySchema"):
        if not properties.items(key):
            raise properties.error("", f"has no '{key}'; add it.")
        definition[key] = properties.items(key)
    for key in ("GlobalSecondaryIndexes", "LocalSecondaryIndexes"):
        indexes = properties.items(key)
        if not all(isinstance(index, dict) for index in indexes):
            raise properties.error(key, "must be a list of mappings.")
        if indexes:
            # A throughput would contradict the billing mode; here it has no meaning.
            definition[key] = [
                {name: value for name, value in index.items() if name != "ProvisionedThroughput"} for index in indexes
            ]
    stream = properties.section("StreamSpecification")
    if "StreamViewType" in stream:
        definition["StreamSpecification"] = {"StreamEnabled": True, "StreamViewType": stream.text("StreamViewType")}
    return Table(logical_id, name, definition)


def simple_table_from(logical_id: str, name: str, properties: Section) -> Table:
    """Return the table of an AWS::Serverless::SimpleTable, by default with the key `id`. Raises TemplateError."""
    key = properties.section("PrimaryKey")
    attribute, kind = key.text("Name", "id"), key.text("Type", "String")[:1].upper()
    definition = {
        "AttributeDefinitions": [{"AttributeName": attribute, "AttributeType": kind}],
        "KeySchema": [{"AttributeName": attribute, "KeyType": "HASH"}],
        "BillingMode": "PAY_PER_REQUEST",
    }
    return Table(logical_id, name, definition)

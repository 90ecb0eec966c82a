"""The messages of Azure's FunctionRpc that its runtime library reads and writes, with their field numbers."""

from types import SimpleNamespace
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

# Fields are `name[:type]=number`: type string by default, `*` repeats, `%` is a map from strings, `|` one of a oneof.
MESSAGES = {
    "RpcException": "stack_trace=1 message=2 source=3 is_user_exception:bool=4 type=5",
    "StatusResult": "result=1 exception:RpcException=2 status:StatusResult.Status=4",
    "WorkerInitRequest": "host_version=1 capabilities:%string=2 worker_directory=4 function_app_directory=5",
    "WorkerMetadata": "runtime_name=1 runtime_version=2 worker_version=3 worker_bitness=4 custom_properties:%string=5",
    "WorkerInitResponse": "capabilities:%string=2 result:StatusResult=3 worker_metadata:WorkerMetadata=4",
    "FunctionsMetadataRequest": "function_app_directory=1",
    "BindingInfo": "type=2 direction:BindingInfo.Direction=3 data_type:BindingInfo.DataType=4 properties:%string=5",
    "RpcRetryOptions": "max_retry_count:int32=2",
    "RpcFunctionMetadata": "directory=1 script_file=2 entry_point=3 name=4 bindings:%BindingInfo=6 is_proxy:bool=7"
    " status:StatusResult=8 language=9 raw_bindings:*string=10 function_id=13 managed_dependency_enabled:bool=14"
    " retry_options:RpcRetryOptions=15 properties:%string=16",
    "FunctionMetadataResponse": "function_metadata_results:*RpcFunctionMetadata=1 result:StatusResult=2"
    " use_default_metadata_indexing:bool=3",
    "FunctionLoadRequest": "function_id=1 metadata:RpcFunctionMetadata=2 managed_dependency_enabled:bool=3",
    "FunctionLoadResponse": "function_id=1 result:StatusResult=2",
    "RpcHttpCookie": "name=1 value=2",
    "RpcHttp": "method=1 url=2 headers:%string=3 body:TypedData=4 params:%string=10 status_code=12 query:%string=15"
    " enable_content_negotiation:bool=16 rawBody:TypedData=17 cookies:*RpcHttpCookie=19",
    "CollectionBytes": "bytes:*bytes=1",
    "CollectionString": "string:*string=1",
    "CollectionSInt64": "sint64:*sint64=1",
    "TypedData": "string|data=1 json|data=2 bytes:bytes|data=3 http:RpcHttp|data=5 int:sint64|data=6"
    " double:double|data=7 collection_bytes:CollectionBytes|data=8 collection_string:CollectionString|data=9"
    " collection_sint64:CollectionSInt64|data=11",
    "ParameterBinding": "name=1 data:TypedData|rpc_data=2",
    "RpcTraceContext": "trace_parent=1 trace_state=2 attributes:%string=3",
    "RetryContext": "retry_count:int32=1 max_retry_count:int32=2 exception:RpcException=3",
    "InvocationRequest": "invocation_id=1 function_id=2 input_data:*ParameterBinding=3 trigger_metadata:%TypedData=4"
    " trace_context:RpcTraceContext=5 retry_context:RetryContext=6",
    "InvocationResponse": "invocation_id=1 output_data:*ParameterBinding=2 result:StatusResult=3"
    " return_value:TypedData=4",
    "StreamingMessage": "request_id=1 invocation_request:InvocationRequest|content=4"
    " invocation_response:InvocationResponse|content=5 function_load_request:FunctionLoadRequest|content=8"
    " function_load_response:FunctionLoadResponse|content=9 worker_init_response:WorkerInitResponse|content=16"
    " worker_init_request:WorkerInitRequest|content=17"
    " functions_metadata_request:FunctionsMetadataRequest|content=33"
    " function_metadata_response:FunctionMetadataResponse|content=34",
}
ENUMS = {
    "StatusResult.Status": ("Failure", "Success", "Cancelled"),
    "BindingInfo.Direction": ("in", "out", "inout"),
    "BindingInfo.DataType": ("undefined", "string", "binary", "stream"),
}
_PACKAGE = "AzureFunctionsRpcMessages"
_Field = descriptor_pb2.FieldDescriptorProto
_SCALARS = {
    "string": _Field.TYPE_STRING,
    "bytes": _Field.TYPE_BYTES,
    "bool": _Field.TYPE_BOOL,
    "int32": _Field.TYPE_INT32,
    "sint64": _Field.TYPE_SINT64,
    "double": _Field.TYPE_DOUBLE,
}


def _set_type(field: Any, kind: str) -> None:
    if kind in _SCALARS:
        field.type = _SCALARS[kind]
    else:
        field.type = _Field.TYPE_ENUM if kind in ENUMS else _Field.TYPE_MESSAGE
        field.type_name = f".{_PACKAGE}.{kind}"


def _add_field(message: Any, text: str) -> None:
    what, number = text.split("=")
    what, _, oneof = what.partition("|")
    name, _, kind = what.partition(":")
    kind = kind or "string"
    field = message.field.add(name=name, number=int(number), label=_Field.LABEL_OPTIONAL)
    if kind[0] in "*%":
        field.label = _Field.LABEL_REPEATED
    if kind[0] == "%":
        entry = message.nested_type.add(name="".join(part.capitalize() for part in name.split("_")) + "Entry")
        entry.options.map_entry = True
        for key, (part, of) in enumerate((("key", "string"), ("value", kind[1:])), 1):
            _set_type(entry.field.add(name=part, number=key, label=_Field.LABEL_OPTIONAL), of)
        kind = f"{message.name}.{entry.name}"
    _set_type(field, kind.lstrip("*"))
    if oneof:
        if not message.oneof_decl:
            message.oneof_decl.add(name=oneof)
        field.oneof_index = 0


def messages() -> Any:
    """Return the classes of the messages as attributes, as the module made by protoc has them."""
    file = descriptor_pb2.FileDescriptorProto(name="FunctionRpc.proto", package=_PACKAGE, syntax="proto3")
    for name, fields in MESSAGES.items():
        message = file.message_type.add(name=name)
        for field in fields.split():
            _add_field(message, field)
        for enum, values in ENUMS.items():
            if enum.startswith(f"{name}."):
                made = message.enum_type.add(name=enum.partition(".")[2])
                for number, value in enumerate(values):
                    made.value.add(name=value, number=number)
    classes = message_factory.GetMessages([file], descriptor_pool.DescriptorPool())
    return SimpleNamespace(**{name.rpartition(".")[2]: made for name, made in classes.items()})

"""A worker process with Azure's own runtime library in it: reads the host's messages from a socket, answers there.

What stands in is the carrier of the messages (the worker's gRPC client, which no registry has); what reads them, loads
the application and calls its functions is Azure's: `azure_functions_runtime`, in its pool of threads and on its loop;
or the one of the v1 model (AZURE_RUNTIME=azure_functions_runtime_v1).
"""

import asyncio
import importlib
import os
import struct
import sys
from types import SimpleNamespace
from typing import Any

from azure_messages import messages

ANSWERS = {
    "worker_init_request": "worker_init_response",
    "functions_metadata_request": "function_metadata_response",
    "function_load_request": "function_load_response",
    "invocation_request": "invocation_response",
}


async def serve(fd: int) -> None:
    """Dispatch each message as a task of its own, as the worker does."""
    import socket

    protos = messages()
    runtime = importlib.import_module(os.environ.get("AZURE_RUNTIME", "azure_functions_runtime"))
    runtime.start_threadpool_executor()
    reader, writer = await asyncio.open_connection(sock=socket.socket(fileno=fd))
    tasks = set()

    async def answer(asked: Any) -> None:
        name = asked.WhichOneof("content")
        request = SimpleNamespace(request=asked, properties={"host": "127.0.0.1", "protos": protos})
        result = await getattr(runtime, name)(request)
        told = protos.StreamingMessage(request_id=asked.request_id, **{ANSWERS[name]: result}).SerializeToString()
        writer.write(struct.pack("<I", len(told)) + told)

    while True:
        try:
            size = struct.unpack("<I", await reader.readexactly(4))[0]
        except asyncio.IncompleteReadError:
            return
        task = asyncio.create_task(answer(protos.StreamingMessage.FromString(await reader.readexactly(size))))
        tasks.add(task)
        task.add_done_callback(tasks.discard)


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1])))

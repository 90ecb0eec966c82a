"""What a handler returns may still have to run: a coroutine, a generator. Its invocation ends when that has ended.

Each comes back as what it was, a coroutine for a coroutine, a generator for a generator: frameworks ask for the type.
"""

from __future__ import annotations

from functools import partial
from types import AsyncGeneratorType, CoroutineType, GeneratorType

from faasight.tracing import Active

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Coroutine, Generator
    from typing import Any

    from faasight.spans import Span

    End = Callable[[object, BaseException | None], None]


UNFINISHED = frozenset({CoroutineType, GeneratorType, AsyncGeneratorType})


def carried_on(result: Any, span: Span, end: End) -> object:  # noqa: ANN401 - one of UNFINISHED, whatever it yields
    """Return what stands for `result`, one of UNFINISHED; it calls `end` (result, exception) when that has ended."""
    from weakref import finalize

    kind = type(result)
    carry = _awaited if kind is CoroutineType else _generated if kind is GeneratorType else _streamed
    running: object = carry(result, span, end)
    # What nobody ever runs ends too: its code never starts, so that it cannot tell.
    finalize(running, end, None, None).atexit = False
    return running


async def _awaited(coroutine: Coroutine[Any, Any, object], span: Span, end: End) -> object:
    active = Active(span)
    try:
        result = await coroutine
    except BaseException as error:
        end(None, error)
        raise
    finally:
        active.leave()
    end(result, None)
    return result


def _generated(generator: Generator[Any, Any, object], span: Span, end: End) -> Generator[Any, Any, object]:
    """Delegate as `yield from` does (PEP 380), with the span current for each step: whoever asks has none."""
    step: Callable[[], Any] = generator.__next__
    while True:
        active = Active(span)
        try:
            item = step()
        except StopIteration as stop:
            end(None, None)
            return stop.value
        except BaseException as error:
            end(None, error)
            raise
        finally:
            active.leave()
        try:
            step = partial(generator.send, (yield item))
        except GeneratorExit:  # whoever listened has left
            generator.close()
            end(None, None)
            raise
        except BaseException as error:  # noqa: BLE001 - it is the generator's to catch
            step = partial(generator.throw, error)


async def _streamed(stream: AsyncGenerator[Any, Any], span: Span, end: End) -> AsyncGenerator[Any, Any]:
    """Delegate each step; what is sent or thrown in goes through."""
    step: Callable[[], Any] = stream.__anext__
    while True:
        active = Active(span)
        try:
            item = await step()
        except StopAsyncIteration:
            end(None, None)
            return
        except BaseException as error:
            end(None, error)
            raise
        finally:
            active.leave()
        try:
            step = partial(stream.asend, (yield item))
        except GeneratorExit:
            await stream.aclose()
            end(None, None)
            raise
        except BaseException as error:  # noqa: BLE001 - it is the generator's to catch
            step = partial(stream.athrow, error)

"""What can go wrong, as one tree.

EmulatorError
  TemplateError          the template cannot be run
  StartError             the emulator could not start
  UnknownFunctionError   no function of this name
  TooManyRequestsError   a throttle
"""


class EmulatorError(Exception):
    """The root of every error that the emulator raises; its message says what happened, where, and what to do."""


class TemplateError(EmulatorError):
    """The template cannot be run; the message names file, line, path and what would be right."""


class StartError(EmulatorError):
    """The emulator could not start: a port in use, or the AWS stand-in did not come up."""


class UnknownFunctionError(EmulatorError):
    """The template has no function of this name."""


class TooManyRequestsError(EmulatorError):
    """A throttle: Lambda's TooManyRequestsException (HTTP 429).

    `reason` is AWS's own word for the limit: ReservedFunctionConcurrentInvocationLimitExceeded or
    ConcurrentInvocationLimitExceeded.
    """

    def __init__(self, function: str, reason: str, request_id: str) -> None:
        super().__init__(f"{function}: Rate Exceeded ({reason})")
        self.function = function
        self.reason = reason
        self.request_id = request_id

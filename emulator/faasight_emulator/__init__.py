"""Runs serverless applications on this machine as the cloud does."""

from faasight_emulator.counts import Counts
from faasight_emulator.errors import (
    EmulatorError,
    StartError,
    TemplateError,
    TooManyRequestsError,
    UnknownFunctionError,
)
from faasight_emulator.invocation import Result
from faasight_emulator.platform import Event
from faasight_emulator.report import report_lines
from faasight_emulator.service import Emulator
from faasight_emulator.settings import Settings
from faasight_emulator.sources.counting import SourceCounts, SourceKey
from faasight_emulator.states.executions import Execution, ExecutionExistsError, UnknownMachineError
from faasight_emulator.template import Template

__all__ = [
    "Counts",
    "Emulator",
    "EmulatorError",
    "Event",
    "Execution",
    "ExecutionExistsError",
    "Result",
    "Settings",
    "SourceCounts",
    "SourceKey",
    "StartError",
    "Template",
    "TemplateError",
    "TooManyRequestsError",
    "UnknownFunctionError",
    "UnknownMachineError",
    "report_lines",
]

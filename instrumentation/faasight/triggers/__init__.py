"""What called the function: source, waiting time and trace context of an event, told by its shape."""

from faasight.triggers.recognise import essence, recognise, told
from faasight.triggers.trigger import Trigger

__all__ = ["Trigger", "essence", "recognise", "told"]

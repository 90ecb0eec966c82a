"""What can go wrong in the command itself: CommandError > SettingError | PortError | ChildError."""


class CommandError(Exception):
    """Base of all; its text says what happened, where, and what to type."""


class SettingError(CommandError):
    """A setting has a value that it cannot have; names the setting, the value and what is allowed."""


class PortError(CommandError):
    """Ports are in use; names each, and the option that takes another."""


class ChildError(CommandError):
    """A process of the demo did not start, or ended; shows the last lines that it wrote."""

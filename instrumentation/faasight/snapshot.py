"""SnapStart: what must be let go before the snapshot, and made anew in each sandbox that is restored from it.

Loaded only where the platform says that there will be a snapshot. AWS's `snapshot_restore_py`, which the runtime client
brings along, runs what is registered: before a snapshot in the reverse order, after a restore in the order.
"""

from __future__ import annotations

from faasight.complain import complaints

TYPE_CHECKING = False
if TYPE_CHECKING:
    from faasight.agent import Agent

_PATIENCE_S = 1.0  # nobody waits for a snapshot


def register(agent: Agent) -> None:
    """Be the last before the snapshot and the first after it: the function's own hooks may use us."""
    try:
        from snapshot_restore_py import register_after_restore, register_before_snapshot
    except ImportError as error:
        complaints.say(f"SnapStart's restores are not seen: {error}")
        return
    register_before_snapshot(_quietly, _before, agent)
    register_after_restore(_quietly, _after, agent)


def register_end(agent: Agent) -> None:
    """Register what follows the hooks that the function has registered while it was loaded."""
    try:
        from snapshot_restore_py import register_after_restore
    except ImportError:
        return
    register_after_restore(agent.coldstart.restored)


def _before(agent: Agent) -> None:
    """Send what there is, and hear that it came: else every sandbox would send it, weeks later.

    Connections do not outlive the snapshot.
    """
    confirm, agent.settings.confirm = agent.settings.confirm, True
    try:
        agent.delivery.flush(_PATIENCE_S)
    finally:
        agent.settings.confirm = confirm
        agent.delivery.reset()


def _after(agent: Agent) -> None:
    agent.coldstart.restore_begins()
    agent.ids.clear()
    agent.delivery.reset()
    if agent.holding is not None:
        agent.holding.reset()  # its clock may be another one
    agent.forget_numbers()


def _quietly(step: object, agent: Agent) -> None:
    """Run a step; what it raised would end the sandbox."""
    try:
        step(agent)  # type: ignore[operator]  # one of the two above
    except Exception as error:  # noqa: BLE001 - see above
        complaints.failure("SnapStart", error)

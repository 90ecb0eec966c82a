"""A layered layout for the invocation map, to the right or downwards: the same graph always gets the same picture.

The steps are those of Sugiyama, Tagawa and Toda (1981): break cycles, assign layers, cut long edges with bends, order
each layer by the barycentre of its neighbours, then place. Bends take part in ordering and placing, so that a long edge
gets a lane of its own instead of running through cards.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

Edge = tuple[str, str]
Neighbours = Mapping[str, Sequence[str]]

SHORTEST_COLUMN = 12  # nodes: a column may always be so tall
COLUMN_SHAPE = 1.4  # times the root of all: hundreds of nodes fill a screen, not a ribbon
ORDER_SWEEPS = 12
PLACE_SWEEPS = 10
BEND_WEIGHT = 4.0  # a bend gives way to nobody but other bends: long edges run straight


@dataclass(frozen=True, slots=True)
class Point:
    """A place on the map, in pixels at zoom 1."""

    x: float
    y: float


@dataclass(frozen=True, slots=True)
class Layout:
    """Where nodes stand, and through which points an edge longer than one layer runs."""

    nodes: Mapping[str, Point]
    bends: Mapping[Edge, Sequence[Point]]
    down: bool = False  # callers stand above what they call, not to the left of it


@dataclass(frozen=True, slots=True)
class Spacing:
    """Distances in pixels: between layers, the height of a card, between cards, and the room of a passing edge."""

    gap: float = 76
    card: float = 52
    beside: float = 24
    lane: float = 26

    @property
    def row(self) -> float:
        """From the middle of a card to that of the one below."""
        return self.card + self.beside


def layered(
    nodes: Mapping[str, float], edges: Iterable[Edge], spacing: Spacing = Spacing(), *, down: bool = False
) -> Layout:
    """Place the centres of nodes, given by name and width; layers follow each other to the right, or downwards.

    Edges may form cycles; edges to itself or to unknown nodes do not matter.
    """
    known = sorted(nodes)
    members = set(known)
    links = sorted({(a, b) for a, b in edges if a != b and a in members and b in members})
    linked = {name for link in links for name in link}
    graph = _Graph([name for name in known if name in linked], links)
    graph.order()
    deep = dict.fromkeys(nodes, spacing.card) if down else nodes
    broad = nodes if down else dict.fromkeys(nodes, spacing.card)
    across = graph.place({name: size + spacing.beside for name, size in broad.items()}, spacing.lane)
    along = graph.columns_along(deep, spacing.gap)
    at = {name: _point(along[graph.layer[name]], place, down) for name, place in across.items()}
    lowest = max((point.y for point in at.values()), default=None)
    alone = _grid([name for name in known if name not in linked], nodes, lowest, spacing)
    return Layout(
        nodes={name: at[name] for name in graph.names} | alone,
        bends={edge: [at[bend] for bend in chain] for edge, chain in graph.chains.items()},
        down=down,
    )


def _point(along: float, across: float, down: bool) -> Point:
    return Point(across, along) if down else Point(along, across)


class _Graph:
    """Nodes in layers, with a bend wherever a long edge crosses a layer."""

    def __init__(self, names: Sequence[str], links: Sequence[Edge]) -> None:
        self.names = names
        forward = _without_cycles(names, links)
        self.layer = _layers(names, forward)
        self.chains: dict[Edge, list[str]] = {}
        self.before: dict[str, list[str]] = defaultdict(list)
        self.after: dict[str, list[str]] = defaultdict(list)
        for source, target in forward:
            self._thread(source, target)
        self.columns: list[list[str]] = [[] for _ in range(max(self.layer.values(), default=-1) + 1)]
        for name in sorted(self.layer):
            self.columns[self.layer[name]].append(name)

    def _thread(self, source: str, target: str) -> None:
        """Lead an edge from layer to layer through bends, which the edges of one source share."""
        chain = []
        for layer in range(self.layer[source] + 1, self.layer[target]):
            bend = f"{source}\0{layer}"  # no node's id has a NUL
            self.layer[bend] = layer
            chain.append(bend)
        if chain:
            self.chains[source, target] = chain
        for left, right in pairwise([source, *chain, target]):
            if right not in self.after[left]:
                self.after[left].append(right)
                self.before[right].append(left)

    def order(self) -> None:
        """Sort each column by the mean rank of its neighbours, from left and from right in turn."""
        rank = {name: float(i) for column in self.columns for i, name in enumerate(column)}
        for sweep in range(ORDER_SWEEPS):
            neighbours, columns = self._direction(sweep)
            for column in columns:
                wish = {name: _mean([rank[other] for other in neighbours[name]], rank[name]) for name in column}
                column.sort(key=lambda name: (wish[name], name))
                middle = (len(column) - 1) / 2
                rank.update((name, i - middle) for i, name in enumerate(column))

    def place(self, rooms: Mapping[str, float], lane: float) -> dict[str, float]:
        """Give each node a place in its layer near that of its neighbours, in order and without overlap."""
        room = {name: rooms.get(name, lane) for name in self.layer}
        weight = {name: BEND_WEIGHT if "\0" in name else 1.0 for name in self.layer}
        y: dict[str, float] = {}
        for column in self.columns:
            y.update(_spread(column, [0.0] * len(column), room, weight))
        for sweep in range(PLACE_SWEEPS):
            neighbours, columns = self._direction(sweep)
            for column in columns:
                wish = [_mean([y[other] for other in neighbours[name]], y[name]) for name in column]
                y.update(_spread(column, wish, room, weight))
        return y

    def columns_along(self, sizes: Mapping[str, float], gap: float) -> list[float]:
        """Return the centre of each layer, as far from the one before as their largest cards need."""
        centres: list[float] = []
        end = -gap
        for column in self.columns:
            size = max((sizes[name] for name in column if name in sizes), default=0.0)
            centres.append(end + gap + size / 2)
            end = centres[-1] + size / 2
        return centres

    def _direction(self, sweep: int) -> tuple[Neighbours, Sequence[list[str]]]:
        return (self.before, self.columns) if sweep % 2 == 0 else (self.after, self.columns[::-1])


def _without_cycles(names: Sequence[str], links: Sequence[Edge]) -> list[Edge]:
    """Return the links but those that lead back to where a walk came from. The walk starts at sources."""
    after: dict[str, list[str]] = defaultdict(list)
    fed = set()
    for source, target in links:
        after[source].append(target)
        fed.add(target)
    back: set[Edge] = set()
    done: set[str] = set()
    for start in sorted(names, key=lambda name: (name in fed, name)):
        _walk(start, after, done, back)
    return [link for link in links if link not in back]


def _walk(start: str, after: Neighbours, done: set[str], back: set[Edge]) -> None:
    """Go depth first without recursion, noting the edges that close a cycle."""
    if start in done:
        return
    path, on_path = [(start, iter(after.get(start, ())))], {start}
    while path:
        name, targets = path[-1]
        for target in targets:
            if target in on_path:
                back.add((name, target))
            elif target not in done:
                path.append((target, iter(after.get(target, ()))))
                on_path.add(target)
                break
        else:
            path.pop()
            on_path.discard(name)
            done.add(name)


def _layers(names: Sequence[str], forward: Sequence[Edge]) -> dict[str, int]:
    """Put each node one layer behind the last that calls it, and sources just before the first that they call."""
    after: dict[str, list[str]] = defaultdict(list)
    before: dict[str, list[str]] = defaultdict(list)
    for source, target in forward:
        after[source].append(target)
        before[target].append(source)
    most = max(SHORTEST_COLUMN, math.ceil(COLUMN_SHAPE * math.sqrt(len(names))))
    filled: dict[int, int] = defaultdict(int)
    layer: dict[str, int] = {}
    for name in _callers_first(names, after, before):
        layer[name] = max((layer[caller] + 1 for caller in before[name]), default=0)
        while before[name] and filled[layer[name]] >= most:
            layer[name] += 1
        filled[layer[name]] += 1
    for name in names:
        if not before[name]:
            layer[name] = min((layer[target] for target in after[name]), default=1) - 1
    return layer


def _callers_first(names: Sequence[str], after: Neighbours, before: Neighbours) -> list[str]:
    """Return the nodes of a graph without cycles so that all who call a node stand before it."""
    waits_for = {name: len(before[name]) for name in names}
    order = [name for name in names if not waits_for[name]]
    for name in order:  # grows while it is read
        for target in after[name]:
            waits_for[target] -= 1
            if not waits_for[target]:
                order.append(target)
    return order


def _spread(
    column: Sequence[str], wish: Sequence[float], room: Mapping[str, float], weight: Mapping[str, float]
) -> dict[str, float]:
    """Return the heights nearest to the wishes (least squares) that keep the order and each node's room.

    Without the room taken so far, "in order" means "never falling": an isotonic regression, solved by pooling
    adjacent violators in one pass.
    """
    offsets, offset = [], 0.0
    for i, name in enumerate(column):
        offset += (room[column[i - 1]] + room[name]) / 2 if i else 0.0
        offsets.append(offset)
    middle = offset / 2  # equal wishes spread around the wish, not below it
    pools: list[tuple[float, float, int]] = []  # mean, weight, members
    for name, wanted, taken in zip(column, wish, offsets, strict=True):
        mean, heavy, members = wanted - taken + middle, weight[name], 1
        while pools and pools[-1][0] >= mean:
            other, other_heavy, other_members = pools.pop()
            mean = (mean * heavy + other * other_heavy) / (heavy + other_heavy)
            heavy, members = heavy + other_heavy, members + other_members
        pools.append((mean, heavy, members))
    starts = [mean for mean, _, members in pools for _ in range(members)]
    return {name: start + taken - middle for name, start, taken in zip(column, starts, offsets, strict=True)}


def _grid(
    names: Sequence[str], widths: Mapping[str, float], lowest: float | None, spacing: Spacing
) -> dict[str, Point]:
    """Put nodes without edges in rows below the rest."""
    across = max(4, math.ceil(math.sqrt(len(names) / 2)))
    step = max((widths[name] for name in names), default=0.0) + spacing.gap / 3
    top = 0.0 if lowest is None else lowest + 1.5 * spacing.row
    return {
        name: Point(i % across * step + widths[name] / 2, top + i // across * spacing.row)
        for i, name in enumerate(names)
    }


def _mean(values: Sequence[float], otherwise: float) -> float:
    return sum(values) / len(values) if values else otherwise

"""A closed loop: so many connections, each sending its next request as soon as the last one is answered."""

from __future__ import annotations

import selectors
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from scim_gateway.bench.wire import Connection, Reply, Target, UsedUp

CONNECTIONS = 4


@dataclass(frozen=True, slots=True)
class Timing:
    """What a measurement found.

    :param count: requests that were answered.
    :param seconds: from the first request to the last answer.
    :param latencies: seconds from each request to its answer, in ascending order.
    :param replies: the answers, where they were asked for.
    """

    count: int
    seconds: float
    latencies: Sequence[float]
    replies: Sequence[Reply] = field(default=(), repr=False)

    @property
    def rate(self) -> float:
        """Requests a second."""
        return self.count / self.seconds if self.seconds else 0.0

    def percentile(self, percent: float) -> float:
        """The latency, in seconds, that so many percent of the requests did not exceed (nearest rank)."""
        return percentile(self.latencies, percent)


def percentile(ascending: Sequence[float], percent: float) -> float:
    """The smallest of the values that at least so many percent of them do not exceed; 0 if there are none."""
    if not ascending:
        return 0.0
    rank = -(-len(ascending) * percent // 100)
    return ascending[min(len(ascending), max(1, int(rank))) - 1]


class Client:
    """Connections to one service."""

    def __init__(self, target: Target, connections: int = CONNECTIONS) -> None:
        self.target = target
        self._number = connections
        self._connections: list[Connection] = []

    def close(self) -> None:
        """End the connections."""
        for connection in self._connections:
            connection.close()
        self._connections = []

    def finish(self) -> None:
        """Wait for the answers to what was under way when something went wrong, then end the connections.

        Who lists what there is to be removed does not miss what would be made a moment later.
        """
        for connection in self._connections:
            connection.finish()
        self.close()

    def call(self, method: str, path: str, body: object = None, *, statuses: Sequence[int] = (200, 201, 204)) -> Reply:
        """One request that is not timed."""
        return self._open(1)[0].exchange(self.target.request(method, path, body)).expect(statuses)

    def measure(
        self,
        requests: Iterator[bytes],
        statuses: Sequence[int],
        *,
        seconds: float,
        connections: int | None = None,
        keep: bool = False,
    ) -> Timing:
        """Send requests until the time is up, or until there are no more; each connection sends one at least.

        :raises UsedUp: there are none.
        :raises BenchmarkError: an answer has another status.
        """
        number = connections or self._number
        pending = self._open(number)
        selector = selectors.DefaultSelector()
        sent: dict[Connection, float] = {}
        latencies: list[float] = []
        replies: list[Reply] = []
        start = time.perf_counter()
        for connection in pending:
            request = next(requests, None)
            if request is not None:
                connection.send(request)
                sent[connection] = time.perf_counter()
                selector.register(connection.socket, selectors.EVENT_READ, connection)
        if not sent:
            raise UsedUp("there is nothing left to ask for")
        deadline = start + seconds
        end = start
        while sent:
            for key, _ in selector.select():
                connection = key.data
                file = connection.socket
                reply = connection.read()
                if reply is None:
                    if connection.socket is not file:
                        selector.unregister(file)
                        selector.register(connection.socket, selectors.EVENT_READ, connection)
                    continue
                end = time.perf_counter()
                latencies.append(end - sent[connection])
                reply.expect(statuses)
                if keep:
                    replies.append(reply)
                request = next(requests, None) if end < deadline else None
                if request is None:
                    del sent[connection]
                    selector.unregister(file)
                    continue
                connection.send(request)
                if connection.socket is not file:
                    selector.unregister(file)
                    selector.register(connection.socket, selectors.EVENT_READ, connection)
                sent[connection] = time.perf_counter()
        selector.close()
        return Timing(len(latencies), end - start, sorted(latencies), replies)

    def send_all(self, requests: Iterator[bytes], statuses: Sequence[int] = (200, 201, 204)) -> Sequence[Reply]:
        """All of the requests, their answers in any order."""
        return self.measure(requests, statuses, seconds=float("inf"), keep=True).replies

    def _open(self, number: int) -> list[Connection]:
        while len(self._connections) < number:
            self._connections.append(Connection(self.target))
        return self._connections[:number]

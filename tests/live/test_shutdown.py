"""SIGTERM, as every deployment sends it: what was accepted is answered, then the gateway is gone."""

from __future__ import annotations

import http.client
import json
import socket
import threading
import time
from pathlib import Path

import pytest
from gateway_process import TOKEN, GatewayProcess, serving
from scim_http import new_user


class Load(threading.Thread):
    """Creates users on a new connection each, until nobody listens any more."""

    def __init__(self, gateway: GatewayProcess, number: int) -> None:
        super().__init__(daemon=True)
        self.port = gateway.port
        self.number = number
        self.created: list[str] = []
        self.dropped: list[str] = []
        self.reset: list[str] = []

    def run(self) -> None:
        turn = 0
        while True:
            turn += 1
            name = f"load{self.number}.{turn}@example.com"
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
            try:
                connection.connect()
            except OSError:
                return
            try:
                headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/scim+json"}
                connection.request("POST", "/scim/v2/Users", json.dumps(new_user(name)), headers)
                answer = connection.getresponse()
                answer.read()
                if answer.status == 201:
                    self.created.append(name)
                else:
                    self.dropped.append(f"{name}: {answer.status}")
            except (OSError, http.client.HTTPException) as error:
                if type(error) is ConnectionResetError:
                    self.reset.append(name)
                    continue
                self.dropped.append(f"{name}: {error!r}")
            finally:
                connection.close()


@pytest.mark.parametrize("workers", [1, 2])
def test_sigterm_under_load_answers_what_was_accepted_and_keeps_what_was_answered(tmp_path: Path, workers: int) -> None:
    created: set[str] = set()
    resets: list[int] = []
    with serving(tmp_path, "sql", workers=workers, threads=4) as gateway:
        # Between the last look into the queue and its end, some microseconds, the kernel may let somebody in, or even a
        # few where the worker has to wait for a core just then: not every time. Nothing of theirs was begun.
        while len(resets) < 3 and min(resets, default=2) > 1:
            load = [Load(gateway, 10 * len(resets) + number) for number in range(6)]
            resets.append(stop_under(load, gateway))
            created |= {name for client in load for name in client.created}
            gateway.start()
            scim = gateway.client()
            assert scim.get("/Users", query="count=0").body["totalResults"] == len(created)
            scim.close()
    assert min(resets) <= 1


def stop_under(load: list[Load], gateway: GatewayProcess) -> int:
    """Stop a gateway while these clients create users; how many connections were reset."""
    for client in load:
        client.start()
    while sum(len(client.created) for client in load) <= 20 and all(client.is_alive() for client in load):
        time.sleep(0.02)
    assert gateway.stop() == 0
    for client in load:
        client.join(40)
        assert not client.is_alive()
    assert sum(len(client.created) for client in load) > 20
    assert [problem for client in load for problem in client.dropped] == []
    return sum(len(client.reset) for client in load)


def test_a_slow_request_is_answered_although_sigterm_came_in_its_middle(tmp_path: Path) -> None:
    body = json.dumps(new_user("slow@example.com")).encode()
    with serving(tmp_path, "sql", workers=1, threads=4) as gateway:
        connection = http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=30)
        connection.putrequest("POST", "/scim/v2/Users")
        connection.putheader("Authorization", f"Bearer {TOKEN}")
        connection.putheader("Content-Type", "application/scim+json")
        connection.putheader("Content-Length", str(len(body)))
        connection.putheader("Expect", "100-continue")
        connection.endheaders(body[:10])
        connection.sock.recv(1, socket.MSG_PEEK)  # 100: a worker has begun with it
        stopping = threading.Thread(target=gateway.stop)
        stopping.start()
        time.sleep(0.5)
        connection.send(body[10:])
        assert connection.getresponse().status == 201
        connection.close()
        stopping.join(40)

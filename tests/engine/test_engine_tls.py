"""Between machines the Engine has to prove who it is, and nothing goes over the wire in the clear."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest
from doubles.singlestore.fixtures import MakeDouble
from engine_world import EngineWorld
from scim_gateway_provisioning.target import Deadline, Unreachable
from scim_gateway_singlestore_engine.connection import Connections
from scim_gateway_singlestore_engine.statements import Statement
from servers.certificates import Certificates, make_certificates

ASK = Statement("SELECT 1", "SELECT 1")


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("tls") / "files")


def context_of(certificates: Certificates) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates.certificate, certificates.key)
    return context


def world_of(make: MakeDouble, folder: Path, tls: ssl.SSLContext | None, **chosen: str) -> EngineWorld:
    double = make("8.5", tls=tls).double
    assert double is not None
    return EngineWorld(double, folder, **chosen)


def test_a_server_that_proves_who_it_is_is_talked_to_in_cipher(make_singlestore, tmp_path, certificates):
    world = world_of(make_singlestore, tmp_path, context_of(certificates), tls_ca=str(certificates.authority))
    world.double.execute("ALTER USER 'scim_gw'@'%' REQUIRE SSL")
    world.put_user("u1", "ada")
    assert world.users == {"ada": False}
    world.target.close()


def test_a_server_with_a_certificate_of_another_authority_is_not_talked_to(make_singlestore, tmp_path, certificates):
    other = make_certificates(tmp_path / "other")
    world = world_of(make_singlestore, tmp_path, context_of(certificates), tls_ca=str(other.authority))
    with pytest.raises(Unreachable, match="cannot be reached"):
        world.put_user("u1", "ada")
    assert world.double.log.count("scim") == 0


def test_a_server_with_a_certificate_of_another_name_is_not_talked_to(make_singlestore, tmp_path):
    elsewhere = make_certificates(tmp_path / "files", ["db.example.com"])
    world = world_of(make_singlestore, tmp_path, context_of(elsewhere), tls_ca=str(elsewhere.authority))
    with pytest.raises(Unreachable, match="cannot be reached"):
        world.put_user("u1", "ada")


def test_a_server_that_offers_no_cipher_is_not_talked_to_in_the_clear(make_singlestore, tmp_path, certificates):
    world = world_of(make_singlestore, tmp_path, None, tls_ca=str(certificates.authority))
    with pytest.raises(Unreachable, match="cannot be reached"):
        world.put_user("u1", "ada")
    assert world.double.sessions("scim_gw") == []


def test_on_this_machine_the_driver_does_not_ask_for_a_cipher_by_itself(make_singlestore, tmp_path, certificates):
    world = world_of(make_singlestore, tmp_path, context_of(certificates))
    connections = Connections(world.target.settings.endpoint, 1)
    with connections.line(Deadline(5)) as line:
        assert line.rows(ASK) == [(1,)]
    world.double.execute("ALTER USER 'scim_gw'@'%' REQUIRE SSL")
    connections.close()
    with pytest.raises(Unreachable):
        world.put_user("u1", "ada")

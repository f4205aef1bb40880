from __future__ import annotations

from doubles.singlestore.fixtures import Server


def test_a_member_of_a_group_is_listed(singlestore: Server) -> None:
    ada, eng = singlestore.name("ada"), singlestore.name("eng")
    cursor = singlestore.connect().cursor()
    cursor.execute("CREATE USER %s@'%%' IDENTIFIED BY %s", (ada, "Secret-1-secret"))
    cursor.execute("CREATE GROUP %s", (eng,))
    cursor.execute("GRANT GROUP %s TO %s@'%%'", (eng, ada))
    cursor.execute("SELECT `USER` FROM information_schema.USERS_GROUPS WHERE `GROUP` = %s", (eng,))
    assert cursor.fetchall() == ((f"'{ada}'@'%'",),)

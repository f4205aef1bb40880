"""A double of the SingleStore Engine, as tests import it: accounts, groups, roles, sessions over the MySQL protocol.

A test holds it like this::

    double = SingleStoreDouble(version="8.5", behaviour=Behaviour(repeat_grant_group="error"))
    with double.running() as server:
        connection = pymysql.connect(host=server.host, port=server.port, user=server.user, password=server.password)
"""

from .behaviour import Behaviour
from .double import Address, SingleStoreDouble, State
from .faults import Fault
from .forwarding import MariaDB
from .statement_log import Entry
from .statements import Account

__all__ = ["Account", "Address", "Behaviour", "Entry", "Fault", "MariaDB", "SingleStoreDouble", "State"]

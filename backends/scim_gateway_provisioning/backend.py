"""A directory and the targets that are kept equal to it, as one backend."""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Self

from scim_gateway_sql import SqlBackend

from scim_gateway.backend import Backend, Finding, Reference, ResourceHandler
from scim_gateway.errors import NotFound, Replayed, ScimError, StaleResource, Uniqueness
from scim_gateway.schema import Resource, ResourceTypes
from scim_gateway.tokens import TokenStore

from . import nesting, replay
from .context import Context, new_holder
from .finish import answer, finish, settle, settlements
from .handlers import noting
from .operation import Operation
from .record import Recorded, record
from .target import Deadline
from .target_names import HeldByPending
from .work import WorkKey, read


class ProvisioningBackend(Backend):
    """The directory, whose changes are brought to targets before they are answered.

    :param context: the directory, its targets, and how long things may take.
    """

    def __init__(self, context: Context) -> None:
        self.context = context
        self.directory: SqlBackend = context.directory
        self.resource_types: ResourceTypes = context.directory.resource_types
        self.handlers: Mapping[str, ResourceHandler] = {
            name: noting(handler, self) for name, handler in context.directory.handlers.items()
        }
        self._here = threading.local()

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any], resource_types: ResourceTypes) -> Self:
        raise NotImplementedError("a backend with targets is built by the package of a target")

    @property
    def targets(self) -> Sequence[str]:
        """Names of the targets."""
        return tuple(self.context.targets)

    def operation(self, *, write: bool) -> AbstractContextManager[None]:
        return self._writing() if write else self.directory.operation(write=False)

    @contextmanager
    def _writing(self) -> Iterator[None]:
        operation = Operation(Deadline(self.context.times.request))
        try:
            with self._transaction(operation) as holder:
                yield
                recorded = self._record(operation, holder)
            self.context.failpoints.hit("record.committed")
            if recorded.goals:
                finish(self.context, recorded, operation.deadline)
        except HeldByPending as held:
            self._settle_first([(held.id, held.target)], operation.deadline)
            raise StaleResource(held.id) from None
        except ScimError as error:
            if isinstance(error, NotFound):
                self._settle_missed(operation)
            self.context.journal.refused(tuple(operation.changes.values()), error)
            raise

    @contextmanager
    def _transaction(self, operation: Operation) -> Iterator[str]:
        """The transaction of the directory, in which the handlers note what they do."""
        with self.directory.operation(write=True):
            self._here.operation = operation
            try:
                yield new_holder()
            finally:
                self._here.operation = None

    def _record(self, operation: Operation, holder: str) -> Recorded:
        self.context.failpoints.hit("record.before")
        with self.context.database.session(write=True) as session:
            return record(session, self.context, operation, holder)

    def _settle_missed(self, operation: Operation) -> None:
        """What is gone is answered as such only when the targets have confirmed it."""
        if not operation.missed:
            return
        with self.context.database.operation(write=False) as session:
            rows = read(session, self.context.tenant, operation.missed)
        pending = [key for key, work in rows.items() if work.pending]
        if pending:
            self._settle_first(pending, operation.deadline)

    def _settle_first(self, keys: Collection[WorkKey], deadline: Deadline) -> None:
        """Bring to an end what is pending for other rows than those of this request.

        :raises Unavailable: a target cannot do it now.
        """
        with self.context.database.operation(write=False) as session:
            rows = read(session, self.context.tenant, [id for id, _ in keys])
        goals = {key: rows[key].generation for key in keys if key in rows}
        failures = settle(self.context, settlements(self.context, goals, deadline), deadline)
        if failures:
            raise answer(failures)

    # What handlers ask

    @property
    def current(self) -> Operation | None:
        """The write operation of this thread, if one is under way."""
        operation: Operation | None = getattr(self._here, "operation", None)
        return operation

    @contextmanager
    def replaying(self, kind: str, resource: Resource) -> Iterator[None]:
        """Tells a create that was never answered from one whose name is taken."""
        try:
            yield
        except Uniqueness:
            if kind in ("User", "Group"):
                with self.context.database.session(write=True) as session:
                    id = replay.unanswered(session, self.directory, resource, self.resource_types.by_name[kind])
                if id is not None:
                    raise Replayed(id) from None
            raise

    def note_reached(self, group: str) -> None:
        """Keep in mind who is in a group that is about to be deleted, if other groups just lost it."""
        operation = self.current
        if operation is None or not any(group in change.removed for change in operation.changes.values()):
            return
        with self.context.database.session(write=True) as session:
            nesting.take_turn(session, self.context.tenant)
            operation.reached |= nesting.below(session, self.context.tenant, [group])

    # What the directory answers

    def references(self, ids: Collection[str]) -> Mapping[str, Reference]:
        return self.directory.references(ids)

    @property
    def tokens(self) -> TokenStore:
        return self.directory.tokens

    @property
    def cursor_key(self) -> bytes:
        return self.directory.cursor_key

    def check(self) -> Iterator[Finding]:
        yield from self.directory.check()
        for target in self.context.targets.values():
            yield from target.check()

    def start(self) -> None:
        self.directory.start()

    def close(self) -> None:
        for target in self.context.targets.values():
            target.close()
        self.directory.close()

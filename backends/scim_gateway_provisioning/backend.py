"""A directory and the targets that are kept equal to it, as one backend."""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Self

from scim_gateway_sql import SqlBackend

from scim_gateway.backend import Backend, Finding, Reference, ResourceHandler
from scim_gateway.config import ConfigurationError, complete
from scim_gateway.errors import NotFound, Replayed, ScimError, StaleResource, Uniqueness
from scim_gateway.schema import Resource, ResourceTypes
from scim_gateway.tokens import TokenStore

from . import nesting, replay
from .adoption import ListedAdoption
from .chores import chores
from .context import SLICE, USUAL_TIMES, Context, Times, by_name, new_holder
from .ddl import PROVISIONING
from .earlier import DeadPromises
from .failpoints import Failpoints
from .fed import Fed, feed
from .finish import answer, finish, settle, settlements
from .handlers import noting
from .operation import Operation
from .promises import PromiseGone
from .reconcile import Reconciler
from .reconciling import Reconciling
from .record import Recorded, record
from .record_rows import caused_by
from .recorded_tokens import RecordedTokens
from .retry import Tried, settle_pending
from .safeguarded import Safeguarded
from .safeguards import Safeguards
from .target import Deadline, Target
from .target_names import HeldByPending
from .watch import NEVER_BY_ITSELF, Periodic, Watch
from .withdrawal import withdraw
from .work import WorkKey, read
from .worker import Worker


class ProvisioningBackend(Safeguarded, Reconciling, Fed, Backend):
    """The directory, whose changes are brought to targets before they are answered.

    :param directory: opened with the migrations of :data:`.ddl.PROVISIONING`.
    :param targets: with different names.
    :param times: how long things may take.
    :param safeguards: audit trail, pause and circuit breaker; by default with default settings.
    :param failpoints: for tests.
    :param most: most memberships in one call of a target.
    :param reconcile: when whole is compared against whole.
    :raises ValueError: two targets have the same name.
    """

    shared = True

    def __init__(
        self,
        directory: SqlBackend,
        targets: Sequence[Target],
        *,
        times: Times = USUAL_TIMES,
        safeguards: Safeguards | None = None,
        failpoints: Failpoints | None = None,
        most: int = SLICE,
        reconcile: Periodic = NEVER_BY_ITSELF,
    ) -> None:
        self.directory = directory
        self.resource_types: ResourceTypes = directory.resource_types
        self.safeguards = safeguards or Safeguards(directory.database, directory.tenant)
        self.context = Context(
            directory,
            by_name(targets),
            times,
            failpoints or Failpoints(),
            self.safeguards,
            ListedAdoption(directory.tenant),
            most,
        )
        directory.feeding.targets = tuple(self.context.targets)
        self.reconciler = Reconciler(self.context, self.safeguards.breaker)
        self.handlers: Mapping[str, ResourceHandler] = {
            name: noting(handler, self) for name, handler in directory.handlers.items()
        }
        self._here = threading.local()
        self._worker = Worker(self.context, chores(self.context, self.safeguards))
        self._watch = Watch(self.reconciler, reconcile, paused=self.safeguards.paused)

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any], resource_types: ResourceTypes) -> Self:
        settings = complete(settings)
        directory = SqlBackend.from_settings(settings, resource_types, migrations=(PROVISIONING,))
        return cls(
            directory,
            cls.targets_from(settings, resource_types),
            safeguards=Safeguards.from_settings(settings, directory.database, directory.tenant),
            failpoints=Failpoints(settings["failpoint"]),
            reconcile=Periodic(settings["reconcile_minutes"], settings["reconcile_mode"] == "repair"),
        )

    @classmethod
    def targets_from(cls, settings: Mapping[str, Any], resource_types: ResourceTypes) -> Sequence[Target]:
        """The targets that the settings name; the package of a target says which those are.

        :raises scim_gateway.config.ConfigurationError: a setting is missing or makes no sense.
        """
        raise ConfigurationError("A backend with targets is named by the package of its target, such as engine.")

    @property
    def targets(self) -> Sequence[str]:
        """Names of the targets."""
        return tuple(self.context.targets)

    def settle_pending(self, seconds: float | None = None) -> Tried:
        """Try everything that is pending, due or not, once; see :func:`.retry.settle_pending`."""
        return settle_pending(self.context, seconds)

    def operation(self, *, write: bool) -> AbstractContextManager[object]:
        return self._writing() if write else self.directory.operation(write=False)

    def look_up(self) -> AbstractContextManager[object]:
        return self.directory.look_up()

    @contextmanager
    def _writing(self) -> Iterator[None]:
        feed(self.context)
        operation = Operation(Deadline(self.context.times.request))
        try:
            with self._transaction(operation) as holder:
                yield
                recorded = self._write_down(operation, holder)
            self.context.failpoints.hit("record.committed")
            if recorded.goals:
                finish(self.context, recorded, operation.deadline)
        except HeldByPending as held:
            self._settle_first([(held.id, held.target)], operation.deadline)
            raise StaleResource(held.id) from None
        except DeadPromises as dead:
            for promise in dead.promises:
                withdraw(self.context, promise)
            raise StaleResource(dead.promises[0].id) from None
        except PromiseGone as gone:
            raise StaleResource(str(gone)) from None
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

    def _write_down(self, operation: Operation, holder: str) -> Recorded:
        self.context.failpoints.hit("record.before")
        with self.context.database.session(write=True) as session:
            return record(session, self.context, operation, holder)

    def _settle_missed(self, operation: Operation) -> None:
        """What is gone is answered as such only when the targets have confirmed it."""
        if not operation.missed:
            return
        with self.context.database.operation(write=False) as session:
            rows = read(session, self.context.tenant, operation.missed)
            caused = caused_by(session, self.context.tenant, operation.missed)
        pending = {key for key, work in rows.items() if work.pending} | caused
        if pending:
            self._settle_first(pending, operation.deadline)

    def _settle_first(self, keys: Collection[WorkKey], deadline: Deadline) -> None:
        """Bring to an end what is pending for other rows than those of this request.

        :raises Unavailable: a target cannot do it now.
        """
        with self.context.database.operation(write=False) as session:
            rows = read(session, self.context.tenant, [id for id, _ in keys])
            self.context.journal.named(session, revoking=all(rows[key].revoking for key in keys if key in rows))
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
        return RecordedTokens(self.directory.tokens, self.context.database, self.safeguards)

    @property
    def cursor_key(self) -> bytes:
        return self.directory.cursor_key

    def unmade(self) -> str | None:
        return self.directory.unmade()

    def check(self) -> Iterator[Finding]:
        yield from self.directory.check()
        yield self.finding()
        yield from self.safeguards.findings()
        for target in self.context.targets.values():
            yield from target.check()

    def start(self) -> None:
        self.directory.start()
        self.begin_feeding()
        self._worker.start()
        self._watch.start()

    def close(self) -> None:
        self._watch.stop()
        self._worker.stop()
        for target in self.context.targets.values():
            target.close()
        self.safeguards.close()
        self.directory.close()

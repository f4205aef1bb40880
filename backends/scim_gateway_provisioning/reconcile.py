"""Whole against whole: the plan, its approval, carrying it out, and what the gateway does of it by itself."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from scim_gateway_sql.tables import resources
from sqlalchemy import bindparam, func, select

from scim_gateway.errors import Conflict, NotFound, Unavailable
from scim_gateway.provisioned import Plan, PlanMoved, Progress, Reconciled, Repair

from . import latest, plan_store
from .adoption import strike_taken
from .breaker import Breaker
from .carry_out import carry_out
from .comparison import Comparison, compare_target, plan_of
from .context import Context
from .difference import UNFINISHED
from .fed import feed
from .plan_store import Shown
from .target import Target
from .turn import SECONDS, Alive, turn
from .withdrawal import withdraw_dead

_SIZE = select(func.count()).select_from(resources).where(resources.c.tenant == bindparam("tenant_"))


class Reconciler:
    """Keeps whole targets equal to the whole directory.

    :param breaker: says how much a plan may take away without an approval.
    """

    def __init__(self, context: Context, breaker: Breaker) -> None:
        self._context = context
        self._breaker = breaker

    def plan(self, progress: Progress | None = None, *, target: str | None = None) -> Plan:
        """See :meth:`scim_gateway.provisioned.Provisioned.plan`."""
        comparisons = self._compare(self._targets(target), progress)
        for each in comparisons:
            self._note(each.target, each, left=len(each.to_do), problem=each.held or each.alarm)
        return self._shown(comparisons, target)

    def report(self) -> Plan:
        """Compare as :meth:`plan` does, unless another process is at it.

        :raises Conflict: it is.
        """
        with turn(self._context):
            return self.plan()

    def approve(self, hash: str, minutes: int) -> str:
        """Approve a plan that was shown; says what was done.

        :raises NotFound: no such plan was shown lately.
        """
        tenant = self._context.tenant
        if not self._context.database.run(lambda session: plan_store.approve(session, tenant, hash, minutes)):
            raise NotFound(f"No plan {hash} was shown lately; scim-gateway plan shows the one that there is now.")
        return f"The plan {hash} may be applied for {minutes} minutes: scim-gateway apply --plan {hash}"

    def apply(self, hash: str, progress: Progress | None = None) -> Repair:
        """See :meth:`scim_gateway.provisioned.Provisioned.apply`."""
        feed(self._context)
        with turn(self._context, patience=SECONDS + 5) as alive:
            with self._context.database.session() as session:
                shown = plan_store.shown(session, self._context.tenant, hash)
            scope = shown.scope if shown is not None else None
            targets = self._targets(scope)
            comparisons = self._compare(targets, None)
            plan = plan_of(comparisons)
            self._refuse_moved(hash, shown, comparisons, scope)
            if plan.staged is not None and plan.to_do and not (shown is not None and shown.approved):
                raise Conflict(f"{plan.staged} If that is intended: scim-gateway approve {hash}")
            if not plan.to_do:
                return Repair(plan, plan, 0)
            tenant = self._context.tenant
            self._context.database.run(lambda session: plan_store.begin(session, tenant, hash))
            done, problems, after = self._carry_out(comparisons, alive, progress)
            left = plan_of(after)
            if not left.to_do:
                self._context.database.run(lambda session: plan_store.forget(session, tenant, hash))
            return Repair(plan, left, done, problems)

    def reconcile(
        self,
        progress: Progress | None = None,
        *,
        target: str | None = None,
        patience: float = SECONDS + 5,
        paused: str | None = None,
    ) -> Repair:
        """See :meth:`scim_gateway.provisioned.Provisioned.reconcile`.

        :param patience: seconds to wait for another process that is at it.
        :param paused: the reason of a pause in which nothing is done but to put back locks that were lost.
        """
        feed(self._context)
        with turn(self._context, patience=patience) as alive:
            problems: list[str] = []
            unseen: list[str] = []
            comparisons: list[Comparison] = []
            for one in self._targets(target):
                try:
                    comparisons += self._compare([one], None)
                except Unavailable as error:
                    problems.append(error.detail)
                    unseen.append(one.name)
                    self._note(one, problem=error.detail)
            if paused is not None:
                comparisons = [replace(each, attended=f"the gateway is paused: {paused}") for each in comparisons]
            free: list[Comparison] = []
            left: list[Comparison] = []
            for each in comparisons:
                reason = each.held
                if reason is None or not each.to_do:
                    free.append(each)
                elif each.unattended:
                    free.append(each)
                    problems.append(f"Only what is safe was changed in {each.target.name}: {reason}")
                else:
                    left.append(each)
                    problems.append(f"Nothing was changed in {each.target.name}: {reason}")
                    self._note(each.target, each, left=len(each.to_do), problem=reason)
            done, trouble, after = self._carry_out(free, alive, progress, attended=False)
            in_order = sorted([*left, *after], key=lambda each: each.target.name)
            return Repair(plan_of(comparisons), self._shown(in_order, target), done, [*problems, *trouble], unseen)

    def age(self) -> float:
        """Seconds since the target that was not compared for longest was compared; infinite, if it never was."""
        with self._context.database.session() as session:
            ages = [latest.age(session, self._context.tenant, target) for target in self._context.targets]
        return max(math.inf if age is None else age for age in ages) if ages else 0.0

    def latest(self) -> Sequence[Reconciled]:
        """The newest comparison with each target that was ever compared."""
        with self._context.database.session() as session:
            return list(latest.latest(session, self._context.tenant, self._context.targets))

    def _targets(self, name: str | None) -> list[Target]:
        if name is None:
            return list(self._context.targets.values())
        if name not in self._context.targets:
            raise NotFound(f"There is no target {name!r}; there are: {', '.join(self._context.targets)}.")
        return [self._context.targets[name]]

    def _compare(self, targets: Sequence[Target], progress: Progress | None) -> list[Comparison]:
        withdraw_dead(self._context)
        total = 0 if progress is None else self._size()
        found: list[Comparison] = []
        for number, target in enumerate(targets):
            looked = None if progress is None else partial(_tell, progress, total, number, len(targets))
            found.append(compare_target(self._context, self._breaker, target, looked))
            if looked is not None:
                looked(total)
        return found

    def _size(self) -> int:
        """How many resources the directory has."""
        with self._context.database.session() as session:
            count: int = session.execute(_SIZE, {"tenant_": self._context.tenant}).scalar_one()
            return count

    def _shown(self, comparisons: Sequence[Comparison], scope: str | None) -> Plan:
        """The plan, remembered as one that somebody sees."""
        plan = plan_of(comparisons)
        differences = [difference for each in comparisons for difference in each.differences]
        tenant = self._context.tenant
        self._context.database.run(lambda session: plan_store.keep(session, tenant, plan.hash, scope, differences))
        return plan

    def _refuse_moved(
        self, hash: str, shown: Shown | None, comparisons: Sequence[Comparison], scope: str | None
    ) -> None:
        """Stop unless the plan is the one that was shown, or what is left of it after it was begun."""
        plan = plan_of(comparisons)
        if plan.hash == hash or (shown is not None and _is_rest_of(shown, comparisons)):
            return
        now = {difference.fingerprint: difference.step for each in comparisons for difference in each.to_do}
        then = shown.steps if shown is not None else None
        plan = self._shown(comparisons, scope)
        appeared = [step for fingerprint, step in now.items() if fingerprint not in (then or {})]
        vanished = None if then is None else [step for fingerprint, step in then.items() if fingerprint not in now]
        moved = (
            f"new steps: {len(appeared)}, not needed any more: {len(vanished)}"
            if vanished is not None
            else "it was not shown lately"
        )
        raise PlanMoved(
            f"The plan {hash} is not what there is to do now: {moved}. Nothing was done; "
            + (f"the plan is {plan.hash} now." if plan.to_do else "there is nothing to do now."),
            plan,
            appeared,
            vanished,
        )

    def _carry_out(
        self, comparisons: Sequence[Comparison], alive: Alive, progress: Progress | None, *, attended: bool = True
    ) -> tuple[int, list[str], list[Comparison]]:
        """Carry out what was found, and compare once more where something was done.

        :param attended: whether a person wants all of it; otherwise only what needs nobody is done.
        :return: how many steps are done, what did not work, and what a comparison finds now.
        """
        chosen = [(each, each.to_do if attended else each.unattended) for each in comparisons]
        total, before, done = sum(len(steps) for _, steps in chosen), 0, 0
        problems: list[str] = []
        found: list[Comparison] = []
        for each, steps in chosen:
            after, trouble = each, None
            if steps:
                portion = replace(each, differences=steps)
                lines = carry_out(self._context, portion, alive, _shifted(progress, before, total))
                problems += lines
                trouble = lines[0] if lines else None
                alive()
                after = compare_target(self._context, self._breaker, each.target)
            before += len(steps)
            left = {difference.fingerprint for difference in after.to_do}
            done += sum(difference.fingerprint not in left for difference in steps)
            strike_taken(self._context, after.target, after.survey)
            held = after.held if left else None
            self._note(each.target, each, left=len(left), problem=trouble or held or after.alarm)
            found.append(after)
        return done, problems, found

    def _note(
        self, target: Target, comparison: Comparison | None = None, *, left: int = 0, problem: str | None
    ) -> None:
        steps = [difference.step for difference in comparison.differences] if comparison is not None else []
        tenant = self._context.tenant
        self._context.database.run(
            lambda session: latest.note(session, tenant, target.name, found=steps, left=left, problem=problem)
        )


def _is_rest_of(shown: Shown, comparisons: Sequence[Comparison]) -> bool:
    """Whether there is nothing to do that is not part of a plan that was begun."""
    if not shown.begun or shown.steps is None:
        return False
    resources = {step.id for step in shown.steps.values()}
    return all(
        difference.fingerprint in shown.steps or (difference.effect in UNFINISHED and difference.step.id in resources)
        for each in comparisons
        for difference in each.to_do
    )


def _tell(progress: Progress, total: int, number: int, targets: int, count: int) -> None:
    """Tell how much of the directory was read for one of several targets."""
    progress(number * total + min(count, total), targets * total)


def _shifted(progress: Progress | None, before: int, total: int) -> Progress | None:
    """The progress with one of several targets, told as that with all."""
    if progress is None:
        return None
    return lambda done, _of: progress(min(before + done, total), total)

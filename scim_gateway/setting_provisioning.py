"""The settings of what keeps targets equal to the directory, whichever targets they are."""

from __future__ import annotations

from scim_gateway.setting import Setting, a_number, a_text, one_of

PROVISIONING_SETTINGS: tuple[Setting, ...] = (
    Setting(
        "reconcile_minutes",
        a_number(0, 1440),
        15,
        "Minutes between two comparisons of the whole directory with the whole of each target; 0: only by hand.",
    ),
    Setting(
        "reconcile_mode",
        one_of(("repair", "report")),
        "repair",
        "What becomes of the differences found by that: repair mends what needs nobody's approval, report only tells.",
    ),
    Setting(
        "failpoint",
        a_text,
        None,
        "For tests of crashes only: NAME:ACTION, where a change of a target stops; actions are kill, raise and sleep.",
    ),
)

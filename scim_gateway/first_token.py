"""What a start says of the token: the first one is made where somebody sees it, and never written into a log."""

from __future__ import annotations

import shlex
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from scim_gateway.config import ConfigurationError, Settings
from scim_gateway.setting import PREFIX
from scim_gateway.tokens import MemoryTokenStore, TokenStore, new_token

NAME_OF_THE_FIRST = "first token"
KEPT = "the token that was shown when it was made (another one: scim-gateway token create NAME)"
FIXED = "the token in {}"
TO_BE_MADE = "the token that you make, see below"


@dataclass(frozen=True, slots=True)
class Authorization:
    """What the operator is told of the token.

    :param shown: what stands behind ``Authorization``.
    :param notes: lines that explain it.
    :param inherited: text of a token that the workers have to get.
    """

    shown: str
    notes: tuple[str, ...] = ()
    inherited: str | None = None


def authorization(settings: Settings, store: TokenStore, *, terminal: bool) -> Authorization:
    """The token that there is, or a new one.

    :param terminal: whether what is printed is seen and not kept: files, journals and the logs of platforms are read by
        more people than may have a token.
    :raises ConfigurationError: a token of the process could be shown to nobody.
    :raises Unavailable: the store cannot be reached.
    """
    if settings["token"]:
        return Authorization(FIXED.format(settings.origins["token"]))
    if isinstance(store, MemoryTokenStore):
        if not terminal:
            raise ConfigurationError(
                f"The backend {settings['backend']} forgets tokens, and the output is no terminal that could show a "
                "new one: set SCIM_GATEWAY_TOKEN or SCIM_GATEWAY_TOKEN_FILE (make a token: "
                "python3 -c 'import secrets; print(secrets.token_urlsafe(32))')."
            )
        text, _ = new_token(NAME_OF_THE_FIRST)
        note = f"The backend {settings['backend']} forgets tokens: this one is valid until the gateway stops."
        return Authorization(text, (note,), text)
    tokens, now = store.list(), datetime.now(UTC)
    if any(not token.expired(now) for token in tokens):
        return Authorization(KEPT)
    if tokens:
        number = "The only token has" if len(tokens) == 1 else f"All {len(tokens)} tokens have"
        return Authorization(TO_BE_MADE, (f"{number} expired, so nobody is let in.", *_how_to_make_one(settings)))
    if not terminal:
        return Authorization(
            TO_BE_MADE,
            (
                "There is no token yet. None is shown here: this is no terminal, and may be kept.",
                *_how_to_make_one(settings),
            ),
        )
    text, token = new_token(NAME_OF_THE_FIRST)
    store.add(token)
    return Authorization(text, ("The token is shown this once; only its hash is kept.",))


def _how_to_make_one(settings: Settings) -> tuple[str, ...]:
    installed = Path(sys.executable).with_name("scim-gateway")
    command = [str(installed) if installed.exists() else "scim-gateway"]
    if settings.file:
        command += ["--config", settings.file]
    # Without them the command would find another directory, and make a token that this one does not know.
    origins = (origin.partition(" ")[0] for origin in settings.origins.values())
    variables = dict.fromkeys(origin for origin in origins if origin.startswith(PREFIX))
    environment = f", with {', '.join(variables)} in its environment as here" if variables else ""
    return (
        f"Make one on this machine, as the gateway's account{environment}; the gateway goes on meanwhile:",
        f"    cd {shlex.quote(str(Path.cwd()))} && {shlex.join([*command, 'token', 'create', 'okta'])}",
        "Where there is no shell, set SCIM_GATEWAY_TOKEN_FILE or SCIM_GATEWAY_TOKEN and start again.",
    )

"""One webhook of ours: written, read back, switched on again."""

from __future__ import annotations

import base64
import secrets

from pipeline.errors import HostNotFound, HostRejected, NotConfigured, RateLimited
from providers.gitlab.hook_places import HookApi, Place
from providers.gitlab.hooks import HookAnswer, Wanted, is_signed
from providers.gitlab.settings import SIGNING_PREFIX


def proven(api: HookApi, place: Place, wanted: Wanted, number: int) -> HookAnswer:
    """A hook of ours whose secrets were written, read back: GitLab ignores a signing token silently where it is switched off.

    Raises:
        NotConfigured: nothing that is set proves what it delivers.
    """
    hook = read_back(api, place, number)
    if is_signed(hook, wanted) and wanted.token:
        # What signs needs no secret beside it, which would travel with every delivery.
        api.change(place, number, {"url": hook.url, "token": ""})
        return read_back(api, place, number)
    if not is_signed(hook, wanted) and not wanted.token:
        raise NotConfigured(
            "this GitLab takes no signing token, and no secret token is set",
            hint=f"export FIXWRIGHT_GITLAB_WEBHOOK_SECRET={new_secret()}",
        )
    return hook


def read_back(api: HookApi, place: Place, number: int) -> HookAnswer:
    """One hook as it stands. Raises HostNotFound when it is gone."""
    for hook in api.hooks(place):
        if hook.id == number:
            return hook
    raise HostNotFound(f"the webhook {number} of {place.path} is gone", hint="run it again")


def switch_on(api: HookApi, place: Place, hook: HookAnswer, wanted: Wanted) -> tuple[HookAnswer, str]:
    """A hook that GitLab has switched off, on again: by a test request, which a success answers; else by making it anew.

    A hook that comes back by itself, and whose test did not arrive either, is left: a new one would fail the same way.

    Returns:
        The hook that stands now, and what was done, in words.
    """
    was = hook.alert_status.replace("_", " ")
    try:
        api.test(place, hook.id)
        now = read_back(api, place, hook.id)
        if not now.switched_off:
            return now, f"was {was}, is on again"
    except RateLimited:
        return hook, f"is {was}; GitLab allows five tests a minute"
    except HostRejected as error:
        if not hook.for_good:
            return hook, f"is {was}, and a test did not arrive: {error.message}"
    except HostNotFound:
        pass  # no test requests before GitLab 16.11
    made = api.make(place, wanted.whole())
    api.remove(place, hook.id)
    now = proven(api, place, wanted, made.id)
    return now, f"was {was}, made anew"


def new_secret() -> str:
    """A secret token: 32 random bytes."""
    return secrets.token_urlsafe(32)


def new_signing_token() -> str:
    """A signing token as GitLab takes it (merge request 231325): 32 random bytes in base64."""
    return SIGNING_PREFIX + base64.b64encode(secrets.token_bytes(32)).decode()

"""Whether serve answers without a key where it should ask for one."""

from __future__ import annotations

from llmops.doctor.facts import ExposureFacts
from llmops.doctor.finding import Finding, error, ok, warning

EXPOSURE = "exposure"
_MEND = "LLMOPS_SERVE__BEHIND_PROXY=true llmops up    # or serve.behind_proxy = true in llmops.toml"
_MEND_OFF = "LLMOPS_ADMISSION__KEYS=auto llmops up    # and `llmops keys create NAME` for each client"


def check_exposure(exposure: ExposureFacts, *, keys: str, behind_proxy: bool) -> Finding:
    """By what serve answered to requests from elsewhere, and through the proxies of this machine."""
    proxies = " and ".join(exposure.open_proxies)
    if keys == "off" and (exposure.gets_in or proxies):
        through = f" through {proxies}" if proxies else ""
        why = f"admission.keys is off: whoever reaches serve{through} needs no key, nor does a web page opened here."
        return warning(EXPOSURE, why, _MEND_OFF)
    if proxies:
        why = f"{proxies} passes requests on to serve, which takes them for local ones: its clients need no key."
        return error(EXPOSURE, why, _MEND)
    if exposure.gets_in:
        return error(EXPOSURE, f"serve answers without a key: {', '.join(exposure.gets_in)}.", _MEND)
    return ok(EXPOSURE, _all_is_well(exposure, behind_proxy=behind_proxy))


def _all_is_well(exposure: ExposureFacts, *, behind_proxy: bool) -> str:
    if not exposure.is_serve:
        return "No serve answers, so none was asked as from elsewhere."
    if exposure.guarded_proxies:
        return f"Clients of {' and '.join(exposure.guarded_proxies)} need a key."
    if exposure.running and not behind_proxy:
        names = ", ".join(exposure.running)
        return f"No request reached serve through {names}; if one of them passes requests on, set serve.behind_proxy."
    return "Requests from elsewhere need a key."

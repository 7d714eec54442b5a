"""Requests to the hub through huggingface_hub's own client: with deadlines, and with every failure as one sentence."""

import contextlib
from collections.abc import Generator, Mapping
from typing import Any, Final
from urllib.parse import quote, urlsplit

import huggingface_hub
from huggingface_hub import constants, get_session
from huggingface_hub.errors import OfflineModeIsEnabled
from huggingface_hub.utils import build_hf_headers  # pyright: ignore[reportUnknownVariableType] -- its types say dict

from offtui import __version__
from offtui.hub.wire import HubFailure, HubFailureKind
from offtui.text import clean_line

CONNECT_SECONDS: Final = 10.0
READ_SECONDS: Final = 30.0
"""Without a byte."""

RETRIED: Final = (408, 425, 429, 500, 502, 503, 504)


class HubError(Exception):
    """A request that failed; ``failure`` says why."""

    def __init__(
        self,
        kind: HubFailureKind,
        message: str,
        advice: str = "",
        *,
        missing: int = 0,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.failure = HubFailure(kind, message, advice, missing)
        self.retry_after = retry_after
        """Seconds the server asks to wait, where trying again may help; ``None``: it may, or not."""


def session() -> Any:
    """huggingface_hub's client, which knows proxies and is offline where it shall be; here with deadlines."""
    client: Any = get_session()
    client.timeout = (CONNECT_SECONDS, READ_SECONDS, READ_SECONDS, CONNECT_SECONDS)
    return client


def endpoint() -> str:
    """Without a slash at its end."""
    return constants.ENDPOINT.rstrip("/")


def host() -> str:
    """Of the endpoint, for sentences."""
    return clean_line(urlsplit(endpoint()).netloc.rpartition("@")[2], 100) or "the hub"


def headers() -> dict[str, str]:
    """With the user's token from the standard places, where there is one."""
    found: dict[str, str] = build_hf_headers(library_name="offtui", library_version=__version__)
    return found


def has_token() -> bool:
    """Whether requests carry a token."""
    return huggingface_hub.get_token() is not None


def file_url(repo: str, commit: str, name: str) -> str:
    """Where a file of a repository is to be had."""
    return f"{endpoint()}/{quote(repo)}/resolve/{quote(commit, safe='')}/{quote(name)}"


def get_json(path: str, params: Mapping[str, Any] | str, what: str) -> Any:
    """The answer of the hub's API.

    Raises:
        HubError: there is none, or it is no JSON.
    """
    return get_page(path, params, what)[0]


def get_page(path: str, params: Mapping[str, Any] | str, what: str) -> tuple[Any, str]:
    """The answer of the hub's API, and the query by which what follows is to be had; ``""``: nothing does.

    Only the query of the next page is taken from the answer: whatever it says, the token goes to the endpoint alone.

    Raises:
        HubError: there is none, or it is no JSON.
    """
    with translated(what):
        query = params if isinstance(params, str) else dict(params)
        response: Any = session().get(f"{endpoint()}{path}", params=query, headers=headers())
        check(response, what)
        try:
            following = str(response.links.get("next", {}).get("url", ""))
            return response.json(), urlsplit(following).query
        except ValueError:
            message = f"{host()} did not answer as the hub does when asked for {what}."
            raise HubError("bad_answer", message, "A proxy or a sign-in page may be in the way.") from None


def check(response: Any, what: str) -> None:
    """Raise what an answer's status means.

    Raises:
        HubError: it is no success.
    """
    status: int = response.status_code
    if 200 <= status < 300:
        return
    code = str(response.headers.get("X-Error-Code", ""))
    if code == "GatedRepo" or (status == 403 and "gated" in str(response.headers.get("X-Error-Message", "")).lower()):
        advice = "Accept its terms on its page on the hub" + ("." if has_token() else ", and log in: hf auth login")
        raise HubError("gated", f"{what} is gated: its owner wants to know who downloads it.", advice)
    if status == 401:
        if has_token():
            raise HubError("not_found", f"{what} is not there, or your token may not see it.")
        raise HubError("not_found", f"{what} is not there, or is private.", "For private ones log in: hf auth login")
    if status == 403:
        raise HubError("forbidden", f"{host()} refuses {what} (403).", "Your token may lack the right to read it.")
    if status == 404:
        raise HubError("not_found", f"{what} is not there.")
    wait = _seconds(response.headers.get("Retry-After"))
    if status == 429:
        text = f"{host()} asks to wait: too many requests" + (f", {wait:.0f} s." if wait else ".")
        raise HubError("rate_limited", text, "Logged in one may ask more often: hf auth login", retry_after=wait)
    kind: HubFailureKind = "server" if status >= 500 or status in RETRIED else "bad_answer"
    raise HubError(kind, f"{host()} answered {status} when asked for {what}.", retry_after=wait)


@contextlib.contextmanager
def translated(what: str) -> Generator[None]:
    """What the client raises, as ``HubError``; nothing of it is repeated that may hold an address with a signature."""
    try:
        yield
    except HubError:
        raise
    except OfflineModeIsEnabled:
        raise HubError("offline", "The hub is not asked: HF_HUB_OFFLINE is set.", "Unset it to go online.") from None
    except OSError:  # of the disk, and not the network's: the client's own errors are none
        raise
    except Exception as error:  # whether httpx or httpx2 is in use is huggingface_hub's affair; their names are alike
        kinds = {kind.__name__ for kind in type(error).__mro__}
        if "TimeoutException" in kinds:
            raise HubError("no_network", f"{host()} does not answer.", "Check the network and HF_ENDPOINT.") from None
        if "TooManyRedirects" in kinds:
            raise HubError("bad_answer", f"{host()} leads in circles when asked for {what}.") from None
        if "ProxyError" in kinds:
            raise HubError("no_network", "The proxy refuses.", "Check HTTPS_PROXY.") from None
        if "TransportError" in kinds:
            advice = "What is on this disk works without it."
            raise HubError("no_network", f"{host()} cannot be reached.", advice) from None
        if "HTTPError" in kinds or "InvalidURL" in kinds:
            raise HubError("bad_answer", f"{host()} sent nonsense when asked for {what}.") from None
        raise


def _seconds(text: str | None) -> float | None:
    try:
        return min(max(float(text), 0.0), 3600.0) if text else None
    except ValueError:
        return None

"""Requests to the hub through huggingface_hub's own client: with deadlines, and with every failure as one sentence."""

import contextlib
import json
import re
import socket
import time
import urllib.request
from collections.abc import Generator, Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Any, Final
from urllib.parse import quote, urlsplit

import huggingface_hub
from huggingface_hub import constants, get_session
from huggingface_hub.errors import OfflineModeIsEnabled
from huggingface_hub.utils import build_hf_headers  # pyright: ignore[reportUnknownVariableType] -- its types say dict

from offtui import __version__
from offtui.hub.wire import HubFailure, HubFailureKind
from offtui.text import clean_line
from offtui.units import MIB, seconds_text

CONNECT_SECONDS: Final = 10.0
READ_SECONDS: Final = 30.0
"""Without a byte."""

MAX_ANSWER: Final = 64 * MIB
"""Bytes of an answer of the API; a repository of 5000 files takes some two MiB."""
LONGEST_RETRY_AFTER: Final = 3600.0
"""Seconds that a download waits where the hub asks to; where it is more, it ends and says so."""
MAX_RETRY_AFTER: Final = 7 * 86400.0
_RATE_LIMIT: Final = re.compile(r"\br=0;t=(\d{1,5})(?!\d)")

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
        retry_after: float = 0.0,
    ) -> None:
        super().__init__(message)
        self.failure = HubFailure(kind, message, advice, missing, retry_after)

    @property
    def retry_after(self) -> float:
        """Seconds the server asks to wait; 0: it does not say."""
        return self.failure.retry_after


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


def hang_up(response: Any) -> None:
    """End a response that another thread may be waiting in, at once: that one meets the end of the connection."""
    stream = response.extensions.get("network_stream")
    found = stream.get_extra_info("socket") if stream is not None else None
    if isinstance(found, socket.socket):
        with contextlib.suppress(OSError):  # it is over already
            socket.socket.shutdown(found, socket.SHUT_RDWR)  # and not TLS's own, which is the other thread's


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
        body = bytearray()
        with session().stream("GET", f"{endpoint()}{path}", params=query, headers=headers()) as response:
            check(response, what)
            following = str(response.links.get("next", {}).get("url", ""))
            for piece in response.iter_bytes():
                body += piece
                if len(body) > MAX_ANSWER:
                    raise HubError("bad_answer", f"{host()} answers without end when asked for {what}.")
        try:
            return json.loads(body), urlsplit(following).query
        except (ValueError, RecursionError):
            message = f"{host()} did not answer as the hub does when asked for {what}."
            raise HubError("bad_answer", message, "A proxy or a sign-in page may be in the way.") from None


def check(response: Any, what: str, repo: str = "") -> None:
    """Raise what an answer's status means.

    Args:
        response: of the hub, or of where it redirects.
        what: was asked for.
        repo: whose file it is, where it is one.

    Raises:
        HubError: it is no success.
    """
    status: int = response.status_code
    if 200 <= status < 300:
        return
    code = str(response.headers.get("X-Error-Code", ""))
    if code == "GatedRepo" or (status == 403 and "gated" in str(response.headers.get("X-Error-Message", "")).lower()):
        page = f"Accept its terms on its page, {host()}/{repo or what}"
        advice = page + ("." if has_token() else ", and log in: hf auth login")
        raise HubError("gated", f"{repo or what} is gated: its owner wants to know who downloads it.", advice)
    if status == 401:
        if has_token():
            raise HubError("not_found", f"{what} is not there, or your token may not see it.")
        raise HubError("not_found", f"{what} is not there, or is private.", "For private ones log in: hf auth login")
    if status == 403:
        raise HubError("forbidden", f"{host()} refuses {what} (403).", "Your token may lack the right to read it.")
    if status == 404:
        raise HubError("not_found", f"{what} is not there.")
    wait = retry_after(response.headers)
    asks = f"; it asks to wait {seconds_text(wait)}." if wait >= 1 else "."
    if status == 429:
        text = f"{host()} was asked too often" + asks
        advice = "" if has_token() else "Logged in one may ask more often: hf auth login"
        raise HubError("rate_limited", text, advice, retry_after=wait)
    kind: HubFailureKind = "server" if status >= 500 or status in RETRIED else "bad_answer"
    raise HubError(kind, f"{host()} answered {status} when asked for {what}{asks}", retry_after=wait)


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
            advice = "A proxy is set: check HTTPS_PROXY." if _has_proxy() else "What is on this disk works without it."
            raise HubError("no_network", f"{host()} cannot be reached.", advice) from None
        if "HTTPError" in kinds or "InvalidURL" in kinds:
            raise HubError("bad_answer", f"{host()} sent nonsense when asked for {what}.") from None
        raise


def _has_proxy() -> bool:
    """Whether requests to the endpoint go through a proxy."""
    parts = urlsplit(endpoint())
    proxies = urllib.request.getproxies()
    return bool(proxies.get(parts.scheme) or proxies.get("all")) and not urllib.request.proxy_bypass(parts.netloc)


def retry_after(headers: Mapping[str, str]) -> float:
    """Seconds that an answer asks to wait: ``Retry-After`` in seconds or as a date, else the hub's ``RateLimit``; 0 if
    it does not."""
    text = str(headers.get("Retry-After", "")).strip()
    with contextlib.suppress(ValueError):
        value = float(text)
        return min(max(value, 0.0), MAX_RETRY_AFTER) if value == value else 0.0
    with contextlib.suppress(ValueError, TypeError, OverflowError):
        at = parsedate_to_datetime(text)
        left = (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() - time.time()
        return min(max(left, 0.0), MAX_RETRY_AFTER)
    limit = _RATE_LIMIT.search(str(headers.get("RateLimit", "")))
    return float(limit[1]) if limit else 0.0

import time
from email.utils import formatdate

import pytest

from offtui.hub.web import MAX_RETRY_AFTER, retry_after


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, 0),
        ({"Retry-After": "7"}, 7),
        ({"Retry-After": "-1"}, 0),
        ({"Retry-After": "nan"}, 0),
        ({"Retry-After": "inf"}, MAX_RETRY_AFTER),
        ({"Retry-After": "soon"}, 0),
        ({"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"}, 0),
        ({"RateLimit": '"api";r=0;t=55'}, 55),
        ({"RateLimit": '"api";r=3;t=55'}, 0),
        ({"RateLimit": '"api";r=0;t=' + "9" * 300}, 0),
        ({"Retry-After": "7", "RateLimit": '"api";r=0;t=55'}, 7),
    ],
)
def test_how_long_a_hub_asks_to_wait(headers: dict[str, str], seconds: float) -> None:
    assert retry_after(headers) == seconds


def test_it_may_say_until_when() -> None:
    assert 500 < retry_after({"Retry-After": formatdate(time.time() + 600, usegmt=True)}) <= 600

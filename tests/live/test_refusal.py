"""Bad input is answered with the field's name, before sampling."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from tests.api_payloads.malformed import MALFORMED
from tests.live.cases import base
from tests.live.webui import Refused, call, job


@pytest.fixture(scope="module", autouse=True)
def _the_first_job_of_a_host_takes_longer() -> None:
    job({**base(), "prompt": "a cat"})


@pytest.mark.parametrize(("field", "sticky"), MALFORMED)
def test_a_malformed_dict_is_refused_by_name_before_sampling(field: str, sticky: Any) -> None:
    payload = {**base(), "prompt": "a cat", "steps": 150}
    started = time.monotonic()
    with pytest.raises(Refused) as refused:
        job(payload, sticky)
    assert refused.value.status == 422
    assert field in json.loads(refused.value.body)["detail"]
    assert time.monotonic() - started < 5


def test_an_unknown_field_is_answered_with_the_nearest() -> None:
    with pytest.raises(Refused, match="placement"):
        job({**base(), "prompt": "a cat"}, {"enabled": True, "placment": "same chunk"})


def test_a_good_job_after_a_refused_one_is_untouched() -> None:
    payload = {**base(), "prompt": "a cat"}
    before = job(payload).raw
    with pytest.raises(Refused):
        job(payload, {"enabled": "yes"})
    assert job(payload).raw == before


@pytest.mark.parametrize(
    "body", [None, 5, [], "x", {"prompt": 1}, {"sticky": 1}, {"cfg_scale": "7"}, {"sticky": {"x": 1}}]
)
def test_the_preview_route_names_what_is_wrong(body: Any) -> None:
    with pytest.raises(Refused) as refused:
        call("/sticky/v1/preview", body if body is not None else "")
    assert refused.value.status == 422

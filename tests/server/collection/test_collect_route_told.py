"""What traces, metrics and logs say of a request with events: its route alone, whatever stands in its path."""

import pytest

from server.telemetry import Route, route_of


@pytest.mark.parametrize(
    "path", ["/v1", "/v1/", "/v1/batch", "/v1/track/", "/v1/projects/wk_secret/settings", "/v1/t?writeKey=wk_secret"]
)
def test_everything_below_v1_is_one_route(path):
    assert route_of(path) is Route.COLLECTION
    assert route_of(path).value == "/v1"


@pytest.mark.parametrize("path", ["/v10/batch", "/v2/batch", "/xv1/batch", "//v1/batch"])
def test_what_only_looks_like_it_is_not(path):
    assert route_of(path) is Route.OTHER

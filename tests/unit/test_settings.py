"""Settings that cannot be meant are refused with what may be there."""

import pytest

from service.errors import InvalidSettings
from service.settings import masked_url, read_settings


@pytest.mark.parametrize(
    ("variable", "value", "wanted"),
    [
        ("LOG_FORMAT", "xml", "expected json or text"),
        ("ENVIRONMENT", "staging", "expected development or production"),
        ("DB_ECHO", "maybe", "expected true or false"),
        ("DB_POOL_SIZE", "0", ">= 1"),
        ("ROOT_PATH", "catalog", "such as /catalog"),
        ("ROOT_PATH", "/catalog/", "such as /catalog"),
        ("ROOT_PATH", "/", "such as /catalog"),
    ],
)
def test_a_value_that_is_not_valid_is_answered_with_what_is(
    variable: str, value: str, wanted: str
) -> None:
    with pytest.raises(InvalidSettings) as caught:
        read_settings({variable: value})
    assert caught.value.message.startswith(f"{variable}: ")
    assert wanted in caught.value.message


def test_paths_in_front_of_every_route_are_taken() -> None:
    for path in ("", "/catalog", "/a/b-c"):
        assert read_settings({"ROOT_PATH": path}).root_path == path


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://u:p@h:1/d", "postgresql://u:****@h:1/d"),
        ("postgresql:///d?host=/tmp/x", "postgresql:///d?host=/tmp/x"),
        (
            "postgresql://h/d?sslpassword=p&password=p&a=b",
            "postgresql://h/d?sslpassword=****&password=****&a=b",
        ),
    ],
)
def test_a_masked_url_is_a_url_without_passwords(url: str, shown: str) -> None:
    assert masked_url(url) == shown

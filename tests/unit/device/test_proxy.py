"""Proxies as people write them, and never a sentence that shows a password."""

import argparse
from pathlib import Path

import pytest

from device.errors import UsageError
from device.proxy import Proxy
from device.settings import Settings, load

SECRET = "b#a[n/a@n:a%"  # what a person may type into a password field, raw


def settings(tmp_path: Path, *, options: dict[str, str] | None = None, **environ: str) -> Settings:
    environ.setdefault("ZYMKEY_IOT_STATE", str(tmp_path / "state"))
    return load(argparse.Namespace(**(options or {})), environ=environ, files=())


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("http://proxy.example:8080", "http://proxy.example:8080"),
        ("proxy.example:8080", "http://proxy.example:8080"),
        (" HTTP://proxy.example/\n", "http://proxy.example:3128"),
        ("https://proxy.example", "https://proxy.example:443"),
        ("socks5h://10.0.0.1", "socks5h://10.0.0.1:1080"),
        ("http://[2001:db8::1]:3128", "http://[2001:db8::1]:3128"),
        ("http://user@proxy.example", "http://user@proxy.example:3128"),
        ("user:word@proxy.example:1", "http://user:word@proxy.example:1"),
        ("http://user:@proxy.example", "http://user:@proxy.example:3128"),
    ],
)
def test_a_proxy_is_understood_as_people_write_it(text: str, url: str) -> None:
    assert Proxy.parse(text).url == url
    assert Proxy.parse(url) == Proxy.parse(text)


@pytest.mark.parametrize("password", ["a#b", "a[b", "a]b", "a/b", "a@b", "a:b", "a?b", "a b", "ä", SECRET])
def test_a_password_may_hold_any_character(password: str) -> None:
    proxy = Proxy.parse(f"http://user:{password}@proxy.example:3128")

    assert (proxy.user, proxy.password, proxy.host, proxy.port) == ("user", password, "proxy.example", 3128)
    assert Proxy.parse(proxy.url) == proxy


@pytest.mark.parametrize(("quoted", "password"), [("a%23b", "a#b"), ("a%2523b", "a%23b"), ("100%", "100%")])
def test_percent_signs_are_decoded_once(quoted: str, password: str) -> None:
    assert Proxy.parse(f"http://user:{quoted}@proxy.example").password == password


def test_a_proxy_is_printed_without_its_password() -> None:
    proxy = Proxy.parse(f"http://user:{SECRET}@proxy.example:3128")

    assert str(proxy) == "http://user@proxy.example:3128"
    assert SECRET not in repr(proxy) + proxy.peer


@pytest.mark.parametrize(
    ("server", "sentence"),
    [
        ("proxy.example:31280", None),
        ("proxy.example:312800", "1 to 65535"),
        ("proxy.example:0", "1 to 65535"),
        ("proxy.example:port", "1 to 65535"),
        ("proxy.example:٣", "1 to 65535"),
        ("proxy example", "looks like"),
        ("[proxy]:1", "looks like"),
        ("", "looks like"),
    ],
)
def test_a_wrong_proxy_is_a_sentence_that_does_not_show_the_password(
    tmp_path: Path, server: str, sentence: str | None
) -> None:
    given = {"proxy": f"http://user:{SECRET}@{server}"}
    if sentence is None:
        assert SECRET not in repr(settings(tmp_path, options=given))
        return
    with pytest.raises(UsageError, match=r"^proxy \(--proxy\) is not allowed: ") as refused:
        settings(tmp_path, options=given)
    assert sentence in refused.value.cause
    assert "b#a" not in refused.value.cause + refused.value.cure
    assert refused.value.exit_code == 2


def test_a_scheme_that_no_proxy_has(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="one of http, https, socks4") as refused:
        settings(tmp_path, HTTPS_PROXY=f"ftp://user:{SECRET}@proxy.example")
    assert "b#a" not in refused.value.cause


@pytest.mark.parametrize("name", ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"])
def test_the_variables_are_those_of_other_programs(tmp_path: Path, name: str) -> None:
    found = settings(tmp_path, **{name: "proxy.example", "no_proxy": "*.lan,10.0.0.0/8"})

    assert (found.proxy, found.sources["proxy"]) == ("http://proxy.example:3128", name)
    assert (found.no_proxy, found.sources["no_proxy"]) == ("*.lan,10.0.0.0/8", "no_proxy")


def test_of_several_variables_the_lower_case_and_the_more_special_wins(tmp_path: Path) -> None:
    names = ("https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY")
    for first in range(len(names)):
        given = {name: f"p{names.index(name)}" for name in names[first:]}
        assert settings(tmp_path, **given).proxy == f"http://p{first}:3128"
    assert settings(tmp_path, HTTP_PROXY="for-http-alone").proxy is None


def test_an_empty_option_is_no_proxy(tmp_path: Path) -> None:
    assert settings(tmp_path, options={"proxy": ""}, HTTPS_PROXY="proxy.example").proxy is None

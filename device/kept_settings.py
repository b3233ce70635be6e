"""What device.json keeps of the settings with which a bootstrap worked, so that no later run needs its options.

It has the keys of the TOML files, and ``fingerprint``: the key that name and certificate belong to. A release before
this one kept ``url``, ``name`` and ``key`` alone. Not kept are the place of the hooks, since the file belongs to the
service's user and hooks may run as root, and what stands in /etc/zymkey-iot.toml, which is kept already, and where a
line that is removed has to be gone.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .addresses import is_same_url
from .store import StateFolder

IDENTITY = ("url", "name", "key")
SERVERS = ("endpoint", "https_port", "mqtt_port")
"""Settings of the fleet's data endpoint. Another fleet has another one."""

FALLBACK = "fallback_url"
"""Another enrollment URL of the same fleet, which has worked too (``enrollment_urls``)."""

NETWORK = ("ca_file", "proxy", "no_proxy")
_FORMER = "former-urls"
"""Enrollment URLs of the same fleet that the device has left: none is asked, and a card may still name one."""

_MOST_FORMER = 8

KEPT = (*IDENTITY, FALLBACK, *NETWORK, *SERVERS, "tls")

_OF_FLEET = (FALLBACK, *SERVERS)
_UNTRIED_AT_ENROLLMENT = (*SERVERS, "tls")


def document(settings: Any, fingerprint: str) -> dict[str, str | int]:
    """What device.json keeps of ``Settings``. Paths are absolute, since a later run starts in another folder."""
    kept: dict[str, str | int] = {}
    for setting in KEPT:
        value = getattr(settings, setting)
        source = settings.sources[setting]
        if value is None or (
            setting not in IDENTITY and (value == "auto" or _is_settings_file(source, settings.state))
        ):
            continue
        kept[_label(setting)] = value if isinstance(value, int) else str(value)
    if "ca-file" in kept:
        kept["ca-file"] = str(settings.ca_file.absolute())
    return {**kept, "fingerprint": fingerprint}


def proved(tried: Mapping[str, Any], in_use: Mapping[str, Any]) -> dict[str, Any]:
    """``tried`` without the settings that only a publish can prove, in place of which those in use are taken."""
    untried = [_label(setting) for setting in _UNTRIED_AT_ENROLLMENT]
    known = in_use if is_same_fleet(in_use, tried) else {}
    return {
        **{label: value for label, value in tried.items() if label not in untried},
        **{label: known[label] for label in untried if label in known},
    }


def is_same_device(kept: Mapping[str, Any], settings: Any) -> bool:
    """Whether the document is about the same name in the same fleet; an empty one contradicts nothing."""
    urls = {"url": settings.url, "fallback-url": settings.fallback_url}
    return kept.get("name", settings.name) == settings.name and ("url" not in kept or is_same_fleet(kept, urls))


def with_urls(device: Mapping[str, Any], *, url: str | None, fallback_url: str | None, chosen: bool) -> dict[str, Any]:
    """The document with these URLs of its fleet. ``chosen``: a person has set the first for one run, and it stays."""
    first = device.get("url") if chosen else url
    others = (url, fallback_url, device.get("fallback-url"))
    second = next((each for each in others if each is not None and not is_same_url(each, first)), None)
    rest = {label: value for label, value in device.items() if label not in ("url", "fallback-url")}
    return {"url": first, **rest} if second is None else {"url": first, **rest, "fallback-url": second}


def with_former_urls(device: Mapping[str, Any], before: Mapping[str, Any]) -> dict[str, Any]:
    """The document with the URLs of its fleet that the one before it knew, and that it has no more."""
    rest = {label: value for label, value in device.items() if label != _FORMER}
    known = dict.fromkeys([*_former(before), *_urls(before)]) if is_same_fleet(device, before) else ()
    left = [url for url in known if not any(is_same_url(url, current) for current in _urls(device))]
    return {**rest, _FORMER: left[-_MOST_FORMER:]} if left else rest


def _former(document: Mapping[str, Any]) -> list[str]:
    urls = document.get(_FORMER)
    return [url for url in urls if isinstance(url, str)] if isinstance(urls, list) else []


def is_same_fleet(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether two documents have an enrollment URL in common."""
    return any(is_same_url(url, another) for url in _urls(one) for another in _urls(other))


def _urls(document: Mapping[str, Any]) -> list[Any]:
    return [document[label] for label in ("url", "fallback-url") if document.get(label) is not None]


def is_same(kept: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether two documents hold the same settings; a release before this one kept no fingerprint."""
    return {**kept, "fingerprint": None} == {**other, "fingerprint": None}


def read(state: Path, *, url: str | None, continuing: bool) -> dict[str, tuple[Any, str]]:
    """The settings of the last bootstrap that worked, each with its source.

    Args:
        url: the fleet that the user has named. Of another fleet's settings its data endpoint is left out.
        continuing: prefer those of the bootstrap that was begun and has not worked yet, if there is one.

    Raises:
        StorageError: the state folder cannot be read.
    """
    folder = StateFolder(state)
    documents = [(folder.device(), folder.device_path)]
    candidate = folder.candidate()
    if candidate is not None:
        documents.insert(0 if continuing else 1, (candidate.device, folder.candidate_path))
    documents = [(kept, path) for kept, path in documents if kept]
    of_this_fleet = [(kept, path) for kept, path in documents if url is None or is_same_fleet({"url": url}, kept)]
    if not documents:
        return {}
    kept, path = (of_this_fleet or documents)[0]
    found = {setting: kept.get(_label(setting)) for setting in KEPT if of_this_fleet or setting not in _OF_FLEET}
    if url is not None and is_same_url(url, found.get(FALLBACK)):
        found[FALLBACK] = found["url"]  # the one beside it
    return {
        setting: (value, str(path))
        for setting, value in found.items()
        if isinstance(value, str | int) and not isinstance(value, bool)
    }


def is_former_url(state: Path, url: Any) -> bool:
    """Whether the device in use has changed from this URL of its fleet to another one.

    Raises:
        StorageError: the state folder cannot be read.
    """
    device = StateFolder(state).device()
    return any(is_same_url(url, left) for left in (device.get("fallback-url"), *_former(device)))


def is_kept(source: str, state: Path) -> bool:
    """Whether a setting with this source was found in the state folder: no person has set it for this run."""
    folder = StateFolder(state)
    return source in (str(folder.device_path), str(folder.candidate_path))


def in_use(state: Path) -> bool:
    """Whether a bootstrap has worked, so that what is kept is enough to go on with.

    Raises:
        StorageError: the state folder cannot be read.
    """
    return bool(StateFolder(state).device())


def _label(setting: str) -> str:
    return setting.replace("_", "-")


def _is_settings_file(source: str, state: Path) -> bool:
    return source.startswith("/") and not is_kept(source, state)

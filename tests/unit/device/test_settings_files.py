"""Files with settings as people write them: errors are named, and end no working device; and what a card may say."""

import argparse
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from device.errors import UsageError
from device.settings import Settings, load
from device.settings_files import CARD, FILES, is_safe_key, look_alikes, under
from device.store import StateFolder
from tests.support.device.pi import Pi

URL = "https://abc.execute-api.eu-central-1.amazonaws.com"
ETC = FILES[0]


def system(root: Path, *, etc: bytes | str | None = None, card: bytes | str | None = None, works: bool = False) -> Path:
    """The files of a system; ``works`` for one that has bootstrapped."""
    for path, content in ((ETC, etc), (CARD, card)):
        if content is not None:
            place = under(root, path)
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(content.encode() if isinstance(content, str) else content)
    if works:
        state = StateFolder(root / "var/lib/zymkey-iot")
        state.path.mkdir(parents=True)
        state.device_path.write_text(json.dumps({"name": "kept", "url": URL, "key": "file:"}))
    return root


def read(root: Path, *, continuing: bool = False, **options: str) -> tuple[Settings, list[str]]:
    warnings: list[str] = []
    found = load(argparse.Namespace(**options), environ={}, root=root, continuing=continuing, warn=warnings.append)
    return found, warnings


BROKEN = {
    "no quotes": b"name = pi-7\n",
    "typographic quotes": "name = “pi-7”\n".encode(),
    "typographic quotes of Windows": b"name = \x93pi-7\x94\n",
    "no setting": b'nmae = "pi-7"\n',
    "not allowed": b'name = "pi 7"\n',
    "a list": b"name = [1]\n",
    "half a line": b'name = "pi\n',
    "twice": b"https-port = 8443\nhttps-port = 8443\nname = [1]\n",
    "deep": b"name = " + b"[" * 5000 + b"\n",
    "a number without end": b"https-port = " + b"9" * 5000 + b"\n",
}


@pytest.mark.parametrize("text", BROKEN.values(), ids=BROKEN)
def test_an_error_in_a_file_is_a_warning_on_a_device_that_works_and_the_rest_of_the_file_counts(
    tmp_path: Path, text: bytes
) -> None:
    root = system(tmp_path, etc=b'proxy = "http://proxy.example:3128"\n' + text, works=True)

    found, warnings = read(root)

    assert (found.name, found.url, found.proxy) == ("kept", URL, "http://proxy.example:3128")
    assert warnings
    assert all("zymkey-iot.toml" in each and "this is passed over." in each for each in warnings)


@pytest.mark.parametrize("text", BROKEN.values(), ids=BROKEN)
@pytest.mark.parametrize(
    ("works", "continuing"), [(True, True), (False, False)], ids=["bootstrap", "never bootstrapped"]
)
def test_an_error_in_a_file_is_refused_by_a_bootstrap_and_before_one(
    tmp_path: Path, text: bytes, works: bool, continuing: bool
) -> None:
    root = system(tmp_path, etc=text, works=works)
    with pytest.raises(UsageError, match=r"zymkey-iot\.toml"):
        read(root, continuing=continuing)


def test_the_line_is_named_and_not_shown(tmp_path: Path) -> None:
    root = system(tmp_path, etc='# mine\nurl = "https://a.example"\ntoken = “secret”\n')
    with pytest.raises(UsageError, match=r"line 3.*typographic quotes") as refused:
        read(root)
    assert "secret" not in refused.value.cause + refused.value.cure


@pytest.mark.parametrize("wrong", [{"name": "pi 7"}, {"https_port": "0"}, {"url": "https://a b"}])
def test_an_option_is_never_passed_over(tmp_path: Path, wrong: dict[str, str]) -> None:
    with pytest.raises(UsageError):
        read(system(tmp_path, works=True), **wrong)


@pytest.mark.parametrize(
    "encode",
    [
        lambda text: text.encode(),
        lambda text: b"\xef\xbb\xbf" + text.encode(),
        lambda text: text.encode("utf-16"),
        lambda text: b"\xfe\xff" + text.encode("utf-16-be"),
        lambda text: text.replace("\n", "\r\n").encode("utf-16"),
        lambda text: text.replace("\n", "\r\n").encode(),
        lambda text: text.encode("latin-1"),
    ],
    ids=["UTF-8", "BOM", "UTF-16", "UTF-16 BE", "Notepad", "CRLF", "Latin-1 in a comment"],
)
def test_a_file_is_read_as_editors_save_it(tmp_path: Path, encode: Callable[[str], bytes]) -> None:
    found, warnings = read(system(tmp_path, card=encode(f'# Küche\nurl = "{URL}"\nname = "pi-7"\n')), continuing=True)
    assert (found.url, found.name, warnings) == (URL, "pi-7", [])


def test_a_timer_goes_on_with_what_is_kept_and_its_journal_names_the_file(pi: Pi, tmp_path: Path) -> None:
    """The whole command, whose file is broken after its bootstrap."""
    assert pi.run("bootstrap").returncode == 0
    for variable in ("ENROLLMENT_URL", "ZYMKEY_IOT_NAME", "ZYMKEY_IOT_KEY", "CA_BUNDLE"):
        del pi.environment[variable]
    file = tmp_path / "zymkey-iot.toml"
    file.write_text("name = pi-8\n")
    program = (
        "import sys; from pathlib import Path; import device.settings as s\n"
        f"s.load.__kwdefaults__['files'] = [Path({str(file)!r})]\n"
        "from device.cli import main; raise SystemExit(main(sys.argv[1:]))"
    )
    for words, code in ((["renew", "--if-due"], 13), (["status"], 0), (["publish", "devices/{device}/t", "x"], 0)):
        done = pi.python("-c", program, *words)
        assert (done.returncode, f"{file} is not TOML: line 1" in done.stdout + done.stderr) == (code, True), done
    done = pi.python("-c", program, "doctor", "--only", "settings")
    assert (done.returncode, f"{file} is not TOML: line 1" in done.stdout) == (16, True), done
    assert pi.python("-c", program, "bootstrap").returncode == 2


# The card


@pytest.mark.parametrize(
    "line",
    [
        *('state = "/x"', 'ca-file = "/boot/firmware/x"', 'endpoint = "a.example"', "https-port = 443", 'tls = "curl"'),
        *('proxy = "http://a"', 'no-proxy = "*"', 'on-renew = "/boot/firmware/hooks"', 'give-up-after = "1h"'),
        *(
            'key = "engine:zymkey_ssl"',
            'key = "pkcs11:token=a?module-path=/boot/firmware/evil.so"',
            'key = "file:/etc/x"',
        ),
        *('key = "pkcs11:token=a?pin-source=file:/etc/shadow"', 'key = "engine:pkcs11:token=a"'),
        *('token-file = "/etc/shadow"', 'token-file = "../../etc/shadow"', 'token-file = "~/secret"'),
        *('certificate = "/etc/ssl/a.pem"', 'token-file = "/boot/firmware/../../root/x"', 'token-file = "a\\u0000"'),
    ],
)
def test_a_card_leads_nobody_astray(tmp_path: Path, line: str) -> None:
    key = line.partition(" =")[0]
    with pytest.raises(UsageError, match=key):
        read(system(tmp_path / "new", card=line), continuing=True)

    found, warnings = read(system(tmp_path / "old", card=f"{line}\n", works=True))

    assert len(warnings) == 1
    assert found.sources.get(key.replace("-", "_"), "").find("boot") < 0


ELSEWHERE = 'url = "https://elsewhere.example"\nname = "other"\nkey = "zymkey:slot=3"\n'


def test_a_card_moves_a_device_that_works_in_a_bootstrap_alone(tmp_path: Path) -> None:
    root = system(tmp_path, card=ELSEWHERE, works=True)

    found, warnings = read(root)

    assert (found.url, found.name, found.key) == (URL, "kept", "file:")
    (warning,) = warnings
    assert "url = https://elsewhere.example, name = other, key = zymkey:slot=3" in warning
    assert f"url = {URL}, name = kept, key = file:" in warning
    moving, _ = read(root, continuing=True)
    assert (moving.url, moving.name, moving.key) == ("https://elsewhere.example", "other", "zymkey:slot=3")


def test_a_card_that_says_what_is_kept_in_other_words_is_no_warning(tmp_path: Path) -> None:
    found, warnings = read(system(tmp_path, card=f'url = "{URL.upper()}/"\nname = "kept"\n', works=True))
    assert (found.of_card, warnings) == (None, [])


@pytest.mark.parametrize("setting", ["url", "name", "key"])
def test_what_a_device_that_works_has_not_kept_comes_from_the_card(tmp_path: Path, setting: str) -> None:
    root = system(tmp_path, card=ELSEWHERE, works=True)
    path = StateFolder(root / "var/lib/zymkey-iot").device_path
    kept = json.loads(path.read_text())
    del kept[setting]
    path.write_text(json.dumps(kept))

    assert f'{setting} = "{getattr(read(root)[0], setting)}"' in ELSEWHERE


@pytest.mark.parametrize("given", [{"etc": ELSEWHERE}, {}], ids=["/etc", "options"])
def test_what_root_alone_can_write_leads_a_device_that_works(tmp_path: Path, given: dict[str, str]) -> None:
    options = {} if given else {"url": "https://elsewhere.example", "name": "other", "key": "zymkey:slot=3"}
    found, warnings = read(system(tmp_path, works=True, **given), **options)
    assert (found.url, found.name, found.key, warnings) == ("https://elsewhere.example", "other", "zymkey:slot=3", [])


def test_a_link_on_the_card_that_leads_away_is_not_followed(tmp_path: Path) -> None:
    root = system(tmp_path, card='token-file = "token"')
    (root / "secret").write_text("secret")
    (root / "boot/firmware/token").symlink_to(root / "secret")
    with pytest.raises(UsageError, match="not on the card"):
        read(root, continuing=True)


@pytest.mark.parametrize("path", ["token", "/boot/firmware/token", "sub/../token"])
def test_files_on_the_card_are_named_from_there(tmp_path: Path, path: str) -> None:
    root = system(tmp_path, card=f'url = "{URL}"\ntoken-file = "{path}"\ncertificate = "{path}"\n')
    (root / "boot/firmware/sub").mkdir()
    (root / "boot/firmware/token").write_bytes(b"\xef\xbb\xbf\r\n  \xe2\x80\x9cWm9k\xe2\x80\x9d\r\n\r\n")
    found, _ = read(root, continuing=True)
    assert (found.token, str(found.certificate)) == ("Wm9k", str(CARD.parent / path))


@pytest.mark.parametrize(
    ("uri", "safe"),
    [
        *((uri, True) for uri in ("zymkey:", "zymkey:slot=1", "pkcs11:token=a;object=b", "file:")),
        *((uri, False) for uri in ("engine:x", "file:/x", "tpm:")),
        *((uri, False) for uri in ("pkcs11:a?module-path=/x", "pkcs11:token=a?pin-source=/x")),
    ],
)
def test_a_key_is_safe_when_its_uri_loads_nothing_and_reads_nothing(uri: str, safe: bool) -> None:
    assert is_safe_key(uri) is safe


@pytest.mark.parametrize(
    "name", ["zymkey-iot.toml.txt", "zymkey-iot.toml.toml", "Zymkey-IoT.TOML", "zymkey-iot.txt", "zymkey-iot"]
)
def test_a_file_that_was_meant_is_noticed(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("")
    (found,) = look_alikes([tmp_path / "zymkey-iot.toml"], misplaced=[])
    assert f"{tmp_path / name} is not read" in found


def test_a_file_in_another_folder_is_noticed_unless_it_is_the_same(tmp_path: Path) -> None:
    right, wrong = tmp_path / "firmware" / "zymkey-iot.toml", tmp_path / "zymkey-iot.toml"
    right.parent.mkdir()
    wrong.write_text("")
    assert "move it to" in look_alikes([right], misplaced=[wrong])[0]
    shutil.copy(wrong, right)
    wrong.unlink()
    wrong.symlink_to(right)
    assert look_alikes([right], misplaced=[wrong]) == []


def test_a_folder_that_is_closed_to_this_user_has_no_file_of_theirs() -> None:
    """What the kernel says of a name that is too long, Python passes on as it does EACCES, which root never sees."""
    closed = Path("/", "x" * 300, "zymkey-iot.toml")
    assert look_alikes([closed], misplaced=[closed]) == []


# What means the same


@pytest.mark.parametrize(
    "spelled",
    [
        *(f"{URL}/", f"{URL}:443", f"{URL}:0443", f"{URL}:", f"{URL}.", f" {URL} ", f"{URL}/.well-known/est/"),
        *(URL.upper().replace("HTTPS", "https"), URL.replace("https", "HTTPS")),
    ],
)
def test_a_url_means_the_same_however_it_is_spelled(tmp_path: Path, spelled: str) -> None:
    assert read(system(tmp_path), url=spelled)[0].url == URL


def test_an_address_in_brackets_is_a_host(tmp_path: Path) -> None:
    assert read(system(tmp_path), url="https://[::1]:8443/")[0].url == "https://[::1]:8443"


def test_what_an_earlier_release_kept_is_the_same_fleet_however_it_was_spelled(pi: Pi) -> None:
    assert pi.run("bootstrap").returncode == 0
    path = pi.state / "device.json"
    kept = json.loads(path.read_text())
    path.write_text(json.dumps({**kept, "url": kept["url"].replace("localhost", "LOCALHOST") + "/"}))

    done = pi.run("bootstrap", "--json")

    assert json.loads(done.stdout)["enrolled"] is False, done.stdout


@pytest.mark.parametrize(
    ("endpoint", "because"),
    [
        *(("https://a.example", "without a scheme"), ("a.example:8443", "--https-port"), ("a.example/x", "path")),
        *(("arn:aws:iot:eu-central-1:1:x", "ARN"), ("a..b", "no host"), ("a b", "no host"), ("ü.de", "xn--")),
    ],
)
def test_an_endpoint_says_what_has_to_go(tmp_path: Path, endpoint: str, because: str) -> None:
    with pytest.raises(UsageError, match=because):
        read(system(tmp_path), endpoint=endpoint)


def test_a_tilde_is_a_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/pi")
    monkeypatch.delenv("SUDO_USER", raising=False)
    options = {
        "state": "~/state",
        "ca_file": "~/ca.pem",
        "certificate": "~/a.pem",
        "on_renew": "~/hooks",
        "key": "file:~/k",
    }
    found, _ = read(tmp_path, **options)
    paths = (found.state, found.ca_file, found.certificate, found.on_renew)
    assert [str(path) for path in paths] == [f"/home/pi/{name}" for name in ("state", "ca.pem", "a.pem", "hooks")]
    assert found.key == "file:/home/pi/k"


@pytest.mark.parametrize("line", ['token-file = ""', 'token-file = "~nobody-here/token"', 'token = "two words"'])
@pytest.mark.parametrize("name", ["kept", "another"])
def test_a_wrong_token_ends_no_working_device_and_is_told_once(tmp_path: Path, line: str, name: str) -> None:
    """A card with another name is read twice: once for the device that it would make."""
    root = system(tmp_path, etc=f"{line}\n", card=f'name = "{name}"\n', works=True)

    found, warnings = read(root)

    assert (found.token, found.name) == (None, "kept")
    assert sum("token" in each.replace(str(tmp_path), "") for each in warnings) == 1, warnings
    with pytest.raises(UsageError, match="token"):
        read(root, continuing=True)

"""Lists of devices, as people and programs write them; and what is said of those that cannot be used."""

import io
import json
import os
import threading
import tracemalloc

import pytest

from fleet.device_list import DeviceList, ListedDevice, open_list
from fleet.errors import Refused
from fleet.things import ThingRules
from ledger import ThingProfile
from tests.support.fleet.authority import fingerprint, new_key

KEY, OTHER = (f"SHA256:{letter * 42}A" for letter in "ab")
GROUPS = ThingRules(has_type=True, usable_groups=("plant", "spare"))


def devices(content, *, with_keys=True, **more):
    data = content if isinstance(content, bytes) else content.encode()
    listed = DeviceList(file=io.BytesIO(data), source="list", with_keys=with_keys, **{"rules": GROUPS, **more})
    listed.check()
    return list(listed)


def refusals(capsys, content, **more):
    """What is said of each line, and at the end."""
    with pytest.raises(Refused) as refused:
        devices(content, **more)
    return capsys.readouterr().err.splitlines(), refused.value.cause


WHOLE = ListedDevice(
    name="pi-1", key=KEY, profile=ThingProfile(attributes={"site": "berlin", "hall": "7"}, groups=("plant", "spare"))
)


@pytest.mark.parametrize(
    "content",
    [
        f"pi-1,{KEY},site=berlin;hall=7,plant;spare\n",
        f'"pi-1","{KEY}","site=berlin; hall=7;","plant ;spare"',
        f"name,key,attributes,groups\npi-1,{KEY},site=berlin;hall=7,plant;spare\n",
        f"Groups, NAME ,attributes,Key\r\nplant;spare,pi-1,site=berlin;hall=7,{KEY}\r\n",
        f"\ufeffname,key,attributes,groups,\n\n,,,\npi-1,{KEY},site=berlin;hall=7,plant;spare,\n\n",
        f'\ufeffName;Key;Attributes;Groups\r\npi-1;{KEY};"site=berlin;hall=7";"plant;spare"\r\n;;;\r\n',
        f"name\tgroups\tattributes\tkey\npi-1\tplant;spare\tsite=berlin;hall=7\t{KEY}\n",
        f"pi-1, {KEY.replace('SHA256', 'sha-256')}=,site=berlin;hall=7,plant;spare,,",
        json.dumps({"name": "pi-1", "key": KEY, "attributes": "site=berlin;hall=7", "groups": "plant;spare"}),
        "\ufeff\r\n"
        + json.dumps({"groups": ["plant", "spare"], "attributes": {"site": "berlin", "hall": "7"}})[:-1]
        + f', "key": "{KEY}", "name": "pi-1"}}\r\n\r\n',
    ],
    ids=["bare", "quoted", "header", "any order", "empty lines", "spreadsheet", "tabs", "by hand", "texts", "JSON"],
)
def test_one_device_in_many_forms(content):
    assert devices(content) == [WHOLE]


def test_columns_and_members_may_be_missing():
    assert devices("pi-1\npi-2\n", with_keys=False) == [ListedDevice(name="pi-1"), ListedDevice(name="pi-2")]
    assert devices(f'{{"name": "pi-1", "key": "{KEY}", "groups": null}}\n') == [ListedDevice(name="pi-1", key=KEY)]
    assert devices(f"key,name\n{KEY},pi-1\n{OTHER},name\n")[1] == ListedDevice(name="name", key=OTHER)


def test_a_line_adds_to_what_the_command_line_gives_to_all():
    everyone = ThingProfile(attributes={"site": "berlin", "batch": "1"}, groups=("plant",))
    first, second = devices("pi-1,,batch=2,spare\npi-2\n", with_keys=False, profile=everyone)
    assert first.profile == ThingProfile(attributes={"site": "berlin", "batch": "2"}, groups=("plant", "spare"))
    assert second.profile == everyone


def test_a_key_may_be_a_file_as_it_may_on_the_command_line(tmp_path):
    key = new_key()
    (tmp_path / "pi-1.key").write_text(fingerprint(key))
    assert devices(f"pi-1,{tmp_path}/pi-1.key")[0].key == fingerprint(key)


BAD_LINES = {
    "pi 1": "'pi 1' is not a device name, which is 1 to 64 letters",
    "pi-1,,site": "'site' is not NAME=VALUE",
    "pi-1,,zymkey-fleet=x": "the attribute zymkey-fleet is the fleet's mark",
    "pi-1,,,a b": "'a b' is not a thing group",
    "pi-1,,,others": "does not list the group 'others'",
    f"pi-1,{KEY}": "a device whose key is known needs no token; `allow` lets it in",
    "pi-1,,,,more": "more columns than name, key, attributes, groups",
    'pi-1,"a': "not CSV: unexpected end of data",
    b"pi-\xff": "not UTF-8; save the file as UTF-8",
    "pi-1\x00": "'pi-1\\x00' is not a device name",
    "{}": "no member, so no name",
    '{"name": 1}': "the name is not a text",
    '{"name": "pi-1", "attributes": {"a": 1}}': "the value of an attribute is not a text",
    '{"name": "pi-1", "attributes": ["a=1"]}': "attributes that are neither a text nor a JSON object",
    '{"name": "pi-1", "groups": {"a": 1}}': "groups that are neither a text nor a JSON list of texts",
    '{"name": "pi-1", "attributes": {"a=b": "c"}}': "'a=b' is not the name of an attribute",
    '{"name": "pi-1", "name": "pi-2"}': "there are two members 'name'",
    '{"name": "pi-1", "attributes": {"site": "a", "site": "b"}}': "there are two members 'site'",
    "pi-1,,site=a;hall=7;site=b": "the attribute site has two values, 'a' and 'b'",
    '{"name": "pi-1", "color": "red"}': "'color' is none of name, key, attributes, groups",
    "{": "not JSON",
    '{"name": ' + "[" * 30_000: "not JSON",
}


@pytest.mark.parametrize("line", BAD_LINES, ids=range(len(BAD_LINES)))
def test_a_line_that_cannot_be_used_is_told_with_its_number(capsys, line):
    good = '{"name": "pi-0"}\n' if line[:1] in ("{", b"{") else "pi-0\n"
    bad = line if isinstance(line, bytes) else line.encode()
    told, cause = refusals(capsys, good.encode() + bad, with_keys=False)
    assert told[0].startswith("list, line 2: ")
    assert BAD_LINES[line] in told[0]
    assert len(told) == 1
    assert cause.startswith("1 line of list cannot be used, the first is line 2: ")


def test_a_device_without_a_key_is_not_allowed(capsys):
    told, _ = refusals(capsys, f"pi-1,{KEY}\npi-2\npi-3,SHA256:short\n")
    assert told == [
        "list, line 2: there is no key, which `zymkey-iot key --csv` prints on the device",
        "list, line 3: 'SHA256:short' is not a fingerprint, which is SHA256: and 43 characters",
    ]


def test_every_bad_line_is_told_before_anything_is_done(capsys):
    told, cause = refusals(capsys, b"name,groups\npi 1,\n\npi-2\n\xff\npi-3,others\n,plant\n", with_keys=False)
    assert [line.split(":")[0] for line in told] == [f"list, line {number}" for number in (2, 5, 6, 7)]
    assert cause.startswith("4 lines of list cannot be used, the first is line 2: 'pi 1' is not a device name")
    assert cause.endswith("Nothing was done.")


def test_a_name_or_a_key_twice_is_an_error(capsys):
    told, _ = refusals(capsys, f"pi-1,{KEY}\npi-2,{OTHER}\npi-1,SHA256:{'c' * 42}A\npi-3,{OTHER}\n")
    assert told == [
        "list, line 3: the name 'pi-1' is in line 1, too",
        f"list, line 4: the key {OTHER} is in line 2, too",
    ]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("pi-1;x\npi-2;y", "line 1: columns are separated by commas; or else the first line names them"),
        ("name;key;color\npi-1;;\n", "line 1: the column 'color' is none of name, key, attributes, groups"),
        ("pi-1\tx\npi-2\ty", "line 1: columns are separated by commas"),
        ("name,key,color\npi-1,,red\npi-2,,red", "line 1: the column 'color' is none of name, key, attributes, groups"),
        ("name,key,key\npi-1,,\n", "line 1: there are two columns 'key'"),
        ('\n[{"name": "pi-1"},\n{"name": "pi-2"}]', "line 2: JSON lines are one object a line"),
        ("name\npi-1\n".encode("utf-16"), "line 1: this is UTF-16; save the file as UTF-8"),
        (b"\0" * 100_000, "line 1: longer than 65536 bytes, so this is no list of devices"),
    ],
)
def test_another_kind_of_file_is_told_once(capsys, content, reason):
    told, _ = refusals(capsys, content, with_keys=False)
    assert len(told) == 1
    assert told[0].startswith(f"list, {reason}")


@pytest.mark.parametrize("content", ["", "\ufeff", "\n\r\n", "name,key\n"])
def test_a_list_of_nobody_is_refused(content):
    with pytest.raises(Refused, match="list lists no device"):
        devices(content)


def test_a_thing_with_more_attributes_than_aws_iot_has_room_for_is_refused(capsys):
    told, _ = refusals(capsys, "pi-1,,a=1;b=2;c=3", with_keys=False, rules=ThingRules())
    assert "The thing would have 3 attributes (a, b, c), but AWS IoT has room for 2" in told[0]


def test_a_list_that_changes_between_the_readings_is_refused():
    file = io.BytesIO(b"pi-1\npi-2\n")
    listed = DeviceList(file=file, source="list", with_keys=False)
    listed.check()
    file.getbuffer()[5:7] = b"# "
    with pytest.raises(Refused, match="list has changed while it was read; line 2"):
        list(listed)


def test_a_pipe_is_kept_aside_and_read_twice(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    writer = threading.Thread(target=(tmp_path / "pipe").write_text, args=("pi-1\npi-2\n",))
    writer.start()
    with open_list(str(tmp_path / "pipe")) as file:
        listed = DeviceList(file=file, source="list", with_keys=False)
        listed.check()
        assert len(listed) == 2
        assert [each.name for each in listed] == ["pi-1", "pi-2"]
    writer.join()


@pytest.mark.parametrize(("name", "reason"), [("no-such", "No such file"), (".", "a folder|Is a dir"), ("\0", "null")])
def test_a_list_that_cannot_be_read_is_refused(name, reason):
    with pytest.raises(Refused, match=f"cannot be read: .*({reason})"), open_list(name):
        pass


def test_ten_thousand_devices_take_little_memory():
    content = io.BytesIO("".join(f"pi-{n},SHA256:{n:042}A,site=berlin,plant\n" for n in range(10_000)).encode())
    listed = DeviceList(file=content, source="list", with_keys=True, rules=GROUPS)
    tracemalloc.start()
    try:
        listed.check()
        assert len(listed) == 10_000
        assert sum(1 for _ in listed) == 10_000
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 500 * 10_000

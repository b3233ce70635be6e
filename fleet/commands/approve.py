"""``zymkey-fleet approve``: let in keys that wait for approval.

AWS actions: cloudformation:DescribeStacks, sts:GetCallerIdentity, dynamodb:DeleteItem, GetItem, PutItem.
"""

import argparse
import time

from fleet.answers import add_formats
from fleet.arguments import add_deployment, add_examples, device_name, fingerprint
from fleet.cures import SEE_WAITING, if_key_is_refused
from fleet.deployment import Deployment, open_deployment
from fleet.device_list import FORMAT, DeviceList, ListedDevice, add_list, name_of, open_list
from fleet.errors import UsageError
from fleet.failures import explained
from fleet.many import Done, Many
from fleet.output import print_json, print_line
from fleet.things import ThingRules, add_thing_options, profile_of
from pki.names import DEVICE_NAME_RULE

APPROVED = Many(columns=("name", "state", "fingerprint"), heads=("NAME", "RESULT", "KEY"))
FORESEEN = Many(columns=("name", "fingerprint", "would"), heads=("NAME", "RESULT", "DETAIL"))


def configure(parser: argparse.ArgumentParser) -> None:
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument(
        "fingerprint",
        metavar="FINGERPRINT",
        type=fingerprint,
        nargs="?",
        help="the key's fingerprint, SHA256:…, as `zymkey-fleet pending` and the device show it",
    )
    add_list(which)
    parser.add_argument(
        "--name", type=device_name, help=f"the new name of the device with the key FINGERPRINT: {DEVICE_NAME_RULE}"
    )
    parser.add_argument("--dry-run", action="store_true", help="say which keys would be approved, and approve none")
    add_thing_options(parser)
    add_formats(parser)
    add_deployment(parser)
    parser.epilog = f"""\
First compare the fingerprint with the one on the device: `zymkey-iot bootstrap` prints it while it waits. The device
goes on by itself within a minute. If its CSR has another name, the CSR is refused and the device says why.
{FORMAT}
To approve the same key under the same name again changes nothing, so after an interruption run the command again.
JSON: name, state, fingerprint; of --from a list of them, with reason (null, or why not); with --dry-run a list of name,
fingerprint, would, reason."""
    add_examples(
        parser,
        "zymkey-fleet pending",
        "zymkey-fleet approve SHA256:oFzWbBNQwlzQYkOb1bG3dsrKSSYbJTtJhw4hvx0Z7vY --name pi-1",
        "zymkey-fleet approve SHA256:oFzWbBNQwlzQYkOb1bG3dsrKSSYbJTtJhw4hvx0Z7vY --name pi-1 --group plant",
        "zymkey-fleet approve --from keys.csv --dry-run    (lines as `zymkey-iot key --csv` writes them)",
    )


def run(arguments: argparse.Namespace) -> int:
    if (arguments.fingerprint is None) != (arguments.name is None):
        raise UsageError(
            "FINGERPRINT and --name NAME belong together; a list has a name in each line.",
            cure="give both, or --from FILE alone",
        )
    if arguments.list:
        with open_list(arguments.list) as file:
            deployment = open_deployment(arguments)
            profile, rules = profile_of(arguments, deployment), ThingRules.of(deployment)
            devices = DeviceList(file=file, source=arguments.list, with_keys=True, profile=profile, rules=rules)
            devices.check()
            return _approve_many(devices, deployment, arguments)
    deployment = open_deployment(arguments)
    device = ListedDevice(name=arguments.name, key=arguments.fingerprint, profile=profile_of(arguments, deployment))
    if arguments.dry_run or arguments.csv:
        return _approve_many([device], deployment, arguments)
    record = _approved(device, deployment)
    if arguments.json:
        print_json(record)
    else:
        print_line(f"The key {arguments.fingerprint} may enroll as {arguments.name}.")
    return 0


def _approve_many(
    devices: DeviceList | list[ListedDevice], deployment: Deployment, arguments: argparse.Namespace
) -> int:
    deployment.prepare("ledger")
    if arguments.dry_run:
        return FORESEEN.run(devices, lambda device: _foreseen(device, deployment), arguments, called=name_of)
    deployment.prepare("operator")

    def approve(device: ListedDevice) -> Done:
        return Done(record=_approved(device, deployment), what="approved", detail=[device.key])

    return APPROVED.run(devices, approve, arguments, called=name_of)


def _approved(device: ListedDevice, deployment: Deployment) -> dict[str, str]:
    """Let its key in. Doing it twice is doing it once."""
    name, key = device.name, device.key or ""
    with explained(if_refused=lambda: _cure(device, deployment)):
        deployment.ledger.allow(
            name,
            fingerprint=key,
            by=deployment.operator,
            now=int(time.time()),
            approved=True,
            profile=device.profile,
        )
    return {"name": name, "state": "allowed", "fingerprint": key}


def _foreseen(device: ListedDevice, deployment: Deployment) -> Done:
    with explained(if_refused=lambda: _cure(device, deployment)):
        is_news = deployment.ledger.would_allow(
            device.name, fingerprint=device.key or "", approved=True, profile=device.profile
        )
    would = "let the key in" if is_news else None
    return Done(
        record={"name": device.name, "fingerprint": device.key, "would": would},
        what="would change" if would else "would stay",
        detail=[would or "let in already"],
    )


def _cure(device: ListedDevice, deployment: Deployment) -> str:
    name, key, ledger = device.name, device.key or "", deployment.ledger
    if all(each.fingerprint != key for each in ledger.requests()):
        return SEE_WAITING
    return if_key_is_refused(name, key, ledger, then=f"approve {key} --name={name}")

"""The state of the device, read from the state folder and the key, even if something is missing or wrong."""

from dataclasses import dataclass
from typing import Any

from .candidate import Turn
from .certificate import DeviceCertificate, now
from .cures import BOOTSTRAP
from .errors import CertificateUnusable, DeviceError
from .kept import find_candidate, find_turn, read_certificate, read_configuration
from .kept_settings import is_kept, is_same_fleet
from .keys import DeviceKey, open_key
from .renew import renewal_time
from .service.renewal import Renewal, planned_renewal
from .settings import Settings
from .store import StateFolder

UNUSABLE = 12


@dataclass(frozen=True)
class Status:
    """Certificate and key, or for each the error that says why it cannot be read."""

    settings: Settings
    certificate: DeviceCertificate | DeviceError
    key: DeviceKey | DeviceError
    untried: bool
    """Whether an interrupted run has left a newer certificate that was not tried yet."""

    waits_for: str | None
    """What a bootstrap that was begun waits for (202)."""

    turn: Turn | None
    """This device's turn in the fleet's queue, if it waits for one."""

    configuration: DeviceError | None
    """Why what the cloud has sent beside the certificate cannot be used; without it no publish works."""

    announced_url: str | None
    """The enrollment URL that the fleet has announced; None if it has announced none."""

    renewal_topic: str | None
    """On which a program of the device hears that it shall renew; None where the fleet has none."""

    renewal: Renewal
    hooks_wait: bool
    """Whether hooks still have to run for the certificate in use."""

    @property
    def state(self) -> str:
        """``valid``, ``due``, ``expired``, ``not yet valid``, ``other key`` or ``absent``."""
        if isinstance(self.certificate, DeviceError):
            return "absent"
        if not isinstance(self.key, DeviceError) and not self.certificate.is_for(self.key.public_key()):
            return "other key"
        if now() > self.certificate.not_after:
            return "expired"
        if now() < self.certificate.not_before:
            return "not yet valid"
        return "due" if self.certificate.is_due(now()) else "valid"

    @property
    def exit_code(self) -> int:
        if self.state not in ("valid", "due") or self.configuration is not None:
            return UNUSABLE
        return self.key.exit_code if isinstance(self.key, DeviceError) else 0

    def document(self) -> dict[str, Any]:
        """For ``--json``: times in ISO 8601, null for what is not known."""
        document: dict[str, Any] = {
            "name": self.settings.name,
            "url": self.settings.url,
            "fallbackUrl": self.settings.fallback_url,
            "announcedUrl": self.announced_url,
            "key": self.settings.key,
            "state": self.state,
            "untriedCertificate": self.untried,
            "renewal": self.renewal.document(),
            "hooksPending": self.hooks_wait,
            "renewalTopic": self.renewal_topic,
        }
        if self.configuration is not None:
            document["configurationError"] = self.configuration.cause
        document["connection"] = {name: value for name, _, value, _ in connection(self.settings)}
        document["waitsFor"] = self.waits_for
        document["queue"] = None if self.turn is None else self.turn.document()
        if isinstance(self.key, DeviceError):
            document |= {"fingerprint": None, "keyError": self.key.cause}
        else:
            document |= {"fingerprint": self.key.fingerprint}
        if isinstance(self.certificate, DeviceError):
            return document | {"certificateId": None, "notAfter": None}
        certificate = self.certificate
        return document | {
            "certificateId": certificate.certificate_id,
            "certificate": str(StateFolder(self.settings.state).certificate_path),
            "subject": certificate.subject,
            "issuer": certificate.issuer,
            "serialNumber": f"{certificate.x509.serial_number:x}",
            "notBefore": certificate.not_before.isoformat(),
            "notAfter": certificate.not_after.isoformat(),
            "dueAt": certificate.due_at.isoformat(),
        }

    def lines(self) -> list[tuple[str, str]]:
        """For a person: labels and values."""
        beside = self.settings.fallback_url
        fleet = f"{self.settings.url}, or {beside} when that does not serve" if beside else self.settings.url
        lines = [("name", self.settings.name), ("fleet", fleet or "never bootstrapped")]
        if self.announced_url not in (None, self.settings.url):
            lines.append(("newer URL", self._newer_url()))
        if isinstance(self.key, DeviceError):
            lines.append(("key", f"{self.settings.key}: {self.key.cause}"))
        else:
            lines.append(("key", f"{self.key.title()}, {self.key.fingerprint}"))
        lines += [(label, f"{value} ({source})") for _, label, value, source in connection(self.settings)]
        if self.waits_for:
            lines.append(("waits", f"for {self.waits_for}; what was in use stays in use. Try: sudo zymkey-iot wait"))
        if self.turn is not None:
            lines.append(("queue", f"waits in the fleet's queue: {self.turn}"))
        if isinstance(self.certificate, DeviceError):
            return [*lines, ("certificate", f"{self.certificate.cause} Try: {self.certificate.cure}")]
        certificate = self.certificate
        lines += [
            ("certificate", certificate.certificate_id),
            ("subject", certificate.subject or "(empty)"),
            ("issuer", certificate.issuer),
            ("valid", f"{certificate.not_before:%Y-%m-%d %H:%M} to {certificate.not_after:%Y-%m-%d %H:%M} UTC"),
            ("state", self._sentence(certificate)),
            ("renewal", self.renewal.line()),
        ]
        if self.configuration is not None:
            lines.append(("cloud", f"{self.configuration.cause} Try: {self.configuration.cure}"))
        if self.hooks_wait:
            lines.append(("hooks", "they have not run yet for this certificate. Try: sudo zymkey-iot hooks"))
        if self.untried:
            lines.append(("untried", f"a newer certificate was issued but not tried yet. Try: {BOOTSTRAP}"))
        return lines

    def _newer_url(self) -> str:
        announced, source = f"the fleet announces {self.announced_url}", self.settings.sources["url"]
        if not is_kept(source, self.settings.state):
            return f"{announced}; {self.settings.url} is set ({source}). Try: correct it there"
        if self.announced_url == self.settings.fallback_url:
            return f"{announced}; the next renewal asks there. Try: sudo zymkey-iot renew"
        return f"{announced}, which has not worked yet. Try: sudo zymkey-iot renew"

    def _sentence(self, certificate: DeviceCertificate) -> str:
        days = (certificate.not_after - now()).days
        if self.state == "other key":
            return (
                "the certificate is for another key: the HSM was swapped, the card copied, or --key names another slot"
            )
        if self.state == "expired":
            return f"expired {-days} days ago. Try: {BOOTSTRAP}"
        if self.state == "not yet valid":
            return "not valid yet, by this machine's clock. Try: timedatectl"
        if isinstance(self.key, DeviceError):
            return f"{self.state}, {days} days left"
        when = renewal_time(certificate, self.key)
        return f"{self.state}, {days} days left; a renewal is due from {when:%Y-%m-%d} on"


def connection(settings: Settings) -> list[tuple[str, str, str | int, str]]:
    """How servers are reached, where it is not as usual: name for programs, label, value without secrets, source."""
    proxy = None
    if settings.proxy is not None:
        # Imported here: few devices have a proxy.
        from .proxy import Proxy

        proxy = str(Proxy.parse(settings.proxy))
    found: list[tuple[str, str, str, str | int | None]] = [
        ("caFile", "CA file", "ca_file", None if settings.ca_file is None else str(settings.ca_file)),
        ("endpoint", "endpoint", "endpoint", settings.endpoint),
        ("httpsPort", "HTTPS port", "https_port", settings.https_port),
        ("mqttPort", "MQTT port", "mqtt_port", settings.mqtt_port),
        (
            "credentialEndpoint",
            "credentials",
            "credential_endpoint",
            None if settings.credential_endpoint is None else "{}:{}".format(*settings.credential_endpoint),
        ),
        ("tls", "TLS", "tls", None if settings.sources["tls"] == "default" else settings.tls),
        ("proxy", "proxy", "proxy", proxy),
        ("noProxy", "no proxy", "no_proxy", settings.no_proxy),
    ]
    return [
        (name, label, value, settings.sources[setting]) for name, label, setting, value in found if value is not None
    ]


def _waits_for(state: StateFolder) -> str | None:
    """The bootstrap that was begun and has no certificate yet, when it is for another name or fleet than is in use."""
    candidate = state.candidate()
    if candidate is None or candidate.certificate is not None:
        return None
    begun, in_use = candidate.device, state.device()
    if begun.get("name") == in_use.get("name") and is_same_fleet(begun, in_use):
        return None
    return f"a certificate for {begun.get('name')} from {begun.get('url')}"


def read_status(settings: Settings) -> Status:
    """Read everything that can be read.

    Raises:
        StorageError: the state folder cannot be read.
    """
    state = StateFolder(settings.state)
    certificate: DeviceCertificate | DeviceError
    key: DeviceKey | DeviceError
    try:
        certificate = read_certificate(state)
    except DeviceError as error:
        certificate = error
    configuration: DeviceError | None = None
    announced_url = renewal_topic = None
    try:
        kept = read_configuration(state)
        announced_url, renewal_topic = kept.enrollment_url, kept.renewal_topic
    except CertificateUnusable as error:
        configuration = None if isinstance(certificate, DeviceError) else error
    try:
        key = open_key(settings)
    except DeviceError as error:
        key = error
    return Status(
        settings,
        certificate,
        key,
        untried=find_candidate(state) is not None,
        waits_for=_waits_for(state),
        turn=find_turn(state),
        configuration=configuration,
        announced_url=announced_url,
        renewal_topic=renewal_topic and renewal_topic.replace("{device}", settings.name),
        renewal=planned_renewal(settings),
        hooks_wait=state.hooks_are_pending(),
    )

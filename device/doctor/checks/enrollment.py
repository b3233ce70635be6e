"""The enrollment service, by the one question that needs no token: its configuration."""

from ...errors import DeviceError
from ...kept import BOOTSTRAP
from ..examination import Examination
from ..finding import Finding, ok, warning


def enrollment(examination: Examination) -> Finding:
    fetched = examination.fetched
    if isinstance(fetched, DeviceError):
        raise fetched
    configuration, _ = fetched
    kept = examination.kept_configuration
    facts = {"fleet": configuration.fleet, "issuer": configuration.issuer, "endpoint": configuration.data_endpoint}
    if kept is not None and kept != configuration:
        differs = [
            name
            for name in ("data_endpoint", "publish", "subscribe")
            if getattr(kept, name) != getattr(configuration, name)
        ]
        path = examination.state.configuration_path
        return warning(
            f"the cloud's configuration is not what {path} says any more"
            + (f": {' and '.join(differs).replace('_', ' ')} changed." if differs else "."),
            cure=f"rm {path}, then {BOOTSTRAP} has it sent again",
            **facts,
        )
    return ok(f"fleet {configuration.fleet}, issuer {configuration.issuer}", **facts)

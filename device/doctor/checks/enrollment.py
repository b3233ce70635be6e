"""The enrollment service, asked for what needs no token: the configuration."""

from ...cures import BOOTSTRAP
from ...errors import DeviceError
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
            f"the cloud's configuration has changed since {path} was written"
            + (f": {' and '.join(differs).replace('_', ' ')}." if differs else "."),
            cure=f"remove the file (rm {path}); then {BOOTSTRAP} fetches it again",
            **facts,
        )
    return ok(f"fleet {configuration.fleet}, issuer {configuration.issuer}", **facts)

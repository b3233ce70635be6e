"""The two stacks of one deployment."""

from constructs import Construct

from infra.bundle import Bundle
from infra.bundled_function import FunctionDefaults
from infra.enrollment_stack import EnrollmentStack
from infra.external_authority_files import read_authority_files
from infra.settings import Settings
from infra.trust_stack import TrustStack


def add_stacks(scope: Construct, *, settings: Settings, bundle: Bundle) -> tuple[TrustStack, EnrollmentStack]:
    """Add ``<fleet>-Trust`` and ``<fleet>-Enrollment``, with ``bundle`` as the code of all functions.

    Raises:
        SettingsError: the files of an external CA cannot be used, or the topic of the alarms is in another Region.
    """
    external = settings.external_certificate_authority
    adopted = settings.adopt.external_certificate_authority
    defaults = FunctionDefaults(
        bundle=bundle, architecture=settings.architecture, log_retention_days=settings.log_retention_days
    )
    trust = TrustStack(
        scope,
        f"{settings.fleet}-Trust",
        settings=settings,
        enrollment_stack=f"{settings.fleet}-Enrollment",
        external_authority=read_authority_files(external, adopted=adopted) if external else None,
        defaults=defaults,
    )
    enrollment = EnrollmentStack(
        scope, f"{settings.fleet}-Enrollment", settings=settings, trust=trust, defaults=defaults
    )
    return trust, enrollment

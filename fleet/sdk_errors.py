"""What the AWS SDK raises without an answer of AWS: each of its exceptions, whose it is, and what to do.

``botocore.exceptions`` is the list, and tests/unit/fleet/test_sdk_errors.py misses a class that it adds. They are names
here, since an older or newer SDK has fewer or more of them.
"""

import traceback
from collections.abc import Callable
from pathlib import PurePath

from botocore.exceptions import BotoCoreError

from fleet.errors import Defect, FleetError, NoCredentials, NoDeployment, SdkFailed, Unreachable

LOG_IN = "log in again (`aws sso login` or `aws configure`), or name another profile with --profile"
_SETTINGS = "correct that setting in ~/.aws/config or in the environment, or name another profile with --profile"
_NETWORK = "check this machine's network, the proxy and the Region"
_CLOCK = "check this machine's clock (`date`), and whether something between it and AWS opens TLS"
_EXPORT = (
    'let the AWS CLI hand them over: eval "$(aws configure export-credentials --profile NAME --format env)", '
    "and run the same command again without --profile"
)
# By the SDK's class that failed, where to look.
_PROVIDERS = {
    "ProcessProvider": "run the profile's credential_process by hand: it has to print JSON with Version, AccessKeyId "
    "and SecretAccessKey",
    "FileWebIdentityTokenLoader": "correct web_identity_token_file in ~/.aws/config "
    "($AWS_WEB_IDENTITY_TOKEN_FILE), or name another profile with --profile",
    "ContainerProvider": "correct or unset $AWS_CONTAINER_CREDENTIALS_FULL_URI and "
    "$AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
}
# Frames that read the operator's configuration and run what it names: whatever is raised there is theirs.
_CREDENTIAL_MODULES = {"credentials.py", "tokens.py"}


def explain_sdk_error(error: BotoCoreError) -> FleetError:
    """The cause and the cure; a ``Defect`` for what only a mistake of this command can raise."""
    for each in type(error).__mro__:
        if each.__name__ in EXPLANATIONS:
            return EXPLANATIONS[each.__name__](error)
    return _setting(error)


def is_about_credentials(error: BaseException) -> bool:
    """Whether it was raised while the SDK looked for credentials: it lets through what its providers stumble over."""
    paths = [PurePath(frame.filename) for frame in traceback.extract_tb(error.__traceback__)]
    return any(path.parent.name == "botocore" and path.name in _CREDENTIAL_MODULES for path in paths)


def explain_credential_provider(error: Exception) -> NoCredentials:
    """For what is no ``BotoCoreError``. Its text is not repeated: it may quote what a credential program printed."""
    if isinstance(error, EOFError):
        return NoCredentials(
            "The profile asks for an MFA code, and there is no terminal to type it on.",
            cure="run the command on a terminal; or take a session first (`aws sts get-session-token`), and name its "
            "profile with --profile",
        )
    cure = next((_PROVIDERS[each] for each in _classes_of_frames(error) if each in _PROVIDERS), _SETTINGS)
    if isinstance(error, OSError) and error.filename is not None:
        return NoCredentials(
            f"The AWS configuration names {str(error.filename)!r}, which cannot be used: {error.strerror}.", cure=cure
        )
    return NoCredentials(
        f"What the AWS SDK gets its credentials from gave none that can be read ({type(error).__name__}).", cure=cure
    )


def _classes_of_frames(error: BaseException) -> list[str]:
    """Whose methods it went through, the innermost first."""
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    return [type(frame.f_locals.get("self")).__name__ for frame in reversed(frames)]


def sentence(error: BaseException) -> str:
    """What a library says, as one sentence on one line."""
    text = " ".join(str(error).split()).rstrip(".")
    return f"{text or type(error).__name__}."


def _no_credentials(_: BotoCoreError) -> FleetError:
    return NoCredentials("There are no AWS credentials.", cure=LOG_IN)


def _not_retrieved(error: BotoCoreError) -> FleetError:
    """Without the provider's words: a credential program's standard error is among them."""
    provider = getattr(error, "kwargs", {}).get("provider", "")
    if provider == "custom-process":
        return NoCredentials(
            "The profile's credential_process failed, or what it printed is not what the AWS SDK expects.",
            cure="run that program by hand, and look at what it says; or name another profile with --profile",
        )
    return NoCredentials(f"There are no AWS credentials: {provider or 'their provider'} gave none.", cure=LOG_IN)


def _partial(error: BotoCoreError) -> FleetError:
    return NoCredentials(f"The AWS credentials are not complete. {sentence(error)}", cure=LOG_IN)


def _session_over(_: BotoCoreError) -> FleetError:
    return NoCredentials("The AWS single sign-on session has expired.", cure=LOG_IN)


def _login_over(_: BotoCoreError) -> FleetError:
    return NoCredentials("The session of `aws login` has expired, or cannot be read.", cure="aws login")


def _no_profile(error: BotoCoreError) -> FleetError:
    return NoCredentials(sentence(error), cure="name one that `aws configure list-profiles` shows")


def _no_mfa(_: BotoCoreError) -> FleetError:
    return NoCredentials(
        "The session has expired, and a new one needs an MFA code, which this command cannot ask for.", cure=LOG_IN
    )


def _no_library(error: BotoCoreError) -> FleetError:
    """``aws login`` and the like: the SDK would have a package installed that is compiled for few machines."""
    if "additional dependency" not in str(error):
        return _setting(error)
    return NoCredentials(
        "The profile's kind of login (`aws login`) needs a part of the AWS SDK that is not installed here.",
        cure=_EXPORT,
    )


def _no_region(_: BotoCoreError) -> FleetError:
    return NoDeployment("No AWS Region is chosen.", cure="add --region REGION, or set AWS_REGION")


def _wrong_region(error: BotoCoreError) -> FleetError:
    return SdkFailed(f"The AWS Region is none: {sentence(error)}", cure="add --region REGION, or set AWS_REGION")


def _no_answer(error: BotoCoreError) -> FleetError:
    return Unreachable(f"No answer from AWS: {sentence(error)}", cure=_NETWORK)


def _no_trust(error: BotoCoreError) -> FleetError:
    return Unreachable(f"No answer from AWS: {sentence(error)}", cure=_CLOCK)


def _not_sent(error: BotoCoreError) -> FleetError:
    """``HTTPClientError`` itself wraps what nobody foresaw: a proxy that is no URL, a header that cannot be sent."""
    inner = getattr(error, "kwargs", {}).get("error")
    if isinstance(inner, OSError) or not isinstance(inner, Exception):
        return _no_answer(error)
    if "header" in str(inner).lower():
        return NoCredentials("The AWS credentials have a character that cannot be sent in a header.", cure=LOG_IN)
    return SdkFailed(
        f"The AWS SDK could not send the request: {sentence(inner)}",
        cure="check the proxy ($HTTPS_PROXY, $HTTP_PROXY) and the endpoint ($AWS_ENDPOINT_URL, endpoint_url)",
    )


def _setting(error: BotoCoreError) -> FleetError:
    return SdkFailed(f"The AWS SDK cannot make the request: {sentence(error)}", cure=_SETTINGS)


def _incomplete_installation(error: BotoCoreError) -> FleetError:
    return SdkFailed(
        f"The AWS SDK is not installed as a whole: {sentence(error)}",
        cure="install boto3 again, as requirements/operator.txt has it; or unset AWS_DATA_PATH",
    )


def _defect(error: BotoCoreError) -> FleetError:
    return Defect(
        f"this is a defect: the AWS SDK was used wrongly ({type(error).__name__}).",
        cure="report it, with the stack trace that ZYMKEY_FLEET_TRACEBACK=1 in the environment prints",
    )


_KINDS: dict[Callable[[BotoCoreError], FleetError], str] = {
    _no_credentials: "NoCredentialsError NoAuthTokenError",
    _not_retrieved: "CredentialRetrievalError UnknownCredentialError MetadataRetrievalError",
    _partial: "PartialCredentialsError",
    _session_over: "SSOError SSOTokenLoadError UnauthorizedSSOTokenError TokenRetrievalError",
    _login_over: """
        LoginError LoginRefreshRequired LoginTokenLoadError LoginInsufficientPermissions LoginAuthorizationCodeError""",
    _no_mfa: "RefreshWithMFAUnsupportedError",
    _no_library: "MissingDependencyException",
    _no_profile: "ProfileNotFound",
    _no_region: "NoRegionError",
    _wrong_region: """
        InvalidRegionError UnknownRegionError ServiceNotInRegionError UnknownEndpointError UnknownFIPSEndpointError
        InvalidHostLabelError""",
    _not_sent: "HTTPClientError",
    _no_trust: "SSLError",
    _no_answer: """
        ConnectionError EndpointConnectionError ConnectionClosedError ReadTimeoutError ConnectTimeoutError
        ProxyConnectionError ResponseStreamingError IncompleteReadError CapacityNotAvailableError ChecksumError
        FlexibleChecksumError""",
    _setting: """
        BotoCoreError ConfigParseError ConfigNotFound InvalidConfigError InfiniteLoopConfigError
        UnknownTokenProviderError InvalidIMDSEndpointError InvalidIMDSEndpointModeError
        InvalidRetryConfigurationError InvalidMaxRetryAttemptsError InvalidRetryModeError InvalidDefaultsMode
        InvalidProxiesConfigError BaseEndpointResolverError EndpointVariantError EndpointProviderError
        EndpointResolutionError InvalidEndpointConfigurationError InvalidEndpointDiscoveryConfigurationError
        InvalidChecksumConfigError InvalidSTSRegionalEndpointsConfigError UnknownSignatureVersionError
        UnsupportedSignatureVersionError InvalidS3UsEast1RegionalEndpointConfigError InvalidS3AddressingStyleError
        UnsupportedS3ConfigurationError UnsupportedS3ControlConfigurationError
        UnsupportedS3AccesspointConfigurationError MD5UnavailableError UnsupportedServiceProtocolsError""",
    _incomplete_installation: "DataNotFoundError UnknownServiceError ApiVersionNotFoundError UnknownServiceStyle",
    # Raised for what a program passes to the SDK, and this one passes nothing unchecked.
    _defect: """
        ValidationError ParamValidationError MissingParametersError UnknownKeyError RangeError UnknownParameterError
        AliasConflictParameterError UnknownClientMethodError PaginationError OperationNotPageableError
        InvalidExpressionError WaiterError WaiterConfigError UnseekableStreamError AwsChunkedWrapperError
        UnknownEndpointResolutionBuiltInName InvalidDNSNameError UnsupportedS3ArnError UnsupportedS3ControlArnError
        UnsupportedOutpostResourceError StubResponseError StubAssertionError UnStubbedResponseError""",
}
EXPLANATIONS = {name: explain for explain, names in _KINDS.items() for name in names.split()}

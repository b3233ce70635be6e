"""The HTTP API where devices enroll: EST (RFC 7030) and the configuration document.

It has no authorizer: a device shows a one-time token, a known key or neither, and only the function can tell which.
API Gateway limits the rate of requests.
"""

import json

from aws_cdk import Stack
from aws_cdk import aws_apigatewayv2 as apigateway
from aws_cdk import aws_apigatewayv2_integrations as integrations
from aws_cdk import aws_lambda as lambda_
from constructs import Construct

from infra.acknowledge import acknowledge
from infra.bundled_function import LogGroup

# Far more than AWS IoT registers in a second: each device of a fleet that powers on together is soon told its turn
# (``functions.turns``), for two reads and two writes, and stays away until then. A device that API Gateway turns away
# (429) is told nothing, and has to come again by chance. A twentieth of what an account may take in a Region.
REQUESTS_PER_SECOND = 500
BURST = 1_000
# What factories and operators send takes no turn: each upload is registered at once, as far as AWS IoT's quota goes.
UPLOADS_PER_SECOND = 50
UPLOAD_BURST = 100

_GET = apigateway.HttpMethod.GET
_POST = apigateway.HttpMethod.POST

EST_ROUTES = tuple(
    (method, f"/.well-known/est{label}/{operation}")
    for label in ("", "/{label}")
    for method, operation in ((_GET, "cacerts"), (_POST, "simpleenroll"), (_POST, "simplereenroll"))
)
CONFIGURATION_ROUTE = (_GET, "/configuration")
UPLOAD_ROUTE = (_POST, "/certificates")

# What an operator needs to follow one request. No headers: Authorization has the token.
_ACCESS_LOG = {
    "requestId": "$context.requestId",
    "time": "$context.requestTime",
    "ip": "$context.identity.sourceIp",
    "userAgent": "$context.identity.userAgent",
    "route": "$context.routeKey",
    "status": "$context.status",
    "host": "$context.domainName",  # tells devices that still use the API's own name
    "responseLength": "$context.responseLength",
    "latency": "$context.responseLatency",
    "error": "$context.error.message",
    "integrationError": "$context.integrationErrorMessage",
}


class EnrollmentApi(Construct):
    """Routes to one function; ``url`` is the API's own address, with its id."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        function: lambda_.IFunction,
        routes: tuple[tuple[apigateway.HttpMethod, str], ...],
        log_retention_days: int,
        access_log_group: str | None,
    ) -> None:
        super().__init__(scope, construct_id)

        self.api = apigateway.HttpApi(
            self,
            "Api",
            api_name=Stack.of(self).stack_name,
            description="Enrollment over Secure Transport",
            create_default_stage=False,
        )
        self.url = self.api.api_endpoint
        access_log = LogGroup(
            self, "AccessLog", retention_days=log_retention_days, log_group_name=access_log_group
        ).group
        self.stage = apigateway.CfnStage(
            self,
            "Stage",
            api_id=self.api.api_id,
            stage_name="$default",
            auto_deploy=True,
            default_route_settings=apigateway.CfnStage.RouteSettingsProperty(
                throttling_rate_limit=REQUESTS_PER_SECOND, throttling_burst_limit=BURST
            ),
            route_settings={
                _key(UPLOAD_ROUTE): {"ThrottlingRateLimit": UPLOADS_PER_SECOND, "ThrottlingBurstLimit": UPLOAD_BURST}
            }
            if UPLOAD_ROUTE in routes
            else None,
            access_log_settings=apigateway.CfnStage.AccessLogSettingsProperty(
                destination_arn=access_log.log_group_arn, format=json.dumps(_ACCESS_LOG)
            ),
        )
        integration = integrations.HttpLambdaIntegration(
            "Function",
            function,
            payload_format_version=apigateway.PayloadFormatVersion.VERSION_2_0,
            scope_permission_to_route=False,  # one permission for this API, not one for each of its routes
        )
        for method, path in routes:
            for route in self.api.add_routes(path=path, methods=[method], integration=integration):
                acknowledge(
                    route,
                    {"AwsSolutions-APIG4": "The function authorizes: by one-time token or by the CSR's key."},
                )
                if (method, path) == UPLOAD_ROUTE:
                    # API Gateway refuses settings of a route that is not there yet.
                    self.stage.node.add_dependency(route)


def _key(route: tuple[apigateway.HttpMethod, str]) -> str:
    """What API Gateway calls a route."""
    method, path = route
    return f"{method.value} {path}"

"""A host name of your own in front of the enrollment API, which stays when the API is made again.

The API's own host name keeps working beside it: devices that were bootstrapped before know that one.
"""

from aws_cdk import aws_apigatewayv2 as apigateway
from aws_cdk import aws_route53 as route53
from constructs import Construct

from infra.domain import Domain


class EnrollmentDomain(Construct):
    """The domain name, mapped to the API's default stage; with a hosted zone, its records."""

    def __init__(
        self, scope: Construct, construct_id: str, *, domain: Domain, api_id: str, stage: apigateway.CfnStage
    ) -> None:
        super().__init__(scope, construct_id)

        name = apigateway.CfnDomainName(
            self,
            "Name",
            domain_name=domain.name,
            domain_name_configurations=[
                apigateway.CfnDomainName.DomainNameConfigurationProperty(
                    certificate_arn=domain.certificate_arn,
                    endpoint_type="REGIONAL",
                    ip_address_type="dualstack",  # else its AAAA record would lead nowhere
                    security_policy="TLS_1_2",
                )
            ],
        )
        self.target = name.attr_regional_domain_name
        """What a CNAME of the name has to point to, where DNS is not Route 53's."""

        mapping = apigateway.CfnApiMapping(
            self, "Mapping", api_id=api_id, domain_name=domain.name, stage=stage.stage_name
        )
        mapping.add_resource_dependency(name)
        mapping.add_resource_dependency(stage)
        if domain.hosted_zone_id is None:
            return
        for kind in ("A", "AAAA"):
            route53.CfnRecordSet(
                self,
                f"Record{kind}",
                name=f"{domain.name}.",
                type=kind,
                hosted_zone_id=domain.hosted_zone_id,
                alias_target=route53.CfnRecordSet.AliasTargetProperty(
                    dns_name=name.attr_regional_domain_name,
                    hosted_zone_id=name.attr_regional_hosted_zone_id,
                    evaluate_target_health=False,
                ),
            )

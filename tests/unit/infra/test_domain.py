"""The setting ``domain``."""

from typing import Any

import pytest

from infra.domain import Domain, check_region
from infra.setting_readers import SettingsError
from infra.settings import Settings

ACM = "arn:aws:acm:eu-central-1:123456789012:certificate/0f2b9c1e-0000-4000-8000-000000000000"
DOMAIN = {"name": "enroll.example.com", "certificateArn": ACM}


def read(values: dict[str, Any]) -> Settings:
    return Settings.from_context({"zymkey-fleet": values})


WRONG = [
    ("enroll.example.com", "but must be an object with name, certificateArn, hostedZoneId, hostedZoneName"),
    ({"certificateArn": ACM}, "zymkey-fleet.domain.name is missing,"),
    ({"name": "enroll.example.com"}, "zymkey-fleet.domain.certificateArn is missing,"),
    (DOMAIN | {"name": "Enroll.example.com"}, 'domain.name is "Enroll.example.com", but must be a host name'),
    (DOMAIN | {"name": "https://enroll.example.com"}, "but must be a host name in lower case"),
    (DOMAIN | {"name": "enroll.example.com."}, 'domain.name is "enroll.example.com.", but'),
    (DOMAIN | {"name": "localhost"}, 'domain.name is "localhost", but'),
    (DOMAIN | {"name": f"{'x' * 64}.example.com"}, "domain.name is "),
    (DOMAIN | {"name": "\n"}, "domain.name is "),
    (DOMAIN | {"port": 443}, "zymkey-fleet.domain.port is not a setting;"),
    (DOMAIN | {"certificateArn": "arn:aws:iam::1:server-certificate/x"}, "but must be the ARN of an ACM certificate"),
    (DOMAIN | {"certificateArn": None}, "but must be the ARN of an ACM certificate"),
    (DOMAIN | {"hostedZoneId": "Z1"}, "must have both of hostedZoneId and hostedZoneName, or neither."),
    (DOMAIN | {"hostedZoneId": "example.com", "hostedZoneName": "example.com"}, "the id of a hosted zone"),
    (DOMAIN | {"hostedZoneId": "Z1", "hostedZoneName": "ample.com"}, "must be in the hosted zone ample.com."),
]


@pytest.mark.parametrize(("value", "said"), WRONG, ids=[said for _, said in WRONG])
def test_a_wrong_domain_is_refused_in_one_sentence(value: Any, said: str) -> None:
    with pytest.raises(SettingsError) as refusal:
        read({"domain": value})
    sentence = str(refusal.value)
    assert said in sentence
    assert sentence.startswith("zymkey-fleet.domain")
    assert "\n" not in sentence
    assert sentence.endswith((".", "?"))


def test_a_domain_has_a_certificate_and_may_have_a_hosted_zone() -> None:
    assert read({"domain": DOMAIN}).domain == Domain(name="enroll.example.com", certificate_arn=ACM)
    for zone in ("example.com", "enroll.example.com"):
        domain = read({"domain": DOMAIN | {"hostedZoneId": "Z3XAMPLE", "hostedZoneName": zone}}).domain
        assert domain is not None
        assert (domain.url, domain.hosted_zone_id) == ("https://enroll.example.com", "Z3XAMPLE")
    china = "arn:aws-cn:acm:cn-north-1:123456789012:certificate/x"
    assert read({"domain": DOMAIN | {"certificateArn": china}}).domain is not None


def test_former_domains_are_as_domain_is_and_no_name_is_there_twice() -> None:
    former = DOMAIN | {"name": "old.example.com"}
    settings = read({"domain": DOMAIN, "formerDomains": [former]})
    assert [each.name for each in settings.domains] == ["enroll.example.com", "old.example.com"]
    assert [each.name for each in read({"formerDomains": [former]}).domains] == ["old.example.com"]
    assert read({}).domains == ()
    for wrong, said in (
        ({"formerDomains": DOMAIN}, "but must be a list of objects as in domain."),
        ({"formerDomains": [{"name": "x"}]}, "formerDomains[0].name is "),
        ({"domain": DOMAIN, "formerDomains": [DOMAIN]}, "have enroll.example.com twice, but must have each name once."),
    ):
        with pytest.raises(SettingsError) as refusal:
            read(wrong)
        assert said in str(refusal.value)


def test_the_domains_certificate_is_of_the_deployments_region_where_that_is_known() -> None:
    domain = Domain(name="enroll.example.com", certificate_arn=ACM)
    check_region(domain, "eu-central-1")
    check_region(domain, None)
    with pytest.raises(SettingsError, match=r"in eu-central-1, but must be in the deployment's Region, us-east-1"):
        check_region(domain, "us-east-1")

"""Alarms reach the operator's address, and the functions' logs count what the fleet did."""

import json

from tests.end_to_end.live_deployment.fleet import Fleet


def alarms_of_both_stacks_reach_the_address(fleet: Fleet) -> None:
    """A queue stands for the mail: nobody can open the link of the confirmation here."""
    sns, sqs, cloudwatch = (fleet.sandbox.boto(service) for service in ("sns", "sqs", "cloudwatch"))
    (topic,) = [each["TopicArn"] for each in sns.list_topics()["Topics"]]
    (mail,) = sns.list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"]
    assert (mail["Protocol"], mail["Endpoint"]) == ("email", "ops@example.com")
    queue = sqs.create_queue(QueueName="instead-of-mail")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    sends = {"Effect": "Allow", "Principal": {"Service": "sns.amazonaws.com"}, "Action": "sqs:SendMessage"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [sends | {"Resource": arn}]})
    sqs.set_queue_attributes(QueueUrl=queue, Attributes={"Policy": policy})
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)

    alarms = [each["AlarmName"] for each in cloudwatch.describe_alarms()["MetricAlarms"]]
    assert {each.rsplit("-", 2)[0] for each in alarms if each.startswith("zymkey-")} == {
        "zymkey-Trust",
        "zymkey-Enrollment",
    }
    for part, heading in (("MonitoringFailed", "failed"), ("KeyWatchCaKey", "cakey")):
        (alarm,) = [each for each in alarms if part in each]
        cloudwatch.set_alarm_state(AlarmName=alarm, StateValue="ALARM", StateReason="a test")
        (message,) = sqs.receive_message(QueueUrl=queue, WaitTimeSeconds=5)["Messages"]
        sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
        told = json.loads(json.loads(message["Body"])["Message"])
        assert (told["AlarmName"], told["NewStateValue"]) == (alarm, "ALARM")
        assert told["AlarmDescription"].endswith(f" docs/runbook.md#{heading}")


def what_the_fleet_did_is_counted_in_its_logs(fleet: Fleet) -> None:
    """In lines that CloudWatch makes metrics of, of the functions as they are deployed."""
    resources = fleet.sandbox.boto("cloudformation").describe_stack_resources(StackName="zymkey-Enrollment")
    groups = {
        each["LogicalResourceId"]: each["PhysicalResourceId"]
        for each in resources["StackResources"]
        if each["ResourceType"] == "AWS::Logs::LogGroup"
    }
    counted = set()
    for name, group in groups.items():
        if name.startswith(("Audit", "Enroll", "Superseded")):  # as in docs/runbook.md
            pages = fleet.sandbox.boto("logs").get_paginator("filter_log_events").paginate(logGroupName=group)
            lines = (event["message"] for page in pages for event in page["events"])
            for document in (json.loads(line) for line in lines if '"_aws"' in line):
                assert document["Fleet"] == "zymkey"
                (directive,) = document["_aws"]["CloudWatchMetrics"]
                counted |= {each["Name"] for each in directive["Metrics"]}
    assert counted >= {"Enrolled", "Renewed", "ExpiringWithin30Days", "Expired", "AuditFindings"}

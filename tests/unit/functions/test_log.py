"""The lines of the log: the members that the runbook's queries and AWS's own logger for functions know."""

import io
import json
from functools import partial
from types import SimpleNamespace

import pytest
from aws_lambda_powertools import Logger

from functions.log import Log

CONTEXT = SimpleNamespace(
    function_name="function",
    memory_limit_in_mb=512,
    invoked_function_arn="arn:aws:lambda:us-east-1:000000000000:function:function",
    aws_request_id="request-1",
)
TRACE = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1"


def lines(stream):
    return [json.loads(line) for line in stream.getvalue().splitlines()]


@pytest.fixture
def log():
    log = Log()
    log.stream = io.StringIO()
    return log


@pytest.fixture
def powertools():
    serializer = partial(json.dumps, default=str, ensure_ascii=True)
    return Logger(service="enrollment", level="INFO", json_serializer=serializer, stream=io.StringIO())


def test_each_line_is_as_powertools_writes_it(log, powertools, monkeypatch):
    monkeypatch.setattr("aws_lambda_powertools.logging.logger.is_cold_start", True)
    monkeypatch.setenv("LOG_SERVICE", "enrollment")

    def tell(logger):
        for told in (logger.info, logger.warning, logger.error):
            told("it is so", nothing=None, many=[1], odd={1j}, sent="ü\x1b")
        logger.append_keys(device="pi")
        logger.info("and more")

    @log.each_request
    def ours(event, context):
        tell(log)

    @powertools.inject_lambda_context(clear_state=True)
    def theirs(event, context):
        tell(powertools)

    for trace in (None, TRACE):  # the second is no cold start
        if trace:
            monkeypatch.setenv("_X_AMZN_TRACE_ID", trace)
        ours({}, CONTEXT)
        theirs({}, CONTEXT)
    written, expected = lines(log.stream), lines(powertools.handlers[0].stream)
    for line in (*written, *expected):
        assert len(line.pop("timestamp")) == len("2026-11-25 20:41:05,123+0000")
    assert written == expected


def test_a_request_says_nothing_of_the_one_before(log):
    @log.each_request
    def handler(event, context):
        log.append_keys(device="pi")
        log.info("one")

    handler({}, CONTEXT)
    log.info("between")
    log.clear_state()
    log.info("after")

    @log.each_request
    def silent(event, context):
        log.info("two")
        return "answer"

    assert silent({}, CONTEXT) == "answer"
    told = [(line.get("device"), line.get("function_request_id")) for line in lines(log.stream)]
    assert told == [("pi", "request-1"), ("pi", "request-1"), (None, None), (None, "request-1")]


def test_a_terminal_does_not_obey_what_a_stranger_sent(log):
    log.info("refused", reason="\x1b]0;title\x07\u202e\nsecond line")
    assert log.stream.getvalue().count("\n") == 1
    assert log.stream.getvalue().isascii()
    assert "\x1b" not in log.stream.getvalue()


def test_lines_go_to_standard_output(capsys):
    Log().info("said")
    assert json.loads(capsys.readouterr().out)["message"] == "said"

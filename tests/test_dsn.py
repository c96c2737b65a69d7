"""Reports that senders ask for, and those that they do not want: RFC 3461."""
import email
import email.policy

import pytest

from conftest import PASSWORD, until
from hosts import (arrived, b, everything_is_empty, fake_server, greet, message, names, net, postfix, queue_is_empty,  # noqa: F401
                   read_line, server, take_message)


def submit(server, recipient, rcpt='', mail='', what=None, sender='u@a.test'):
    with server.smtp('submission') as s:
        assert 'DSN' in s.keywords
        assert s.plain('u@a.test', PASSWORD).code == 235
        assert s.command('MAIL FROM:<%s>%s' % (sender, mail)).code == 250
        assert s.command('RCPT TO:<%s>%s' % (recipient, rcpt)).code == 250
        assert s.data(what or message()).code == 250


def reports(server):
    """What has come to the sender: (what the report says of the message, what of its recipients, the part that is returned)."""
    found = []
    for raw in server.messages('u@a.test'):
        report = email.message_from_bytes(raw, policy=email.policy.default)
        if report.get_content_type() == 'multipart/report':
            assert raw.startswith(b'Return-Path: <>\r\n')
            _, machine, original = report.iter_parts()
            about, *recipients = machine.get_payload()
            found.append((about, [r for r in recipients if r['Final-Recipient']], original))
    return found


def the_report(server, action, reporter='mx.a.test'):
    assert until(lambda: reports(server) and queue_is_empty(server)), server.log()[-3000:]
    ((about, (recipient,), original),) = reports(server)
    assert recipient['Action'] == action and about['Reporting-MTA'].replace(' ', '') == 'dns;' + reporter, recipient.as_string()
    assert recipient['Status'][0] == ('5' if action == 'failed' else '2')
    return about, recipient, original


def test_delivery_is_reported_where_that_is_asked_for(server):
    submit(server, 'u+X@a.test', ' NOTIFY=SUCCESS ORCPT=rfc822;U+2BX@a.test', ' RET=FULL ENVID=abc+2B1')
    about, recipient, original = the_report(server, 'delivered')
    assert about['Original-Envelope-Id'] == 'abc+1'
    assert recipient['Original-Recipient'].replace(' ', '') == 'rfc822;U+X@a.test'
    assert original.get_content_type() == 'text/rfc822-headers'  # RFC 3461 §4.3: nothing has failed
    assert len(server.messages('u@a.test')) == 2


@pytest.mark.parametrize('rcpt', ['', ' NOTIFY=NEVER', ' NOTIFY=FAILURE,DELAY'])
def test_delivery_is_not_reported_where_that_is_not_asked_for(server, rcpt):
    submit(server, 'u@a.test', rcpt)
    submit(server, 'u@a.test', ' NOTIFY=SUCCESS', ' ENVID=last')
    about, _, _ = the_report(server, 'delivered')
    assert about['Original-Envelope-Id'] == 'last'


@pytest.mark.parametrize('rcpt', [' NOTIFY=NEVER', ' NOTIFY=SUCCESS', ' NOTIFY=SUCCESS,DELAY'])
def test_a_failure_is_not_reported_where_that_is_not_wanted(server, b, rcpt):
    submit(server, 'nobody@b.test', rcpt)
    assert until(lambda: 'outcome=failed' in server.log().split('nobody@b.test')[-1] and queue_is_empty(server))
    assert reports(server) == []


@pytest.mark.parametrize('rcpt', ['', ' NOTIFY=FAILURE', ' NOTIFY=SUCCESS,FAILURE'])
def test_a_failure_is_reported_with_what_is_to_be_returned(server, b, rcpt):
    submit(server, 'nobody@b.test', rcpt + ' ORCPT=rfc822;Original@b.test', ' RET=FULL ENVID=e1', message(b'the whole of it\r\n'))
    about, recipient, original = the_report(server, 'failed')
    assert about['Original-Envelope-Id'] == 'e1' and recipient['Original-Recipient'].replace(' ', '') == 'rfc822;Original@b.test'
    assert original.get_content_type() == 'message/rfc822'
    assert original.get_payload()[0].get_content().strip() == 'the whole of it'


@pytest.mark.parametrize('mail, size', [('', 10), (' RET=HDRS', 10), (' RET=FULL', 60000)])
def test_the_header_is_enough_where_no_more_is_wanted_or_it_is_large(server, b, mail, size):
    submit(server, 'nobody@b.test', '', mail, message(b'the body\r\n' * size))
    _, _, original = the_report(server, 'failed')
    assert original.get_content_type() == 'text/rfc822-headers' and 'the body' not in original.as_string()


def test_another_server_that_knows_reports_is_left_to_report(server, b):
    submit(server, 'v@b.test', ' NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;V@b.test', ' RET=HDRS ENVID=there')
    about, recipient, _ = the_report(server, 'delivered', 'mx.b.test')
    assert about['Original-Envelope-Id'] == 'there' and recipient['Original-Recipient'].replace(' ', '') == 'rfc822;V@b.test'
    assert len(b.messages('v@b.test')) == 1


def test_postfix_reports_what_we_pass_on(server, postfix):
    submit(server, 'u@p.test', ' NOTIFY=SUCCESS', ' ENVID=pf')
    about, _, _ = the_report(server, 'delivered', 'mx.p.test')
    assert about['Original-Envelope-Id'] == 'pf'


def test_for_a_server_that_knows_no_reports_we_say_that_it_is_passed_on(server, net):
    heard = []

    def session(client):
        greet(client)
        heard.append(read_line(client))
        client.sendall(b'250 ok\r\n')
        heard.append(read_line(client))
        client.sendall(b'250 ok\r\n')
        take_message(client)
    with fake_server(net, session):
        submit(server, 'x@fake.test', ' NOTIFY=SUCCESS ORCPT=rfc822;x@fake.test', ' RET=FULL ENVID=fk')
        about, recipient, _ = the_report(server, 'relayed')
    assert about['Original-Envelope-Id'] == 'fk' and 'mx.fake.test' in recipient['Remote-MTA']
    assert not any(word in line for line in heard for word in (b'RET=', b'ENVID=', b'NOTIFY=', b'ORCPT='))


def test_an_alias_of_several_is_reported_as_expanded(server, b):
    server.must('alias', 'add', 'both@a.test', 'v@b.test', 'w@b.test')
    try:
        submit(server, 'both@a.test', ' NOTIFY=SUCCESS')
        _, recipient, _ = the_report(server, 'expanded')
        assert recipient['Final-Recipient'].replace(' ', '') == 'rfc822;both@a.test'
        assert until(lambda: len(b.messages('v@b.test')) == 1)
    finally:
        server.must('alias', 'remove', 'both@a.test')
        b.empty('w@b.test')


def test_an_alias_of_one_hands_the_wish_on(server, b):
    server.must('alias', 'add', 'one@a.test', 'v@b.test')
    try:
        submit(server, 'one@a.test', ' NOTIFY=SUCCESS ORCPT=rfc822;one@a.test')
        _, recipient, _ = the_report(server, 'delivered', 'mx.b.test')
        assert recipient['Original-Recipient'].replace(' ', '') == 'rfc822;one@a.test'
    finally:
        server.must('alias', 'remove', 'one@a.test')


def test_nothing_is_reported_to_the_null_sender(server, b):
    with server.smtp('smtp') as s:
        assert s.command('MAIL FROM:<>').code == 250
        assert s.command('RCPT TO:<u@a.test> NOTIFY=SUCCESS').code == 250
        assert s.data(message()).code == 250
    assert until(lambda: len(server.messages('u@a.test')) == 1 and queue_is_empty(server))
    assert reports(server) == []


def test_what_is_wrong_is_refused(server):
    with server.smtp('smtp') as s:
        assert s.command('MAIL FROM:<x@b.example> RET=ALL').code == 501
        assert s.command('MAIL FROM:<x@b.example> ENVID=' + 'x' * 101).code == 501
        assert s.command('MAIL FROM:<x@b.example>').code == 250
        assert s.command('RCPT TO:<u@a.test> NOTIFY=NEVER,SUCCESS').code == 501
        assert s.command('RCPT TO:<u@a.test> ORCPT=nothing').code == 501
    with server.smtp('lmtp') as s:
        assert 'DSN' not in s.keywords  # who hands over by LMTP reports for itself


@pytest.fixture
def impatient(server):
    server.configure(delay_warning='2s')
    server.must('reload')
    yield
    server.configure(delay_warning='4h')
    server.must('reload')


@pytest.mark.parametrize('notify, count', [('', 1), (' NOTIFY=DELAY', 1), (' NOTIFY=FAILURE', 0), (' NOTIFY=NEVER', 0)])
def test_a_sender_is_told_once_that_a_message_waits(server, impatient, notify, count):
    submit(server, 'x@down.test', notify)
    assert until(lambda: 'attempts=4' in server.must('queue', 'list'), 60)
    assert len(reports(server)) == count
    for about, (recipient,), _ in reports(server):
        assert recipient['Action'] == 'delayed' and recipient['Status'].startswith('4.') and recipient['Final-Recipient'] == 'rfc822; x@down.test'
    for line in server.must('queue', 'list').splitlines():
        if ' size=' in line:
            server.must('queue', 'remove', line.split()[0])

import ipaddress
import socket

import pytest

from store.addresses import check_addresses, parse_networks, refuse_literal
from store.targets import parse_target
from store.webhook_errors import AddressRefused, BadWebhookUrl

PRIVATE_LITERALS = [
    *("127.0.0.1", "127.1", "127.0.1", "2130706433", "0x7f000001", "0x7f.1", "0177.0.0.1", "017700000001", "127.255.255.254"),
    *("0.0.0.0", "0", "10.0.0.1", "10.255.255.255", "0x0a000001", "172.16.0.1", "172.31.255.255", "192.168.0.1", "192.168.1"),
    *("169.254.169.254", "2852039166", "0xa9fea9fe", "100.64.0.1", "100.100.100.200", "192.0.0.192", "198.18.0.1"),
    *("224.0.0.1", "239.255.255.250", "240.0.0.1", "255.255.255.255", "192.0.2.1", "203.0.113.1", "168.63.129.16"),
    *("[::1]", "[::]", "[0:0:0:0:0:0:0:1]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[::127.0.0.1]", "[::ffff:0:127.0.0.1]"),
    *("[64:ff9b::7f00:1]", "[64:ff9b::10.0.0.1]", "[64:ff9b:1::a00:1]", "[2002:7f00:1::]", "[2002:a00:1::1]"),
    *("[2001:0:4136:e378:8000:63bf:f5ff:fffe]", "[fe80::1]", "[fec0::1]", "[fc00::1]", "[fd00:ec2::254]", "[ff02::1]"),
    *(
        "[2001:db8::1]",
        "[3fff::1]",
        "[5f00::1]",
        "[2a00:1450::5efe:7f00:1]",
        "localhost",
        "LOCALHOST",
        "a.localhost",
        "localhost.",
    ),
]
ODD_SPELLINGS = [
    "\uff11\uff12\uff17.\uff10.\uff10.\uff11",
    "①②⑦.⓪.⓪.①",
    "127。0。0。1",
    "127.0.0.1%00",
    "[::1%25lo]",
    "%31%32%37.0.0.1",
    "0x7F.0x0.0x0.0x1",
]


def refused_at_submit(host: str) -> bool:
    try:
        target = parse_target(f"https://{host}/hook", http_allowed=False)
        refuse_literal(target.host, ())
    except (AddressRefused, BadWebhookUrl):
        return True
    return False


def test_more_than_forty_private_spellings_are_refused_when_a_job_is_submitted() -> None:
    assert len(PRIVATE_LITERALS) + len(ODD_SPELLINGS) >= 60
    assert [host for host in PRIVATE_LITERALS if not refused_at_submit(host)] == []


@pytest.mark.parametrize("host", ODD_SPELLINGS)
def test_a_spelling_that_only_a_resolver_understands_is_refused_then_or_resolves_to_something_refused(host: str) -> None:
    if refused_at_submit(host):
        return
    try:
        found = socket.getaddrinfo(parse_target(f"https://{host}/", http_allowed=False).host, 443)
    except OSError:
        return
    with pytest.raises(AddressRefused):
        check_addresses([str(entry[4][0]) for entry in found], ())


@pytest.mark.parametrize("host", ["1.1.1.1", "8.8.8.8", "[2606:4700:4700::1111]", "[::ffff:8.8.8.8]", "hooks.example.org"])
def test_public_addresses_and_names_pass(host: str) -> None:
    assert not refused_at_submit(host)


def test_one_private_address_among_public_ones_refuses_all() -> None:
    assert check_addresses(["1.1.1.1", "::ffff:8.8.8.8"], ()) == [
        ipaddress.ip_address("1.1.1.1"),
        ipaddress.ip_address("8.8.8.8"),
    ]
    with pytest.raises(AddressRefused):
        check_addresses(["1.1.1.1", "10.0.0.1"], ())
    with pytest.raises(AddressRefused):
        check_addresses([], ())


def test_operators_allow_networks() -> None:
    allowed = parse_networks("10.1.0.0/16, fd00::/8")
    refuse_literal("10.1.2.3", allowed)
    refuse_literal("::ffff:10.1.2.3", allowed)
    refuse_literal("fd00::1", allowed)
    with pytest.raises(AddressRefused):
        refuse_literal("10.2.0.1", allowed)
    assert parse_networks(None) == ()
    with pytest.raises(ValueError, match="host bits"):
        parse_networks("10.1.0.1/16")

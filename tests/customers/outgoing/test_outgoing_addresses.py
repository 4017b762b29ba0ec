import pytest

from customers.outgoing import AddressRefusedError, Allowed, Origin, Reach, reach


@pytest.mark.parametrize(
    "address",
    [
        "0.0.0.0",  # noqa: S104 - nothing is bound here
        *("169.254.169.254", "192.0.0.1", "198.18.0.1", "203.0.113.9", "224.0.0.1", "255.255.255.255"),
        *("100.100.100.200", "168.63.129.16"),
        *("::", "fe80::1", "fe80::1%eth0", "fec0::1", "ff02::1", "2001:db8::1", "2002:7f00:1::", "2001:0:7f00::1"),
        *("::127.0.0.1", "::ffff:169.254.169.254", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::1"),
        *("fd00:ec2::254", "fd20:ce::254", "100::1", "5f00::1", "3fff::1", "no address", ""),
    ],
)
def test_an_address_that_is_no_hosts_or_tells_a_machines_secrets_is_never_asked(address):
    assert reach(address) is Reach.NEVER


@pytest.mark.parametrize(
    "address",
    [
        *("10.1.2.3", "100.64.0.1", "127.0.0.1", "127.255.255.254", "172.31.255.255", "192.168.0.1"),
        *("::1", "fc00::1", "fdab::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:7f00:1"),
    ],
)
def test_an_address_of_a_private_network_is_private_however_it_is_written(address):
    assert reach(address) is Reach.PRIVATE


@pytest.mark.parametrize(
    "address", ["1.1.1.1", "172.32.0.1", "11.0.0.1", "2606:4700::1111", "::ffff:1.1.1.1", "64:ff9b::101:101"]
)
def test_an_address_of_the_public_network_is_public(address):
    assert reach(address) is Reach.PUBLIC


@pytest.mark.parametrize(
    "url",
    [
        *("ftp://example.org/", "file:///etc/passwd", "https://", "https://user:word@example.org/", "example.org"),
        *(
            "https://2130706433/",
            "https://0x7f000001/",
            "https://0177.0.0.1/",
            "https://127.1/",
            "https://1.2.3.4.5/",
        ),
        *("https://exa mple.org/", "https://example.org:99999/", "https://127.0.0.1./", "https://a.0x1/"),
    ],
)
def test_an_address_that_others_may_read_otherwise_is_refused(url):
    with pytest.raises(AddressRefusedError):
        Origin.of(url)


def test_an_address_is_read_as_everybody_reads_it():
    assert Origin.of("https://Example.ORG/a?b") == Origin("https", "example.org", 443)
    assert Origin.of("http://[::1]:81/") == Origin("http", "::1", 81)
    assert Origin.of("https://bücher.example/").host == "xn--bcher-kva.example"


def test_without_tls_only_a_named_origin_is_asked():
    allowed = Allowed(["http://geo.lan:8080"])
    allowed.check(Origin.of("http://geo.lan:8080/x"))
    allowed.check(Origin.of("https://anything.example/"))
    for url in ("http://geo.lan/", "http://geo.lan:8081/", "http://other.lan:8080/", "http://anything.example/"):
        with pytest.raises(AddressRefusedError):
            allowed.check(Origin.of(url))


def test_a_named_host_may_be_in_a_private_network_and_nowhere_worse():
    allowed = Allowed(["https://geo.lan"])
    assert allowed.admitted("geo.lan", 443, ["10.0.0.1", "1.1.1.1"]) == ["10.0.0.1", "1.1.1.1"]
    with pytest.raises(AddressRefusedError):
        allowed.admitted("geo.lan", 443, ["169.254.169.254"])
    with pytest.raises(AddressRefusedError):
        allowed.admitted("geo.lan", 444, ["10.0.0.1"])


def test_a_host_that_is_public_and_private_at_once_is_not_asked_at_all():
    assert Allowed().admitted("example.org", 443, ["1.1.1.1"]) == ["1.1.1.1"]
    with pytest.raises(AddressRefusedError):
        Allowed().admitted("example.org", 443, ["1.1.1.1", "::ffff:10.0.0.1"])

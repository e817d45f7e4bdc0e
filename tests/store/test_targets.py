import httpx
import pytest

from store.targets import parse_target
from store.webhook_errors import BadWebhookUrl, HttpsRequired


@pytest.mark.parametrize(
    "url",
    [
        *(
            "",
            "hooks.example.org",
            "//hooks.example.org/",
            "ftp://hooks.example.org/",
            "file:///etc/passwd",
            "https://",
            "https:///x",
        ),
        *("https://user@hooks.example.org/", "https://user:secret@hooks.example.org/", "https://hooks.example.org/#part"),
        *("https://hooks.example.org:0/", "https://hooks.example.org:99999/", "https://hooks.example.org:port/"),
        *("https://hooks.example.org/a b", "https://hooks.example.org/\r\nX: y", "https://hooks.example.org\\@10.0.0.1/"),
        *("https://[::1", "https://ho%6fks.example.org/" + "x" * 2048, "javascript:alert(1)", "gopher://127.0.0.1:70/"),
    ],
)
def test_a_bad_url_is_refused_with_a_sentence(url: str) -> None:
    with pytest.raises(BadWebhookUrl, match="http or https with a host"):
        parse_target(url, http_allowed=True)


def test_http_needs_the_operators_leave() -> None:
    with pytest.raises(HttpsRequired, match="PENPRESS_WEBHOOK_HTTP_ALLOWED"):
        parse_target("http://hooks.example.org/", http_allowed=False)
    target = parse_target("http://hooks.example.org/a?b=c", http_allowed=True)
    assert (target.scheme, target.host, target.port, target.path) == ("http", "hooks.example.org", 80, b"/a?b=c")


def test_a_name_of_another_script_is_called_by_its_ascii_form() -> None:
    assert parse_target("https://bücher.example:8443/", http_allowed=False).host == "xn--bcher-kva.example"


@pytest.mark.parametrize(
    ("url", "header"),
    [
        ("https://a.example/", "a.example"),
        ("https://a.example:8443/", "a.example:8443"),
        ("https://[2606:4700::1]:8443/", "[2606:4700::1]:8443"),
        ("https://[2606:4700::1]/", "[2606:4700::1]"),
    ],
)
def test_the_host_header_is_the_urls_host(url: str, header: str) -> None:
    assert parse_target(url, http_allowed=False).host_header == header


@pytest.mark.parametrize(
    ("url", "kept"),
    [
        ("https://a.example/hook?x=1&y=%20z#"[:-1], "https://a.example/hook?x=1&y=%20z"),
        ("HTTPS://A.Example", "https://a.example/"),
        ("https://a.example:443/", "https://a.example/"),
        ("https://b\u00fccher.example:8443/\u00fc?q=\u00fc", "https://xn--bcher-kva.example:8443/%C3%BC?q=%C3%BC"),
        ("https://[2606:4700::1]:8443/a", "https://[2606:4700::1]:8443/a"),
        ("https://a.example/%7e%zz/a;b=c,d'(e)!*?f=[g]|{h}\"<i>^`", None),
        ("https://a.example/a/../b/./c//d", None),
        ("https://a.example?x", None),
    ],
)
def test_a_url_is_kept_as_it_is_sent_and_stays_the_same(url: str, kept: str | None) -> None:
    target = parse_target(url, http_allowed=False)
    assert kept in (None, target.url)
    assert target.url.isascii()
    assert parse_target(target.url, http_allowed=False) == target
    assert httpx.URL(url).raw_path == target.path
    assert str(httpx.URL(target.url)) == target.url


@pytest.mark.parametrize("letter", ["x", "\u00fc", "\u6587", "\U0001f58b"])
def test_a_url_may_have_so_many_bytes_as_it_is_sent(letter: str) -> None:
    start = "https://a.example/"
    size = len(parse_target(start + letter, http_allowed=False).url) - len(start)
    most, rest = divmod(2048 - len(start), size)
    assert len(parse_target(start + letter * most, http_allowed=False).url) == 2048 - rest
    with pytest.raises(BadWebhookUrl, match="2048 bytes as it is sent"):
        parse_target(start + letter * (most + 1), http_allowed=False)

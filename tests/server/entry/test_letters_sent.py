"""Letters over the wire to a real mail server: what becomes of one that is not taken, and what cannot be put in."""

import os
import ssl
import stat
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

import server.mail.smtp
from customers.jobs import JobState, JobStore
from server.access.sign_in_links import Asking
from server.errors import SettingsError
from server.mail import (
    DirectoryMailer,
    Letter,
    LetterInvalidError,
    MailRefusedError,
    MailServer,
    MailUnavailableError,
    SmtpMailer,
    address_of,
    composed,
    mailer_of,
)
from server.portal.entry.keeper import LETTER
from server.portal.entry.tending import letter_runner, portal_address
from server.portal.entry.writing import Writer
from server.portal.languages import Languages
from server.settings import Settings, load_settings
from tests.server.entry.doors import ORIGIN, SENDER, entry_of
from tests.server.entry.doors import MailServer as TakingServer

AT = datetime(2026, 5, 14, 9, 30, tzinfo=UTC)
INJECTIONS = (
    "ada@a.example\r\nBcc: eve@evil.example",
    "ada@a.example\nBcc: eve@evil.example",
    "ada@a.example\r",
    "ada@a.example, eve@evil.example",
    "ada@a.example;eve@evil.example",
    "ada@a.example eve@evil.example",
    "<ada@a.example>",
    "Ada <ada@a.example>",
    '"ada eve"@a.example',
    "ada\u2028@a.example",
    "ada\x00@a.example",
    "ada@a.example>\r\nRCPT TO:<eve@evil.example",
    "ada@[203.0.113.7]",
    "eve%evil.example@a.example@b.example",
    "@a.example",
    "ada@",
    "ada",
    "",
    "a" * 65 + "@a.example",
)


def letter(to="ada@a.example", subject="Your code", text="1234 5678\n"):
    return Letter(to, subject, text, f"<p>{text}</p>", "en")


@pytest.fixture
async def taking():
    server = await TakingServer().start()
    yield server
    await server.stop()


def smtp(server, **changed):
    return SmtpMailer(
        MailServer("127.0.0.1", server.port, False, **changed), SENDER, "Acme Ltd", now=lambda: AT, random=os.urandom
    )


async def test_a_letter_goes_over_the_wire_as_it_was_written(taking):
    await smtp(taking).send(letter("Jörg@müller.example", "Grüße", "Über 1234 5678\n.\nund weiter\n"))
    [taken] = taking.taken
    assert taken.recipients == ("Jörg@xn--mller-kva.example",)
    assert taken.message["subject"] == "Grüße"
    assert taken.text == "Über 1234 5678\n.\nund weiter\n", "a line of one dot ends no letter"
    assert taken.message["auto-submitted"] == "auto-generated"
    assert taken.message["date"].datetime == AT
    assert taken.message["message-id"].endswith("@confide.example>")


@pytest.mark.parametrize("address", INJECTIONS)
async def test_nothing_but_one_address_is_sent_to(taking, address):
    with pytest.raises(LetterInvalidError):
        address_of(address)
    with pytest.raises(LetterInvalidError):
        await smtp(taking).send(letter(address))
    assert taking.taken == []


def test_a_subject_is_one_line():
    for subject in ("Code\r\nBcc: eve@evil.example", "Code\nX: y", "Code\u2028x", "Code\x0bx", "", "x" * 201):
        with pytest.raises(LetterInvalidError):
            composed(letter(subject=subject), SENDER, None, AT, os.urandom)


def test_the_name_of_the_sender_becomes_no_header():
    message = composed(letter(), SENDER, 'Acme" <x@y.example>\r\nBcc: eve@evil.example', AT, os.urandom)
    assert message.keys() == composed(letter(), SENDER, None, AT, os.urandom).keys()
    assert [each.addr_spec for each in message["from"].addresses] == [SENDER]


def test_what_is_looked_for_would_be_found():
    """The control: a header put together by hand takes all that."""
    raw = f"To: {INJECTIONS[0]}\r\nSubject: x\r\n\r\n"
    assert "\r\nBcc: eve" in raw


async def test_an_address_that_is_refused_for_good_and_a_server_that_is_busy_are_told_apart(taking):
    taking.answer = "550 5.1.1 ada@a.example is nobody here"
    with pytest.raises(MailRefusedError) as refused:
        await smtp(taking).send(letter())
    taking.answer = "451 4.3.0 later, ada@a.example"
    with pytest.raises(MailUnavailableError) as busy:
        await smtp(taking).send(letter())
    assert "ada" not in f"{refused.value!r} {busy.value!r}", "what the server said is not repeated"
    await taking.stop()
    with pytest.raises(MailUnavailableError):
        await smtp(taking).send(letter())
    await taking.start()


async def test_a_password_goes_nowhere_without_tls(taking):
    with pytest.raises(MailUnavailableError):
        await smtp(taking, user="confide", password="secret").send(letter())
    assert taking.taken == []
    elsewhere = MailServer.of(f"smtp://u:p@localtest.me:{taking.port}")
    assert not elsewhere.tls
    assert "p'" not in repr(elsewhere)


async def test_a_directory_gets_letters_that_only_this_user_reads_and_loses_old_ones(tmp_path):
    moment = [datetime.now(UTC)]
    mailer = DirectoryMailer(tmp_path / "mail", SENDER, None, now=lambda: moment[0], random=os.urandom)
    await mailer.send(letter())
    await mailer.send(letter())
    files = list((tmp_path / "mail").iterdir())
    assert len(files) == 2
    assert {stat.S_IMODE(each.stat().st_mode) for each in files} == {0o600}
    assert stat.S_IMODE((tmp_path / "mail").stat().st_mode) == 0o700
    assert b"1234 5678" in files[0].read_bytes()
    mailer.sweep()
    assert len(list((tmp_path / "mail").iterdir())) == 2
    moment[0] += timedelta(minutes=61)
    mailer.sweep()
    assert list((tmp_path / "mail").iterdir()) == []


def test_where_letters_go_is_a_setting(tmp_path):
    def made(**settings):
        return mailer_of(Settings(data_dir=tmp_path, **settings), now=lambda: AT, random=os.urandom)

    assert made() is None
    assert isinstance(made(development=True), DirectoryMailer)
    assert isinstance(made(mail_directory=tmp_path), DirectoryMailer)
    assert isinstance(made(smtp_uri="smtps://u:p%40@mail.example", mail_from=SENDER, development=True), SmtpMailer)
    assert MailServer.of("smtps://u:p%40@mail.example") == MailServer("mail.example", 465, True, "u", "p@")


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("CONFIDE_SMTP_URI", "https://mail.example"),
        ("CONFIDE_SMTP_URI", "smtp://mail.example/path"),
        ("CONFIDE_SMTP_URI", "smtp://mail.example:25 x"),
        ("CONFIDE_MAIL_FROM", "Acme <a@b.example>"),
        ("CONFIDE_MAIL_FROM", "a@b.example\r\nBcc: x@y.example"),
    ],
)
def test_settings_that_cannot_be_are_refused_without_being_repeated(monkeypatch, setting, value):
    monkeypatch.setenv("CONFIDE_MAIL_FROM", SENDER)
    monkeypatch.setenv(setting, value)
    with pytest.raises(SettingsError) as refused:
        load_settings()
    assert setting in str(refused.value)
    assert value not in str(refused.value)


def test_a_mail_server_needs_an_address_to_send_from(monkeypatch):
    monkeypatch.setenv("CONFIDE_SMTP_URI", "smtps://mail.example")
    with pytest.raises(SettingsError, match="mail_from"):
        load_settings()


def test_links_in_letters_lead_where_the_settings_say_and_nowhere_else():
    assert portal_address(Settings(portal_origin=ORIGIN)) == f"{ORIGIN}/portal"
    assert portal_address(Settings()) is None
    assert portal_address(Settings(development=True, port=8123)) == "http://localhost:8123/portal"


@pytest.mark.parametrize("language", ["en", "de", "fr"])
@pytest.mark.parametrize("kind", list(Asking))
def test_letters_say_the_same_in_text_and_html_with_nothing_from_elsewhere(kind, language):
    link = "a-b_c" if kind is Asking.SIGN_IN else None
    made = Writer(Languages(), f"{ORIGIN}/portal", "Acme & <b>Sons</b>").letter(
        kind, "a@b.cc", link, "12345678", language
    )
    assert "1234 5678" in made.text
    assert "1234 5678" in made.html
    assert (f"{ORIGIN}/portal/sign-in/a-b_c" in made.text) == (link is not None)
    assert "<b>Sons" not in made.html
    assert all(each not in made.html for each in ("<img", "<script", "src=", "@import", "url("))
    assert made.html.count("http") == (2 if link else 0)
    assert "12345678" not in made.subject


async def test_a_letter_that_is_not_taken_is_sent_again_with_a_new_link(door):
    browser = door.browser()
    await browser.post("/sign-in", {"address": "ada@door.example"})
    door.mail.answer = "451 later"
    assert await door.send() == []
    [job] = await door.platform.main["jobs"].find({}).to_list(None)
    assert (job["state"], job["failure"]) == (JobState.WAITING, "mail_unavailable")
    first = (await door.platform.main["sign_in_links"].find_one({}))["link"]
    door.mail.answer = None
    door.clock.forward(minutes=1)
    [letter] = await door.send()
    assert (await door.platform.main["sign_in_links"].find_one({}))["link"] != first
    assert (await browser.post(letter.link)).status_code == 303


async def test_an_address_that_is_refused_is_not_tried_again(door):
    await door.browser().post("/sign-in", {"address": "ada@door.example"})
    door.mail.answer = "550 nobody here"
    assert await door.send() == []
    [job] = await JobStore(door.platform.main, now=door.clock).dead()
    assert (job.kind, job.failure, job.about) == (LETTER, "mail_refused", ())
    assert set(job.payload) == {"asked"}


async def test_a_letter_that_is_too_late_is_not_sent(door):
    await door.browser().post("/sign-in", {"address": "ada@door.example"})
    door.clock.forward(minutes=31)
    assert await door.send() == []


async def test_without_a_way_to_send_the_job_says_so(door):
    await door.browser().post("/sign-in", {"address": "ada@door.example"})
    await letter_runner(door.platform, None, f"{ORIGIN}/portal").run_due()
    [job] = await JobStore(door.platform.main, now=door.clock).dead()
    assert job.failure == "no_mail"


async def test_letters_are_in_the_language_of_the_page(door):
    browser = door.browser(**{"accept-language": "de-AT,de;q=0.9"})
    letter = await door.letter(browser)
    assert letter.message["content-language"] == "de"
    assert '<html lang="de">' in letter.html


async def test_a_server_that_sends_nothing_lets_nobody_wait_for_it(door, monkeypatch):
    monkeypatch.setattr(door.entry, "sends", False)
    browser = door.browser()
    assert "CONFIDE_SMTP_URI" in (await browser.get("/sign-in")).text
    assert (await browser.post("/sign-in", {"address": "ada@door.example"})).status_code == 503
    assert await door.send() == []


async def test_where_letters_are_is_told_on_a_laptop_alone(door, tmp_path):
    for development, told in ((True, True), (False, False)):
        settings = Settings(data_dir=tmp_path, development=development, mail_directory=tmp_path / "letters")
        entry = entry_of(replace(door.platform, settings=settings))
        browser = door.browser()
        browser.client._transport.app = door.made(entry)
        assert (str(tmp_path / "letters") in (await browser.get("/sign-in/code")).text) is told


@pytest.fixture(scope="module")
def certified(tmp_path_factory):
    """A certificate for this machine that nobody has signed but itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    moment = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(moment - timedelta(hours=1))
        .not_valid_after(moment + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "server.pem"
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    path.write_bytes(made.public_bytes(Encoding.PEM) + private)
    return path


async def test_a_mail_server_is_trusted_by_its_certificate_alone(certified, monkeypatch):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certified)
    taking = await TakingServer().start(ssl=context)
    mailer = SmtpMailer(MailServer("127.0.0.1", taking.port, True), SENDER, None, now=lambda: AT, random=os.urandom)
    with pytest.raises(MailUnavailableError):
        await mailer.send(letter())
    assert taking.taken == []
    monkeypatch.setenv("SSL_CERT_FILE", str(certified))
    await mailer.send(letter())
    assert len(taking.taken) == 1
    await taking.stop()


async def test_a_server_elsewhere_gets_nothing_that_others_could_read(taking, monkeypatch):
    monkeypatch.setattr(server.mail.smtp, "is_loopback", lambda _host: False)
    with pytest.raises(MailUnavailableError):
        await smtp(taking).send(letter())
    assert taking.taken == []

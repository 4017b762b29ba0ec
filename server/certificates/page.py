"""The readable page of a certificate: one small HTML text without scripts, pictures or anything from elsewhere."""

import base64
import hashlib
from collections.abc import Sequence
from typing import Final

import jinja2

from audit import timestamp
from customers.rights.certificate import Certificate
from customers.rights.recipients import Delivery, State

_STYLE: Final = """
:root { color-scheme: light dark }
body { font: 1rem/1.5 system-ui, sans-serif; margin: 0 auto; max-width: 44rem; padding: 2rem 1rem }
h1 { font-size: 1.5rem; line-height: 1.2 } h2 { font-size: 1.1rem; margin-top: 2rem }
dt { font-weight: 600; margin-top: .75rem } dd { margin: 0 }
code { overflow-wrap: anywhere } li { margin-bottom: .25rem } pre { overflow-x: auto; padding: .5rem 0 }
"""
_PAGE: Final = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Certificate of an erasure</title>
<style>{{ style|safe }}</style>
</head>
<body>
<main>
<h1>Certificate of an erasure</h1>
<p>Everything that was held about one person was erased. The keys that it could be read with were destroyed, so no copy
and no backup can be read any more.</p>
<dl>
<dt>Finished</dt><dd><time datetime="{{ it.finished }}">{{ it.finished[:10] }} {{ it.finished[11:19] }} UTC</time></dd>
<dt>Begun</dt><dd><time datetime="{{ it.begun }}">{{ it.begun[:10] }} {{ it.begun[11:19] }} UTC</time></dd>
<dt>Keys destroyed (fingerprints)</dt>{% for key in it.keys %}<dd><code>{{ key }}</code></dd>{% endfor %}

<dt>Certificate</dt><dd><code>{{ it.id }}</code></dd>
<dt>Access log</dt><dd><code>{{ it.deployment }}</code></dd>
</dl>
<h2>What is kept, and why</h2>
{% if it.kept %}<p>The law demands that some records are kept. They are sealed under keys of their own, and destroyed when
their time is over.</p>
<ul>{% for each in it.kept %}
<li>{{ each.object }}, {{ each.records }} of them, until <time datetime="{{ each.until }}">{{ each.until[:10] }}</time>:
{{ each.law }} ({% for field in each.fields %}{{ field }}{{ "" if loop.last else ", " }}{% endfor %})</li>{% endfor %}
</ul>{% else %}<p>Nothing.</p>{% endif %}
<h2>Who is told</h2>
{% if it.recipients %}<p>These had data of the person, and are told that it is erased (GDPR Art. 17(2), 19).</p>
<ul>{% for each in it.recipients %}
<li>{{ each }}: {% if told[each] %}told
<time datetime="{{ told[each] }}">{{ told[each][:10] }} {{ told[each][11:19] }} UTC</time>{%
elif each in failed %}could not be told{% else %}not told yet{% endif %}</li>{% endfor %}
</ul>
{% else %}<p>The certificate names nobody who is to be told.</p>{% endif %}
<h2>What was looked at</h2>
<ul>{% for each in it.reached %}<li><code>{{ each }}</code></li>{% endfor %}</ul>
<h2>How to check it</h2>
<p>Keep both files: <a href="/certificates/{{ it.id }}?format=json">the certificate</a> and
<a href="/certificates/{{ it.id }}/receipt">its receipt</a>. With the log's public key they prove, without this server,
that the log has this certificate:</p>
<pre><code>confide audit verify-certificate {{ it.id }}.json {{ it.id }}.tlog-proof --key audit.pub</code></pre>
<p>SHA-256 of the certificate: <code>{{ digest }}</code></p>
</main>
</body>
</html>
"""
_ENVIRONMENT: Final = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined)
_TEMPLATE: Final = _ENVIRONMENT.from_string(_PAGE)
_STYLE_HASH: Final = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()


def certificate_page(certificate: Certificate, digest: str, deliveries: Sequence[Delivery]) -> tuple[str, str]:
    """The page, and the SHA-256 of its style for the content security policy.

    Args:
        certificate: What is certified.
        digest: Of its bytes.
        deliveries: What those who are to be told of it were told.
    """
    told = dict.fromkeys(certificate.recipients)
    told |= {each.recipient: timestamp(each.told_at) for each in deliveries if each.told_at is not None}
    failed = {each.recipient for each in deliveries if each.state is State.GIVEN_UP}
    page = _TEMPLATE.render(it=certificate, digest=digest, style=_STYLE, told=told, failed=failed)
    return page, _STYLE_HASH

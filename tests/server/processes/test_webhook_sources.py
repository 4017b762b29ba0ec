"""`confide sources secret|requests`: what sources of webhooks have beside a write key."""

import base64
import hashlib
import hmac
import json
import time

SECRET = "whsec_" + base64.b64encode(b"s" * 32).decode()


async def test_a_webhook_is_taken_with_the_secret_that_a_command_made(shared):
    assert (await shared.confide("sources", "create", "crm", "--kind", "standard_webhooks")).code == 0
    made = await shared.confide("sources", "secret", "crm", "--generate")
    assert made.code == 0, made.err
    secret = made.out.strip()
    assert secret.startswith("whsec_")
    stored = json.dumps(await shared.main["sources"].find({}).to_list(None), default=str)
    assert secret.removeprefix("whsec_") not in stored
    server = await shared.served()

    def signed(with_secret):
        body = json.dumps({"type": "track", "event": "Called", "userId": "4711", "messageId": "m-1"}).encode()
        stamp = str(int(time.time()))
        key = base64.b64decode(with_secret.removeprefix("whsec_"))
        mac = hmac.new(key, f"msg_1.{stamp}.".encode() + body, hashlib.sha256).digest()
        headers = {
            "webhook-id": "msg_1",
            "webhook-timestamp": stamp,
            "webhook-signature": f"v1,{base64.b64encode(mac).decode()}",
            "content-type": "application/json",
        }
        return {"content": body, "headers": headers}

    refused = await server.client.post("/webhooks/crm", **signed(SECRET))
    assert refused.status_code == 401, "the control: another secret"
    taken = await server.client.post("/webhooks/crm", **signed(secret))
    assert taken.status_code == 200, taken.text
    assert await shared.main["events"].find_one({"source": "crm"}) is not None
    assert await server.stop() == 0


async def test_there_are_no_privacy_requests_to_begin_with_and_an_unknown_source_has_no_secret(shared):
    listed = await shared.confide("sources", "requests")
    assert listed.code == 0, listed.err
    assert listed.json == []
    none = await shared.confide("sources", "secret", "nobody", "--generate")
    assert none.code == 1
    assert "there is no source of this name" in none.err

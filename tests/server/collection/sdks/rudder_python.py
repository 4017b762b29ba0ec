"""RudderStack's SDK for Python, as an application uses it: `rudder_python.py URL WRITE_KEY PERSON`."""

import json
import sys

from rudderstack.analytics.client import Client

url, key, person = sys.argv[1:4]
failed = []
client = Client(key, host=url, upload_interval=0.1, on_error=lambda error, _batch: failed.append(str(error)))
client.identify(person, {"plan": "gold", "size": 3}, context={"locale": "de"})
client.track(person, "Product Viewed", {"sku": "a-1", "price": 12.5})
client.track(anonymous_id=f"anonymous-{person}", event="Cart Opened")
client.page(person, "Shop", "Home", {"path": "/"})
client.screen(person, "Shop", "Start")
client.group(person, "company-7", {"name": "Somewhere"})
client.alias(f"before-{person}", person)
for number in range(int(sys.argv[4]) if len(sys.argv) > 4 else 0):
    client.track(person, "More", {"number": number})
client.flush()
client.join()
print(json.dumps({"failed": failed}))  # noqa: T201 - what the test reads

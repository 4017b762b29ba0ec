// Segment's SDK for Node, as an application uses it: node segment_node.mjs URL WRITE_KEY PERSON [MORE]
import { Analytics } from "@segment/analytics-node";

const [url, writeKey, userId, more] = process.argv.slice(2);
const failed = [];
const analytics = new Analytics({ writeKey, host: url, flushInterval: 100 });
analytics.on("error", (error) => failed.push(String(error.reason ?? error.code)));
analytics.identify({ userId, traits: { plan: "gold", size: 3 }, context: { locale: "de" } });
analytics.track({ userId, event: "Product Viewed", properties: { sku: "a-1", price: 12.5 } });
analytics.track({ anonymousId: `anonymous-${userId}`, event: "Cart Opened" });
analytics.page({ userId, category: "Shop", name: "Home", properties: { path: "/" } });
analytics.screen({ userId, category: "Shop", name: "Start" });
analytics.group({ userId, groupId: "company-7", traits: { name: "Somewhere" } });
analytics.alias({ userId, previousId: `before-${userId}` });
for (let number = 0; number < Number(more ?? 0); number++)
  analytics.track({ userId, event: "More", properties: { number } });
await analytics.closeAndFlush({ timeout: 60_000 });
console.log(JSON.stringify({ failed }));

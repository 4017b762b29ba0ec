// RudderStack's SDK for Node, as an application uses it: node rudder_node.mjs URL WRITE_KEY PERSON [MORE]
import RudderAnalytics from "@rudderstack/rudder-sdk-node";

const [url, writeKey, userId, more] = process.argv.slice(2);
const failed = [];
const analytics = new RudderAnalytics(writeKey, {
  dataPlaneUrl: url,
  flushInterval: 100,
  logLevel: "error",
  errorHandler: () => {}, // each event's own callback says it
});
const sent = [];
const send = (call, message) =>
  sent.push(
    new Promise((resolve) =>
      analytics[call](message, (error) => {
        if (error) failed.push(String(error));
        resolve();
      }),
    ),
  );
send("identify", { userId, traits: { plan: "gold", size: 3 }, context: { locale: "de" } });
send("track", { userId, event: "Product Viewed", properties: { sku: "a-1", price: 12.5 } });
send("track", { anonymousId: `anonymous-${userId}`, event: "Cart Opened" });
send("page", { userId, category: "Shop", name: "Home", properties: { path: "/" } });
send("screen", { userId, category: "Shop", name: "Start" });
send("group", { userId, groupId: "company-7", traits: { name: "Somewhere" } });
send("alias", { userId, previousId: `before-${userId}` });
for (let number = 0; number < Number(more ?? 0); number++)
  send("track", { userId, event: "More", properties: { number } });
const flushing = setInterval(() => analytics.flush().catch(() => {}), 200);
await Promise.all(sent);
clearInterval(flushing);
console.log(JSON.stringify({ failed }));
process.exit(0);

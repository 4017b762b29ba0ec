// Lighthouse over every page of the portal and the console. Called by scripts/lighthouse.
//
//   node audit.mjs REPOSITORY DEMO_OUTPUT LETTERS_DIRECTORY CHROMIUM [PART_OF_AN_ADDRESS]
//
// A page passes with an accessibility score of 100 and less than 100 kB over the wire with everything it needs, nothing
// of it from elsewhere. Fails if one does not, or was not found.

import { createServer } from "node:http";

import lighthouse from "lighthouse";
import puppeteer from "puppeteer-core";

import { FORMS, Letters, enter, leave, portal, stage, templateOf, templates } from "./visits.mjs";

const [root, output, directory, chromium, only = ""] = process.argv.slice(2);
const MOST_BYTES = 100_000;
const CONFIG = {
  extends: "lighthouse:default",
  settings: {
    onlyCategories: ["accessibility"],
    onlyAudits: ["network-requests"],
    // The pages are behind a sign-in, which is in the browser's storage.
    disableStorageReset: true,
    throttlingMethod: "provided",
    formFactor: "mobile",
    screenEmulation: { mobile: true, width: 360, height: 740, deviceScaleFactor: 1, disabled: false },
    maxWaitForLoad: 30_000,
    pauseAfterFcpMs: 0,
    pauseAfterLoadMs: 0,
    networkQuietThresholdMs: 0,
    cpuQuietThresholdMs: 0,
  },
};

const demo = stage(output);
const origin = `http://localhost:${demo.port}`;
const all = templates(root);
const rows = new Map();
const browser = await puppeteer.launch({ executablePath: chromium, args: ["--no-sandbox"] });
const page = await browser.newPage();
page.setDefaultTimeout(30_000);

/** What Lighthouse says of one page, with nothing of it in the browser's cache. */
async function measured(address, home) {
  const own = await browser.newPage();
  try {
    const session = await own.createCDPSession();
    await session.send("Network.clearBrowserCache");
    const { lhr } = await lighthouse(address, { logLevel: "silent" }, CONFIG, own);
    if (lhr.runtimeError) throw new Error(`${address}: ${lhr.runtimeError.message}`);
    const requests = lhr.audits["network-requests"].details.items;
    const row = {
      went: new URL(lhr.finalDisplayedUrl).pathname,
      score: Math.round(100 * lhr.categories.accessibility.score),
      bytes: requests.reduce((sum, each) => sum + (each.transferSize ?? 0), 0),
      elsewhere: requests.filter((each) => !each.url.startsWith(`${home}/`) && !each.url.startsWith("data:")).length,
      faults: lhr.categories.accessibility.auditRefs
        .map((each) => lhr.audits[each.id])
        .filter((each) => each.score !== null && each.score < 1)
        .map((each) => `${each.id}: ${each.details?.items?.map((one) => one.node?.snippet).join(" ")}`),
    };
    row.good = row.score === 100 && row.bytes < MOST_BYTES && row.elsewhere === 0;
    return row;
  } finally {
    await own.close();
  }
}

/** The control: each fault of a page that has all of them is found. */
async function control() {
  const page_ = `<!doctype html><title>x</title><img src="${origin}/portal/static/mark.svg"><!--${"x".repeat(MOST_BYTES)}-->`;
  const server = createServer((_, answer) => answer.setHeader("content-type", "text/html").end(page_));
  await new Promise((done) => server.listen(0, "127.0.0.1", done));
  const home = `http://127.0.0.1:${server.address().port}`;
  const row = await measured(`${home}/`, home);
  server.close();
  server.closeAllConnections();
  if (row.score === 100 || row.bytes < MOST_BYTES || row.elsewhere === 0) throw new Error("a faulty page passes");
}

/** Look at one page, unless one like it was looked at before. */
async function look(address) {
  const template = templateOf(all, new URL(address, origin).pathname);
  if (template === undefined || rows.has(template)) return;
  if (!template.includes(only)) return void rows.set(template, null);
  const row = await measured(origin + address, origin);
  const went = templateOf(all, row.went);
  if (went !== template) throw new Error(`${template} leads to ${went}`);
  rows.set(template, row);
  console.log(`| \`${template}\` | ${row.score} | ${(row.bytes / 1000).toFixed(1)} |`);
  row.faults.forEach((each) => console.error(`    ${each}`));
}

/** Look at these, and at whatever they lead to. */
async function crawl(starts, base) {
  const waiting = [...starts];
  const seen = new Set();
  while (waiting.length > 0) {
    const address = waiting.shift();
    const template = templateOf(all, new URL(address, origin).pathname);
    if (template === undefined || seen.has(template)) continue;
    seen.add(template);
    const answer = await page.goto(origin + address).catch(() => null);
    if (answer === null || answer.status() !== 200) continue; // a file, or not for this role
    if (templateOf(all, new URL(page.url()).pathname) === template) await look(address);
    const links = await page.$$eval("a[href]", (found) => found.map((each) => each.href));
    for (const each of links) {
      const target = new URL(each);
      if (target.origin === origin && target.pathname.startsWith(base)) waiting.push(target.pathname + target.search);
    }
  }
}

try {
  await control();
  console.log("| page | accessibility | kB |\n|---|---|---|");
  await crawl(await portal(page, origin, demo, new Letters(directory), look), "/portal/");
  await look("/console/sign-in");
  await look("/console/enrol");
  for (const player of demo.tokens.filter((each) => each.role !== "customer")) {
    await enter(page, origin, player);
    const found = (await FORMS[player.role]?.(page, origin, demo)) ?? [];
    if (player.role === "support_agent") await look("/console/purpose");
    await crawl([new URL(page.url()).pathname, "/console/audit", "/console/account", ...found], "/console/");
    await leave(page, origin);
  }
} finally {
  await browser.close();
}

const missing = all.filter((each) => !rows.has(each));
const looked = [...rows].filter(([, row]) => row !== null);
const bad = looked.filter(([, row]) => !row.good);
const most = Math.max(...looked.map(([, row]) => row.bytes));
console.log(`\n${looked.length} pages, ${looked.length - bad.length} as they should be; at most ${(most / 1000).toFixed(1)} kB.`);
missing.forEach((each) => console.error(`not found: ${each}`));
bad.forEach(([each, row]) => console.error(`${each}: ${row.score}, ${row.bytes} bytes, ${row.elsewhere} from elsewhere`));
process.exitCode = bad.length > 0 || missing.length > 0 ? 1 : 0;

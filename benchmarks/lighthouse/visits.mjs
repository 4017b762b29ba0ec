// Who goes where: the visits that open every page of the portal and the console of a demo company.

import { readFileSync, readdirSync } from "node:fs";

// Not pages: they are files, or lead elsewhere at once.
const FILES = [
  "/portal/looked/{entry}/proof", "/portal/choices/{entry}/receipt", "/portal/download/{copy}/file",
  "/console/audit/{entry}/receipt", "/console/audit/exports/{job}/file", "/console/requests/{request}/copy",
  "/console/consents/{name}/{entry}/receipt", "/console/processing/file/{form}",
  "/console/", "/console/people/+next", "/console/sign-in/oidc", "/console/sign-in/oidc/back",
];

/** The address of every page, as the code has it: `/portal/requests/{id}`. */
export function templates(root) {
  const read = (path) => readFileSync(`${root}/${path}`, "utf8");
  const found = (text, pattern, base) => [...text.matchAll(pattern)].map((each) => base + each[1]);
  const entry = found(read("server/portal/entry/entry_pages.py"), /\*route\("([^"]+)", self/g, "/portal");
  const console_ = read("server/console/app.py");
  const listings = found(read("server/console/lookup_pages.py"), /Listing\(\s*"([a-z]+)"/g, "/console/customers/{name}/");
  return [
    ...entry,
    ...found(read("server/portal/app.py"), /\bget\("([^"]+)"/g, "/portal"),
    ...found(console_, /\bget\("([^"]+)"/g, "/console"),
    ...listings,
  ].filter((each) => !each.endsWith("{rest:path}") && !each.endsWith("/sign-out") && !FILES.includes(each));
}

/** Which of these templates an address is of, the most literal first. */
export function templateOf(all, path) {
  const parts = path.split("/");
  const fits = (template) => {
    const own = template.split("/");
    return own.length === parts.length && own.every((each, at) => each === parts[at] || (each[0] === "{" && parts[at] !== ""));
  };
  const holes = (template) => template.split("{").length;
  return all.filter(fits).sort((one, other) => holes(one) - holes(other))[0];
}

/** What `confide demo` said on its standard output. */
export function stage(path) {
  const text = readFileSync(path, "utf8");
  const tokens = [...text.matchAll(/^(\w+) for (\w+)\n(\S+)$/gm)].map(([, role, purpose, token]) => ({ role, purpose, token }));
  return {
    port: text.match(/http:\/\/127\.0\.0\.1:(\d+)/)[1],
    address: text.match(/sign in with (\S+@\S+);/)[1],
    customer: text.match(/"id": "(cus_\w+)"/)?.[1],
    tokens,
  };
}

/** Letters, the newest last. */
export class Letters {
  #seen = new Set();

  constructor(directory) {
    this.directory = directory;
    this.#fresh();
  }

  #fresh() {
    let names = [];
    try {
      names = readdirSync(this.directory).filter((each) => each.endsWith(".eml") && !this.#seen.has(each));
    } catch { /* no letter was written yet */ }
    names.forEach((each) => this.#seen.add(each));
    return names.sort();
  }

  /** The first match in a letter that was not there before. */
  async next(pattern) {
    for (let tries = 0; tries < 300; tries += 1) {
      for (const name of this.#fresh()) {
        const text = readFileSync(`${this.directory}/${name}`, "utf8").replaceAll("=\r\n", "").replaceAll("=\n", "");
        const match = text.replaceAll("=3D", "=").match(pattern);
        if (match) return match[1];
      }
      await new Promise((done) => setTimeout(done, 200));
    }
    throw new Error(`no letter says ${pattern}`);
  }
}

/** Press what submits a form, and wait for the page that follows. */
export async function press(page, selector) {
  await Promise.all([page.waitForNavigation({ waitUntil: "load" }), page.click(selector)]);
}

const CODE = /\b(\d{4} ?\d{4})\b/;

async function stepUp(page, letters) {
  await press(page, "main form[action$='/confirm'] button");
  await page.type("#code", await letters.next(CODE));
  await press(page, "main form[action$='/confirm/code'] button");
}

/** The portal as a customer sees it; each step leaves the address of a page. */
export async function portal(page, origin, demo, letters, look) {
  await look("/portal/sign-in");
  await page.goto(`${origin}/portal/sign-in`);
  await page.type("#address", demo.address);
  await press(page, "main form button");
  await look("/portal/sign-in/code");
  const link = await letters.next(/(\/portal\/sign-in\/[\w-]+)/);
  await look(link);
  await page.goto(origin + link);
  await press(page, "main form button");

  await page.goto(`${origin}/portal/requests/new`);
  await page.click("main input[type=radio]");
  await page.type("#reason", "Look at my address again, please.");
  await press(page, "main form[action$='/requests/new'] button");
  const asked = new URL(page.url()).pathname;

  await look("/portal/confirm?next=%2Fportal%2Fdownload");
  await look("/portal/confirm/code?next=%2Fportal%2Fdownload");
  await page.goto(`${origin}/portal/confirm?next=%2Fportal%2Fdownload`);
  await stepUp(page, letters);
  await press(page, "main form[action$='/download'] button");
  const made = page.url().slice(origin.length);
  await look(made);
  await look(made.replace("?copy=", "/") + "/read");

  await page.goto(`${origin}/portal/correct/email`);
  await page.$eval("#value", (field) => { field.value = "eleanor.new@example.org"; });
  await press(page, "main form[action*='/correct/'] button");
  await look(await letters.next(/(\/portal\/prove\/[\w.~-]+)/));

  await look("/portal/events");
  await look("/portal/delete");
  await look("/portal/delete/confirm");
  await page.goto(`${origin}/portal/delete/confirm`);
  await page.type("#word", "DELETE");
  await press(page, "main form[action$='/delete/confirm'] button");
  await look(await letters.next(/(\/portal\/progress\/[\w.~-]+)/));
  return ["/portal/", asked];
}

/** Sign in to the console with a token, and state a purpose. */
export async function enter(page, origin, player, purpose) {
  await page.goto(`${origin}/console/sign-in`);
  await page.type("#token", player.token);
  await press(page, "main form[action$='/sign-in'] button");
  if (!page.url().includes("/purpose")) await page.goto(`${origin}/console/purpose`);
  await page.click(`#p-${purpose ?? player.purpose}`);
  await page.$eval("#state-case", (field) => { field.value = "LH-1"; });
  await press(page, "main form[action$='/purpose'] button");
}

export async function leave(page, origin) {
  await page.goto(`${origin}/console/account`);
  await press(page, "form[action$='/sign-out'] button");
}

/** What only a form leads to, by role; each gives addresses to go on from. */
export const FORMS = {
  async support_agent(page, origin, demo) {
    await page.goto(`${origin}/console/customers`);
    await page.select("#l-by", "email").catch(() => undefined);
    await page.type("#l-value", demo.address);
    await press(page, "main form[action$='/customers'] button");
    return [new URL(page.url()).pathname];
  },
  async privacy_officer(page, origin, demo) {
    return this.support_agent(page, origin, demo);
  },
  async data_steward(page, origin) {
    await page.goto(`${origin}/console/people`);
    const cases = await page.$$eval("main a[href*='/people/']", (links) => links.map((each) => new URL(each.href).pathname));
    await page.goto(origin + cases.at(-1));
    await press(page, "main button[value='same']");
    return [cases[0], "/console/merges"];
  },
  async administrator(page, origin) {
    await page.goto(`${origin}/console/plans`);
    const plan = await page.$eval("main a[href*='/plans/']", (link) => new URL(link.href).pathname);
    return [`${plan}/1`];
  },
  async auditor(page, origin) {
    await page.goto(`${origin}/console/audit/export`);
    await press(page, "main form[action$='/audit/export'] button");
    return [new URL(page.url()).pathname];
  },
};

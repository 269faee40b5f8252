// Drives the console in a real Chromium, and prints what the operator saw as JSON.
//
//     node console.mjs SCENARIO '{"console": "http://…/console", "token": "…", "deny": "http://…/", …}'
//
// Each scenario is a function below; the calling test has the assertions. A request to `deny` has a request denied and returns
// its decision id, unless `decision` is that of a stored denial. browser.mjs serves the attacker's site.

import * as browser from "./browser.mjs";
import { focused, given, heading, leading, phone, site } from "./browser.mjs";

const desk = { width: 1280, height: 800 };
const wide = { width: 1440, height: 900 };

const scenarios = {
  /** Logs in after a wrong token, opens and closes a denial, filters, and logs out; without scripts. */
  async visit() {
    const decision = await deny();
    const page = await open({ javaScriptEnabled: false });
    const seen = { before: await heading(page), focus: await page.locator(":focus").getAttribute("id") };
    await logIn(page, "not-the-token-of-anybody");
    seen.alert = await page.getByRole("alert").innerText();
    await logIn(page);
    seen.row = await row(page, decision);
    await opening(page, decision);
    seen.opened = await page.locator("section.opened").innerText();
    seen.marked = await page.locator("section.opened mark").allInnerTexts();
    await follow(page, "Close");
    await follow(page, given.consumer);
    seen.of_consumer = await rows(page);
    await follow(page, given.cause);
    seen.of_cause = await rows(page);
    seen.address = page.url().replace(given.console, "");
    await follow(page, "Remove the consumer filter");
    await follow(page, "Remove the cause filter");
    seen.all = await rows(page);
    await leading(page, page.getByRole("button", { name: "Log out" }).click());
    seen.after = await heading(page);
    await page.goBack();
    seen.back = await heading(page);
    return seen;
  },

  /** Enters a consumer key. */
  async typed() {
    await deny();
    const page = await open();
    await logIn(page);
    await page.getByLabel("Consumer key", { exact: true }).fill(given.consumer);
    await leading(page, page.keyboard.press("Enter"));
    return { address: page.url().replace(given.console, ""), rows: await rows(page) };
  },

  /** Waits for a new denial on a live page. */
  async live() {
    const page = await open({}, undefined, "");
    await logIn(page);
    const before = await rows(page);
    const decision = await deny();
    await rowOf(page, decision).waitFor();
    return { before, decision, row: await row(page, decision) };
  },

  /** Returns the cells of a denial that are visible on a phone. */
  async phone() {
    const decision = await deny();
    const page = await open({ viewport: phone });
    await logIn(page);
    const cells = rowOf(page, decision).getByRole("cell");
    return cells.evaluateAll((cells) => {
      const isOnScreen = ({ left, right }) => left >= 0 && right <= document.documentElement.clientWidth;
      return cells.filter((cell) => isOnScreen(cell.getBoundingClientRect())).map((cell) => cell.innerText);
    });
  },

  /** Uses only the keyboard from the login to the first denial; returns the focused elements. */
  async keyboard() {
    const decision = await deny();
    const page = await open();
    // A busy browser may set the focus after the page has loaded.
    await page.locator("#token:focus").waitFor();
    await page.keyboard.type(given.token);
    await leading(page, page.keyboard.press("Enter"));
    const visited = [];
    do {
      await page.keyboard.press("Tab");
      visited.push(await page.evaluate(focused));
    } while (visited.at(-1).text !== decision.slice(0, 8) && visited.length < 60);
    await leading(page, page.keyboard.press("Enter"));
    return { visited, opened: await page.locator("section.opened h2").innerText() };
  },

  /** Another site posts forms with the cookies of a logged-in operator, frames the console, and links to it. */
  async elsewhere() {
    const operator = await context();
    const page = await open({}, operator);
    await logIn(page);
    const posted = {};
    for (const form of ["logout", "login"]) {
      const evil = await operator.newPage();
      const answer = evil.waitForResponse((response) => response.request().method() === "POST");
      const fields = `<input name="token" value="${given.token}">`;
      await evil.goto(await site(`<form method="post" action="${given.console}/${form}">${fields}</form><script>document.forms[0].submit()</script>`));
      posted[form] = (await answer).status();
    }
    const framing = await operator.newPage();
    const said = framing.waitForEvent("console");
    await framing.goto(await site(`<iframe src="${given.console}"></iframe>`));
    const framed = (await said).text();
    const linking = await operator.newPage();
    await linking.goto(await site(`<a href="${given.console}">here</a>`));
    await leading(linking, linking.getByRole("link").click());
    const linked = await heading(linking);
    await page.reload();
    return { posted, framed, linked, afterwards: await heading(page) };
  },

  /** Returns what is hard to read on a wide screen, in the dark, on a phone, and in an opened denial. */
  async layout() {
    const page = await open({ viewport: wide });
    await logIn(page);
    const seen = { desk: await page.evaluate(layout) };
    await page.emulateMedia({ colorScheme: "dark" });
    seen.dark = await page.evaluate(layout);
    await page.setViewportSize({ width: 400, height: 800 });
    seen.phone = await page.evaluate(layout);
    await page.setViewportSize(wide);
    await opening(page, given.decision);
    seen.denial = await page.evaluate(layout);
    return seen;
  },

  /** Checks every page in both color schemes. */
  accessible: () => browser.accessible(everyPage),

  /** Takes a picture of every page, for docs/. */
  async screenshots() {
    await everyPage(async (page, name, colorScheme) => {
      const path = `${given.images}/console-${name}${colorScheme === "dark" ? "-dark" : ""}.png`;
      await page.setViewportSize(name === "overview" || name === "denial" ? wide : desk);
      await page.screenshot({ path, caret: "hide" });
    });
    const small = await open({ viewport: { width: 400, height: 1600 } });
    await logIn(small);
    await small.screenshot({ path: `${given.images}/console-phone.png` });
    return [];
  },
};

/** Returns what is hard to read on a page. Runs in the page. */
function layout() {
  const broken = [];
  const masked = [];
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    const text = texts.currentNode;
    // Base strings and requests have no words; a list cuts its requests, and an opened denial breaks them.
    if (text.parentElement.closest("pre, .request")) {
      if (text.data.includes("oauth_nonce=***")) masked.push(text.data);
      continue;
    }
    for (const { 0: word, index } of text.data.matchAll(/\w+/g)) {
      const range = document.createRange();
      range.setStart(text, index);
      range.setEnd(text, index + word.length);
      const tops = new Set([...range.getClientRects()].map(({ top }) => Math.round(top)));
      if (tops.size > 1) broken.push(word);
    }
  }
  const { scrollWidth, clientWidth, clientHeight } = document.documentElement;
  const consumers = document.querySelector("table[aria-labelledby=top-consumers]");
  const rows = [...document.querySelectorAll("section[aria-labelledby=denials] tbody tr")];
  const parts = [...document.querySelectorAll(".chart rect")];
  return {
    broken,
    masked,
    sideways: scrollWidth > clientWidth,
    above_the_fold: consumers.getBoundingClientRect().bottom <= clientHeight,
    // 1.5 lines: a row with one line, and its padding.
    rows: rows.map((row) => Math.round(row.getBoundingClientRect().height / 37)),
    colors: new Set(parts.map((part) => getComputedStyle(part).fill)).size,
  };
}

/** Visits every page in both color schemes. */
async function everyPage(visit) {
  for (const colorScheme of ["light", "dark"]) {
    const decision = await deny();
    const page = await open({ colorScheme, bypassCSP: true });
    await visit(page, "login", colorScheme);
    await logIn(page, "not-the-token-of-anybody");
    await visit(page, "wrong-token", colorScheme);
    await logIn(page);
    await visit(page, "overview", colorScheme);
    await opening(page, decision);
    await visit(page, "denial", colorScheme);
  }
}

/** Returns a browser context of its own. */
function context(options) {
  return browser.context({ viewport: desk, ...options });
}

/** Opens the console. Paused by default, since a reload would interrupt a scenario. */
async function open(options, within, query = "?live=off") {
  const page = await (within ?? (await context(options))).newPage();
  await page.goto(given.console + query);
  return page;
}

async function logIn(page, token = given.token) {
  await page.getByLabel("Admin token").fill(token);
  await leading(page, page.getByRole("button", { name: "Log in" }).click());
}

/** Follows the first link with that name. */
function follow(page, name) {
  return leading(page, page.getByRole("link", { name, exact: true }).first().click());
}

/** Opens a denial; only the title of its link has the whole id. */
const opening = (page, decision) => leading(page, page.getByTitle(decision, { exact: true }).click());

/** Returns the row of a denial. */
const rowOf = (page, decision) =>
  page.getByRole("row").filter({ has: page.getByTitle(decision, { exact: true }) });

/** Returns the row of a denial without its time. */
const row = async (page, decision) => {
  const cells = await rowOf(page, decision).getByRole("cell").allInnerTexts();
  return cells.slice(1);
};

/** Returns the number of listed denials. */
const rows = (page) => page.locator("section[aria-labelledby=denials] tbody tr").count();

/** Has a request denied; returns its decision id. */
const deny = async () => given.decision ?? (await fetch(given.deny)).text();

await browser.run(scenarios);

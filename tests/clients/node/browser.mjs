// Shared parts of the scripts that drive our pages in a real Chromium. A script takes the name of a scenario and its input as
// JSON, and prints the result of the scenario as JSON.

import { createServer } from "node:http";
import { createRequire } from "node:module";

const require = createRequire(process.env.PACKAGES);
const { chromium } = require("playwright-core");
const axe = require("axe-core");

export const given = JSON.parse(process.argv[3]);
export const phone = { width: 390, height: 760 };

/** The time to wait for anything, in milliseconds. */
const patience = 120_000;

const servers = [];
let browser;

/** Runs the requested scenario in a browser with additional arguments. */
export async function run(scenarios, ...more) {
  // Containers lack the user namespaces of the sandbox; only our own pages are opened.
  // Their /dev/shm is small, too.
  const args = ["--no-sandbox", "--disable-dev-shm-usage", "--disable-background-networking", ...more];
  browser = await chromium.launch({ executablePath: given.chromium, args, timeout: patience });
  try {
    process.stdout.write(JSON.stringify(await scenarios[process.argv[2]]()));
  } finally {
    await browser.close();
    servers.forEach((server) => (server.closeAllConnections(), server.close()));
  }
}

/** Returns a browser context of its own. A machine that is busy with other tests is slow. */
export async function context(options) {
  const context = await browser.newContext(options);
  context.setDefaultTimeout(patience);
  return context;
}

/** Acts, and waits for the next page to load. */
export function leading(page, act) {
  return Promise.all([page.waitForEvent("load"), act]);
}

export const heading = (page) => page.getByRole("heading", { level: 1 }).innerText();

/** Returns the focused element and whether an outline shows the focus. Runs in the page. */
export function focused() {
  const { activeElement: element } = document;
  const { outlineStyle, outlineWidth } = getComputedStyle(element);
  const text = element.id || element.getAttribute("aria-labelledby") || element.innerText;
  return { text, outline: outlineStyle !== "none" && parseFloat(outlineWidth) >= 2 };
}

/** Returns for every visited page the findings of axe, and the widths at which it scrolls sideways. */
export async function accessible(everyPage) {
  const found = [];
  await everyPage(async (page, name, colorScheme) => {
    // Requires bypassCSP, since the policy of the page forbids scripts.
    await page.evaluate(axe.source);
    const { violations, passes } = await page.evaluate(() => axe.run());
    const problems = violations.map(({ id, nodes }) => ({ id, nodes: nodes.map(({ html }) => html) }));
    const [before, scrolled] = [page.viewportSize(), []];
    for (const width of [320, 390, 1280]) {
      await page.setViewportSize({ width, height: 760 });
      const wide = await page.evaluate(() => document.documentElement.scrollWidth > document.documentElement.clientWidth);
      if (wide) scrolled.push(width);
    }
    await page.setViewportSize(before);
    found.push({ name, colorScheme, problems, scrolled, passes: passes.length });
  });
  return found;
}

/** Serves the attacker's site as "localhost"; our pages are at 127.0.0.1, so it is another site to browsers. */
export async function site(html) {
  const server = createServer((_, response) => answer(response, `<title>Evil</title>${html}`));
  return `http://localhost:${await listen(server)}/`;
}

export function answer(response, html) {
  response.setHeader("content-type", "text/html");
  response.end(`<!doctype html>${html}`);
}

/** Starts a server until the end of the scenario; returns its port. */
export function listen(server) {
  servers.push(server);
  return new Promise((resolve) => server.listen(0, "127.0.0.1", () => resolve(server.address().port)));
}

// What the scripts that drive a page of ours in a real Chromium share. Such a script is called with the name of one of its
// scenarios and with what it is given, as JSON; what the scenario gives is printed as JSON.

import { createServer } from "node:http";
import { createRequire } from "node:module";

const require = createRequire(process.env.PACKAGES);
const { chromium } = require("playwright-core");
const axe = require("axe-core");

export const given = JSON.parse(process.argv[3]);
export const phone = { width: 390, height: 760 };

const servers = [];
let browser;

/** Runs the scenario that is asked for, in a browser with these arguments too. */
export async function run(scenarios, ...more) {
  // Containers have no user namespaces for its sandbox; nobody else's pages are opened.
  const args = ["--no-sandbox", "--disable-background-networking", ...more];
  browser = await chromium.launch({ executablePath: given.chromium, args });
  try {
    process.stdout.write(JSON.stringify(await scenarios[process.argv[2]]()));
  } finally {
    await browser.close();
    servers.forEach((server) => (server.closeAllConnections(), server.close()));
  }
}

/** A browser of its own. */
export const context = (options) => browser.newContext(options);

/** Does what leads to another page, and waits until that is there. */
export function leading(page, act) {
  return Promise.all([page.waitForEvent("load", { timeout: 20000 }), act]);
}

export const heading = (page) => page.getByRole("heading", { level: 1 }).innerText();

/** What has the focus, and whether an outline shows it. Runs in the page. */
export function focused() {
  const { activeElement: element } = document;
  const { outlineStyle, outlineWidth } = getComputedStyle(element);
  const text = element.id || element.getAttribute("aria-labelledby") || element.innerText;
  return { text, outline: outlineStyle !== "none" && parseFloat(outlineWidth) >= 2 };
}

/** Of every page that is visited: what axe finds, and at which widths it has to be scrolled sideways. */
export async function accessible(everyPage) {
  const found = [];
  await everyPage(async (page, name, colorScheme) => {
    // Its source is evaluated in the page, which the page's own policy forbids.
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

/** The attacker's site: "localhost", while our pages are at 127.0.0.1, so that browsers take it for another site. */
export async function site(html) {
  const server = createServer((_, response) => answer(response, `<title>Evil</title>${html}`));
  return `http://localhost:${await listen(server)}/`;
}

export function answer(response, html) {
  response.setHeader("content-type", "text/html");
  response.end(`<!doctype html>${html}`);
}

/** Has a server listen until the scenario is over; its port. */
export function listen(server) {
  servers.push(server);
  return new Promise((resolve) => server.listen(0, "127.0.0.1", () => resolve(server.address().port)));
}

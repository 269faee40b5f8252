// Drives the authorize page in a real Chromium, and prints what the user saw as JSON.
//
//     node authorize.mjs SCENARIO '{"page": "http://…/oauth/authorize", "requests": ["oauth_token", …], …}'
//
// Each scenario is a function below; the calling test has the assertions. This script also serves the consumer's site, over
// https and under its name; browser.mjs serves the attacker's site.

import { createServer as createSecureServer } from "node:https";

import * as browser from "./browser.mjs";
import { answer, focused, given, heading, leading, listen, phone, site } from "./browser.mjs";

const scenarios = {
  /** Logs in and allows, with and without scripts; returns the final address. */
  async allow() {
    const outcomes = [];
    for (const [at, javaScriptEnabled] of [true, false].entries()) {
      const page = await open(given.requests[at], { javaScriptEnabled });
      await logIn(page);
      await page.getByRole("button", { name: "Allow" }).click();
      outcomes.push(await callback(page));
    }
    return outcomes;
  },

  /** The callback redirects to another host, as those of many applications do. */
  async sentOn() {
    const page = await open(given.requests[0]);
    await logIn(page);
    await page.getByRole("button", { name: "Allow" }).click();
    return callback(page, /www\.printer/);
  },

  async refuse() {
    const page = await open(given.requests[0]);
    await logIn(page);
    await page.getByRole("button", { name: "Refuse" }).click();
    return callback(page);
  },

  /** A custom scheme. No application handles it, so the browser fails at the address that it would open. */
  async ownScheme() {
    const page = await open(given.requests[0]);
    await logIn(page);
    const failed = page.waitForEvent("requestfailed");
    await page.getByRole("button", { name: "Allow" }).click();
    return { went: (await failed).url() };
  },

  /** Shows the PIN, selects it with one click, and returns the copied text. */
  async pin() {
    const page = await open(given.requests[0]);
    await logIn(page);
    await leading(page, page.getByRole("button", { name: "Allow" }).click());
    await page.locator(".digits").click();
    return {
      copied: await page.evaluate(() => getSelection().toString()),
      shown: await page.locator(".digits span").allInnerTexts(),
      heard: await page.locator(".spoken").innerText(),
    };
  },

  /** Enters a wrong password, returns what the user sees and hears, and then enters the right one. */
  async wrongPassword() {
    const page = await open(given.requests[0]);
    await logIn(page, "not the password");
    const described = (name) => page.getByLabel(name).getAttribute("aria-describedby");
    const seen = {
      title: await page.title(),
      alert: await page.getByRole("alert").innerText(),
      alert_id: await page.getByRole("alert").getAttribute("id"),
      described: [await described("User name"), await described("Password")],
      username: await page.getByLabel("User name").inputValue(),
      password: await page.getByLabel("Password").inputValue(),
      focus: await page.evaluate(() => document.activeElement.id),
    };
    await page.getByLabel("Password").fill(given.password);
    await leading(page, page.keyboard.press("Enter"));
    return { ...seen, then: await heading(page) };
  },

  /** Returns for each application and window what is visible of the question before any scrolling. */
  async fits() {
    const seen = [];
    for (const name of given.requests) {
      const page = await open(name);
      const loaded = [];
      page.context().on("request", (request) => loaded.push(request.url()));
      await logIn(page);
      for (const [width, height] of [[1280, 760], [360, 640], [390, 844]]) {
        await page.setViewportSize({ width, height });
        await page.evaluate(() => scrollTo(0, 0));
        const others = loaded.filter((url) => !url.startsWith("data:") && !url.startsWith(given.page));
        seen.push({ name, width, height, loaded: others, ...(await page.evaluate(question)) });
      }
    }
    return seen;
  },

  /** Opens requests that cannot be decided. */
  async deadEnds() {
    const seen = [];
    for (const name of given.requests) {
      const page = await open(name);
      seen.push({ heading: await heading(page), forms: await page.locator("form").count() });
    }
    return seen;
  },

  /** Uses only the keyboard; returns the focused elements and whether the focus is visible. */
  async keyboard() {
    const page = await open(given.requests[0]);
    const visited = [];
    const note = async () => visited.push(await page.evaluate(focused));
    await note();
    await page.keyboard.type(given.username);
    await page.keyboard.press("Tab");
    await note();
    await page.keyboard.type(given.password);
    await leading(page, page.keyboard.press("Enter"));
    do {
      await page.keyboard.press("Tab");
      await note();
    } while (visited.at(-1).text !== "Allow" && visited.length < 20);
    await page.keyboard.press("Enter");
    return { visited, ...(await callback(page)) };
  },

  /** Another site posts forms with the cookies of a logged-in user. */
  async forged() {
    const user = await context();
    const page = await open(given.requests[0], {}, user);
    await logIn(page);
    // The attacker has an own session and opens the same request.
    const attacker = await open(given.requests[0]);
    await logIn(attacker);
    const tokens = { none: "", attackers: await attacker.locator("[name=csrf_token]").first().inputValue() };
    const answers = {};
    for (const [whose, csrf] of Object.entries(tokens)) {
      answers[whose] = await posted(user, form(given.requests[0], csrf));
    }
    const users = await page.locator("[name=csrf_token]").first().inputValue();
    answers.even_the_users = await posted(user, form(given.requests[0], users));
    answers.log_in = await posted(await context(), logInForm(given.requests[0], tokens.attackers));
    await page.reload();
    return { answers, afterwards: await heading(page) };
  },

  /** Another site shows the page in a frame. */
  async framed() {
    const user = await context();
    await logIn(await open(given.requests[0], {}, user));
    const address = await site(`<iframe src="${address_of(given.requests[0])}"></iframe>`);
    const page = await user.newPage();
    const said = page.waitForEvent("console");
    await page.goto(address);
    const text = await page.frames()[1].locator("body").innerText();
    return { said: (await said).text(), text };
  },

  /** Checks every page in both color schemes. */
  accessible: () => browser.accessible(everyPage),

  /** Takes a picture of every page, for docs/. */
  async screenshots() {
    const written = [];
    await everyPage(async (page, name, colorScheme) => {
      const path = `${given.images}/authorize-${name}${colorScheme === "dark" ? "-dark" : ""}.png`;
      await page.locator("body").screenshot({ path, caret: "hide" });
      written.push(path);
    });
    return written;
  },
};

/** Returns which parts of the question are in the window, with nothing above them. Runs in the page. */
function question() {
  const isVisible = (element) => {
    const { left, right, top, bottom } = element.getBoundingClientRect();
    const { clientWidth, clientHeight } = document.documentElement;
    const middle = document.elementFromPoint((left + right) / 2, (top + bottom) / 2);
    const isInside = left >= 0 && right <= clientWidth && top >= 0 && bottom <= clientHeight;
    return isInside && (element === middle || element.contains(middle));
  };
  const [allow, refuse] = document.querySelectorAll(".choice button");
  const warning = document.querySelector(".careful");
  const service = document.querySelector(".service");
  const logo = service.querySelector("img");
  return {
    visible: {
      allow: isVisible(allow) && allow.innerText === "Allow",
      refuse: isVisible(refuse) && refuse.innerText === "Refuse",
      warning: isVisible(warning) && warning.innerText.startsWith("This application has not been verified."),
      service: isVisible(service) && service.innerText.trim() === "Photos of Example",
      question: isVisible(document.querySelector("h1")),
      unscrolled: scrollY === 0,
    },
    title: document.title,
    color: getComputedStyle(allow).backgroundColor,
    logo: logo.complete && logo.naturalWidth > 0,
  };
}

/** Visits every page in both color schemes. */
async function everyPage(visit) {
  for (const [at, colorScheme] of ["light", "dark"].entries()) {
    const [asked, pinned, expired] = given.requests.slice(3 * at, 3 * at + 3);
    const options = { colorScheme, bypassCSP: true };
    const page = await open(asked, options);
    await visit(page, "login", colorScheme);
    await logIn(page, "not the password");
    await visit(page, "wrong-password", colorScheme);
    await logIn(page);
    await visit(page, "consent", colorScheme);
    const pin = await open(pinned, options);
    await logIn(pin);
    await leading(pin, pin.getByRole("button", { name: "Allow" }).click());
    await visit(pin, "pin", colorScheme);
    await visit(await open(expired, options), "expired", colorScheme);
    const refused = await open(asked, options, page.context());
    await refused.getByRole("button", { name: "Refuse" }).click();
    const typed = await page.context().newPage();
    await typed.goto(given.page);
    await visit(typed, "code", colorScheme);
  }
}

/** Returns a browser context of its own. */
function context(options) {
  return browser.context({ viewport: phone, ignoreHTTPSErrors: true, ...options });
}

async function open(name, options, within) {
  const page = await (within ?? (await context(options))).newPage();
  await page.goto(address_of(name));
  return page;
}

const address_of = (name) => `${given.page}?oauth_token=${encodeURIComponent(name)}`;

async function logIn(page, password = given.password) {
  await page.getByLabel("User name").fill(given.username);
  await page.getByLabel("Password").fill(password);
  await leading(page, page.getByRole("button", { name: "Log in" }).click());
}

/** Waits for the callback. */
async function callback(page, url = /printer\.example\.com/) {
  await page.waitForURL(url);
  return { url: page.url(), title: await page.title() };
}

/** Has another site post a form; returns the response. */
async function posted(context, form) {
  const page = await context.newPage();
  const answer = page.waitForResponse((response) => response.request().method() === "POST");
  await page.goto(await site(`${form}<script>document.forms[0].submit()</script>`));
  return { status: (await answer).status(), heading: await heading(page) };
}

const hidden = (fields) => Object.entries(fields).map(([name, value]) => `<input name="${name}" value="${value}">`).join("");

const form = (oauth_token, csrf_token) =>
  `<form method="post" action="${given.page}">${hidden({ oauth_token, csrf_token, action: "allow" })}</form>`;

const logInForm = (oauth_token, csrf_token) => {
  const { username, password } = given;
  return `<form method="post" action="${given.page}">${hidden({ oauth_token, csrf_token, username, password, action: "log-in" })}</form>`;
};

/** Serves the consumer's site, which redirects order 8 to another host. */
async function printer() {
  const server = createSecureServer(given.certificate, (request, response) => {
    if (request.url.includes("order=8")) {
      response.writeHead(302, { location: "https://www.printer.example.com/welcome" });
      response.end();
    } else {
      answer(response, "<title>The printer</title>");
    }
  });
  return listen(server);
}

await browser.run(scenarios, `--host-resolver-rules=MAP *.example.com 127.0.0.1:${await printer()}`);

// Drives the authorize page in a real Chromium, and prints as JSON what the user got to see.
//
//     node authorize.mjs SCENARIO '{"page": "http://…/oauth/authorize", "requests": ["oauth_token", …], …}'
//
// Each scenario is a function below; what has to hold is left to the test that asks for it. The sites beside the page are
// served here: the consumer's by https and under its name, the attacker's over there (browser.mjs).

import { createServer as createSecureServer } from "node:https";

import * as browser from "./browser.mjs";
import { answer, focused, given, heading, leading, listen, phone, site } from "./browser.mjs";

const scenarios = {
  /** Logs in and allows, and says where the browser ended; once without scripts. */
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

  /** The callback sends the user on to another host, as those of many applications do. */
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

  /** An application's own scheme. Nothing here opens it: where the browser was willing to go is where it fails. */
  async ownScheme() {
    const page = await open(given.requests[0]);
    await logIn(page);
    const failed = page.waitForEvent("requestfailed", { timeout: 20000 });
    await page.getByRole("button", { name: "Allow" }).click();
    return { went: (await failed).url() };
  },

  /** Shows the PIN, selects it with one click, and says what a copy of it would be. */
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

  /** A wrong password, what the user then sees and hears, and the right one. */
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

  /** What a request gets to see that nobody can decide any more. */
  async deadEnds() {
    const seen = [];
    for (const name of given.requests) {
      const page = await open(name);
      seen.push({ heading: await heading(page), forms: await page.locator("form").count() });
    }
    return seen;
  },

  /** Every step with the keyboard alone: what has the focus, and whether one can see that. */
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

  /** Another site posts forms in the name of a user who is logged in: as a form, into a frame, and by script. */
  async forged() {
    const user = await context();
    const page = await open(given.requests[0], {}, user);
    await logIn(page);
    // What the attacker sees in a browser and a session of his own, about the same request.
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
    const said = page.waitForEvent("console", { timeout: 20000 });
    await page.goto(address);
    const text = await page.frames()[1].locator("body").innerText();
    return { said: (await said).text(), text };
  },

  /** Every page by day and by night. */
  accessible: () => browser.accessible(everyPage),

  /** A picture of every page, for docs/. */
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

/** Goes through every page, with what a consumer says of itself, by day and by night. */
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

/** A browser of its own. */
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

/** Waits for the callback's site. */
async function callback(page, url = /printer\.example\.com/) {
  await page.waitForURL(url, { timeout: 20000 });
  return { url: page.url(), title: await page.title() };
}

/** What a browser gets to see when another site has it post a form. */
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

/** The consumer's site; who comes back with order 8 is sent on to another host. */
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

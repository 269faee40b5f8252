// Sends the requests of clients.toml with unmodified clients from npm through Envoy.
//
// Takes its parameters as JSON in the first argument, and prints the version of every client. Each kind of request of each
// client has a consumer of its own, npm.CLIENT.KIND, so that Countersign's own report tells the verdict on it.

import { execFileSync } from "node:child_process";
import { createHmac, randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";

const require = createRequire(process.env.PACKAGES);
const given = JSON.parse(process.argv[2]);
const { url } = given;

const WORDS = "fish & chips/a+b=c*(d)!'~";
const UTF8 = "caffè 日本";
const FORM = { status: WORDS, place: UTF8 };
const TEXT = JSON.stringify({ title: UTF8, words: WORDS });
const FORM_TYPE = "application/x-www-form-urlencoded";
const JSON_TYPE = "application/json";

/** The URL as fetch sends it. */
const search = (text) => new URL(`${url}/search?q=${encodeURIComponent(text)}&page=1`).href;

/** Returns the requests of a client that only signs; fetch sends them. `sign` returns the Authorization header. */
function signer(sign) {
  const send = async (c, method, address, { form, json } = {}) => {
    const authorization = await sign(c, { method, address, form, json });
    const headers = { authorization, ...(json && { "content-type": JSON_TYPE }) };
    await fetch(address, { method, headers, body: json ?? (form && new URLSearchParams(form)) });
  };
  return {
    query: (c) => send(c, "GET", search(WORDS)),
    utf8: (c) => send(c, "GET", search(UTF8)),
    form: (c) => send(c, "POST", `${url}/statuses`, { form: FORM }),
    json: (c) => send(c, "POST", `${url}/statuses`, { json: TEXT }),
  };
}

/** Returns only the requests of some kinds. */
function only(requests, ...kinds) {
  return Object.fromEntries(kinds.map((kind) => [kind, requests[kind]]));
}

/** Waits for a function that takes a callback; only an error without a response counts. */
function called(send) {
  return new Promise((resolve) => send(() => resolve()));
}

/** The parameters of a request with its query and form, for clients that take one list. */
function parameters(c, method, { address, form }) {
  return {
    oauth_consumer_key: c.key,
    oauth_token: c.token,
    oauth_nonce: randomUUID(),
    oauth_timestamp: String(Math.floor(Date.now() / 1000)),
    oauth_signature_method: method,
    oauth_version: "1.0",
    ...Object.fromEntries(new URL(address).searchParams),
    ...form,
  };
}

/** Writes an Authorization header for clients that return only the signature. */
function header(signed) {
  const own = Object.entries(signed).filter(([name]) => name.startsWith("oauth_"));
  return `OAuth ${own.map(([name, value]) => `${name}="${require("oauth-sign").rfc3986(value)}"`).join(", ")}`;
}

const bare = (address) => address.split("?")[0];

const hmac = (hash) => (text, key) => createHmac(hash, key).update(text).digest("base64");

/** The requests of node-oauth and of its fork. */
function nodeOauth(OAuth) {
  const client = (c) => new OAuth(null, null, c.key, c.secret, "1.0", null, "HMAC-SHA1");
  return {
    query: (c) => called((done) => client(c).get(search(WORDS), c.token, c.tokenSecret, done)),
    utf8: (c) => called((done) => client(c).get(search(UTF8), c.token, c.tokenSecret, done)),
    form: (c) => called((done) => client(c).post(`${url}/statuses`, c.token, c.tokenSecret, FORM, done)),
    json: (c) => called((done) => client(c).post(`${url}/statuses`, c.token, c.tokenSecret, TEXT, JSON_TYPE, done)),
  };
}

/** The requests of oauth-1.0a and of its fork, which has another word for a key. */
function oauth1a(OAuth, key = "key") {
  return signer((c, { method, address, form }) => {
    const consumer = { [key]: c.key, secret: c.secret };
    const client = new OAuth({ consumer, signature_method: "HMAC-SHA1", hash_function: hmac("sha1") });
    const token = { [key]: c.token, secret: c.tokenSecret };
    return client.toHeader(client.authorize({ method, url: address, data: form }, token)).Authorization;
  });
}

/** The requests of request and of its fork. */
function request(send) {
  const oauth = (c) => ({ consumer_key: c.key, consumer_secret: c.secret, token: c.token, token_secret: c.tokenSecret });
  return {
    query: (c) => called((done) => send({ url: `${url}/search`, qs: { q: WORDS, page: 1 }, oauth: oauth(c) }, done)),
    utf8: (c) => called((done) => send({ url: `${url}/search`, qs: { q: UTF8, page: 1 }, oauth: oauth(c) }, done)),
    form: (c) => called((done) => send.post({ url: `${url}/statuses`, form: FORM, oauth: oauth(c) }, done)),
    json: (c) => called((done) => send.post({ url: `${url}/statuses`, json: JSON.parse(TEXT), oauth: oauth(c) }, done)),
  };
}

/** Sends with an axios that has the interceptor. */
function axiosOauth() {
  const client = (c) => {
    const axios = require("axios").create({ validateStatus: () => true });
    const { key, secret, token, tokenSecret } = c;
    require("axios-oauth-1.0a").default(axios, { algorithm: "HMAC-SHA256", key, secret, token, tokenSecret });
    return axios;
  };
  return {
    query: (c) => client(c).get(`${url}/search`, { params: { q: WORDS, page: 1 } }),
    utf8: (c) => client(c).get(`${url}/search`, { params: { q: UTF8, page: 1 } }),
    form: (c) => client(c).post(`${url}/statuses`, String(new URLSearchParams(FORM)), { headers: { "content-type": FORM_TYPE } }),
    "form-object": (c) => client(c).post(`${url}/statuses`, new URLSearchParams(FORM)),
    json: (c) => client(c).post(`${url}/statuses`, JSON.parse(TEXT)),
  };
}

/** The official client of WooCommerce, over http, the only scheme for which it signs. */
function woocommerce() {
  const WooCommerce = require("@woocommerce/woocommerce-rest-api").default;
  const client = (c) => new WooCommerce({ url, consumerKey: c.key, consumerSecret: c.secret, version: "wc/v3" });
  return {
    query: (c) => client(c).get("products", { search: WORDS, per_page: 20 }),
    utf8: (c) => client(c).get("products", { search: UTF8, per_page: 20 }),
    json: (c) => client(c).post("products", JSON.parse(TEXT)),
    plain: (c) => client(c).get("products"),
  };
}

/** Logs a user in as an application with Passport does, and sends a request with the token. */
function passport() {
  const OAuthStrategy = require("passport-oauth1");
  const options = (c) => ({
    requestTokenURL: `${url}/oauth/request_token`,
    accessTokenURL: `${url}/oauth/access_token`,
    userAuthorizationURL: `${url}/oauth/authorize`,
    consumerKey: c.key,
    consumerSecret: c.secret,
    callbackURL: given.callback,
  });
  /** Authenticates a request of the user's browser; returns the address of the redirect, or the token. */
  const authenticate = (strategy, query, session) =>
    new Promise((resolve, reject) => {
      Object.assign(strategy, { redirect: resolve, success: resolve, error: reject, fail: reject });
      strategy.authenticate({ query, session, headers: {} });
    });
  return {
    "three-legged": async (c) => {
      const verified = (token, secret, profile, done) => done(null, { token, secret });
      const strategy = new OAuthStrategy(options(c), verified);
      const session = {};
      const page = new URL(await authenticate(strategy, {}, session));
      const allowed = JSON.parse(execFileSync(given.allow[0], [...given.allow.slice(1), page.searchParams.get("oauth_token")]));
      const query = Object.fromEntries(new URL(allowed.redirect_url).searchParams);
      const user = await authenticate(strategy, query, session);
      await called((done) => strategy._oauth.get(search(WORDS), user.token, user.secret, done));
    },
  };
}

/** Reports a grade to the platform that launched an LTI tool; the body is covered by its hash. */
function lti() {
  const lti = require("ims-lti");
  return {
    xml: (c) =>
      called((done) => {
        const launch = { lis_outcome_service_url: `${url}/outcomes`, lis_result_sourcedid: "course:7" };
        const provider = new lti.Provider(c.key, c.secret);
        provider.parse_request({ body: { ...launch, lti_message_type: "basic-lti-launch-request" } });
        provider.outcome_service.send_replace_result(0.83, done);
      }),
  };
}

function twitter() {
  const Twitter = require("twitter");
  const client = (c) => {
    const [consumer_key, consumer_secret] = [c.key, c.secret];
    return new Twitter({ consumer_key, consumer_secret, access_token_key: c.token, access_token_secret: c.tokenSecret, rest_base: url });
  };
  return {
    query: (c) => called((done) => client(c).get("search/tweets", { q: WORDS, count: 1 }, done)),
    utf8: (c) => called((done) => client(c).get("search/tweets", { q: UTF8, count: 1 }, done)),
    form: (c) => called((done) => client(c).post("statuses/update", FORM, done)),
  };
}

function superagentOauth() {
  const superagent = require("superagent");
  require("superagent-oauth")(superagent);
  const { OAuth } = require("oauth");
  const sign = (c, request) =>
    called((done) => request.sign(new OAuth(null, null, c.key, c.secret, "1.0", null, "HMAC-SHA1"), c.token, c.tokenSecret).end(done));
  return {
    query: (c) => sign(c, superagent.get(`${url}/search`).query({ q: WORDS, page: 1 })),
    utf8: (c) => sign(c, superagent.get(`${url}/search`).query({ q: UTF8, page: 1 })),
    form: (c) => sign(c, superagent.post(`${url}/statuses`).type("form").send(FORM)),
    json: (c) => sign(c, superagent.post(`${url}/statuses`).send(JSON.parse(TEXT))),
  };
}

function jira() {
  const Jira = require("jira-client");
  const client = (c) => {
    const [consumer_key, consumer_secret, access_token, access_token_secret] = [c.key, c.secret, c.token, c.tokenSecret];
    const oauth = { consumer_key, consumer_secret, access_token, access_token_secret, signature_method: "HMAC-SHA1" };
    const { hostname: host, port } = new URL(url);
    return new Jira({ protocol: "http", host, port, apiVersion: "2", oauth });
  };
  return {
    query: (c) => client(c).searchUsers({ username: WORDS, maxResults: 1 }),
    utf8: (c) => client(c).searchUsers({ username: UTF8, maxResults: 1 }),
    json: (c) => client(c).addNewIssue({ fields: JSON.parse(TEXT) }),
  };
}

function netsuiteRest() {
  const NetsuiteRest = require("netsuite-rest");
  const client = (c) => {
    const [consumer_key, consumer_secret_key, token_secret] = [c.key, c.secret, c.tokenSecret];
    return new NetsuiteRest({ consumer_key, consumer_secret_key, token: c.token, token_secret, realm: "TSTDRV1", base_url: url });
  };
  return {
    query: (c) => client(c).request({ path: `query/v1/suiteql?q=${encodeURIComponent(WORDS)}` }),
    utf8: (c) => client(c).request({ path: `query/v1/suiteql?q=${encodeURIComponent(UTF8)}` }),
    json: (c) => client(c).request({ path: "record/v1/customer", method: "POST", body: TEXT, heads: { "Content-Type": JSON_TYPE } }),
  };
}

function nsrestlet() {
  const client = (c) => {
    const account = { accountId: "TSTDRV1", tokenKey: c.token, tokenSecret: c.tokenSecret, consumerKey: c.key, consumerSecret: c.secret };
    return require("nsrestlet").createLink(account, { url: `${url}/app/site/hosting/restlet.nl?script=7&deploy=1` });
  };
  return {
    query: (c) => called((done) => client(c).get({ q: WORDS }, done)),
    utf8: (c) => called((done) => client(c).get({ q: UTF8 }, done)),
    json: (c) => called((done) => client(c).post(JSON.parse(TEXT), done)),
  };
}

const clients = {
  oauth: nodeOauth(require("oauth").OAuth),
  "oauth-libre": nodeOauth(require("oauth-libre").OAuth),
  "oauth-1.0a": oauth1a(require("oauth-1.0a")),
  "node-oauth-1.0a-ts": oauth1a(require("node-oauth-1.0a-ts"), "public"),
  "oauth-sign": signer((c, request) => {
    const signed = parameters(c, "HMAC-SHA1", request);
    const sign = require("oauth-sign").hmacsign;
    return header({ ...signed, oauth_signature: sign(request.method, bare(request.address), signed, c.secret, c.tokenSecret) });
  }),
  "oauth-signature": signer((c, request) => {
    const signed = parameters(c, "HMAC-SHA1", request);
    const options = { encodeSignature: false };
    const { generate } = require("oauth-signature");
    return header({ ...signed, oauth_signature: generate(request.method, bare(request.address), signed, c.secret, c.tokenSecret, options) });
  }),
  "node-oauth1": signer((c, { method, address, form }) => {
    const OAuth1 = require("node-oauth1");
    const message = { method, action: address, parameters: Object.entries({ oauth_signature_method: "HMAC-SHA256", ...form }) };
    OAuth1.completeRequest(message, { consumerKey: c.key, consumerSecret: c.secret, token: c.token, tokenSecret: c.tokenSecret });
    const own = message.parameters.filter(([name]) => name.startsWith("oauth_"));
    return OAuth1.getAuthorizationHeader("", own);
  }),
  "oauth-header": only(
    signer((c, { method, address }) => {
      const { Generator } = require("oauth-header");
      return new Generator(c.key, c.secret, c.token, c.tokenSecret).generateHeaderValue(method, address);
    }),
    "query",
    "utf8",
    "json",
  ),
  "twitter-v1-oauth": signer((c, { method, address, form }) => {
    const keys = { api_key: c.key, api_secret_key: c.secret, access_token: c.token, access_token_secret: c.tokenSecret };
    const params = Object.fromEntries(new URL(address).searchParams);
    return require("twitter-v1-oauth").default({ method, url: bare(address), params, data: form }, keys);
  }),
  "mastercard-oauth1-signer": signer((c, { method, address, form, json }) => {
    const body = json ?? (form && String(new URLSearchParams(form)));
    return require("mastercard-oauth1-signer").getAuthorizationHeader(address, method, body ?? null, c.key, given.rsa_key);
  }),
  "request-oauth": signer((c, { method, address, form, json }) => {
    const { protocol, hostname, port, pathname, search } = new URL(address);
    const headers = form ? { "content-type": FORM_TYPE } : {};
    const options = { protocol, hostname, port, path: pathname + search, method, headers };
    const oauth = { consumer_key: c.key, consumer_secret: c.secret, token: c.token, token_secret: c.tokenSecret };
    const body = json ?? (form && String(new URLSearchParams(form)));
    return require("request-oauth")(oauth)({ options, body }).options.headers.Authorization;
  }),
  request: request(require("request")),
  "postman-request": request(require("postman-request")),
  "axios-oauth-1.0a": axiosOauth(),
  "superagent-oauth": superagentOauth(),
  "passport-oauth1": passport(),
  "woocommerce-rest-api": woocommerce(),
  "ims-lti": lti(),
  twitter: twitter(),
  "jira-client": jira(),
  "netsuite-rest": netsuiteRest(),
  nsrestlet: nsrestlet(),
};

/** The packages that are not named like the client. */
const PACKAGES = { "woocommerce-rest-api": "@woocommerce/woocommerce-rest-api" };

/** Returns the version that is installed. */
function version(name) {
  const file = join(dirname(process.env.PACKAGES), "node_modules", PACKAGES[name] ?? name, "package.json");
  return JSON.parse(readFileSync(file)).version;
}

const sent = {};
for (const [name, kinds] of Object.entries(clients)) {
  sent[name] = { version: version(name), kinds: Object.keys(kinds) };
  for (const [kind, send] of Object.entries(kinds)) {
    const key = `npm.${name}.${kind}${given.suffix}`;
    if (!given.keys.includes(key)) continue;
    const credentials = { key, secret: given.secret, token: `${key}.token`, tokenSecret: given.token_secret };
    // Clients of a vendor cannot read the response of our upstream.
    await send(credentials).catch((error) => console.error(`${key}: ${error.message}`));
  }
}
process.stdout.write(JSON.stringify(sent));

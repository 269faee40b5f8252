// Signs with npm packages whose deviations from RFC 5849 have compat profiles. Sends each request through Envoy twice, the
// second time modified in transit.
//
// Takes its parameters as JSON in the first argument, and prints the two responses of each case as a JSON object.

import { createHmac } from "node:crypto";
import { request } from "node:http";
import { createRequire } from "node:module";

const require = createRequire(process.env.PACKAGES);
const { OAuth } = require("oauth");
const OAuth1a = require("oauth-1.0a");
const mastercard = require("mastercard-oauth1-signer");

const given = JSON.parse(process.argv[2]);
const HOST = "api.example.com";
const FORM = "application/x-www-form-urlencoded";
const JSON_TYPE = "application/json";

/** Signs with oauth-1.0a; the signed URL may differ from the requested one. */
function oauth1a(consumer, method, url) {
  const client = new OAuth1a({
    consumer: { key: consumer, secret: given.secret },
    signature_method: "HMAC-SHA1",
    hash_function: (text, key) => createHmac("sha1", key).update(text).digest("base64"),
  });
  return client.toHeader(client.authorize({ method, url })).Authorization;
}

/** Signs with oauth, with the version from its documentation. */
function oauth(consumer, method, url) {
  const client = new OAuth(null, null, consumer, given.secret, "1.0A", null, "HMAC-SHA1");
  return client.authHeader(url, "", "", method);
}

/** Signs with mastercard-oauth1-signer. */
function card(consumer, method, url, body) {
  return mastercard.getAuthorizationHeader(url, method, body, consumer, given.rsa_key);
}

const url = (target) => `http://${HOST}${target}`;
const cases = {
  "plus-literal": {
    target: "/photos?q=one+two",
    changed: { target: "/photos?q=one+three" },
    sign: (consumer) => oauth1a(consumer, "GET", url("/photos?q=one+two")),
  },
  "no-root-slash": {
    target: "/?q=one",
    changed: { target: "/?q=two" },
    sign: (consumer) => oauth1a(consumer, "GET", url("?q=one")),
  },
  "version-lenient": {
    target: "/photos?q=one",
    changed: { target: "/photos?q=two" },
    sign: (consumer) => oauth(consumer, "GET", url("/photos?q=one")),
  },
  // Signed for https; a proxy terminated TLS.
  "scheme-any": {
    target: "/photos",
    changed: { target: "/prints" },
    sign: (consumer) => oauth1a(consumer, "GET", `https://${HOST}/photos`),
  },
  "ignore-query-on-post": {
    method: "POST",
    target: "/photos?page=1",
    changed: { target: "/prints?page=1" },
    sign: (consumer) => oauth1a(consumer, "POST", url("/photos")),
  },
  "raw-values!get": {
    target: "/photos?Name=caf%C3%A8%20latte",
    changed: { target: "/photos?Name=caf%C3%A8%20nero" },
    sign: (consumer) => card(consumer, "GET", url("/photos?Name=caf%C3%A8%20latte"), null),
  },
  "raw-values!json": {
    method: "POST",
    target: "/photos",
    type: JSON_TYPE,
    body: '{"title": "Übergröße"}',
    changed: { body: '{"title": "Untergröße"}' },
    sign: (consumer) => card(consumer, "POST", url("/photos"), '{"title": "Übergröße"}'),
  },
  "body-unsigned-form!form": {
    method: "POST",
    target: "/photos",
    type: FORM,
    body: "title=a+b&size=1",
    changed: { body: "title=a+b&size=2" },
    sign: (consumer) => card(consumer, "POST", url("/photos"), "title=a+b&size=1"),
  },
};

/** Sends a request unchanged; returns the status and the problem. */
function send({ method = "GET", target, type, body = "" }, authorization) {
  const [host, port] = given.address.split(":");
  const headers = { Host: HOST, Authorization: authorization, "Content-Length": Buffer.byteLength(body) };
  if (type) {
    headers["Content-Type"] = type;
  }
  return new Promise((resolve, reject) => {
    const sent = request({ host, port, method, path: target, headers }, async (response) => {
      let text = "";
      for await (const chunk of response.setEncoding("utf8")) {
        text += chunk;
      }
      const problem = response.statusCode === 200 ? null : JSON.parse(text).oauth_problem;
      resolve([response.statusCode, problem]);
    });
    sent.on("error", reject);
    sent.end(body);
  });
}

const outcomes = {};
for (const [name, { sign, changed, ...whole }] of Object.entries(cases)) {
  const as_signed = await send(whole, sign(name));
  outcomes[name] = { as_signed, changed: await send({ ...whole, ...changed }, sign(name)) };
}
process.stdout.write(JSON.stringify(outcomes));

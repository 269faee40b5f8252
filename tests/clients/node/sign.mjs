// Signs with the npm packages oauth and oauth-1.0a, sends through Envoy, and prints the responses.
//
// Takes its parameters as JSON in the first argument, and prints a JSON list.

import { createHmac } from "node:crypto";
import { createRequire } from "node:module";

const require = createRequire(process.env.PACKAGES);
const { OAuth } = require("oauth");
const OAuth1a = require("oauth-1.0a");

const given = JSON.parse(process.argv[2]);
const query = "q=caff%C3%A8%20latte%20%26%20more&page=1&empty=";
const form = { title: "Übergröße", tag: "a & b", empty: "" };

/** Signs and sends with oauth, in the header. */
function oauth() {
  const methods = ["HMAC-SHA1", "HMAC-SHA256"];
  return methods.flatMap((method) => {
    const client = new OAuth(null, null, given.consumer_key, given.consumer_secret, "1.0", null, method);
    const url = `${given.url}/photos`;
    const credentials = [given.token, given.token_secret];
    const sent = (request, send) => ({ client: "oauth", request: `${method}, ${request}`, send: () => called(send) });
    return [
      sent("query", (done) => client.get(`${url}?${query}`, ...credentials, done)),
      sent("form", (done) => client.post(url, ...credentials, form, done)),
      sent("JSON", (done) => client.put(url, ...credentials, '{"title": "Ü!"}', "application/json", done)),
      sent("nothing", (done) => client.delete(`${url}/1`, ...credentials, done)),
    ];
  });
}

/** Turns a function with a callback into a promise of status and body. */
function called(send) {
  return new Promise((resolve) => {
    send((error, body, response) => resolve(error?.statusCode ? [error.statusCode, error.data] : [response?.statusCode, body]));
  });
}

/** Signs with oauth-1.0a, which does not send. */
function oauth1a() {
  const token = { key: given.token, secret: given.token_secret };
  return ["sha1", "sha256"].flatMap((hash) => {
    const client = new OAuth1a({
      consumer: { key: given.consumer_key, secret: given.consumer_secret },
      signature_method: `HMAC-${hash.toUpperCase()}`,
      hash_function: (text, key) => createHmac(hash, key).update(text).digest("base64"),
    });
    const signed = (request, method, url, data) => ({
      client: "oauth-1.0a",
      request: `${hash}, ${request}`,
      send: async () => {
        const headers = client.toHeader(client.authorize({ method, url, data }, token));
        const response = await fetch(url, { method, headers, body: data && new URLSearchParams(data) });
        return [response.status, await response.text()];
      },
    });
    return [
      signed("query", "GET", `${given.url}/photos?${query}`),
      signed("form", "POST", `${given.url}/photos`, form),
      signed("nothing", "DELETE", `${given.url}/photos/1`),
    ];
  });
}

const outcomes = [];
for (const { client, request, send } of [...oauth(), ...oauth1a()]) {
  const [status, body] = await send();
  outcomes.push({ client, request, status, body });
}
process.stdout.write(JSON.stringify(outcomes));

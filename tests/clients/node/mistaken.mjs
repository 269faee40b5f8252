// Signs requests with the npm packages oauth, oauth-1.0a and mastercard-oauth1-signer, with known mistakes of the packages and
// their users. Prints a JSON list like that of tests/clients/python/mistaken.py.

import { createHash, createHmac, generateKeyPairSync } from "node:crypto";
import { createRequire } from "node:module";

const require = createRequire(process.env.PACKAGES);
const { OAuth } = require("oauth");
const OAuth1a = require("oauth-1.0a");
const mastercard = require("mastercard-oauth1-signer");

const HOST = "api.example.com";
const secrets = { consumer_secret: "kd94hf93k423kf44", token_secret: "pfkkdhi9sl3r4s00" };
const form = ["Content-Type", "application/x-www-form-urlencoded"];
const json = ["Content-Type", "application/json"];
const mac = (hash, encoding) => (text, key) => createHmac(hash, key).update(text).digest(encoding);
const cases = [];

/** Adds a case: a request as it arrives. */
function arrives(cause, what, authorization, arriving = {}) {
  const { method = "GET", target = "/", host = HOST, headers = [], body = "", ...given } = arriving;
  const lines = [["Host", host], ["Authorization", authorization], ...headers, ["Content-Length", Buffer.byteLength(body)]];
  const head = [`${method} ${target} HTTP/1.1`, ...lines.map(([name, value]) => `${name}: ${value}`)];
  const request = `${head.join("\r\n")}\r\n\r\n${body}`;
  cases.push({ cause, what, scheme: "https", request, ...secrets, old_secret: null, public_key: null, ...given });
}

/** Returns the header that oauth-1.0a makes. */
function header({ url = `https://${HOST}/photos`, method = "GET", data, token = true, includeBodyHash, ...options }) {
  const client = new OAuth1a({
    consumer: { key: "ck", secret: secrets.consumer_secret },
    signature_method: "HMAC-SHA1",
    hash_function: mac("sha1", "base64"),
    ...options,
  });
  const credentials = token ? { key: "tk", secret: secrets.token_secret } : undefined;
  return client.toHeader(client.authorize({ url, method, data, includeBodyHash }, credentials)).Authorization;
}

const photos = { target: "/photos" };
arrives("root-slash", "a URL without a path", header({ url: `https://${HOST}` }));
const plus = "/photos?q=one+two";
arrives("plus-literal", "a plus in the query", header({ url: `https://${HOST}${plus}` }), { target: plus });
const bracketed = "/photos?filter%5Bsize%5D=small";
arrives("encoded-twice", "a name that is encoded in the query", header({ url: `https://${HOST}${bracketed}` }), { target: bracketed });
const both = `${bracketed}&q=one+two`;
arrives("plus-literal+encoded-twice", "the same, and a plus", header({ url: `https://${HOST}${both}` }), { target: both });
// oauth-1.0a signs capitals unchanged.
arrives("host-case", "capitals", header({ url: "https://API.Example.com/photos" }), { ...photos, host: "API.Example.com" });
arrives("path-decoded", "a path that fetch encodes", header({ url: `https://${HOST}/caffè latte` }), {
  target: "/caff%C3%A8%20latte",
});
const data = { title: "summer", size: 1 };
const post = { method: "POST", target: "/photos" };
arrives("body-included", "an object that is sent as JSON", header({ method: "POST", data }), {
  ...post, headers: [json], body: JSON.stringify(data),
});
arrives("encoded-twice", "values that are encoded already", header({ method: "POST", data: { title: "a%20b" } }), {
  ...post, headers: [form], body: "title=a%20b",
});
arrives("signature-encoding", "hexadecimal", header({ hash_function: mac("sha1", "hex") }), photos);
arrives("signature-encoding", "base64url", header({ hash_function: mac("sha256", "base64url"), signature_method: "HMAC-SHA256" }), photos);
const named = { signature_method: "HMAC-SHA256" };
arrives("method-confusion", "SHA-1 named SHA-256", header(named), photos);
arrives("method-confusion", "SHA-512 named SHA-1", header({ hash_function: mac("sha512", "base64") }), photos);
const alone = { ...photos, token_secret: null };
arrives("ampersand-missing", "last_ampersand: false", header({ token: false, last_ampersand: false }), alone);
const hashed = (hash) => ({ body_hash_function: (text) => createHash(hash).update(text).digest("base64") });
const sent = { ...post, headers: [json] };
arrives("body-hash", "of an object without spaces", header({ method: "POST", data, includeBodyHash: true, ...hashed("sha1") }), {
  ...sent, body: `${JSON.stringify(data)}\n`,
});
arrives("body-hash", "by SHA-1 instead of SHA-256", header({
  method: "POST", data, includeBodyHash: true, ...hashed("sha1"), ...named, hash_function: mac("sha256", "base64"),
}), { ...sent, body: JSON.stringify(data) });
arrives("body-hash", "a body that somebody changed", header({ method: "POST", data, includeBodyHash: true, ...hashed("sha1") }), {
  ...sent, body: JSON.stringify({ title: "winter", size: 1 }),
});

class Unsorted extends OAuth1a {
  sortObject(data) {
    return Object.entries(data).map(([key, value]) => ({ key, value }));
  }
}
class Component extends OAuth1a {
  percentEncode(text) {
    return encodeURIComponent(text);
  }
}
for (const [cause, Client, query] of [["sorting", Unsorted, "z=1&b=2"], ["characters-not-encoded", Component, "q=yes!"]]) {
  const client = new Client({
    consumer: { key: "ck", secret: secrets.consumer_secret },
    signature_method: "HMAC-SHA1",
    hash_function: mac("sha1", "base64"),
  });
  const authorized = client.authorize({ url: `https://${HOST}/photos?${query}`, method: "GET" }, { key: "tk", secret: secrets.token_secret });
  arrives(cause, `${Client.name}: ${query}`, client.toHeader(authorized).Authorization, { target: `/photos?${query}` });
}

const old = new OAuth(null, null, "ck", secrets.consumer_secret, "1.0A", null, "HMAC-SHA1");
arrives("version-text", "the version of its documentation", old.authHeader(`https://${HOST}/photos`, "tk", secrets.token_secret, "GET"), photos);
const plain = new OAuth(null, null, "ck", secrets.consumer_secret, "1.0", null, "HMAC-SHA1");
const http = plain.authHeader(`http://${HOST}/photos`, "tk", secrets.token_secret, "GET");
arrives("scheme", "oauth signs http", http, photos);
const version = plain.authHeader(`https://${HOST}/photos`, "tk", secrets.token_secret, "GET").replace('oauth_version="1.0",', "");
arrives("version", "oauth signs it, and it is lost", version, photos);

/** Adds a case of mastercard-oauth1-signer, which always makes these mistakes. */
function signer(cause, target, method = "GET", body = "", headers = []) {
  const encoding = { publicKeyEncoding: { type: "spki", format: "pem" }, privateKeyEncoding: { type: "pkcs8", format: "pem" } };
  const { publicKey, privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048, ...encoding });
  const authorization = mastercard.getAuthorizationHeader(`https://${HOST}${target}`, method, body || undefined, "ck", privateKey);
  const keys = { consumer_secret: null, token_secret: null, public_key: publicKey };
  arrives(cause, `mastercard-oauth1-signer, ${method} ${target}`, authorization, { method, target, body, headers, ...keys });
}
signer("encoded-once", "/photos");
signer("encoded-once", "/photos?q=a/b&name=caff%C3%A8");
signer("encoded-once", "/photos", "POST", JSON.stringify(data), [json]);
signer("form-left-out+encoded-once", "/photos", "POST", "title=summer&size=1", [form]);

process.stdout.write(JSON.stringify(cases));

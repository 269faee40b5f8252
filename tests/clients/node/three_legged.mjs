// The three-legged flow with the npm package oauth, unmodified, ending with a signed request.
//
// Takes its parameters as JSON in the first argument, and prints the result of the flow. The command in `allow` acts as the
// user: it takes the token as its last argument and prints JSON.

import { execFileSync } from "node:child_process";
import { createRequire } from "node:module";

const require = createRequire(process.env.PACKAGES);
const { OAuth } = require("oauth");

const given = JSON.parse(process.argv[2]);
const { url, consumer_key: key, consumer_secret: secret } = given;
const [requestToken, accessToken] = [`${url}/oauth/request_token`, `${url}/oauth/access_token`];

/** Turns a function with a callback into a promise of its results. */
function called(send) {
  return new Promise((resolve, reject) => {
    send((error, ...results) => (error ? reject(new Error(JSON.stringify(error))) : resolve(results)));
  });
}

const outcomes = [];
for (const [callback, method] of [[given.callback, "HMAC-SHA1"], ["oob", "HMAC-SHA1"], [given.callback, "HMAC-SHA256"]]) {
  const client = new OAuth(requestToken, accessToken, key, secret, "1.0", callback, method);
  const [token, tokenSecret, more] = await called((done) => client.getOAuthRequestToken(done));
  const allowed = JSON.parse(execFileSync(given.allow[0], [...given.allow.slice(1), token]));
  const redirected = allowed.redirect_url && new URL(allowed.redirect_url).searchParams;
  const verifier = redirected ? redirected.get("oauth_verifier") : allowed.verifier;
  const [access, accessSecret, named] = await called((done) => client.getOAuthAccessToken(token, tokenSecret, verifier, done));
  const [body, response] = await called((done) => client.get(`${url}/mine?q=caff%C3%A8`, access, accessSecret, done));
  outcomes.push({ callback, confirmed: more.oauth_callback_confirmed, ...named, status: response.statusCode, body });
}
process.stdout.write(JSON.stringify(outcomes));

// Validates resources of the Gateway API and of Istio against the schemas of their types, and prints the problem of
// each, or null. Reads the resources as JSON from standard input.

import { existsSync, readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

const packages = ["gateway-api", "istio"].map((name) => `${process.argv[2]}/node_modules/@kubernetes-models/${name}`);

async function problem({ apiVersion, kind, ...rest }) {
  const file = packages.map((one) => `${one}/${apiVersion}/${kind}.js`).find(existsSync);
  if (!file) return "no schema";
  const module = await import(pathToFileURL(file));
  try {
    new module[kind](rest).validate();
    return null;
  } catch (error) {
    return error.message;
  }
}

const resources = JSON.parse(readFileSync(0, "utf8"));
process.stdout.write(JSON.stringify(await Promise.all(resources.map(problem))));

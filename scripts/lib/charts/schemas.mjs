// Validates the resources in a JSON file against their schemas, and prints each mistake.
//
//   node schemas.mjs PACKAGES FILE       PACKAGES: the directory with node_modules

import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

const [packages, file] = process.argv.slice(2);
const base = pathToFileURL(`${packages}/`);
const MODELS = {
  "cert-manager.io": "cert-manager",
  "external-secrets.io": "external-secrets",
  "gateway.networking.k8s.io": "gateway-api",
  "monitoring.coreos.com": "prometheus-operator",
};

async function problem({ apiVersion, kind, ...rest }) {
  const model = MODELS[apiVersion.split("/")[0]];
  const module = await import(new URL(`node_modules/@kubernetes-models/${model}/${apiVersion}/${kind}.js`, base));
  try {
    new module[kind](rest).validate();
    return [];
  } catch (error) {
    return [`${kind} ${rest.metadata.name}: ${error.message}`];
  }
}

const problems = await Promise.all(JSON.parse(readFileSync(file, "utf8")).map(problem));
process.stdout.write(JSON.stringify(problems.flat()));

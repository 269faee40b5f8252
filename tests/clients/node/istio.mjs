// Validates the Istio resources of a YAML file against their schemas, and prints each with its error.
//
// Documents that are not resources (Helm values) are printed unchanged.

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const require = createRequire(process.env.PACKAGES);
const { parseAllDocuments } = require("yaml");

async function problem({ apiVersion, kind, ...rest }) {
  if (!kind) return null;
  const path = `node_modules/@kubernetes-models/istio/${apiVersion}/${kind}.js`;
  const module = await import(new URL(path, pathToFileURL(process.env.PACKAGES)));
  try {
    new module[kind](rest).validate();
    return null;
  } catch (error) {
    return error.message;
  }
}

const documents = parseAllDocuments(readFileSync(process.argv[2], "utf8")).map((document) => document.toJS());
const held = await Promise.all(documents.map(async (document) => ({ document, problem: await problem(document) })));
process.stdout.write(JSON.stringify(held));

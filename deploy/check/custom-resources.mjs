// Holds custom resources (KEDA's, the Prometheus operator's) against their published types, as strictly as the compiler is: a
// field that is not there, or of another kind, is refused.
//
//   node custom-resources.mjs FOLDER BUILT.yaml…      FOLDER has node_modules, by deploy/setup.sh
import { execFileSync } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { basename, join, resolve } from "node:path";

const [folder, ...files] = process.argv.slice(2);
const require = createRequire(resolve(folder, "node_modules") + "/");
const { parseAllDocuments } = require("yaml");
const PACKAGES = {
  "keda.sh/v1alpha1": "@kubernetes-models/keda/keda.sh/v1alpha1",
  "monitoring.coreos.com/v1": "@kubernetes-models/prometheus-operator/monitoring.coreos.com/v1",
};
const sources = resolve(folder, "custom-resources");
mkdirSync(sources, { recursive: true });

function compile(names) {
  const config = {
    compilerOptions: { strict: true, noEmit: true, module: "nodenext", skipLibCheck: true, types: [] },
    files: names,
  };
  writeFileSync(join(sources, "tsconfig.json"), JSON.stringify(config));
  const compiler = resolve(folder, "node_modules/typescript/bin/tsc");
  try {
    execFileSync(process.execPath, [compiler, "-p", sources], { encoding: "utf8" });
    return "";
  } catch (error) {
    return error.stdout || String(error);
  }
}

function source(name, found) {
  const lines = found.map(({ apiVersion, kind }, at) =>
    `import type { I${kind} as T${at} } from "${PACKAGES[apiVersion]}/${kind}";`);
  found.forEach((one, at) => lines.push(`export const c${at}: T${at} = ${JSON.stringify(one, null, 1)};`));
  writeFileSync(join(sources, name), lines.join("\n"));
  return name;
}

const names = [];
const all = [];
for (const file of files) {
  const documents = parseAllDocuments(readFileSync(file, "utf8")).map((document) => document.toJS());
  const found = documents.filter((one) => one && one.apiVersion in PACKAGES);
  if (found.length > 0) names.push(source(basename(file).replace(".yaml", ".ts"), found));
  all.push(...found);
}
const refused = compile(names);
if (refused) {
  console.error(refused);
  process.exit(1);
}

// The check itself: one field misspelt in each kind must be refused.
const kinds = new Map(all.map((one) => [one.kind, one]));
const broken = [...kinds.values()].map((one) => source(`broken-${one.kind}.ts`, [{ ...one, spec: { ...one.spec, mispelt: 1 } }]));
for (const name of broken) {
  if (!compile([name]).includes("mispelt")) {
    console.error(`a misspelt field of ${name} passes: these types are not strict`);
    process.exit(1);
  }
}
console.log(`${all.length} custom resources of ${kinds.size} kinds in ${names.length} files`);

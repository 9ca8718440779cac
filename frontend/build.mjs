// Bundles each entry into one file, for browsers that know `light-dark()` and modules.
import { mkdir } from "node:fs/promises";
import { build } from "esbuild";

const here = new URL(".", import.meta.url).pathname;
const built = process.argv[2] ?? `${here}../sentinel/console/static/built`;

await mkdir(built, { recursive: true });
await build({
  absWorkingDir: here,
  entryPoints: ["console.js", "chart.js", "draft.js"],
  outdir: built,
  bundle: true,
  format: "iife",
  target: ["chrome123", "firefox120", "safari17.5"],
  minify: true,
  legalComments: "eof",
  charset: "utf8",
  logLevel: "warning",
});

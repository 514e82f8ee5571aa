// After a build: what it was made of and what came out, so that a test sees that neither was changed without the other.
import { createHash } from "node:crypto";
import { readFileSync, readdirSync, writeFileSync } from "node:fs";

const here = new URL("./", import.meta.url);
const digest = (url) => createHash("sha256").update(readFileSync(url)).digest("hex");
const made = new URL("../service/web/pages/static/", here);

// Leaflet's style has pictures of controls and pins that these pages do not have.
const style = new URL("pages.css", made);
writeFileSync(style, readFileSync(style, "utf8").replace(/url\([^)]*\)/g, "none"));

const sources = ["package.json", "package-lock.json", "shapes.mjs", "tsconfig.json", "vite.config.ts", ...readdirSync(new URL("src/", here)).map((name) => `src/${name}`)];
const seal = {
  sources: Object.fromEntries(sources.sort().map((name) => [name, digest(new URL(name, here))])),
  built: Object.fromEntries(["pages.js", "pages.css"].map((name) => [name, digest(new URL(name, made))])),
};
writeFileSync(new URL("seal.json", made), `${JSON.stringify(seal, null, 2)}\n`);

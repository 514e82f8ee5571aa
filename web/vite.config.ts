import { defineConfig } from "vite";

// One script and one style sheet with fixed names: pages name them, and say by their hashes when they change.
export default defineConfig({
  build: {
    outDir: "../service/web/pages/static",
    emptyOutDir: false,
    target: "es2020",
    modulePreload: false,
    lib: { entry: "src/pages.ts", formats: ["iife"], name: "pages", fileName: () => "pages.js", cssFileName: "pages" },
  },
});

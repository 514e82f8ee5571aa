import { defineConfig } from "vite";

// Leaflet's style names pictures of controls and pins that these pages do not have.
const withoutPictures = {
  name: "without-pictures",
  enforce: "pre" as const,
  transform: (code: string, id: string) => (id.endsWith("leaflet.css") ? code.replace(/url\([^)]*\)/g, "none") : undefined),
};

// One script and one style sheet with fixed names: pages name them, and say by their hashes when they change.
export default defineConfig({
  plugins: [withoutPictures],
  build: {
    outDir: "../service/web/pages/static",
    emptyOutDir: false,
    target: "es2020",
    modulePreload: false,
    lib: { entry: "src/pages.ts", formats: ["iife"], name: "pages", fileName: () => "pages.js", cssFileName: "pages" },
  },
});

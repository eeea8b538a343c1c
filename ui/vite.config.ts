// Builds `dist`: file names without hashes, so that the repository stores small differences and
// no dead files, and relative addresses only, so that it works below any path prefix.

import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";

/** A chunk of a page is called as its folder and file: `trace-page.js`, not `page3.js`. */
function chunkName(chunk: { facadeModuleId?: string | null }): string {
  const [, page, file] = /\/pages\/(\w+)\/(\w+)\.tsx$/.exec(chunk.facadeModuleId ?? "") ?? [];
  return page === undefined ? "assets/[name].js" : `assets/${page}-${file}.js`;
}

const stableNames = {
  entryFileNames: "assets/[name].js",
  chunkFileNames: chunkName,
  assetFileNames: "assets/[name][extname]",
};

export default defineConfig({
  base: "./",
  plugins: [react()],
  build: {
    target: "es2023",
    modulePreload: { polyfill: false },
    cssCodeSplit: false,
    sourcemap: false,
    assetsInlineLimit: 0,
    reportCompressedSize: false,
    rolldownOptions: {
      input: { app: "index.html" },
      output: stableNames,
    },
  },
  worker: { format: "es", rolldownOptions: { output: stableNames } },
  test: { environment: "happy-dom", include: ["src/**/*.test.ts", "src/**/*.test.tsx"] },
} as Parameters<typeof defineConfig>[0]);

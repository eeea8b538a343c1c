// Builds `dist`: file names without hashes, so that the repository stores small differences and
// no dead files, and relative addresses only, so that it works below any path prefix.

import react from "@vitejs/plugin-react";
import { defineConfig, type Plugin } from "vite";

/** A chunk of a page is called as its folder and file: `trace-page.js`, not `page3.js`. */
function chunkName(chunk: { facadeModuleId?: string | null }): string {
  const [, page, file] = /\/pages\/(\w+)\/(\w+)\.tsx$/.exec(chunk.facadeModuleId ?? "") ?? [];
  return page === undefined ? "assets/[name].js" : `assets/${page}-${file}.js`;
}

/** The code that every page needs is wanted at once, although it is imported on demand. */
function preloadApp(): Plugin {
  return {
    name: "preload-app",
    transformIndexHtml: {
      order: "post",
      handler(_, { bundle }) {
        const chunks = Object.values(bundle ?? {}).filter((each) => each.type === "chunk");
        const app = chunks.find((each) => each.facadeModuleId?.endsWith("/pages/app.tsx"));
        const entry = chunks.find((each) => each.isEntry);
        const known = new Set([entry?.fileName, ...(entry?.imports ?? [])]);
        return [app?.fileName, ...(app?.imports ?? [])]
          .filter((name) => name !== undefined && !known.has(name))
          .map((name) => ({
            tag: "link",
            attrs: { rel: "modulepreload", crossorigin: true, href: `./${name}` },
            // Relative addresses count only after the base.
            injectTo: "head" as const,
          }));
      },
    },
  };
}

/** Few files: what starts first, and what pages share. */
const SHARED = [
  {
    name: "begin",
    test: /src\/(api\/(http|told|trace-source)|base\/time|base\/result|model\/completeness|state\/theme|pages\/chunks)\.ts$|vite\/preload-helper/,
    priority: 2,
  },
  { name: "virtual", test: /virtual-core|react-virtual/, priority: 3 },
  {
    name: "query",
    test: /src\/(model\/(search-query|filter|predicate|figures|red|heat|refine|summary|graph|plot)|state\/figures|api\/(aggregate|suggest|search|jaeger-search)|components\/(chart|first-steps|graph-picture|scatter))\.tsx?$/,
    minShareCount: 2,
    priority: 2,
  },
  // A trace's page starts without these.
  {
    name: "asked",
    test: /src\/(model\/(cluster|operation)|api\/(skua|jaeger)|state\/(cluster-events|queries|query))\.ts$/,
    priority: 2,
  },
  { name: "details", test: /src\/model\/(details|statistics)\.ts$/, priority: 2 },
  { name: "combobox", test: /src\/components\/combobox\.tsx$/, priority: 2 },
  { name: "shared", minShareCount: 3, priority: 1 },
];

const stableNames = {
  entryFileNames: "assets/[name].js",
  chunkFileNames: chunkName,
  assetFileNames: "assets/[name][extname]",
};

export default defineConfig({
  base: "./",
  plugins: [react(), preloadApp()],
  build: {
    target: "es2023",
    modulePreload: { polyfill: false },
    cssCodeSplit: false,
    sourcemap: false,
    assetsInlineLimit: 0,
    reportCompressedSize: false,
    rolldownOptions: {
      input: { start: "index.html" },
      output: {
        ...stableNames,
        codeSplitting: { groups: SHARED, includeDependenciesRecursively: false },
      },
    },
  },
  worker: { format: "es", rolldownOptions: { output: stableNames } },
  test: { environment: "happy-dom", include: ["src/**/*.test.ts", "src/**/*.test.tsx"] },
} as Parameters<typeof defineConfig>[0]);

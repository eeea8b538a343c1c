// Serves `dist` as a node of Skua does, in front of the API of a running node: the same fallback,
// base address, headers and policy. For looking at a build and for browser tests.
//
//   node scripts/serve.mjs --api http://127.0.0.1:16686 [--port 0] [--prefix /jaeger]
//     [--config FILE.json]

import { readFileSync, statSync } from "node:fs";
import http from "node:http";
import { extname, join, normalize } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

export const POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self' data:",
  "connect-src 'self'",
  "worker-src 'self'",
  "base-uri 'self'",
  "form-action 'self'",
].join("; ");

const TYPES = { ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml" };
const DIST = fileURLToPath(new URL("../dist", import.meta.url));

/** How many levels a page is below the root: the base address leads back there. */
export function baseOf(path) {
  const depth = path.split("/").length - 2;
  return depth <= 0 ? "./" : "../".repeat(depth);
}

/** What the page of a trace needs before anything else. */
export function earlyLinks(path) {
  const id = /^\/trace\/([0-9a-f]{1,32})$/i.exec(path)?.[1];
  if (id === undefined) return "";
  return [
    `<link rel="preload" as="fetch" crossorigin href="./api/skua/v1/traces/${id}/columns">`,
    '<link rel="modulepreload" crossorigin href="./assets/trace-page.js">',
    "",
  ].join("\n    ");
}

/** What whoever runs the node wants of the page: JSON that cannot leave the attribute it stands in. */
function configMeta(config) {
  if (config === undefined) return "";
  const json = JSON.stringify(config).replaceAll("&", "&amp;").replaceAll('"', "&quot;");
  return `<meta name="ui-config" content="${json.replaceAll("<", "&lt;")}" />\n    `;
}

export function serve({ api, port = 0, prefix = "", config }) {
  const server = http.createServer((request, response) => {
    const url = new URL(request.url ?? "/", "http://localhost");
    // Here the prefix is cut off as a reverse proxy does that tells nobody.
    const path = url.pathname.startsWith(prefix) ? url.pathname.slice(prefix.length) : url.pathname;
    if (path.startsWith("/api/")) return forward(api, path + url.search, request, response);
    if (path.startsWith("/assets/")) return asset(path, response);
    const page = readFileSync(join(DIST, "index.html"), "utf8");
    response.writeHead(200, {
      "content-type": "text/html; charset=utf-8",
      "content-security-policy": POLICY,
      "cache-control": "no-cache",
      "x-content-type-options": "nosniff",
      "referrer-policy": "same-origin",
    });
    const based = page.replace('<base href="./"', `<base href="${baseOf(path)}"`);
    const head = earlyLinks(path) + configMeta(config);
    return response.end(based.replace("<title>", () => `${head}<title>`));
  });
  return new Promise((resolve) => {
    server.listen(port, "127.0.0.1", () => resolve(server));
  });
}

function asset(path, response) {
  const file = join(DIST, normalize(path));
  if (!statSync(file, { throwIfNoEntry: false })?.isFile()) {
    response.writeHead(404).end();
    return;
  }
  response.writeHead(200, {
    "content-type": TYPES[extname(file)] ?? "application/octet-stream",
    "x-content-type-options": "nosniff",
  });
  response.end(readFileSync(file));
}

function forward(api, path, request, response) {
  const options = {
    method: request.method,
    headers: { ...request.headers, host: new URL(api).host },
  };
  const upstream = http.request(new URL(path, api), options, (answer) => {
    response.writeHead(answer.statusCode ?? 502, answer.headers);
    answer.pipe(response);
  });
  upstream.on("error", () => {
    if (!response.headersSent) response.writeHead(502);
    response.end("the node does not answer\n");
  });
  // Whoever leaves is not waited for: a node stops what nobody wants any more.
  response.on("close", () => upstream.destroy());
  request.pipe(upstream);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { values } = parseArgs({
    options: {
      api: { type: "string", default: "http://127.0.0.1:16686" },
      port: { type: "string", default: "5173" },
      prefix: { type: "string", default: "" },
      config: { type: "string" },
    },
  });
  const config = values.config && JSON.parse(readFileSync(values.config, "utf8"));
  const server = await serve({ ...values, config, port: Number(values.port) });
  console.log(`http://127.0.0.1:${server.address().port}${values.prefix}/`);
}

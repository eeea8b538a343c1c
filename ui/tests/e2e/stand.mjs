// A browser before the built UI, below a path prefix, with an API that answers what a test says.

import http from "node:http";
import { freshBrowser } from "../../scripts/browser.mjs";
import { serve } from "../../scripts/serve.mjs";

const PREFIX = "/behind/a/proxy";

/**
 * `answers` maps the start of an API path to a body, to `[status, body, headers]`, or to a function
 * of the address, the body and the headers that came. Texts and buffers go as they are, what comes
 * piece by piece is sent so, all else as JSON. `more.config` is what the node is told of its pages.
 */
export async function stand(answers, more = {}) {
  const api = http.createServer(async (request, response) => {
    const parts = [];
    for await (const part of request) parts.push(part);
    const sent =
      parts.length > 0 ? JSON.parse(Buffer.concat(parts).toString() || "null") : undefined;
    const found = Object.entries(answers).find(([path]) => request.url.startsWith(path))?.[1];
    const answer =
      typeof found === "function" ? await found(request.url, sent, request.headers) : found;
    const [status, body, headers] = Array.isArray(answer)
      ? answer
      : answer === undefined
        ? [404, { errors: [{ msg: "trace not found" }] }]
        : [200, answer];
    response.writeHead(status, { "content-type": "application/json", ...headers });
    if (typeof body === "object" && body !== null && Symbol.asyncIterator in body) {
      for await (const piece of body) response.write(piece);
      return response.end();
    }
    const isRaw = typeof body === "string" || Buffer.isBuffer(body);
    response.end(isRaw ? body : JSON.stringify(body));
  });
  await new Promise((resolve) => api.listen(0, "127.0.0.1", resolve));
  const place = await standBefore(`http://127.0.0.1:${api.address().port}`, more);
  return {
    ...place,
    async close() {
      await place.close();
      api.close();
    },
  };
}

/** The same before an API that is there. */
export async function standBefore(api, { config } = {}) {
  const server = await serve({ api, prefix: PREFIX, config });
  const { browser, close } = await freshBrowser({
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    width: 1280,
    height: 800,
  });
  const root = `http://127.0.0.1:${server.address().port}${PREFIX}`;
  return {
    root,
    /** Opens a page and collects what the browser complains about. */
    async open(path) {
      const page = await browser.newPage();
      const complaints = [];
      page.on("pageerror", (error) => complaints.push(String(error)));
      page.on("dialog", (dialog) => complaints.push(`dialog ${dialog.message()}`));
      page.on("console", (message) => {
        const isExpected = /status of (404|429|503)/.test(message.text());
        if (message.type() === "error" && !isExpected) complaints.push(message.text());
      });
      page.on("request", (request) => {
        if (!request.url().startsWith(root)) complaints.push(`request to ${request.url()}`);
      });
      await page.goto(root + path);
      return { page, complaints };
    },
    async close() {
      await close();
      server.close();
    },
  };
}

export const TRACE_ID = "0000000000000000000000000000abcd";

/** A root, `count` children, one of which failed, and texts that would do harm if they could. */
export function trace(count, hostile = "plain") {
  const span = (index, parent) => ({
    traceID: TRACE_ID,
    spanID: (index + 1).toString(16).padStart(16, "0"),
    operationName: index === 1 ? hostile : `op-${index}`,
    references:
      parent === undefined ? [] : [{ refType: "CHILD_OF", traceID: TRACE_ID, spanID: parent }],
    startTime: 1_790_000_000_000_000 + index * 100,
    duration: parent === undefined ? (count + 2) * 100 : 90,
    tags: [
      { key: "http.url", type: "string", value: index === 1 ? hostile : `http://x/${index}` },
      ...(index === count ? [{ key: "error", type: "bool", value: true }] : []),
    ],
    logs: [],
    processID: "p1",
    warnings: null,
  });
  const root = span(0, undefined);
  const children = Array.from({ length: count }, (_, index) => span(index + 1, root.spanID));
  return {
    traceID: TRACE_ID,
    spans: [root, ...children],
    processes: { p1: { serviceName: hostile === "plain" ? "shop" : hostile, tags: [] } },
    warnings: null,
  };
}

export function summary(traceId, service = "shop") {
  return {
    traceId,
    rootServiceName: service,
    rootOperationName: "GET /",
    minStartTimeUnixNano: "1790000000000000000",
    maxEndTimeUnixNano: "1790000000250000000",
    spanCount: 3,
    services: [{ name: service, spanCount: 3 }],
  };
}

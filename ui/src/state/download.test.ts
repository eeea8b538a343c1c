// What is in a file of several traces, and what is told of it.

import { afterEach, describe, expect, it, vi } from "vitest";
import { Download } from "./download";

afterEach(() => {
  vi.unstubAllGlobals();
});

/** A server that has all traces but some. */
function serving(answer: (traceId: string) => Response | Promise<Response>) {
  const asked: string[] = [];
  vi.stubGlobal("fetch", async (url: string) => {
    const traceId = new URL(url).pathname.split("/").at(-1) ?? "";
    asked.push(traceId);
    return answer(traceId);
  });
  return asked;
}

const traceOf = (traceId: string, headers = {}) =>
  new Response(`{"data":[{"traceID":"${traceId}"}],"total":0}`, { headers });

describe("a file of several traces", () => {
  it("has them in their order, whichever came first, and says what it lacks", async () => {
    serving(async (id) => {
      if (id === "a") await new Promise((resolve) => setTimeout(resolve, 20));
      if (id === "gone") return new Response("", { status: 404 });
      if (id === "bad") return new Response('{"error":{"message":"no room."}}', { status: 429 });
      return traceOf(id, id === "b" ? { "skua-completeness": "partial; truncated=9" } : {});
    });
    const download = new Download();
    const told = new Set<string>();
    download.store.subscribe(() => {
      const { progress } = download.store.get();
      if (progress !== undefined) told.add(`${progress.done}/${progress.all}`);
    });
    const files: string[] = [];
    await download.start("jaeger", ["a", "gone", "b", "bad"], (parts) =>
      files.push(parts.join("")),
    );
    expect(files.map((file) => JSON.parse(file))).toEqual([
      { data: [{ traceID: "a" }, { traceID: "b" }] },
    ]);
    const { progress, saved } = download.store.get();
    expect(progress).toBeUndefined();
    expect(saved).toEqual({
      asked: 4,
      written: 2,
      notFound: 1,
      partial: 1,
      failed: 1,
      failure: "no room.",
      leftOut: 0,
    });
    expect([...told]).toEqual(["0/4", "1/4", "2/4", "3/4", "4/4"]);
  });

  it("ends where it becomes too large", async () => {
    const asked = serving((id) => traceOf(id));
    const ids = Array.from({ length: 20 }, (_, index) => `t${index}`);
    const download = new Download();
    await download.start("jaeger", ids, () => undefined, 40);
    const { saved } = download.store.get();
    expect(saved?.leftOut).toBeGreaterThan(10);
    expect((saved?.written ?? 0) + (saved?.leftOut ?? 0)).toBe(20);
    expect(asked.length).toBe(saved?.written);
  });

  it("is none when it was stopped", async () => {
    serving((id) => traceOf(id));
    const files: unknown[] = [];
    const download = new Download();
    const run = download.start("jaeger", ["a", "b", "c", "d"], (parts) => files.push(parts));
    download.stop();
    await run;
    expect(files).toEqual([]);
    expect(download.store.get()).toEqual({ progress: undefined, saved: undefined });
  });
});

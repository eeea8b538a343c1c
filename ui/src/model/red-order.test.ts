import { describe, expect, it } from "vitest";
import { micros } from "../base/time";
import type { Change } from "./red-change";
import {
  listed,
  parseRedOrder,
  printRedOrder,
  type RedEntry,
  redOrderAfter,
  sortedBy,
} from "./red-order";

const entry = (
  name: string,
  figures?: { rate?: number; errorShare?: number; p95?: number; impact?: number },
  changes?: RedEntry["changes"],
): RedEntry => ({
  name,
  row: figures && {
    ...{ service: "", operation: name, spans: 1, errors: 0, p50: micros(1), p99: micros(1) },
    ...{ rate: 0, errorShare: 0, impact: 0, ...figures, p95: micros(figures.p95 ?? 1) },
  },
  changes,
});

describe("the order of services and operations", () => {
  const entries = [
    entry("GET /b", { rate: 1, p95: 9, impact: 0.2 }),
    entry("POST /a", { rate: 3, p95: 5, impact: 0.7 }),
    entry("idle"),
    entry("GET /a", { rate: 3, p95: 7, impact: 0.1 }),
  ];
  const names = (order: string | null, find = "") =>
    listed(entries, find, parseRedOrder(order)).map(({ name }) => name);

  it("is by impact first, and by each column, largest figures on top", () => {
    expect(names(null)).toEqual(["POST /a", "GET /b", "GET /a", "idle"]);
    expect(names("p95")).toEqual(["GET /b", "GET /a", "POST /a", "idle"]);
    expect(names("rate")).toEqual(["GET /a", "POST /a", "GET /b", "idle"]);
    expect(names("name")).toEqual(["GET /a", "GET /b", "idle", "POST /a"]);
  });

  it("turned round leaves last what has no figures", () => {
    expect(names("-rate")).toEqual(["GET /b", "GET /a", "POST /a", "idle"]);
    expect(names("-name")).toEqual(["POST /a", "idle", "GET /b", "GET /a"]);
  });

  it("is of what has a text in its name, in whatever case", () => {
    expect(names(null, "get")).toEqual(["GET /b", "GET /a"]);
    expect(names(null, "nowhere")).toEqual([]);
  });

  it("by change has on top what fails more, then what is slower, then what is asked otherwise", () => {
    const change = (name: Change["name"], by: number): Change => ({ name, by, isWorse: by > 0 });
    const changed = [
      entry("steady", {}, []),
      entry("unknown", {}),
      entry("better", {}, [change("errors", -0.1)]),
      entry("asked less", {}, [change("rate", -0.5)]),
      entry("slower", {}, [change("p95", 3)]),
      entry("new", {}, "new"),
      entry("failing", {}, [change("rate", 1), change("errors", 0.02)]),
    ];
    const order = (text: string) =>
      listed(changed, "", parseRedOrder(text)).map(({ name }) => name);
    const worst = ["failing", "slower", "new", "asked less", "steady", "better"];
    expect(order("change")).toEqual([...worst, "unknown"]);
    expect(order("-change")).toEqual([...worst.toReversed(), "unknown"]);
  });

  it("is in the address, but for the one that comes first", () => {
    for (const text of ["p99", "-impact", "name", "-change"]) {
      expect(printRedOrder(parseRedOrder(text))).toBe(text);
    }
    for (const text of [null, "impact", "nonsense", "-"]) {
      expect(printRedOrder(parseRedOrder(text))).toBeUndefined();
    }
  });

  it("turns round when a column is chosen again, and says which way it goes", () => {
    const once = redOrderAfter(parseRedOrder(null), "p50");
    expect(sortedBy(once, "p50")).toBe("descending");
    expect(sortedBy(once, "rate")).toBeUndefined();
    expect(sortedBy(redOrderAfter(once, "p50"), "p50")).toBe("ascending");
    const byName = redOrderAfter(once, "name");
    expect(sortedBy(byName, "name")).toBe("ascending");
    expect(sortedBy(redOrderAfter(byName, "name"), "name")).toBe("descending");
  });
});

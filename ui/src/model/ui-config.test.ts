// What Jaeger's configuration means here, and the links that it asks for.

import { describe, expect, it } from "vitest";
import type { Attribute } from "./details";
import { areFilled, linksOf, patternsFor, readPatterns, valueIn } from "./link-patterns";
import { readUiConfig } from "./ui-config";

describe("the configuration", () => {
  it("is Jaeger's, and says what of it changes nothing", () => {
    const config = readUiConfig(
      JSON.stringify({
        archiveEnabled: false,
        dependencies: { menuEnabled: false, dagMaxNumServices: 200 },
        menu: [
          { label: "About", items: [{ label: "Docs", url: "https://docs/x" }, { label: "Bad" }] },
          { label: "Evil", url: "javascript:alert(1)" },
          { label: "Wiki", url: "/wiki" },
        ],
        search: { defaultLookback: { label: "2 Days", value: "2d" }, maxLimit: 500 },
        topTagPrefixes: ["http.", 7],
        traceIdDisplayLength: 12,
        tracking: { gaID: "UA-1" },
      }),
    );
    expect(config.without.archive).toBe(true);
    expect(config.without.map).toBe(true);
    expect(config.without.services).toBe(false);
    expect(config.menu).toEqual([
      { label: "Docs", url: "https://docs/x" },
      { label: "Wiki", url: "/wiki" },
    ]);
    expect([config.lookback, config.maxLookback, config.maxLimit]).toEqual(["2d", undefined, 500]);
    expect([config.topPrefixes, config.idLength]).toEqual([["http."], 12]);
    expect(config.ignored).toEqual(["dependencies.dagMaxNumServices", "tracking"]);
  });

  it("changes nothing where there is none, or none that can be read", () => {
    for (const text of ["{}", "", "[]", "null", '{"search":7,"menu":{}}']) {
      const { menu, idLength, lookback, without } = readUiConfig(text);
      expect([menu, idLength, lookback]).toEqual([[], 7, undefined]);
      expect(Object.values(without)).not.toContain(true);
    }
  });
});

describe("link patterns", () => {
  const attributes: readonly Attribute[] = [
    { key: "customer", value: "a&b" },
    { key: "order", value: 7 },
  ];
  const links = (
    pattern: object,
    attribute = attributes[0] as Attribute,
    place = "tags" as const,
  ) =>
    linksOf(patternsFor(readPatterns([pattern]), place, attribute), (name) =>
      name === "startTime" ? 1_000_000 : valueIn([attributes], name),
    );
  const base = { type: "tags", key: "customer", url: "https://crm/?c=#{customer}", text: "C" };

  it("fill addresses in, encoded, and texts as they are", () => {
    expect(links({ ...base, text: "Customer #{customer}, #{order}" })).toEqual([
      { url: "https://crm/?c=a%26b", text: "Customer a&b, 7" },
    ]);
  });

  it("match by place, key and value: one, several, or an expression", () => {
    for (const key of ["customer", ["other", "customer"], "/^cust/", "/^CUST/i", null, undefined]) {
      expect(links({ ...base, key })).toHaveLength(1);
    }
    for (const part of [
      { key: "other" },
      { key: "/^x/" },
      { key: "/(/" },
      { value: "c" },
      { type: "logs" },
      { type: ["process", "events"] },
      { url: 7 },
    ]) {
      expect(links({ ...base, ...part })).toEqual([]);
    }
    expect(links({ ...base, type: ["resource", "attributes"] })).toHaveLength(1);
  });

  it("make no link where a value is missing, or where it leads to a script", () => {
    expect(links({ ...base, url: "https://crm/#{nobody}" })).toEqual([]);
    expect(links({ ...base, url: "javascript:alert(1)" })).toEqual([]);
    const [pattern] = readPatterns([{ ...base, text: "#{nobody}" }]);
    expect(areFilled(pattern ? [pattern] : [], (name) => valueIn([attributes], name))).toBe(false);
  });

  it("format what they fill in", () => {
    const text = (hole: string) => links({ ...base, text: hole })[0]?.text;
    expect(text("#{startTime | epoch_micros_to_date_iso}")).toBe("1970-01-01T00:00:01.000Z");
    expect(text("#{order | add 3 | pad_start 4 0}")).toBe("0010");
    expect(text("#{customer | add 3}")).toBeUndefined();
    expect(text("#{customer | no_such_format}")).toBeUndefined();
  });
});

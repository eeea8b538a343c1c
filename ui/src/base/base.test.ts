// The smallest parts: how things read, what people may type, which colour is whose.

import { describe, expect, it } from "vitest";
import { assignColors, SERVICE_COLORS } from "./color";
import {
  ago,
  bytes,
  clock,
  count,
  dayAndClock,
  duration,
  meanCount,
  meanPlural,
  percent,
  rulerTime,
  shortCount,
  timestamp,
} from "./format";
import { parseLogfmt, printLogfmt } from "./logfmt";
import { epochMicros, micros, parseDuration, parseTime, rfc3339 } from "./time";

describe("format", () => {
  it.each([
    [0, "0 µs"],
    [0.5, "500 ns"],
    [7, "7 µs"],
    [999, "999 µs"],
    [999.9, "1 ms"],
    [1_234, "1.23 ms"],
    [12_345, "12.3 ms"],
    [999_600, "1 s"],
    [1_420_000, "1.42 s"],
    [59_990_000, "1m 00s"],
    [185_000_000, "3m 05s"],
    [7_260_000_000, "2h 01m"],
    [259_200_000_000, "3d 0h"],
  ])("a duration of %d µs reads %s", (length, text) => {
    expect(duration(micros(length))).toBe(text);
  });

  it("tells moments of a ruler apart", () => {
    expect(rulerTime(micros(803_200), micros(200))).toBe("803.2 ms");
    expect(rulerTime(micros(500_000), micros(500_000))).toBe("500 ms");
    expect(rulerTime(micros(0), micros(5))).toBe("0 µs");
  });

  it("groups, shortens and scales numbers", () => {
    expect([0, 999, 1_000, 1_234_567].map(count)).toEqual(["0", "999", "1,000", "1,234,567"]);
    expect([2.5, -1_234.4, 1e15, Number.NaN].map(count)).toEqual([
      "3",
      "-1,234",
      "1,000,000,000,000,000",
      "NaN",
    ]);
    expect([-Infinity, Infinity].map(count)).toEqual(["-∞", "∞"]);
    expect(shortCount(999)).toBe("999");
    expect([1, 2.5, 0.01, 1_234.5].map(meanCount)).toEqual(["1", "2.5", "<0.1", "1,235"]);
    expect([meanPlural(1, "span"), meanPlural(0.5, "span")]).toEqual(["1 span", "0.5 spans"]);
    expect(shortCount(12_900)).toBe("12.9k");
    expect(shortCount(999_999)).toBe("1M");
    expect(bytes(1_023)).toBe("1023 B");
    expect(bytes(2_568_000)).toBe("2.45 MiB");
    expect(percent(0.0001)).toBe("<0.1%");
    expect(percent(0.483)).toBe("48%");
  });

  it("shows times in the zone asked for", () => {
    const time = epochMicros(1_790_000_000_123_456);
    expect(clock(time, "utc")).toBe("14:13:20.123");
    expect(timestamp(time, "utc")).toBe("2026-09-21 14:13:20.123456 UTC");
    expect(dayAndClock(time, "utc")).toBe("Sep 21 14:13");
    expect(ago(time, epochMicros(time + 125_000_000))).toBe("2 min ago");
    expect(ago(epochMicros(time + 5_000_000), time)).toBe("in 5 s");
  });
});

describe("time", () => {
  it.each([
    ["1.2s", 1_200_000],
    ["100ms", 100_000],
    ["500us", 500],
    ["500µs", 500],
    ["1m30s", 90_000_000],
    ["2d", 172_800_000_000],
  ])("reads the duration %s", (text, length) => {
    expect(parseDuration(text)).toEqual({ ok: true, value: length });
  });

  it.each(["", "5", "s", "1.s", "-1s", "1s x"])("refuses the duration “%s”", (text) => {
    expect(parseDuration(text).ok).toBe(false);
  });

  it.each([
    ["2026-09-21T14:13:20.123456Z", 1_790_000_000_123_456],
    ["2026-09-21 14:13:20", 1_790_000_000_000_000],
    ["2026-09-21 16:13:20+02:00", 1_790_000_000_000_000],
    ["1790000000", 1_790_000_000_000_000],
    ["1790000000123", 1_790_000_000_123_000],
    ["1790000000123456", 1_790_000_000_123_456],
    ["1790000000123456789", 1_790_000_000_123_456],
  ])("reads the time %s", (text, time) => {
    expect(parseTime(text, "utc")).toEqual({ ok: true, value: time });
  });

  it("writes times as the API takes them", () => {
    expect(rfc3339(epochMicros(1_790_000_000_123_456))).toBe("2026-09-21T14:13:20.123456Z");
  });
});

describe("logfmt", () => {
  it.each([
    ["a=b", [["a", "b"]]],
    [
      'http.status_code=200  error="not found"',
      [
        ["http.status_code", "200"],
        ["error", "not found"],
      ],
    ],
    ["error", [["error", "true"]]],
    ['a="say \\"hi\\""', [["a", 'say "hi"']]],
    ["a=", [["a", ""]]],
    ["url=http://x/y?z=1", [["url", "http://x/y?z=1"]]],
    ["", []],
  ])("reads %s", (text, pairs) => {
    expect(parseLogfmt(text)).toEqual({ ok: true, value: pairs });
  });

  it("reads what it writes", () => {
    const pairs = [
      ["a b", 'x"y\\z'],
      ["c", ""],
      ["d", "e=f"],
    ] as const;
    expect(parseLogfmt(printLogfmt(pairs))).toEqual({ ok: true, value: pairs });
  });

  it("refuses a lone quote", () => {
    expect(parseLogfmt('a="b').ok).toBe(false);
  });
});

describe("service colours", () => {
  it("go to the largest first and are the same in any order", () => {
    const services = [
      { name: "small", spans: 1 },
      { name: "large", spans: 9 },
      { name: "twin", spans: 1 },
    ];
    const colors = assignColors(services);
    expect(colors.get("large")).toBe(1);
    expect(assignColors([...services].reverse())).toEqual(colors);
  });

  it("start again when there are more services than colours", () => {
    const services = Array.from({ length: SERVICE_COLORS + 1 }, (_, index) => ({
      name: `s${index}`,
      spans: 100 - index,
    }));
    expect(assignColors(services).get(`s${SERVICE_COLORS}`)).toBe(1);
  });
});

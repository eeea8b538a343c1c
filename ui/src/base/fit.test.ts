// Text in a box of the graph.

import { describe, expect, it } from "vitest";
import { fitText } from "./fit";

describe("text that is cut", () => {
  it("stays whole where it fits", () => {
    expect(fitText("HTTP POST", 162, 12)).toBe("HTTP POST");
    expect(fitText("", 162, 12)).toBe("");
  });

  it("has fewer wide letters than narrow ones", () => {
    const wide = fitText("M".repeat(60), 162, 12);
    const narrow = fitText("l".repeat(60), 162, 12);
    expect(wide.endsWith("…")).toBe(true);
    expect(narrow.length).toBeGreaterThan(2 * wide.length);
    expect(wide.length * 12).toBeLessThanOrEqual(162 + 12);
  });

  it("never cuts a letter of two units", () => {
    expect(fitText("😀".repeat(40), 100, 12)).toMatch(/^(😀)+…$/u);
  });
});

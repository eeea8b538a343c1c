// Heads of the table and the server's orders.

import { describe, expect, it } from "vitest";
import { isForm, isSortColumn, orderAfterClick, sortOf } from "./forms";

describe("forms of results", () => {
  it("knows its own only", () => {
    expect(["list", "table", "spans", "", "graph", null].filter(isForm)).toEqual([
      "list",
      "table",
      "spans",
    ]);
  });

  it.each([
    ["start", "longest", "newest"],
    ["start", "newest", "oldest"],
    ["start", "oldest", "newest"],
    ["duration", "newest", "longest"],
    ["duration", "longest", "shortest"],
    ["spans", "newest", "mostSpans"],
    ["errors", "mostErrors", "mostErrors"],
  ] as const)("a click on %s after %s asks for %s", (column, current, next) => {
    expect(orderAfterClick(column, current)).toBe(next);
  });

  it("says which column is sorted and how", () => {
    expect(sortOf("start", "newest")).toBe("descending");
    expect(sortOf("start", "oldest")).toBe("ascending");
    expect(sortOf("duration", "oldest")).toBeUndefined();
    expect(isSortColumn("services")).toBe(false);
  });
});

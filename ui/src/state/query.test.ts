// What is asked for once more, and when.

import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { ApiError, type FailureKind } from "../api/http";
import { epochFromMillis } from "../base/time";
import { withRetries } from "./query";

beforeEach(() => {
  vi.useFakeTimers();
});

afterEach(() => {
  vi.useRealTimers();
});

/** Fails once, told to wait so many milliseconds, and remembers when it was asked. */
function failing(kind: FailureKind, waitMillis?: number) {
  const asked: number[] = [];
  const began = Date.now();
  const notBefore = waitMillis === undefined ? undefined : epochFromMillis(began + waitMillis);
  const ask = () => {
    asked.push(Date.now() - began);
    const told = { notBefore, requestId: "" };
    const error = new ApiError(kind, 429, "/", "later", told);
    return asked.length === 1 ? Promise.reject(error) : Promise.resolve("there");
  };
  return { asked, ask };
}

describe("another try", () => {
  it("waits for as long as the server says", async () => {
    const { asked, ask } = failing("refused", 1_000);
    const answer = withRetries(ask);
    await vi.runAllTimersAsync();
    expect(await answer).toBe("there");
    expect(asked).toEqual([0, 1_000]);
  });

  it("is not made where the wait is long, or of no use", async () => {
    for (const { asked, ask } of [failing("unavailable", 5_000), failing("refused")]) {
      await expect(withRetries(ask)).rejects.toThrow("later");
      expect(asked).toEqual([0]);
    }
  });

  it("comes soon where nothing was said", async () => {
    const { asked, ask } = failing("unavailable");
    const answer = withRetries(ask);
    await vi.runAllTimersAsync();
    expect(await answer).toBe("there");
    expect(asked).toEqual([0, 400]);
  });
});

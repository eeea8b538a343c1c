// What runs, what waits, and what is broken off.

import { describe, expect, it } from "vitest";
import { Lane } from "./lane";

/** Tasks that end when they are told to, and who began. */
function tasks() {
  const began: number[] = [];
  const ends: (() => void)[] = [];
  const task = (number: number) => () => {
    began.push(number);
    return new Promise<number>((resolve) => {
      ends[number] = () => resolve(number);
    });
  };
  return { began, ends, task };
}

/** Everything that is due has been done. */
async function settle(): Promise<void> {
  for (let turn = 0; turn < 10; turn += 1) await Promise.resolve();
}

describe("a lane", () => {
  it("lets two run and the others wait in their order", async () => {
    const lane = new Lane(2);
    const { began, ends, task } = tasks();
    const all = [0, 1, 2, 3].map((number) => lane.run(task(number), undefined));
    await settle();
    expect(began).toEqual([0, 1]);
    ends[1]?.();
    await settle();
    expect(began).toEqual([0, 1, 2]);
    ends[0]?.();
    ends[2]?.();
    await settle();
    ends[3]?.();
    expect(await Promise.all(all)).toEqual([0, 1, 2, 3]);
  });

  it("forgets who left while waiting, and goes on after a failure", async () => {
    const lane = new Lane(1);
    const { began, ends, task } = tasks();
    const fails = lane.run(() => Promise.reject(new Error("no")), undefined);
    const leaver = new AbortController();
    const left = lane.run(task(1), leaver.signal);
    const last = lane.run(task(2), undefined);
    leaver.abort();
    await expect(fails).rejects.toThrow("no");
    await expect(left).rejects.toThrow();
    await settle();
    expect(began).toEqual([2]);
    ends[2]?.();
    expect(await last).toBe(2);
    const gone = lane.run(task(3), AbortSignal.abort());
    await expect(gone).rejects.toThrow();
    expect(began).toEqual([2]);
  });
});

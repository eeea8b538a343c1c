// A word that what somebody did by key was done: there is no button to say it.

import { Store } from "./store";

/** Long enough to be read, too short to be in the way. */
const SAID_MILLIS = 2_500;

export const notice = new Store("");
let timer: ReturnType<typeof setTimeout> | undefined;

export function say(text: string): void {
  clearTimeout(timer);
  notice.set(text);
  timer = setTimeout(() => notice.set(""), SAID_MILLIS);
}

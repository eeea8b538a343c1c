// Completing what is typed into the field of conditions: which word is meant, and what replaces
// it. Pure; where suggestions come from is the page's business.

/** The word at the caret. */
export interface Word {
  /** Where in the text the part that would be replaced begins and ends. */
  readonly from: number;
  readonly to: number;
  /** The key, if the word has an operator already; then values are wanted. */
  readonly key: string | undefined;
  /** What is typed of the key or value. */
  readonly prefix: string;
}

const PARTS = /^(-?)((?:"(?:[^"\\]|\\.)*"|[^\s"=!<>~|])*)(!=|=~|!~|>=|<=|=|<|>|~)?/;

export function wordAt(text: string, caret: number): Word {
  const begin = beginOfWord(text, caret);
  const word = text.slice(begin, caret);
  const [whole = "", minus = "", key = "", operator] = PARTS.exec(word) ?? [];
  if (operator === undefined) {
    return { from: begin + minus.length, to: caret, key: undefined, prefix: key };
  }
  const values = word.slice(whole.length);
  const last = values.lastIndexOf("|") + 1;
  const from = begin + whole.length + last;
  return { from, to: caret, key: bare(key), prefix: bare(values.slice(last)) };
}

/** Spaces within quotes are part of a word. */
function beginOfWord(text: string, caret: number): number {
  let begin = 0;
  let isQuoted = false;
  for (let at = 0; at < caret; at += 1) {
    if (text[at] === "\\") at += 1;
    else if (text[at] === '"') isQuoted = !isQuoted;
    else if (!isQuoted && /\s/.test(text[at] ?? "")) begin = at + 1;
  }
  return begin;
}

function bare(text: string): string {
  return text.replace(/^"/, "").replace(/"$/, "").replace(/\\(.)/g, "$1");
}

export interface Completed {
  readonly text: string;
  readonly caret: number;
}

/** The text with the word replaced; after a value a space, after a key an equals sign. */
export function complete(text: string, word: Word, chosen: string): Completed {
  const isValue = word.key !== undefined;
  const needsQuotes = isValue ? /[\s"|\\]|^[=<>~*]|^$/ : /^-|[\s"=!<>~|\\]/;
  const written = needsQuotes.test(chosen)
    ? `"${chosen.replaceAll("\\", "\\\\").replaceAll('"', '\\"')}"`
    : chosen;
  const rest = text.slice(word.to);
  const after = isValue && !rest.startsWith(" ") ? " " : isValue ? "" : "=";
  const before = text.slice(0, word.from) + written + after;
  return { text: before + rest, caret: before.length + (after === "" ? 1 : 0) };
}

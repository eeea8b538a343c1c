// Text cut to a width, where nothing measures it: by how wide letters are in most fonts.

const NARROW = /[iljtfrI.,:;'|/()[\]\-! ]/;
const WIDE = /[mwMW@%—…]/;
const CAPITAL = /[A-Z0-9_]/;

/** Of a letter, in widths of the font's size. */
function widthOf(letter: string): number {
  if (NARROW.test(letter)) return 0.42;
  if (WIDE.test(letter)) return 1.05;
  return CAPITAL.test(letter) ? 0.76 : 0.68;
}

/** The beginning of a text that is as wide as there is room, in bold letters of a size. */
export function fitText(text: string, room: number, size: number): string {
  let width = 0;
  let fits = 0;
  const letters = [...text];
  for (const [index, letter] of letters.entries()) {
    width += widthOf(letter) * size;
    if (width > room) return `${letters.slice(0, fits).join("")}…`;
    if (width + size <= room) fits = index + 1;
  }
  return text;
}

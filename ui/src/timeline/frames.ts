// One animation frame loop for everything that draws: whoever wants to draw says so, and all of
// them draw in the next frame, once.

type Draw = () => void;

const wanting = new Set<Draw>();
let scheduled = false;

/** Draws in the next frame; asking twice draws once. */
export function requestDraw(draw: Draw): void {
  wanting.add(draw);
  if (scheduled) return;
  scheduled = true;
  requestAnimationFrame(() => {
    scheduled = false;
    const draws = [...wanting];
    wanting.clear();
    for (const each of draws) each();
  });
}

export function cancelDraw(draw: Draw): void {
  wanting.delete(draw);
}

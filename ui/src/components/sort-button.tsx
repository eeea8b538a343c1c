// The head of a column that can be sorted by: a click sorts, and an arrow says how it is.

export type Sorted = "ascending" | "descending" | undefined;

const ARROWS = { ascending: " ↑", descending: " ↓" } as const;

export function SortButton(props: {
  readonly name: string;
  /** Said in its place, where the name alone stands on several columns. */
  readonly label?: string | undefined;
  readonly sorted: Sorted;
  readonly onClick: () => void;
}) {
  return (
    <button type="button" aria-label={props.label} onClick={props.onClick}>
      {props.name}
      {props.sorted && ARROWS[props.sorted]}
    </button>
  );
}

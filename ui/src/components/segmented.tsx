// Buttons in one frame, of which one is on: the forms of a view.

export function Segmented<T extends string>(props: {
  /** What is chosen; read to those who do not see the frame. */
  readonly label: string;
  /** What can be chosen, in this order, and how it is called. */
  readonly names: Readonly<Partial<Record<T, string>>>;
  readonly titles?: Readonly<Partial<Record<T, string>>> | undefined;
  /** Undefined if something else is on. */
  readonly value: T | undefined;
  readonly onChoose: (value: T) => void;
  readonly isSmall?: boolean;
}) {
  const { names, titles } = props;
  return (
    <fieldset className={props.isSmall ? "segmented small" : "segmented"}>
      <legend className="visually-hidden">{props.label}</legend>
      {(Object.keys(names) as T[]).map((each) => (
        <button
          key={each}
          type="button"
          aria-pressed={props.value === each}
          title={titles?.[each]}
          onClick={() => props.onChoose(each)}
        >
          {names[each]}
        </button>
      ))}
    </fieldset>
  );
}

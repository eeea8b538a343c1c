// The names of a table's columns.

/** `num` stands over figures, `hidden` is for those who do not see what is below it. */
export type HeadColumn = string | readonly [name: string, look: "num" | "hidden"];

/** Columns that are undefined are not there. */
export function TableHead(props: { readonly columns: readonly (HeadColumn | undefined)[] }) {
  return (
    <thead>
      <tr>
        {props.columns.map((column) => {
          if (column === undefined) return null;
          const [name, look] = typeof column === "string" ? [column] : column;
          return (
            <th key={name} scope="col" className={look === "num" ? "num" : undefined}>
              {look === "hidden" ? <span className="visually-hidden">{name}</span> : name}
            </th>
          );
        })}
      </tr>
    </thead>
  );
}

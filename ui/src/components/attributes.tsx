// Keys and values, each with what one does with it: copy, find elsewhere in the trace.

import type { ReactNode } from "react";
import { Link } from "wouter";
import { printLogfmt } from "../base/logfmt";
import type { Attribute, AttributeValue } from "../model/details";
import { Copy } from "./copy";
import { Icon } from "./icon";
import { IconButton } from "./icon-button";

/** Values above this are shown folded. */
const LONG_CHARS = 240;

export function AttributeTable(props: {
  readonly attributes: readonly Attribute[];
  readonly onFind?: (text: string) => void;
  /** Where traces with the same pair are. */
  readonly hrefOf?: (key: string, value: string) => string;
  /** Where traces without it are; takes the pair as one types it. */
  readonly withoutHrefOf?: (pair: string) => string;
  /** Links to elsewhere. */
  readonly linksOf?: ((attribute: Attribute) => ReactNode) | undefined;
}) {
  return (
    <table className="attributes">
      <tbody>
        {props.attributes.map((attribute, index) => {
          const { key, value } = attribute;
          return (
            // biome-ignore lint/suspicious/noArrayIndexKey: keys may repeat.
            <tr key={index}>
              <th scope="row">{key}</th>
              <td>
                <Value value={value} />
                <span className="tools">
                  <Copy label={`Copy ${key}`} text={String(value)} />
                  {props.onFind && (
                    <IconButton
                      icon="search"
                      label={`Find spans with this ${key}`}
                      title="Find spans with this value"
                      onClick={() => props.onFind?.(printLogfmt([[key, String(value)]]))}
                    />
                  )}
                  {props.hrefOf && (
                    <Link
                      className="button quiet square small"
                      aria-label={`Traces with this ${key}`}
                      title="Traces with this value"
                      href={props.hrefOf(key, String(value))}
                    >
                      <Icon name="filter" />
                    </Link>
                  )}
                  {props.withoutHrefOf && (
                    <Link
                      className="button quiet square small"
                      aria-label={`Traces without this ${key}`}
                      title="Traces without this value"
                      href={props.withoutHrefOf(printLogfmt([[key, String(value)]]))}
                    >
                      <Icon name="minus" />
                    </Link>
                  )}
                </span>
                {props.linksOf?.(attribute)}
              </td>
            </tr>
          );
        })}
      </tbody>
    </table>
  );
}

function Value(props: { readonly value: AttributeValue }) {
  const { value } = props;
  if (typeof value !== "string")
    return <span className={`value ${typeof value}`}>{String(value)}</span>;
  const pretty = prettyJson(value);
  const shown = pretty ?? value;
  if (shown.length <= LONG_CHARS && pretty === undefined)
    return <span className="value">{value}</span>;
  return (
    <details>
      <summary>
        <span className="value">{value.slice(0, 80)}</span>
        {value.length > 80 && "…"}
      </summary>
      <pre>{shown}</pre>
    </details>
  );
}

/** Objects and lists in JSON, indented; undefined for any other text. */
function prettyJson(text: string): string | undefined {
  if (!/^\s*[[{]/.test(text)) return undefined;
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return undefined;
  }
}

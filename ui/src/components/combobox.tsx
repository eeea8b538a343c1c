// A text field with a list of suggestions, after the ARIA pattern of a combobox with a listbox.

import { type KeyboardEvent, useEffect, useId, useMemo, useRef, useState } from "react";
import { Icon } from "./icon";

export interface Option {
  readonly value: string;
  readonly label?: string;
  readonly hint?: string;
}

/** More are not shown at once; typing narrows them. */
const OPTIONS_MAX = 200;

export interface ComboboxProps {
  readonly label: string;
  readonly hideLabel?: boolean;
  readonly placeholder?: string;
  readonly value: string;
  readonly options: readonly Option[];
  readonly onChange: (value: string) => void;
  /** Called when an option is chosen, or Enter pressed without one. */
  readonly onCommit?: (value: string) => void;
  /** Called when somebody is about to use it: options may be fetched now. */
  readonly onFocus?: () => void;
  /** Options are on their way. */
  readonly isLoading?: boolean;
  /** Why there are none. */
  readonly problem?: string | undefined;
  readonly inputId?: string;
}

export function Combobox(props: ComboboxProps) {
  const generated = useId();
  const id = props.inputId ?? generated;
  const [isOpen, setOpen] = useState(false);
  const [active, setActive] = useState(-1);
  // Until something is typed, all options are offered, not only those like the present value.
  const [isTyped, setTyped] = useState(false);
  const listRef = useRef<HTMLDivElement>(null);
  const shown = useMemo(
    () => narrow(props.options, isTyped ? props.value : "").slice(0, OPTIONS_MAX),
    [props.options, props.value, isTyped],
  );
  useEffect(() => {
    listRef.current?.querySelector('[aria-selected="true"]')?.scrollIntoView({ block: "nearest" });
  });
  const close = () => {
    setOpen(false);
    setActive(-1);
    setTyped(false);
  };
  const choose = (value: string) => {
    props.onChange(value);
    props.onCommit?.(value);
    close();
  };
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      setOpen(true);
      const by = event.key === "ArrowDown" ? 1 : -1;
      setActive((active + by + shown.length + 1) % (shown.length + 1));
    } else if (event.key === "Enter") {
      const option = isOpen ? shown[active] : undefined;
      if (option) {
        event.preventDefault();
        choose(option.value);
      } else {
        props.onCommit?.(props.value);
        close();
      }
    } else if (event.key === "Escape" && isOpen) {
      event.stopPropagation();
      close();
    }
  };
  return (
    <div className="field">
      <label className={props.hideLabel ? "visually-hidden" : "label"} htmlFor={id}>
        {props.label}
      </label>
      <div className="combobox">
        <input
          id={id}
          className="input"
          role="combobox"
          aria-expanded={isOpen}
          aria-controls={`${id}-list`}
          aria-autocomplete="list"
          aria-activedescendant={active >= 0 ? `${id}-${active}` : undefined}
          autoComplete="off"
          spellCheck={false}
          placeholder={props.placeholder}
          value={props.value}
          onFocus={(event) => {
            event.target.select();
            props.onFocus?.();
          }}
          onClick={() => setOpen(true)}
          onBlur={close}
          onChange={(event) => {
            props.onChange(event.target.value);
            setTyped(true);
            setOpen(true);
            setActive(-1);
          }}
          onKeyDown={onKeyDown}
        />
        {props.value !== "" && (
          <button
            type="button"
            className="button quiet square small clear"
            aria-label={`Clear ${props.label.toLowerCase()}`}
            tabIndex={-1}
            onMouseDown={(event) => event.preventDefault()}
            onClick={() => choose("")}
          >
            <Icon name="close" />
          </button>
        )}
        {isOpen && (
          <div
            ref={listRef}
            id={`${id}-list`}
            className="listbox"
            role="listbox"
            aria-label={props.label}
          >
            {shown.map((option, index) => (
              // biome-ignore lint/a11y/useKeyWithClickEvents: the field above handles the keys.
              <div
                key={option.value}
                id={`${id}-${index}`}
                role="option"
                aria-selected={index === active}
                onMouseDown={(event) => event.preventDefault()}
                onMouseEnter={() => setActive(index)}
                onClick={() => choose(option.value)}
              >
                {option.label ?? option.value}
                {option.hint && <span className="hint">{option.hint}</span>}
              </div>
            ))}
            {shown.length === 0 && (
              <div className="none">
                {props.isLoading ? "Looking …" : (props.problem ?? "No suggestion")}
              </div>
            )}
          </div>
        )}
      </div>
    </div>
  );
}

/** Options that contain the text, those that begin with it first. */
export function narrow(options: readonly Option[], text: string): Option[] {
  const wanted = text.trim().toLowerCase();
  if (wanted === "") return [...options];
  const place = (option: Option) => (option.label ?? option.value).toLowerCase().indexOf(wanted);
  return options
    .filter((option) => place(option) >= 0)
    .sort((left, right) => Number(place(left) !== 0) - Number(place(right) !== 0));
}

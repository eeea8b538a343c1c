// The field of conditions: free text, with keys and values that the cluster knows.

import { type KeyboardEvent, useEffect, useId, useRef, useState } from "react";
import type { Option } from "../../components/combobox";
import { complete, type Word, wordAt } from "../../model/completion";
import { FIELD_KEYS } from "../../model/filter";
import { scopeOf } from "../../model/predicate";
import { useKeys, useOperationsLike, useValues } from "../../state/figures";
import { useServices } from "../../state/queries";

const SHOWN_MAX = 60;
const TYPING_MILLIS = 90;
const KINDS = ["server", "client", "internal", "producer", "consumer"];
const STATUSES = ["error", "ok", "unset"];

export function ConditionField(props: {
  readonly value: string;
  readonly service: string;
  readonly problem: string | undefined;
  readonly onChange: (value: string) => void;
}) {
  const { value } = props;
  const id = useId();
  const input = useRef<HTMLInputElement>(null);
  const list = useRef<HTMLDivElement>(null);
  const [caret, setCaret] = useState(value.length);
  const [isOpen, setOpen] = useState(false);
  const [active, setActive] = useState(-1);
  const [wantedCaret, setWantedCaret] = useState<number | undefined>();
  const word = wordAt(value, Math.min(caret, value.length));
  const options = useOptions(word, props.service, isOpen).slice(0, SHOWN_MAX);
  useEffect(() => {
    if (wantedCaret === undefined) return;
    input.current?.setSelectionRange(wantedCaret, wantedCaret);
    setWantedCaret(undefined);
  }, [wantedCaret]);
  useEffect(() => {
    list.current?.querySelector('[aria-selected="true"]')?.scrollIntoView({ block: "nearest" });
  });
  const follow = () => setCaret(input.current?.selectionStart ?? value.length);
  const choose = (option: Option) => {
    const completed = complete(value, word, option.value);
    props.onChange(completed.text);
    setCaret(completed.caret);
    setWantedCaret(completed.caret);
    setActive(-1);
    // After a key its values are wanted; after a value nothing is.
    setOpen(word.key === undefined);
  };
  const onKeyDown = (event: KeyboardEvent<HTMLInputElement>) => {
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      setOpen(true);
      const by = event.key === "ArrowDown" ? 1 : -1;
      setActive((active + by + options.length + 1) % (options.length + 1));
    } else if (event.key === "Enter" || (event.key === "Tab" && active >= 0)) {
      const option = isOpen ? options[active] : undefined;
      if (option === undefined) return setOpen(false);
      event.preventDefault();
      choose(option);
    } else if (event.key === "Escape") {
      event.stopPropagation();
      // With nothing to close it leaves the field, for the keys of the page.
      if (isOpen) setOpen(false);
      else event.currentTarget.blur();
    }
  };
  return (
    <div className="field tags">
      <label className="label" htmlFor={id}>
        Conditions
      </label>
      <div className="combobox">
        <input
          ref={input}
          id={id}
          className="input"
          aria-keyshortcuts="/"
          role="combobox"
          aria-expanded={isOpen && options.length > 0}
          aria-controls={`${id}-list`}
          aria-autocomplete="list"
          aria-activedescendant={active >= 0 ? `${id}-${active}` : undefined}
          aria-invalid={props.problem !== undefined}
          autoComplete="off"
          spellCheck={false}
          placeholder="http.status_code>=500 error=true -peer=redis"
          value={value}
          onChange={(event) => {
            props.onChange(event.target.value);
            setCaret(event.target.selectionStart ?? event.target.value.length);
            setOpen(true);
            setActive(-1);
          }}
          onSelect={follow}
          onClick={() => setOpen(true)}
          onBlur={() => setOpen(false)}
          onKeyDown={onKeyDown}
        />
        {isOpen && options.length > 0 && (
          <div
            ref={list}
            id={`${id}-list`}
            className="listbox"
            role="listbox"
            aria-label={word.key === undefined ? "Keys" : `Values of ${word.key}`}
          >
            {options.map((option, index) => (
              // biome-ignore lint/a11y/useKeyWithClickEvents: the field above handles the keys.
              <div
                key={`${option.value}\n${option.hint}`}
                id={`${id}-${index}`}
                role="option"
                aria-selected={index === active}
                onMouseDown={(event) => event.preventDefault()}
                onMouseEnter={() => setActive(index)}
                onClick={() => choose(option)}
              >
                {option.value}
                {option.hint && <span className="hint">{option.hint}</span>}
              </div>
            ))}
          </div>
        )}
      </div>
      {props.problem && <span className="problem">{props.problem}</span>}
    </div>
  );
}

/** Keys, or the values of a key, that begin as the word does. */
function useOptions(word: Word, service: string, isOpen: boolean): Option[] {
  const prefix = useSettled(word.prefix);
  const key = word.key ?? "";
  const { name, scope } = scopeOf(prefix);
  const wantsKeys = isOpen && word.key === undefined;
  const keys = useKeys(name, wantsKeys).data?.value.items ?? [];
  const wantsValues = isOpen && key !== "" && !(FIELD_KEYS as readonly string[]).includes(key);
  const values = useValues(key, prefix, wantsValues).data?.value.items ?? [];
  const isOperation = key === "operation" || key === "root.operation";
  const operations = useOperationsLike(service, prefix, isOpen && isOperation).data?.value.items;
  const isService = key === "service" || key === "root.service";
  const services = useServices(isOpen && isService).data?.value ?? [];
  const like = (text: string) => text.toLowerCase().startsWith(word.prefix.toLowerCase());
  if (wantsKeys) {
    const fields = FIELD_KEYS.filter(like).map((value) => ({ value, hint: "field" }));
    const known = keys
      .filter((each) => scope === undefined || each.scope === scope)
      .map((each) => ({
        value: scope === undefined ? each.key : `${scope}.${each.key}`,
        hint: each.scope,
      }));
    return word.prefix === "" ? [...known, ...fields] : [...fields, ...known];
  }
  const plain = (of: readonly string[]) => of.filter(like).map((value) => ({ value }));
  if (isService) return plain(services);
  if (key === "kind") return plain(KINDS);
  if (key === "status") return plain(STATUSES);
  if (isOperation) return plain([...new Set((operations ?? []).map((each) => each.name))]);
  return plain(values);
}

/** The text once nothing was typed for a moment. */
function useSettled(text: string): string {
  const [settled, setSettled] = useState(text);
  useEffect(() => {
    const timer = setTimeout(() => setSettled(text), TYPING_MILLIS);
    return () => clearTimeout(timer);
  }, [text]);
  return settled;
}

// A button that copies, and says so.

import { useEffect, useState } from "react";
import { copyText } from "../state/clipboard";
import type { IconName } from "./icon";
import { IconButton } from "./icon-button";

const SAID_MILLIS = 1_500;

export function Copy(props: {
  readonly text: string | (() => string);
  readonly label: string;
  /** Where another of these stands beside it. */
  readonly icon?: IconName;
}) {
  const [copied, setCopied] = useState<boolean | undefined>();
  useEffect(() => {
    if (copied === undefined) return;
    const timer = setTimeout(() => setCopied(undefined), SAID_MILLIS);
    return () => clearTimeout(timer);
  }, [copied]);
  const copy = async () => {
    setCopied(await copyText(typeof props.text === "string" ? props.text : props.text()));
  };
  const label = copied === undefined ? props.label : copied ? "Copied" : "Could not copy";
  return (
    <IconButton
      icon={copied === undefined ? (props.icon ?? "copy") : copied ? "check" : "error"}
      label={label}
      onClick={copy}
    />
  );
}

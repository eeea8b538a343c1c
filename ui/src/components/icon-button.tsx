// A small button with a picture, whose name is read and shown when it is pointed at.

import { Icon, type IconName } from "./icon";

export function IconButton(props: {
  readonly icon: IconName;
  readonly label: string;
  /** Shorter than its name, where what is beside it says the rest. */
  readonly title?: string;
  readonly onClick: () => void;
  readonly isPressed?: boolean;
  readonly isDisabled?: boolean;
  readonly look?: string;
}) {
  return (
    <button
      type="button"
      className={`button quiet square small ${props.look ?? ""}`.trimEnd()}
      aria-label={props.label}
      title={props.title ?? props.label}
      aria-pressed={props.isPressed}
      disabled={props.isDisabled}
      onClick={props.onClick}
    >
      <Icon name={props.icon} />
    </button>
  );
}

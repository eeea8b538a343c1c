// The icons: strokes on a grid of sixteen, always beside a text or within a labelled control.

const PATHS = {
  search: "M7 12.500a5.500 5.500 0 1 0 0-11 5.500 5.500 0 0 0 0 11ZM11 11l3.500 3.500",
  services: "M2 3.500h12M2 8h12M2 12.500h12M4.500 3.500v0M4.500 8v0",
  map: "M3.500 5.500a2 2 0 1 0 0-4 2 2 0 0 0 0 4ZM12.500 9.500a2 2 0 1 0 0-4 2 2 0 0 0 0 4ZM5 14.500a2 2 0 1 0 0-4 2 2 0 0 0 0 4ZM5.300 4.400l5.400 2.200M10.800 8.600 6.700 11.300",
  cluster: "M2 2.500h12v4H2zM2 9.500h12v4H2zM4.500 4.500h.01M4.500 11.500h.01M7 4.500h4M7 11.500h4",
  settings:
    "M2 4.500h7M13 4.500h1M2 11.500h1M7 11.500h7M11 6.500a2 2 0 1 0 0-4 2 2 0 0 0 0 4ZM5 13.500a2 2 0 1 0 0-4 2 2 0 0 0 0 4Z",
  sun: "M8 11a3 3 0 1 0 0-6 3 3 0 0 0 0 6ZM8 1v1.500M8 13.500V15M1 8h1.500M13.500 8H15M3 3l1 1M12 12l1 1M13 3l-1 1M4 12l-1 1",
  moon: "M13.500 9.700A6 6 0 0 1 6.300 2.500a6 6 0 1 0 7.200 7.200Z",
  copy: "M5.500 5.500h8v8h-8zM10.500 5.500v-3h-8v8h3",
  check: "M3 8.500l3.500 3.500L13 4.500",
  close: "M4 4l8 8M12 4l-8 8",
  warning: "M8 2 14.500 13.500h-13zM8 6.500v3M8 11.500v.01",
  error: "M8 14.500a6.500 6.500 0 1 0 0-13 6.500 6.500 0 0 0 0 13ZM8 4.800v3.700M8 11v.01",
  up: "M4 10l4-4 4 4",
  down: "M4 6l4 4 4-4",
  left: "M10 4 6 8l4 4",
  minus: "M3.500 8h9",
  plus: "M3.500 8h9M8 3.500v9",
  star: "M8 1.800l1.900 4 4.300.600-3.100 3 .800 4.300L8 11.600l-3.900 2.100.800-4.300-3.100-3 4.300-.600z",
  right: "M6 4l4 4-4 4",
  expand: "M4 6l4 4 4-4M4 1.500h8M4 14.500h8",
  side: "M2 2.500h12v11H2zM9.500 2.500v11",
  below: "M2 2.500h12v11H2zM2 8.500h12",
  fold: "M2 3h12M2 13h12M5 6.500l3 3 3-3",
  collapse: "M4 10l4-4 4 4M4 14.500h8M4 1.500h8",
  link: "M6.500 9.500l3-3M7 4.500 8.500 3a3.200 3.200 0 0 1 4.500 4.500L11.500 9M9 11.500 7.500 13A3.200 3.200 0 0 1 3 8.500L4.500 7",
  filter: "M2 3h12l-4.500 5.500V13l-3-1.500v-3z",
  external: "M6.500 3H3v10h10V9.500M9.500 2.500h4v4M13.500 2.500 7.500 8.500",
  play: "M4.500 3v10l8-5z",
  reset: "M3 8a5 5 0 1 0 1.700-3.700M3 2.500v3h3",
  path: "M2 12.500h4v-4h4v-4h4",
  clock: "M8 14.500a6.500 6.500 0 1 0 0-13 6.500 6.500 0 0 0 0 13ZM8 4.500V8l2.500 1.500",
  question: "M5.800 6a2.200 2.200 0 1 1 3.200 2c-.700.400-1 .800-1 1.500M8 12v.01",
} as const;

export type IconName = keyof typeof PATHS;

export function Icon({ name }: { readonly name: IconName }) {
  return (
    <svg className="icon" viewBox="0 0 16 16" aria-hidden="true">
      <path d={PATHS[name]} />
    </svg>
  );
}

// Starts the UI.

import "./styles/tokens.css";
import "./styles/base.css";
import "./styles/components.css";
import "./styles/pages.css";
import { createRoot } from "react-dom/client";
import { App, prepare } from "./pages/app";
import { applyTheme } from "./state/settings";

applyTheme();
const container = document.getElementById("app");
if (container) {
  const base = new URL(document.baseURI).pathname.replace(/\/$/, "");
  const root = createRoot(container);
  const show = () => root.render(<App base={base} />);
  // A page that cannot be fetched says so itself.
  prepare(location.pathname.slice(base.length)).then(show, show);
}

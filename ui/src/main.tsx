// Starts the UI.

import "./styles/tokens.css";
import "./styles/base.css";
import "./styles/components.css";
import "./styles/pages.css";
import { createRoot } from "react-dom/client";
import { App } from "./pages/app";
import { applyTheme } from "./state/settings";

applyTheme();
const container = document.getElementById("app");
if (container) {
  const base = new URL(document.baseURI).pathname.replace(/\/$/, "");
  createRoot(container).render(<App base={base} />);
}

// Starts the UI. What takes longest begins first, and all of it at once: the trace is asked for
// before the page that shows it is there.

import "./styles/tokens.css";
import "./styles/base.css";
import "./styles/components.css";
import { openEarly } from "./api/trace-source";
import { pageAt, pages } from "./pages/chunks";
import { applyTheme, storedTheme } from "./state/theme";

applyTheme(storedTheme());
const base = new URL(document.baseURI).pathname.replace(/\/$/, "");
const path = location.pathname.slice(base.length);
const page = pageAt(path);
if (page === "trace") openEarly(decodeURIComponent(path.slice("/trace/".length)));
const app = import("./pages/app");
// What fails here is tried again, and told, where the page is shown.
if (page !== undefined) pages[page]().catch(() => undefined);
const container = document.getElementById("app");
if (container !== null) void app.then(({ start }) => start(container, base, path));

/** The frame of every page: header, navigation, connection, keys; and which page an address shows. */

import type { JSX } from "preact";
import { useEffect, useReducer, useState } from "preact/hooks";
import { connect, connection, onConnection, type Connection } from "./live";
import { NewRunPage } from "./pages/NewRunPage";
import { RunPage } from "./pages/RunPage";
import { RunsPage } from "./pages/RunsPage";
import { go, Link, usePlace } from "./router";
import { Empty, Loading, Toasts } from "./ui/bits";
import { useKeys, useTitle } from "./ui/hooks";
import { Icon } from "./ui/icons";
import { KeysHelp } from "./ui/KeysHelp";
import { applyTheme, theme, type Theme } from "./ui/theme";

type Page<P> = (props: P) => JSX.Element;

/** A page whose script is fetched when it is first shown. */
function later<P extends object>(load: () => Promise<Page<P>>): Page<P> {
  let found: Page<P> | null = null;
  return (props: P) => {
    const [, redraw] = useReducer((n: number) => n + 1, 0);
    useEffect(() => {
      if (!found) load().then((page) => ((found = page), redraw(undefined)), () => undefined);
    }, []);
    if (!found) return <main class="page" id="main"><Loading /></main>;
    const Found = found;
    return <Found {...props} />;
  };
}

const PromptsPage = later(() => import("./pages/PromptsPage").then((module) => module.PromptsPage));
const PromptPage = later<{ name: string }>(() => import("./pages/PromptPage").then((module) => module.PromptPage));
const CostsPage = later(() => import("./pages/CostsPage").then((module) => module.CostsPage));

function useConnection(): Connection {
  const [, redraw] = useReducer((n: number) => n + 1, 0);
  useEffect(() => onConnection(() => redraw(undefined)), []);
  return connection();
}

const states: Record<Connection, { word: string; help: string }> = {
  connecting: { word: "Connecting", help: "Opening the connection to the server" },
  live: { word: "Live", help: "Events come as they happen" },
  reconnecting: { word: "Reconnecting", help: "The connection was lost; what happens meanwhile will be shown once it is back" },
  offline: { word: "Offline", help: "This device has no network" },
  refused: { word: "Refused", help: "The server does not know this browser" },
};

const next: Record<Theme, Theme> = { auto: "light", light: "dark", dark: "auto" };
const themeIcons = { auto: "auto", light: "sun", dark: "moon" } as const;

function Header({ path, state, onHelp }: { path: string; state: Connection; onHelp: () => void }) {
  const [chosen, setChosen] = useState(theme);
  const turn = () => {
    applyTheme(next[chosen]);
    setChosen(next[chosen]);
  };
  const section = (to: string, label: string, icon: "runs" | "prompts" | "costs", current: boolean) => (
    <Link to={to} class="nav-link" aria-current={current ? "page" : undefined}>
      <Icon name={icon} />
      <span>{label}</span>
    </Link>
  );
  return (
    <header class="top">
      <a class="skip" href="#main">
        Skip to the content
      </a>
      <Link to="/" class="brand" aria-label="Windlass, all runs">
        <img src="/icon.svg" alt="" width="24" height="24" />
        <span>Windlass</span>
      </Link>
      <nav class="nav" aria-label="Sections">
        {section("/", "Runs", "runs", path === "/" || path.startsWith("/runs"))}
        {section("/prompts", "Prompts", "prompts", path.startsWith("/prompts"))}
        {section("/costs", "Costs", "costs", path.startsWith("/costs"))}
      </nav>
      <div class="top-end">
        <span class={`connection is-${state}`} role="status" title={states[state].help} data-connection={state}>
          <span class="connection-dot" aria-hidden="true" />
          <span class="connection-word">{states[state].word}</span>
        </span>
        <button class="button ghost icon-only" onClick={turn} aria-label={`Colours: ${chosen}`} title={`Colours: ${chosen}`}>
          <Icon name={themeIcons[chosen]} />
        </button>
        <button class="button ghost icon-only" onClick={onHelp} aria-label="Keyboard shortcuts" title="Keyboard shortcuts (?)">
          <Icon name="help" />
        </button>
        <Link to="/new" class="button primary" aria-label="New run">
          <Icon name="plus" />
          <span>New run</span>
        </Link>
      </div>
    </header>
  );
}

function Refused() {
  useTitle("Not signed in");
  return (
    <main class="page" id="main">
      <Empty icon="link" title="This browser is not signed in">
        <p>
          Open the link that <code>windlass serve</code> printed when it started. It works once; for a new one, run
        </p>
        <pre class="command">windlass serve --link</pre>
        <p>
          <button class="button" onClick={() => location.reload()}>
            Try again
          </button>
        </p>
      </Empty>
    </main>
  );
}

function NotFound() {
  useTitle("Not found");
  return (
    <main class="page" id="main">
      <Empty icon="search" title="There is no such page">
        <p>
          <Link to="/">All runs</Link>
        </p>
      </Empty>
    </main>
  );
}

function page(path: string): JSX.Element {
  const [, section = "", given = "", ...rest] = path.split("/");
  let name: string;
  try {
    name = decodeURIComponent(given);
  } catch {
    return <NotFound />;
  }
  if (rest.length && rest.join("")) return <NotFound />;
  if (section === "" || (section === "runs" && !name)) return <RunsPage />;
  if (section === "new" && !name) return <NewRunPage />;
  if (section === "runs") return <RunPage key={name} id={name} />;
  if (section === "prompts") return name ? <PromptPage key={name} name={name} /> : <PromptsPage />;
  if (section === "costs" && !name) return <CostsPage />;
  return <NotFound />;
}

export function App() {
  const place = usePlace();
  const state = useConnection();
  const [help, setHelp] = useState(false);
  useEffect(connect, []);
  useKeys({
    "?": () => setHelp(true),
    "g r": () => go("/"),
    "g p": () => go("/prompts"),
    "g c": () => go("/costs"),
    n: () => go("/new"),
  });
  return (
    <>
      <Header path={place.path} state={state} onHelp={() => setHelp(true)} />
      {(state === "reconnecting" || state === "offline") && (
        <div class="banner" role="status">
          <span class="spinner" />
          {state === "offline" ? "This device is offline." : "Connection lost. Trying again…"} Nothing is lost: what happens meanwhile is shown
          once it is back.
        </div>
      )}
      {state === "refused" ? <Refused /> : page(place.path)}
      {help && <KeysHelp onClose={() => setHelp(false)} />}
      <Toasts />
    </>
  );
}

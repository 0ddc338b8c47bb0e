/** Small parts that every page uses. */

import type { ComponentChildren } from "preact";
import { useEffect, useId, useRef, useState } from "preact/hooks";
import { ApiError } from "../api";
import { Icon, type IconName } from "./icons";

export function Loading({ rows = 5, label = "Loading" }: { rows?: number; label?: string }) {
  return (
    <div class="skeleton" role="status" aria-label={label}>
      {Array.from({ length: rows }, (_, n) => (
        <span key={n} class={`bone bone-${n % 4}`} />
      ))}
    </div>
  );
}

export function Empty(props: { icon: IconName; title: string; children?: ComponentChildren }) {
  return (
    <div class="empty">
      <span class="empty-icon">
        <Icon name={props.icon} />
      </span>
      <h2>{props.title}</h2>
      <div class="empty-text">{props.children}</div>
    </div>
  );
}

export function Failed({ error, retry }: { error: ApiError | string; retry?: () => void }) {
  const text = typeof error === "string" ? error : error.message;
  return (
    <div class="callout bad" role="alert">
      <Icon name="warn" />
      <p>{text}</p>
      {retry && (
        <button class="button small" onClick={retry}>
          Try again
        </button>
      )}
    </div>
  );
}

/** Copies a text; says so for a moment. */
export function Copy(props: { text: string | (() => string); label: string; icon?: IconName; quiet?: boolean }) {
  const [done, setDone] = useState(false);
  const copy = async () => {
    const text = typeof props.text === "string" ? props.text : props.text();
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      copyOldWay(text);
    }
    setDone(true);
    setTimeout(() => setDone(false), 1_500);
  };
  return (
    <button class={props.quiet ? "button ghost small icon-only" : "button small"} onClick={copy} title={props.label} aria-label={props.label}>
      <Icon name={done ? "check" : (props.icon ?? "copy")} />
      {!props.quiet && <span>{done ? "Copied" : props.label}</span>}
      <span class="sr" role="status">
        {done ? "Copied" : ""}
      </span>
    </button>
  );
}

/** Without a secure context (http on another machine's address) there is no clipboard API. */
function copyOldWay(text: string): void {
  const area = document.createElement("textarea");
  area.value = text;
  document.body.append(area);
  area.select();
  document.execCommand("copy");
  area.remove();
}

interface DialogProps {
  title: string;
  onClose: () => void;
  children: ComponentChildren;
  wide?: boolean;
}

/** A modal dialog: the browser keeps the focus inside and gives it back. */
export function Dialog({ title, onClose, children, wide }: DialogProps) {
  const ref = useRef<HTMLDialogElement>(null);
  const id = useId();
  useEffect(() => {
    ref.current?.showModal();
  }, []);
  return (
    <dialog
      ref={ref}
      class={wide ? "dialog wide" : "dialog"}
      aria-labelledby={id}
      onClose={onClose}
      onClick={(event) => event.target === ref.current && ref.current?.close()}
    >
      <div class="dialog-body">
        <header class="dialog-head">
          <h2 id={id}>{title}</h2>
          <button class="button ghost small icon-only" aria-label="Close" onClick={() => ref.current?.close()}>
            <Icon name="cross" />
          </button>
        </header>
        {children}
      </div>
    </dialog>
  );
}

interface TabsProps<T extends string> {
  label: string;
  value: T;
  tabs: { value: T; label: ComponentChildren }[];
  onChange: (value: T) => void;
  class?: string;
  controls?: string;
}

/** Tabs as screen readers know them: arrows move between them. */
export function Tabs<T extends string>(props: TabsProps<T>) {
  const list = useRef<HTMLDivElement>(null);
  const move = (event: KeyboardEvent) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    event.preventDefault();
    const at = props.tabs.findIndex((tab) => tab.value === props.value);
    const next = props.tabs[(at + step + props.tabs.length) % props.tabs.length]!;
    props.onChange(next.value);
    list.current?.querySelector<HTMLElement>(`[data-tab="${next.value}"]`)?.focus();
  };
  return (
    <div ref={list} class={`tabs ${props.class ?? ""}`} role="tablist" aria-label={props.label} onKeyDown={move}>
      {props.tabs.map((tab) => (
        <button
          key={tab.value}
          role="tab"
          class="tab"
          data-tab={tab.value}
          aria-selected={tab.value === props.value}
          aria-controls={props.controls}
          tabIndex={tab.value === props.value ? 0 : -1}
          onClick={() => props.onChange(tab.value)}
        >
          {tab.label}
        </button>
      ))}
    </div>
  );
}

export interface Option<T extends string> {
  value: T;
  label: string;
}

/** A choice of one among few. */
export function Segments<T extends string>(props: { label: string; value: T; options: Option<T>[]; onChange: (value: T) => void }) {
  return (
    <div class="segments" role="group" aria-label={props.label}>
      {props.options.map((option) => (
        <button key={option.value} aria-pressed={option.value === props.value} onClick={() => props.onChange(option.value)}>
          {option.label}
        </button>
      ))}
    </div>
  );
}

// -- short messages -----------------------------------------------------------------------------

interface Toast {
  id: number;
  text: string;
  bad: boolean;
}

let toasts: Toast[] = [];
let nextToast = 1;
const showers = new Set<() => void>();
const show = (list: Toast[]) => {
  toasts = list;
  for (const tell of showers) tell();
};

/** Say one sentence at the edge of the page. */
export function toast(text: string, bad = false): void {
  const id = nextToast++;
  show([...toasts, { id, text, bad }].slice(-4));
  setTimeout(() => show(toasts.filter((other) => other.id !== id)), bad ? 9_000 : 4_000);
}

export function Toasts() {
  const [, redraw] = useState(0);
  useEffect(() => {
    const tell = () => redraw((n) => n + 1);
    showers.add(tell);
    return () => void showers.delete(tell);
  }, []);
  return (
    <div class="toasts" role="status" aria-live="polite">
      {toasts.map((item) => (
        <div key={item.id} class={item.bad ? "toast bad" : "toast"}>
          <Icon name={item.bad ? "warn" : "check"} />
          <span>{item.text}</span>
          <button class="button ghost small icon-only" aria-label="Dismiss" onClick={() => show(toasts.filter((other) => other !== item))}>
            <Icon name="cross" />
          </button>
        </div>
      ))}
    </div>
  );
}

/** Do something on the server and say how it went. */
export async function attempt<T>(work: () => Promise<T>, done?: string): Promise<T | undefined> {
  try {
    const result = await work();
    if (done) toast(done);
    return result;
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    toast(error.message, true);
    return undefined;
  }
}

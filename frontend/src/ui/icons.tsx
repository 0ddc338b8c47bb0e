/** Line icons, 16 × 16, drawn for this page. */

const paths = {
  check: "M3.5 8.5l3 3 6-7",
  cross: "M4.5 4.5l7 7M11.5 4.5l-7 7",
  dot: "M8 8h.01",
  pause: "M6 4.5v7M10 4.5v7",
  skip: "M4.5 8h7",
  ring: "M8 3a5 5 0 100 10A5 5 0 008 3z",
  bolt: "M8.8 2.5L4 9h3.6l-.5 4.5L12 7H8.3z",
  runs: "M5.5 4h8M5.5 8h8M5.5 12h8M2.5 4h.01M2.5 8h.01M2.5 12h.01",
  prompts: "M3 3.5h10v7H7.5L4.5 13v-2.5H3z",
  costs: "M3 13V8.5M8 13V3M13 13V6",
  plus: "M8 3.5v9M3.5 8h9",
  search: "M7 3a4 4 0 100 8 4 4 0 000-8zM10 10l3 3",
  copy: "M5.5 5.5v-3h8v8h-3M2.5 5.5h8v8h-8z",
  link: "M6.8 9.2l2.4-2.4M7.3 5L9 3.3a2.6 2.6 0 013.7 3.7L11 8.7M8.7 11L7 12.7A2.6 2.6 0 013.3 9L5 7.3",
  stop: "M4.5 4.5h7v7h-7z",
  play: "M5.5 3.5v9l7-4.5z",
  fork: "M4.5 5.5v5M4.5 6.5c0 2.5 7 .5 7 3.5M4.5 2.5a1.5 1.5 0 100 3 1.5 1.5 0 000-3zM4.5 10.5a1.5 1.5 0 100 3 1.5 1.5 0 000-3zM11.5 10a1.5 1.5 0 100 3 1.5 1.5 0 000-3z",
  undo: "M6 3L3 6l3 3M3.5 6H10a3.2 3.2 0 010 6.5H7",
  redo: "M10 3l3 3-3 3M12.5 6H6a3.2 3.2 0 000 6.5h3",
  file: "M4 2.5h5l3 3v8H4zM9 2.5v3h3",
  folder: "M2.5 4h4l1.2 1.5h5.8v7h-11z",
  flask: "M6.5 2.5v4L3.5 12.5h9l-3-6v-4M5.5 2.5h5",
  chevron: "M6 4l4 4-4 4",
  down: "M8 3.5v9M4.5 9L8 12.5 11.5 9",
  terminal: "M2.5 3.5h11v9h-11zM5 6.5l1.8 1.5L5 9.5M8.5 9.5h2.5",
  sun: "M8 5.5a2.5 2.5 0 100 5 2.5 2.5 0 000-5zM8 2v1M8 13v1M2 8h1M13 8h1M3.8 3.8l.7.7M11.5 11.5l.7.7M3.8 12.2l.7-.7M11.5 4.5l.7-.7",
  moon: "M12.5 9.5A5 5 0 016.5 3.5a5 5 0 106 6z",
  auto: "M8 3a5 5 0 100 10zM8 3a5 5 0 010 10",
  help: "M6.2 6.2a1.9 1.9 0 113 1.6c-.8.5-1.2.9-1.2 1.7M8 11.8h.01",
  warn: "M8 3L2.5 13h11zM8 7v2.5M8 11.3h.01",
  list: "M3 4.5h10M3 8h10M3 11.5h6",
} as const;

export type IconName = keyof typeof paths;

export function Icon({ name, label }: { name: IconName; label?: string }) {
  return (
    <svg
      class="icon"
      viewBox="0 0 16 16"
      width="16"
      height="16"
      fill="none"
      stroke="currentColor"
      stroke-width="1.5"
      stroke-linecap="round"
      stroke-linejoin="round"
      role={label ? "img" : undefined}
      aria-label={label}
      aria-hidden={label ? undefined : "true"}
    >
      <path d={paths[name]} />
    </svg>
  );
}

const marks: Record<string, { icon: IconName; tone: string; word: string }> = {
  pending: { icon: "ring", tone: "idle", word: "Not started" },
  Pending: { icon: "ring", tone: "idle", word: "Not started" },
  "in-progress": { icon: "ring", tone: "busy", word: "Running" },
  streaming: { icon: "ring", tone: "busy", word: "Running" },
  running: { icon: "ring", tone: "busy", word: "Running" },
  Started: { icon: "ring", tone: "busy", word: "Running" },
  finished: { icon: "check", tone: "good", word: "Finished" },
  Success: { icon: "check", tone: "good", word: "Success" },
  error: { icon: "cross", tone: "bad", word: "Failed" },
  Failure: { icon: "cross", tone: "bad", word: "Failed" },
  waiting: { icon: "pause", tone: "wait", word: "Waiting for you" },
  Waiting: { icon: "pause", tone: "wait", word: "Waiting for you" },
  skipped: { icon: "skip", tone: "idle", word: "Skipped" },
  Cancelled: { icon: "skip", tone: "idle", word: "Cancelled" },
  interrupted: { icon: "bolt", tone: "wait", word: "Interrupted" },
};

export const markOf = (status: string) => marks[status] ?? { icon: "dot" as IconName, tone: "idle", word: status };

/** A status as a coloured mark; its word is there for those who do not see colours. */
export function StatusMark({ status }: { status: string }) {
  const mark = markOf(status);
  return (
    <span class={`mark tone-${mark.tone}`} title={mark.word}>
      {mark.tone === "busy" ? <span class="spinner" /> : <Icon name={mark.icon} />}
      <span class="sr">{mark.word}</span>
    </span>
  );
}

export function StatusBadge({ status }: { status: string }) {
  const mark = markOf(status);
  return (
    <span class={`badge tone-${mark.tone}`} data-status={status}>
      {mark.tone === "busy" ? <span class="spinner" /> : <Icon name={mark.icon} />}
      {mark.word}
    </span>
  );
}

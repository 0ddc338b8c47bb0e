/** The one connection to the server: events as they happen, and what was missed after it was away.
 *
 * Every stored event of a run is applied exactly once and in order, whatever the connection does: on each (re)connect the
 * run is subscribed with the number of the last event that was applied; live events wait until that answer has been
 * applied, and numbers tell which of them it already held.
 */

import { io } from "socket.io-client";
import { get } from "./api";
import type { RunEvent } from "./types";

export type Connection = "connecting" | "live" | "reconnecting" | "offline" | "refused";

interface Subscribed {
  error?: string;
  events: RunEvent[];
  last: number;
  /** What has come so far of each reply that is streaming right now. */
  texts?: { step: number | null; path: string; text: string }[];
}

const ACK_MS = 15_000;

const socket = io({
  transports: ["websocket"],
  autoConnect: false,
  reconnectionDelay: 400,
  reconnectionDelayMax: 5_000,
});

let state: Connection = "connecting";
const watchers = new Set<() => void>();

export const connection = (): Connection => state;

export function onConnection(tell: () => void): () => void {
  watchers.add(tell);
  return () => void watchers.delete(tell);
}

function become(next: Connection): void {
  if (next === state) return;
  state = next;
  for (const tell of watchers) tell();
}

socket.on("connect", () => {
  become("live");
  for (const feed of feeds.values()) feed.subscribe();
  if (allRuns.size) socket.emit("subscribe", { run: "*" });
});
socket.on("disconnect", (reason) => {
  if (reason === "io client disconnect") return;
  become(navigator.onLine ? "reconnecting" : "offline");
  // The server closed on purpose (it stops, or we were too slow): the client would not try again by itself.
  if (reason === "io server disconnect") setTimeout(connect, 1_000);
});
socket.on("connect_error", () => {
  if (state === "refused") return;
  become(navigator.onLine ? "reconnecting" : "offline");
  // A refused handshake and a dead server look the same to a websocket; a plain request tells them apart.
  get("/meta").catch(() => undefined);
});
window.addEventListener("offline", () => become("offline"));
window.addEventListener("online", () => {
  if (state === "offline") become("reconnecting");
  connect();
});
window.addEventListener("windlass:refused", () => {
  become("refused");
  socket.disconnect();
});

/** Open the connection; does nothing when it is open or on its way. */
export function connect(): void {
  // Not `connected`: a second connect() before the server's answer would ask it twice, and it hangs up on that.
  if (!socket.active && state !== "refused") socket.connect();
}

// -- one run ------------------------------------------------------------------------------------

export interface Listener {
  /** Stored events, each once and in order; `replayed` ones come from before this moment. */
  events(events: RunEvent[], replayed: boolean): void;
  /** The whole of a step's text so far, in place of what was streamed before. */
  text(path: string, text: string): void;
  /** A piece of a step's text, and where in it the piece belongs. */
  delta(path: string, delta: string, offset: number | null): void;
  reset(path: string): void;
  failed(sentence: string): void;
}

class Feed {
  last = 0;
  private waiting: RunEvent[] | null = null;
  private round = 0;

  constructor(
    readonly run: string,
    private readonly listener: Listener,
  ) {}

  subscribe(): void {
    const round = ++this.round;
    this.waiting = [];
    socket.timeout(ACK_MS).emit("subscribe", { run: this.run, since: this.last }, (error: Error | null, answer: Subscribed) => {
      if (round !== this.round) return;
      if (error) {
        if (socket.connected) this.subscribe();
        return;
      }
      if (answer.error) {
        this.listener.failed(answer.error);
        return;
      }
      this.apply(answer.events, true);
      this.last = Math.max(this.last, answer.last ?? 0);
      for (const { path, text } of answer.texts ?? []) this.listener.text(path, text);
      const late = this.waiting ?? [];
      this.waiting = null;
      for (const event of late) this.receive(event);
    });
  }

  receive(event: RunEvent): void {
    if (this.waiting) this.waiting.push(event);
    else if (typeof event.event_id === "number") this.apply([event], false);
    else this.passing(event);
  }

  close(): void {
    this.round++;
    if (socket.connected) socket.emit("unsubscribe", { run: this.run });
  }

  private passing(event: RunEvent): void {
    if (event.name === "text") this.listener.delta(event.path, event.delta, typeof event.offset === "number" ? event.offset : null);
    else if (event.name === "text_reset") this.listener.reset(event.path);
  }

  private apply(events: RunEvent[], replayed: boolean): void {
    const fresh: RunEvent[] = [];
    for (const event of events) {
      if (typeof event.event_id !== "number" || event.event_id <= this.last) continue;
      this.last = event.event_id;
      fresh.push(event);
    }
    if (fresh.length) this.listener.events(fresh, replayed);
  }
}

const feeds = new Map<string, Feed>();
const allRuns = new Set<(event: RunEvent) => void>();

/** Follow a run from its first event on, until the answer is called. */
export function follow(run: string, listener: Listener): () => void {
  const feed = new Feed(run, listener);
  feeds.set(run, feed);
  connect();
  if (socket.connected) feed.subscribe();
  return () => {
    if (feeds.get(run) === feed) feeds.delete(run);
    feed.close();
  };
}

/** Hear how every run stands, until the answer is called. */
export function followAll(tell: (event: RunEvent) => void): () => void {
  allRuns.add(tell);
  connect();
  if (socket.connected && allRuns.size === 1) socket.emit("subscribe", { run: "*" });
  return () => {
    allRuns.delete(tell);
    if (!allRuns.size && socket.connected) socket.emit("unsubscribe", { run: "*" });
  };
}

socket.onAny((name: string, payload: unknown) => {
  if (typeof payload !== "object" || payload === null) return;
  const event = { ...(payload as object), name } as RunEvent;
  feeds.get(event.run_id)?.receive(event);
  if (name === "run_status") for (const tell of allRuns) tell(event);
});

/** A run on the page: its report first, so that there is something to see, then its events as they come. */

import { useEffect, useReducer, useRef, useState } from "preact/hooks";
import { ApiError, get } from "../api";
import { follow } from "../live";
import type { Run, RunEvent } from "../types";
import { isOver, RunState } from "./state";

export interface LiveRun {
  run: Run | null;
  state: RunState;
  error: ApiError | null;
  /** Whether the events have come, so that `state` tells all. */
  settled: boolean;
  reload: () => void;
}

export function useRun(id: string): LiveRun {
  const [run, setRun] = useState<Run | null>(null);
  const [error, setError] = useState<ApiError | null>(null);
  const [settled, setSettled] = useState(false);
  const [, redraw] = useReducer((n: number) => n + 1, 0);
  const state = useRef(new RunState());
  const load = useRef(() => {});

  useEffect(() => {
    let gone = false;
    let frame = 0;
    state.current = new RunState();
    setRun(null);
    setError(null);
    setSettled(false);
    // Many events in one frame are one drawing.
    const draw = () => {
      frame ||= requestAnimationFrame(() => {
        frame = 0;
        redraw(undefined);
      });
    };
    load.current = () => {
      get<Run>(`/runs/${encodeURIComponent(id)}`).then(
        (found) => {
          if (gone) return;
          state.current.seed(found);
          setRun(found);
          setError(null);
          // A frame of its own for the report: the events of a long run take a while to come.
          stop ??= follow(id, listener);
        },
        (wrong: unknown) => !gone && wrong instanceof ApiError && setError(wrong),
      );
    };
    let stop: (() => void) | null = null;
    const listener = {
      events(events: RunEvent[], replayed: boolean) {
        const before = state.current.status;
        for (const event of events) state.current.apply(event, replayed);
        setSettled(true);
        const now = state.current.status;
        // The report knows what events do not say: totals, the command, who waits for what.
        if (!replayed && now !== before && (isOver(now) || now === "Waiting" || now === "Started")) load.current();
        draw();
      },
      text(path: string, text: string) {
        state.current.setText(path, text);
        draw();
      },
      delta(path: string, delta: string, offset: number | null) {
        state.current.addText(path, delta, offset);
        draw();
      },
      reset(path: string) {
        state.current.setText(path, "");
        draw();
      },
      failed(sentence: string) {
        setError(new ApiError(sentence, 404));
      },
    };
    load.current();
    return () => {
      gone = true;
      stop?.();
      cancelAnimationFrame(frame);
    };
  }, [id]);

  return { run, state: state.current, error, settled, reload: () => load.current() };
}

/** Keeps the end of a growing text in view, until the reader goes up.
 *
 * What the reader wants is taken from the wheel, the finger and the keys at once, before anything has moved: a scroll
 * event comes a frame later, when the text has perhaps grown and been followed again. Only a movement that has no such
 * input (the scroll bar, a selection that is drawn upwards) is read from the scroll events themselves.
 */

import type { RefObject } from "preact";
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";

/** So near to the end (pixels) is at the end. */
const NEAR = 48;
/** What a line of a wheel that counts lines, and an arrow key, move it by (pixels, as browsers do). */
const LINE = 40;
/** How far each key goes, in boxes. */
const KEYS: Record<string, number> = { PageUp: -1, PageDown: 1, Home: -Infinity, End: Infinity };

interface Options {
  /** What scrolls, and all that is in it. */
  box: RefObject<HTMLElement | null>;
  content: RefObject<HTMLElement | null>;
  /** Names the text: another one is begun anew. */
  name: string;
  /** Whether it grows. One that does not is read from its beginning. */
  grows: boolean;
  onChange: (follows: boolean) => void;
}

export function useTail(options: Options): { tail: boolean; follow: () => void } {
  const { box, content, name } = options;
  const [tail, setTail] = useState(true);
  const present = useRef(options);
  present.current = options;
  // What listeners and effects go by. The state only draws it: a closure would hold that of an earlier drawing.
  const follows = useRef(true);
  /** The reader went up and has not turned round. */
  const upward = useRef(false);
  /** Where the box was left or last seen, and how high its content was then. */
  const seen = useRef({ top: 0, height: 0 });

  const say = (now: boolean) => {
    if (follows.current === now) return;
    follows.current = now;
    setTail(now);
    present.current.onChange(now);
  };
  const look = (element: HTMLElement) => {
    seen.current = { top: element.scrollTop, height: element.scrollHeight };
  };
  const toEnd = () => {
    const element = box.current;
    if (!element) return;
    element.scrollTop = element.scrollHeight;
    look(element);
  };
  const grown = () => {
    if (follows.current && present.current.grows) toEnd();
  };

  useLayoutEffect(() => {
    say(true);
    upward.current = false;
    if (present.current.grows) return toEnd();
    if (box.current) {
      box.current.scrollTop = 0;
      look(box.current);
    }
  }, [name]);
  useLayoutEffect(grown);

  useEffect(() => {
    const element = box.current;
    if (!element || !content.current) return;
    let finger = 0;

    const rest = () => element.scrollHeight - element.clientHeight - element.scrollTop;
    const turned = () => {
      upward.current = false;
    };
    /** The reader moves by so many pixels. Who goes beyond the end has reached it, though it may be gone by then. */
    const move = (distance: number) => {
      if (!present.current.grows || !distance) return;
      if (distance > 0) {
        turned();
        if (rest() - distance < NEAR) say(true);
      } else if (element.scrollTop > 0) {
        upward.current = true;
        say(false);
      }
    };
    const wheel = (event: WheelEvent) => {
      const unit = [1, LINE, element.clientHeight][event.deltaMode] ?? 1;
      if (!event.ctrlKey) move(event.deltaY * unit);
    };
    const touch = (event: TouchEvent) => {
      finger = event.touches[0]!.clientY;
    };
    const drag = (event: TouchEvent) => {
      const now = event.touches[0]!.clientY;
      move(finger - now);
      finger = now;
    };
    const press = (event: KeyboardEvent) => {
      const target = event.target as HTMLElement;
      if (target.closest("input, textarea, select") || event.ctrlKey || event.altKey || event.metaKey) return;
      if (event.key === " ") {
        if (!target.closest("button, a, summary")) move(element.clientHeight * (event.shiftKey ? -1 : 1));
      } else if (event.key.startsWith("Arrow")) {
        move({ ArrowUp: -LINE, ArrowDown: LINE }[event.key] ?? 0);
      } else {
        move((KEYS[event.key] ?? 0) * element.clientHeight);
      }
    };
    const scroll = () => {
      const before = seen.current;
      look(element);
      const { top, height } = seen.current;
      if (!present.current.grows) return;
      // A text that became shorter takes the box up by itself.
      if (top < before.top - 1 && height >= before.height && rest() > 1) say(false);
      else if (top > before.top && rest() < NEAR && !upward.current) say(true);
    };

    const listeners: [string, (event: never) => void][] = [
      ["wheel", wheel],
      ["touchstart", touch],
      ["touchmove", drag],
      ["pointerdown", turned],
      ["keydown", press],
      ["scroll", scroll],
    ];
    for (const [kind, listener] of listeners) element.addEventListener(kind, listener as EventListener, { passive: true });
    // Also what grows without this being drawn anew: a reply that is fetched, lines that break otherwise.
    const watch = new ResizeObserver(grown);
    watch.observe(content.current);
    watch.observe(element);
    return () => {
      for (const [kind, listener] of listeners) element.removeEventListener(kind, listener as EventListener);
      watch.disconnect();
    };
  }, []);

  return {
    tail,
    follow: () => {
      upward.current = false;
      say(true);
      toEnd();
    },
  };
}

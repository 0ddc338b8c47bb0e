/** The steps of a run as a tree; only the rows in view exist, for a run may have thousands. */

import { useEffect, useRef } from "preact/hooks";
import { duration, short, shortCost } from "../format";
import { useScrolled } from "../ui/LongText";
import { Icon, markOf, StatusMark } from "../ui/icons";
import { isActive, type Step } from "./state";

const HEIGHT = 44;
const SPARE = 8;

interface Props {
  steps: Step[];
  chosen: string | null;
  closed: Set<string>;
  now: number;
  onChoose: (path: string) => void;
  onToggle: (path: string) => void;
}

/** The steps whose parents are all open. */
export function visible(steps: Step[], closed: Set<string>): Step[] {
  const hidden = new Set<string>();
  return steps.filter((step) => {
    if (step.parent !== null && (hidden.has(step.parent) || closed.has(step.parent))) {
      hidden.add(step.path);
      return false;
    }
    return true;
  });
}

export const secondsOf = (step: Step, now: number) => step.seconds + (step.since === null ? 0 : Math.max(0, now - step.since));

export function StepTree({ steps, chosen, closed, now, onChoose, onToggle }: Props) {
  const box = useRef<HTMLDivElement>(null);
  useScrolled(box);
  const rows = visible(steps, closed);
  const at = rows.findIndex((step) => step.path === chosen);

  useEffect(() => {
    const element = box.current;
    if (!element || at < 0) return;
    const top = at * HEIGHT;
    if (top < element.scrollTop) element.scrollTop = top - HEIGHT;
    else if (top + HEIGHT > element.scrollTop + element.clientHeight) element.scrollTop = top + 2 * HEIGHT - element.clientHeight;
  }, [at]);

  const scrollTop = box.current?.scrollTop ?? 0;
  const height = box.current?.clientHeight ?? 800;
  const first = Math.max(0, Math.floor(scrollTop / HEIGHT) - SPARE);
  const last = Math.min(rows.length, Math.ceil((scrollTop + height) / HEIGHT) + SPARE);

  const press = (event: KeyboardEvent) => {
    const step = rows[at];
    const move = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (move) {
      const next = rows[at + move];
      if (next) onChoose(next.path);
    } else if (event.key === "Home" && rows[0]) onChoose(rows[0].path);
    else if (event.key === "End" && rows.length) onChoose(rows.at(-1)!.path);
    else if (step?.children.length && ((event.key === "ArrowRight" && closed.has(step.path)) || (event.key === "ArrowLeft" && !closed.has(step.path)))) {
      onToggle(step.path);
    } else if (event.key === "ArrowLeft" && step?.parent) onChoose(step.parent);
    else return;
    event.preventDefault();
    event.stopPropagation();
  };

  return (
    <div class="tree" ref={box} role="tree" aria-label="Steps" tabIndex={0} onKeyDown={press} aria-activedescendant={at >= 0 ? rowId(rows[at]!.path) : undefined}>
      <div class="tree-rows" role="presentation" style={{ height: `${rows.length * HEIGHT}px` }}>
        {rows.slice(first, last).map((step, offset) => (
          <div
            key={step.path}
            id={rowId(step.path)}
            class={step.path === chosen ? "tree-row chosen" : "tree-row"}
            role="treeitem"
            aria-level={step.depth + 1}
            aria-selected={step.path === chosen}
            aria-expanded={step.children.length ? !closed.has(step.path) : undefined}
            aria-posinset={first + offset + 1}
            aria-setsize={rows.length}
            data-step={step.path}
            data-status={step.status}
            style={{ top: `${(first + offset) * HEIGHT}px`, paddingLeft: `${10 + Math.min(step.depth, 6) * 18}px` }}
            onClick={() => onChoose(step.path)}
          >
            <StatusMark status={step.status} />
            <span class="tree-text">
              <span class="tree-name">{step.name}</span>
              <span class="tree-meta">{figures(step, now)}</span>
            </span>
            {step.children.length > 0 && (
              <span
                class={closed.has(step.path) ? "twist" : "twist open"}
                aria-hidden="true"
                onClick={(event) => {
                  event.stopPropagation();
                  onToggle(step.path);
                }}
              >
                <Icon name="chevron" />
              </span>
            )}
          </div>
        ))}
      </div>
    </div>
  );
}

export function figures(step: Step, now: number): string {
  if (step.status === "pending") return markOf("pending").word;
  const parts = step.status === "skipped" ? [step.error ? "Stopped" : "Skipped"] : [duration(secondsOf(step, now))];
  if (step.tokens) parts.push(`${short(step.tokens)} tokens`);
  if (step.calls) parts.push(step.cost.unpriced_calls === step.calls ? "cost unknown" : shortCost(step.cost));
  if (isActive(step.status) && parts.length === 1) parts.push("running");
  return parts.join(" · ");
}

const rowId = (path: string) => `step-${path.replace(/[^\w.-]/g, "_")}`;

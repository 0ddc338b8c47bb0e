/** The files that a run changed: their diffs, their text, and taking them back. */

import { useEffect, useState } from "preact/hooks";
import { ApiError, post } from "../api";
import { bytes, plural, when } from "../format";
import { DiffView, FileText } from "../lazy/later";
import { go, Link, usePlace, withQuery } from "../router";
import type { FileDetail, FileRow } from "../types";
import { Copy, Dialog, Empty, Failed, Loading, Segments, toast } from "../ui/bits";
import { useGet, useKeys } from "../ui/hooks";
import { Icon } from "../ui/icons";

interface Props {
  run: string;
  /** Grows when files changed. */
  version: number;
  /** Files can be taken back only while nobody works on the run. */
  still: boolean;
  undone: boolean;
  onChanged: () => void;
}

export function FilesPanel({ run, version, still, undone, onChanged }: Props) {
  const place = usePlace();
  const chosen = place.query.get("file");
  const base = `/runs/${encodeURIComponent(run)}`;
  const files = useGet<FileRow[]>(`${base}/files`, { v: undefined });
  const [asking, setAsking] = useState<{ paths: string[]; sentence: string } | null>(null);
  const [busy, setBusy] = useState(false);
  useEffect(() => {
    if (version) files.reload();
  }, [version]);
  const rows = files.data ?? [];
  const move = (step: number) => {
    const at = rows.findIndex((row) => row.path === chosen);
    const next = rows[at < 0 ? 0 : Math.min(rows.length - 1, Math.max(0, at + step))];
    if (next) go(withQuery({ view: "files", file: next.path }));
  };
  useKeys({ "]": () => move(1), "[": () => move(-1) });

  const undo = async (paths: string[], force: boolean) => {
    setBusy(true);
    try {
      await post(`${base}/undo`, { paths, force });
      toast(paths.length ? `${paths.join(", ")} is as it was before the run.` : "All files are as they were before the run.");
      setAsking(null);
      files.reload();
      onChanged();
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      if (error.status === 409 && !force) setAsking({ paths, sentence: error.message });
      else toast(error.message, true);
    }
    setBusy(false);
  };
  const redo = async () => {
    try {
      await post(`${base}/redo`, { force: false });
      toast("The run's changes are back.");
      files.reload();
      onChanged();
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      toast(error.message, true);
    }
  };

  if (files.error) return <Failed error={files.error} retry={files.reload} />;
  if (!files.data) return <Loading rows={3} label="Loading files" />;
  const total = rows.reduce((sum, row) => ({ added: sum.added + row.added, removed: sum.removed + row.removed }), { added: 0, removed: 0 });
  return (
    <div class="files">
      <div class="files-head">
        <span>
          {plural(rows.length, "file")} changed {rows.length > 0 && <Counts {...total} />}
        </span>
        <span class="spring" />
        {undone && still && (
          <button class="button small" onClick={redo}>
            <Icon name="redo" />
            <span>Redo</span>
          </button>
        )}
        {rows.length > 0 && (
          <button class="button small" disabled={!still || busy} title={still ? "" : "Stop the run first"} onClick={() => undo([], false)}>
            <Icon name="undo" />
            <span>Undo all</span>
          </button>
        )}
      </div>
      {rows.length === 0 && (
        <Empty icon="file" title={undone ? "The changes were taken back" : "No file changed"}>
          <p>{undone ? "Redo brings them back." : "Files that the run writes are shown here with their diffs."}</p>
        </Empty>
      )}
      <ul class="file-list">
        {rows.map((row) => (
          <li key={row.path} class={row.path === chosen ? "file chosen" : "file"}>
            <Link to={withQuery({ view: "files", file: row.path === chosen ? null : row.path })} class="file-link" aria-expanded={row.path === chosen} data-file={row.path}>
              <span class={`change change-${row.change}`} title={row.change}>
                {letters[row.change] ?? "?"}
              </span>
              <span class="file-name mono">{row.path}</span>
              <Counts {...row} />
            </Link>
            <button
              class="button ghost small icon-only"
              disabled={!still || busy}
              aria-label={`Undo ${row.path}`}
              title={still ? "Put it back to what it was before the run" : "Stop the run first"}
              onClick={() => undo([row.path], false)}
            >
              <Icon name="undo" />
            </button>
          </li>
        ))}
      </ul>
      {chosen && <OneFile key={chosen} run={run} path={chosen} version={version} />}
      {asking && (
        <Dialog title="The file has changed since" onClose={() => setAsking(null)}>
          <p>{asking.sentence}</p>
          <div class="form-end">
            <button class="button" onClick={() => setAsking(null)}>
              Leave it
            </button>
            <button class="button danger" disabled={busy} onClick={() => undo(asking.paths, true)}>
              Undo all the same
            </button>
          </div>
        </Dialog>
      )}
    </div>
  );
}

const letters: Record<string, string> = { created: "A", modified: "M", deleted: "D" };

function Counts({ added, removed }: { added: number; removed: number }) {
  return (
    <span class="counts">
      {added > 0 && <span class="plus">+{added}</span>} {removed > 0 && <span class="minus">−{removed}</span>}
      <span class="sr">lines added and removed</span>
    </span>
  );
}

function OneFile({ run, path, version }: { run: string; path: string; version: number }) {
  const place = usePlace();
  const found = useGet<FileDetail>(`/runs/${encodeURIComponent(run)}/file`, { path });
  const hash = /^L(\d+)$/.exec(place.hash);
  const [view, setView] = useState<"diff" | "file">(hash ? "file" : "diff");
  useEffect(() => {
    if (version) found.reload();
  }, [version]);
  if (found.error) return <Failed error={found.error} retry={found.reload} />;
  if (!found.data) return <Loading rows={6} label="Loading the file" />;
  const { before, after, diff, writes } = found.data;
  return (
    <section class="one-file" aria-label={path}>
      <div class="files-head">
        <Segments
          label="View"
          value={view}
          options={[
            { value: "diff", label: "Changes" },
            { value: "file", label: "File" },
          ]}
          onChange={(value) => {
            setView(value);
            if (value === "diff") go(withQuery({}), true);
          }}
        />
        <span class="spring" />
        <span class="dim">{after === null ? "" : bytes(new Blob([after]).size)}</span>
        {after !== null && <Copy text={after} label="Copy the file" quiet />}
      </div>
      {view === "diff" ? (
        <DiffView diff={diff} before={before} after={after} path={path} />
      ) : after === null ? (
        <p class="hint pad">The file does not exist any more.</p>
      ) : (
        <FileText text={after} path={path} marked={hash ? Number(hash[1]) : null} onLine={(n) => go(withQuery({}, `L${n}`), true)} />
      )}
      <h3 class="small-head">Written by</h3>
      <ul class="writes">
        {writes.map((write, index) => (
          <li key={index}>
            {write.step_path ? <Link to={withQuery({ step: write.step_path })}>{write.step_path}</Link> : <span>{write.kind ?? "a person"}</span>}
            {write.at !== null && <time class="dim">{when(write.at)}</time>}
            <span class="mono dim">{(write.after_sha ?? "deleted").slice(0, 8)}</span>
          </li>
        ))}
      </ul>
    </section>
  );
}

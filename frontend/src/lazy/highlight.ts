/** Colours for code, as pieces of text with a class: no HTML is ever made from what a model wrote. */

import hljs from "highlight.js/lib/core";
import bash from "highlight.js/lib/languages/bash";
import css from "highlight.js/lib/languages/css";
import go from "highlight.js/lib/languages/go";
import ini from "highlight.js/lib/languages/ini";
import javascript from "highlight.js/lib/languages/javascript";
import json from "highlight.js/lib/languages/json";
import markdown from "highlight.js/lib/languages/markdown";
import python from "highlight.js/lib/languages/python";
import sql from "highlight.js/lib/languages/sql";
import typescript from "highlight.js/lib/languages/typescript";
import xml from "highlight.js/lib/languages/xml";
import yaml from "highlight.js/lib/languages/yaml";

export interface Piece {
  text: string;
  scope: string;
}

const languages = { bash, css, go, ini, javascript, json, markdown, python, sql, typescript, xml, yaml };
for (const [name, language] of Object.entries(languages)) hljs.registerLanguage(name, language);

const byEnding: Record<string, keyof typeof languages> = {
  py: "python", pyi: "python", js: "javascript", mjs: "javascript", jsx: "javascript", ts: "typescript", tsx: "typescript", json: "json",
  md: "markdown", css: "css", html: "xml", svg: "xml", xml: "xml", sh: "bash", bash: "bash", toml: "ini", ini: "ini", cfg: "ini", yml: "yaml",
  yaml: "yaml", sql: "sql", go: "go",
};
/** Longer texts stay plain: colouring them would hold up the page. */
const MOST = 400_000;

interface Node {
  scope?: string;
  children: (Node | string)[];
}

/** A text's lines, each as its pieces. */
export function highlight(text: string, path: string): Piece[][] {
  const language = byEnding[path.split(".").pop()?.toLowerCase() ?? ""];
  if (!language || text.length > MOST) return text.split("\n").map((line) => [{ text: line, scope: "" }]);
  // The tree behind the result is what its HTML is made from.
  const result = hljs.highlight(text, { language, ignoreIllegals: true }) as unknown as { _emitter: { rootNode: Node } };
  const lines: Piece[][] = [[]];
  const walk = (node: Node, scope: string) => {
    for (const child of node.children) {
      if (typeof child !== "string") {
        walk(child, child.scope ?? scope);
        continue;
      }
      child.split("\n").forEach((part, index) => {
        if (index) lines.push([]);
        if (part) lines.at(-1)!.push({ text: part, scope });
      });
    }
  };
  walk(result._emitter.rootNode, "");
  return lines;
}

/** A scope such as "title.function" as a class. */
export const classOf = (scope: string) => (scope ? `hl-${scope.split(".")[0]}` : "");

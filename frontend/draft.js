// The page on which playbooks are written: completes and explains, checks while one types, and judges the draft.
// The form works without it; whatever it shows comes from the server.
import { yamlLanguage } from "@codemirror/lang-yaml";
import { setDiagnostics } from "@codemirror/lint";
import { hoverTooltip } from "@codemirror/view";
import { edit } from "./editor.js";
import { keysAt, meaning, within } from "./words.js";

const QUIET = 400; // milliseconds without a change before a draft is checked
const CONDITIONS = new Set(["where", "faster_than"]);
const form = document.getElementById("draft");
const status = document.getElementById("draft-status");
const report = document.getElementById("draft-report");
const result = document.getElementById("draft-result");
class SignedOut extends Error {}
let words = { fields: {}, functions: {}, rules: {}, lists: [], channels: [], events: [], schema: {} };
const asked = new Map(); // by the place that waits for the answer
let checking = null;
let timer = 0;

const option = (label, type, info) => ({ label, type, info: info || undefined });
const fields = () => Object.entries(words.fields).map(([name, kind]) => option(name, "variable", kind));
const functions = () => Object.entries(words.functions).map(([name, [call, doc]]) => option(name, "function", `${call}: ${doc}`));

/** What is known by a name; what every object has, such as `constructor`, is not. */
const own = (known, name) => (Object.hasOwn(known, name) ? known[name] : undefined);

/** What may stand behind a key. */
function valuesOf(path) {
  const key = path.at(-1);
  if (key === "rule") return Object.entries(words.rules).map(([id, title]) => option(id, "class", title));
  if (key === "event") return words.events.map((name) => option(name, "constant"));
  if (key === "channel") return words.channels.map((name) => option(name, "constant"));
  if (["group_by", "field", "distinct", "max", "sum", "avg"].includes(key)) return fields();
  return within(words.schema, path).flatMap((one) => one.enum ?? (one.const === undefined ? [] : [one.const]))
    .map((value) => option(String(value), "enum"));
}

function complete(context) {
  const line = context.state.doc.lineAt(context.pos);
  const before = line.text.slice(0, context.pos - line.from);
  const word = context.matchBefore(/[\w.-]*/);
  if (word.from === word.to && !context.explicit) return null;
  const list = before.match(/in_list\([^)]*["']([\w-]*)$/);
  if (list) return { from: context.pos - list[1].length, options: words.lists.map((name) => option(name, "constant")) };
  const pair = before.match(/(?:^|[\s{,-])([\w.]+):\s+[^{]*$/);
  const path = keysAt(context.state.doc, line.number, before);
  if (pair && CONDITIONS.has(pair[1])) return { from: word.from, options: [...fields(), ...functions()] };
  if (pair) return { from: word.from, options: valuesOf([...path, pair[1]]) };
  const known = new Map();
  for (const one of within(words.schema, path)) {
    for (const [name, inner] of Object.entries(one.properties ?? {})) known.set(name, inner.description);
  }
  return { from: word.from, options: [...known].map(([name, info]) => ({ ...option(name, "property", info), apply: `${name}: ` })) };
}

const hover = hoverTooltip((view, pos) => {
  const line = view.state.doc.lineAt(pos);
  for (const found of line.text.matchAll(/[\w.]+/g)) {
    const [from, to] = [line.from + found.index, line.from + found.index + found[0].length];
    if (pos < from || pos > to) continue;
    const path = keysAt(view.state.doc, line.number, line.text.slice(0, found.index));
    const text = line.text[to - line.from] === ":" ? meaning(words.schema, [...path, found[0]])
      : own(words.functions, found[0])?.join(": ") ?? own(words.fields, found[0]) ?? own(words.rules, found[0]);
    if (!text) return null;
    return { pos: from, end: to, above: true, create: () => {
      const dom = document.createElement("div");
      dom.className = "explained";
      dom.textContent = text;
      return { dom };
    } };
  }
  return null;
});

function post(url, more, signal) {
  const body = new URLSearchParams(new FormData(form));
  for (const [name, value] of Object.entries(more)) body.set(name, value);
  return fetch(url, { method: "POST", body, signal, headers: { "HX-Request": "true", "X-CSRF-Token": form.elements.csrf.value } });
}

/** Send the draft; whoever signed in anew, in another tab, has another token. */
async function send(url, more, signal) {
  const answer = await post(url, more, signal);
  if (answer.headers.get("hx-redirect")) throw new SignedOut();
  return answer.status === 403 && (await learn()) ? post(url, more, signal) : answer;
}

/** Ask for what can be completed, and take the session's token; say whether it is another than before. */
async function learn() {
  const answer = await fetch(form.dataset.words);
  if (!answer.ok || answer.redirected) return false;
  words = await answer.json();
  const before = form.elements.csrf.value;
  form.elements.csrf.value = words.csrf;
  return words.csrf !== before;
}

/** Say why there was no answer; nothing of the text is lost. */
function trouble(error, place, said) {
  if (error.name === "AbortError") return;
  place.textContent = error instanceof SignedOut ? "Your session is over. Sign in in another tab, and go on here: your text stays. " : said;
  if (!(error instanceof SignedOut)) return;
  const link = document.createElement("a");
  Object.assign(link, { href: "/sign-in", target: "_blank", rel: "noopener", textContent: "Sign in" });
  place.append(link);
}

/** Return a message as nodes: what it has in backticks is code, unless they are no pairs. */
function quoted(text) {
  const pieces = text.split("`");
  if (pieces.length % 2 === 0) return [text];
  return pieces.map((piece, n) => (n % 2 ? Object.assign(document.createElement("code"), { textContent: piece }) : piece));
}

/** Return what the pointer on a mistake is told. */
function told(message) {
  const line = document.createElement("span");
  line.append(...quoted(message));
  return line;
}

function mark(mistakes) {
  const own = document.querySelector("[name=file]").value.split("/").pop() || "draft.yaml";
  const doc = view.state.doc;
  const found = mistakes.filter((one) => one.file === own && one.line <= doc.lines).map((one) => {
    const line = doc.line(one.line);
    const from = Math.min(line.from + one.column - 1, line.to);
    const message = one.hint ? `${one.message} (${one.hint})` : one.message;
    return { from, to: Math.min(Math.max(from + one.width, from + 1), Math.max(line.to, from)), severity: "error", message, renderMessage: () => told(message) };
  });
  view.dispatch(setDiagnostics(view.state, found));
}

async function check() {
  checking?.abort();
  asked.get(report)?.abort();
  checking = new AbortController();
  try {
    const answer = await send(form.dataset.check, {}, checking.signal);
    if (!answer.ok) throw new Error(String(answer.status));
    const { ok, mistakes, playbooks } = await answer.json();
    mark(mistakes);
    status.replaceChildren(...(ok ? ["No mistakes."] : quoted(`${mistakes.length} mistake${mistakes.length === 1 ? "" : "s"}, the first in line ${mistakes[0].line}: ${mistakes[0].message}`)));
    status.classList.toggle("wrong", !ok);
    if (!ok) report.classList.add("stale");
    if (!ok || !playbooks.length) return;
    status.textContent = "No mistakes. Judging the stored events…";
    await put("backtest", report);
    if (!checking.signal.aborted) status.textContent = "No mistakes.";
  } catch (error) {
    trouble(error, status, "The draft could not be checked: try again.");
  }
}

/** Ask for a part of the page and put it in its place. */
async function put(what, place) {
  asked.get(place)?.abort();
  const mine = new AbortController();
  asked.set(place, mine);
  place.setAttribute("aria-busy", "true");
  try {
    const answer = await send(form.getAttribute("action"), { do: what }, mine.signal);
    if (answer.status === 204) return; // a newer question is being answered
    place.innerHTML = await answer.text(); // of this server, which escapes
    showTimes(place); // of base.js
    place.classList.remove("stale");
  } catch (error) {
    trouble(error, place, "There was no answer: try again.");
  } finally {
    if (asked.get(place) === mine) place.removeAttribute("aria-busy");
  }
}

const view = edit(document.getElementById("draft-text"), [yamlLanguage.data.of({ autocomplete: complete }), hover]);
view.scrollDOM.tabIndex = 0; // what scrolls can be reached by keyboard
const download = document.getElementById("draft-download");
download.hidden = false;
download.addEventListener("click", () => {
  const url = URL.createObjectURL(new Blob([view.state.doc.toString()], { type: "application/yaml" }));
  download.href = url;
  setTimeout(() => URL.revokeObjectURL(url), 1000);
});
form.addEventListener("input", (event) => {
  if (event.target.id !== "draft-text") return;
  clearTimeout(timer);
  checking?.abort(); // what it would say is of another text
  result.classList.add("stale");
  if (status.textContent.startsWith("No mistakes")) status.textContent = "Checking…";
  timer = setTimeout(check, QUIET);
});
form.addEventListener("change", (event) => { if (event.target.name === "since") put("backtest", report); });
form.addEventListener("submit", (event) => {
  const what = event.submitter?.value;
  if (!["check", "test", "backtest", "suggest"].includes(what)) return;
  event.preventDefault();
  put(what, what === "backtest" ? report : result);
});
learn().catch(() => {});
check();

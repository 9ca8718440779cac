// The explorer's box, which offers words while one types, and its table, which can be watched. Works without this file.
"use strict";

const MOST_OFFERED = 12;
const MOST_ROWS = 200;

/** Completion in the condition's box: a combobox whose words come from the server once. */
class Completion {
  constructor(box) {
    this.box = box;
    this.words = null;
    this.offered = [];
    this.chosen = -1;
    this.list = document.createElement("ul");
    this.list.id = "q-words";
    this.list.className = "words";
    this.list.role = "listbox";
    this.list.ariaLabel = "Words";
    this.list.hidden = true;
    box.after(this.list);
    for (const [name, value] of [["role", "combobox"], ["aria-autocomplete", "list"], ["aria-expanded", "false"],
      ["aria-controls", "q-words"]]) box.setAttribute(name, value);
    box.addEventListener("focus", () => this.load(), { once: true });
    box.addEventListener("input", () => this.offer());
    box.addEventListener("keydown", (event) => this.key(event));
    box.addEventListener("blur", () => setTimeout(() => this.close(), 150));
  }

  async load() {
    try {
      const answer = await fetch(this.box.dataset.words, { headers: { "Sentinel-Poll": "1" } });
      if (!answer.ok) return;
      this.words = await answer.json();
      if (this.box.value && document.activeElement === this.box) this.offer();
    } catch { /* typing goes on without */ }
  }

  /** Return what stands before the caret and may be completed, and the words for it. */
  wanted() {
    const before = this.box.value.slice(0, this.box.selectionStart ?? 0);
    const event = before.match(/\bevent\s*(?:==|!=|in\s*\[(?:[^\]]*,)?)\s*("[^"]*)$/) ?? before.match(/\bevent\s*(?:==|!=)\s*()$/);
    if (event) return { typed: event[1], found: this.words.events };
    if ((before.match(/"/g)?.length ?? 0) % 2 === 1) return { typed: "", found: [] };
    const word = before.match(/[A-Za-z_][\w.]*$/)?.[0] ?? "";
    if (!word) return { typed: "", found: [] };
    const functions = this.words.functions.map((one) => ({ ...one, insert: `${one.text}(` }));
    return { typed: word, found: [...this.words.fields, ...this.words.properties, ...functions] };
  }

  offer() {
    if (!this.words) return;
    const { typed, found } = this.wanted();
    const low = typed.toLowerCase();
    const fits = found.filter((one) => one.text.toLowerCase().includes(low) && one.text !== typed);
    fits.sort((a, b) => Number(b.text.toLowerCase().startsWith(low)) - Number(a.text.toLowerCase().startsWith(low)));
    this.typed = typed;
    this.show(fits.slice(0, MOST_OFFERED));
  }

  show(offered) {
    this.offered = offered;
    this.chosen = -1;
    this.list.replaceChildren(...offered.map((one, index) => this.line(one, index)));
    this.list.hidden = offered.length === 0;
    this.box.setAttribute("aria-expanded", String(offered.length > 0));
    this.box.removeAttribute("aria-activedescendant");
  }

  line(one, index) {
    const line = document.createElement("li");
    line.id = `q-word-${index}`;
    line.role = "option";
    line.ariaSelected = "false";
    const text = document.createElement("bdi");
    text.className = "mono value";
    text.textContent = one.text;
    const note = document.createElement("span");
    note.className = "note";
    note.textContent = one.note;
    line.append(text, note);
    line.addEventListener("pointerdown", (event) => { event.preventDefault(); this.take(one); });
    return line;
  }

  key(event) {
    if (this.list.hidden) return;
    if (event.key === "Escape") this.close();
    else if (event.key === "ArrowDown") this.choose(this.chosen + 1);
    else if (event.key === "ArrowUp") this.choose(this.chosen - 1);
    else if ((event.key === "Enter" || event.key === "Tab") && this.chosen >= 0) this.take(this.offered[this.chosen]);
    else return;
    event.preventDefault();
  }

  choose(index) {
    this.chosen = (index + this.offered.length) % this.offered.length;
    for (const [number, line] of [...this.list.children].entries()) line.ariaSelected = String(number === this.chosen);
    this.list.children[this.chosen].scrollIntoView({ block: "nearest" });
    this.box.setAttribute("aria-activedescendant", `q-word-${this.chosen}`);
  }

  take(one) {
    const caret = this.box.selectionStart;
    const text = one.insert ?? one.text;
    const start = caret - this.typed.length;
    this.box.setRangeText(text, start, caret, "end");
    this.box.focus();
    this.close();
  }

  close() {
    this.show([]);
  }
}

/** The table watched live: rows come as the server draws them; while paused they wait, and are counted. */
class Live {
  constructor(button) {
    this.button = button;
    this.rows = document.querySelector("section[aria-labelledby='h-events'] tbody");
    this.state = document.querySelector("[data-live-state]");
    this.waiting = [];
    this.came = 0;
    if (!this.rows) return;
    button.hidden = false;
    button.addEventListener("click", () => this.press());
  }

  press() {
    if (!this.source) return this.begin();
    this.paused = !this.paused;
    if (!this.paused) this.flush();
    this.tell();
  }

  begin() {
    this.source = new EventSource(this.button.dataset.live);
    this.source.addEventListener("event", (event) => this.take(JSON.parse(event.data).html));
    this.source.addEventListener("open", () => this.tell());
    this.source.addEventListener("error", () => this.tell());
    this.paused = false;
    this.tell();
  }

  take(html) {
    this.waiting.push(html);
    if (this.waiting.length > MOST_ROWS) this.waiting.shift();
    this.came += 1;
    if (this.paused) this.tell();
    else this.frame ??= requestAnimationFrame(() => this.flush());
  }

  flush() {
    this.frame = undefined;
    const holder = document.createElement("template");
    for (const html of this.waiting.splice(0)) {
      holder.innerHTML = html;
      this.rows.prepend(holder.content);
    }
    while (this.rows.rows.length > 2 * MOST_ROWS) this.rows.lastElementChild.remove();
    document.dispatchEvent(new Event("htmx:after:swap"));
    this.tell();
  }

  tell() {
    const closed = this.source.readyState === EventSource.CLOSED;
    const joining = this.source.readyState === EventSource.CONNECTING;
    this.button.textContent = closed ? "Watch live" : this.paused ? "Go on" : "Pause";
    this.button.setAttribute("aria-pressed", String(!closed && !this.paused));
    this.state.textContent = closed ? "Not connected any more." : joining ? "Connecting…" : this.paused
      ? `Paused, ${this.waiting.length.toLocaleString()} waiting` : `Live, ${this.came.toLocaleString()} so far`;
    if (closed) this.source = undefined;
  }
}

/** Offer fields and properties where one alone is asked for. */
async function offerFields(field, words) {
  try {
    const answer = await fetch(words, { headers: { "Sentinel-Poll": "1" } });
    if (!answer.ok) return;
    const { fields, properties } = await answer.json();
    const list = document.createElement("datalist");
    list.id = `${field.id}-fields`;
    for (const { text } of [...fields, ...properties]) list.append(new Option(text, text));
    field.after(list);
    field.setAttribute("list", list.id);
  } catch { /* typing goes on without */ }
}

const box = document.querySelector("input[data-words]");
if (box) new Completion(box);
for (const field of box ? document.querySelectorAll("#f-facet, #f-group_by, #f-of") : []) {
  field.addEventListener("focus", () => offerFields(field, box.dataset.words), { once: true });
}
const button = document.querySelector("[data-live]");
if (button) new Live(button);

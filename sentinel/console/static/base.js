// What every page does without any library: times in the reader's zone, menus that close, secrets that can be copied.
// Pages work without this file.
"use strict";

const parts = new Intl.DateTimeFormat(undefined, {
  year: "numeric", month: "2-digit", day: "2-digit", hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23",
});
const LENGTHS = { day: 10, minute: 16 };
const zone = new Intl.DateTimeFormat(undefined, { timeZoneName: "long" });

/** Return a moment as the server writes it, in the reader's zone: the same width, so nothing moves. */
function local(moment) {
  const found = Object.fromEntries(parts.formatToParts(moment).map((part) => [part.type, part.value]));
  return `${found.year}-${found.month}-${found.day} ${found.hour}:${found.minute}:${found.second}`;
}

function zoneName(moment) {
  return zone.formatToParts(moment).find((part) => part.type === "timeZoneName")?.value ?? "";
}

/** Show every `<time data-local>` under a node in the reader's zone; UTC stays in its title. */
function showTimes(root) {
  for (const element of root.querySelectorAll("time[data-local]")) {
    const moment = new Date(element.dateTime);
    if (Number.isNaN(moment.getTime())) continue;
    element.textContent = local(moment).slice(0, LENGTHS[element.dataset.local]);
    element.title = `${element.dateTime.replace("T", " ").replace("Z", " UTC")} (shown: ${zoneName(moment)})`;
    element.removeAttribute("data-local");
  }
}

/** Say at the end of the page which zone its times are of. */
function showZone() {
  const line = document.querySelector("[data-zone]");
  if (line) line.textContent = `Times are those of ${zoneName(new Date())}, UTC on hover.`;
}

/** Where the names of pages are wider than the window, bring that of this page into sight. */
function showPlace() {
  for (const link of document.querySelectorAll(".side [aria-current], .subnav [aria-current]")) {
    const strip = link.closest(".side, .subnav");
    const [at, from] = [link.getBoundingClientRect().left, strip.getBoundingClientRect().left];
    strip.scrollLeft += at - from - (strip.clientWidth - link.offsetWidth) / 2;
  }
}

/** Tie what is wrong with a form to the field it is about, and go there. */
function showFlaws() {
  for (const said of document.querySelectorAll("[data-of]")) {
    const field = (said.closest("form") ?? document.querySelector("main form"))?.elements.namedItem(said.dataset.of);
    said.removeAttribute("data-of");
    if (!field?.id || field.type === "hidden") continue;
    said.id = `${field.id}-flaw`;
    field.setAttribute("aria-invalid", "true");
    const hints = (field.getAttribute("aria-describedby") ?? "").split(" ").filter((id) => id && id !== said.id);
    field.setAttribute("aria-describedby", [said.id, ...hints].join(" "));
    field.focus();
  }
}

function closeMenus(but) {
  for (const menu of document.querySelectorAll("details.menu[open]")) if (!menu.contains(but)) menu.open = false;
}

document.addEventListener("click", (event) => {
  closeMenus(event.target);
  const button = event.target.closest?.("[data-copy]");
  if (!button) return;
  const text = document.getElementById(button.dataset.copy)?.textContent ?? "";
  navigator.clipboard?.writeText(text).then(() => { button.textContent = "Copied"; });
});

document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  const open = document.activeElement?.closest?.("details.menu[open], details.confirm[open]");
  closeMenus(null);
  if (open) {
    open.open = false;
    open.querySelector("summary").focus();
  }
});

document.addEventListener("change", (event) => {
  if (event.target.matches?.("form.filters select")) event.target.form.requestSubmit();
});

// The page of one-time links: the code stands behind the `#`, which no server and no log ever sees.
function takeCode() {
  const field = document.querySelector("input[data-fragment]");
  if (!field) return;
  if (location.hash.length > 1) {
    field.value = location.hash.slice(1);
    history.replaceState(null, "", location.pathname);
    field.closest(".field").hidden = true;
  }
  const named = document.querySelector("[data-first-only]");
  if (named) {
    named.hidden = field.value.includes(".");
    named.querySelector("input").required = !named.hidden;
  }
}

document.addEventListener("htmx:config:request", (event) => {
  const { request, sourceElement } = event.detail.ctx;
  request.headers["X-CSRF-Token"] = document.querySelector('meta[name="csrf"]')?.content ?? "";
  if (sourceElement?.closest?.("[data-poll]")) request.headers["Sentinel-Poll"] = "1";
});
document.addEventListener("htmx:after:swap", () => {
  showTimes(document);
  showFlaws();
});
document.addEventListener("input", (event) => event.target.removeAttribute?.("aria-invalid"));

/** Where the browser kept the page: go to the door unless the session that drew it goes on. */
async function stillMine() {
  const csrf = document.querySelector('meta[name="csrf"]')?.content;
  if (!csrf) return;
  document.documentElement.hidden = true;
  const now = await fetch("/account", { headers: { "Sentinel-Poll": "1" } }).then((answer) => answer.text()).catch(() => "");
  if (now.includes(csrf)) document.documentElement.hidden = false;
  else location.replace("/sign-in");
}

// By the back button browsers bring back what was chosen after the page was drawn, which then says what it does not show.
window.addEventListener("pageshow", (event) => {
  const back = performance.getEntriesByType("navigation")[0]?.type === "back_forward";
  if (event.persisted || back) for (const form of document.querySelectorAll('form[method="get"]')) form.reset();
  if (event.persisted) stillMine();
});

// Days of reports are those of the reader's zone.
document.cookie = `sentinel_zone=${encodeURIComponent(Intl.DateTimeFormat().resolvedOptions().timeZone ?? "UTC")}; path=/; max-age=31536000; samesite=lax`;

showTimes(document);
showZone();
showPlace();
takeCode();
showFlaws();
document.querySelector("[data-done]")?.focus(); // what was done is heard, and the keyboard goes on from there
document.documentElement.dataset.scripts = "on";

// Draws every `[data-chart]`: {"kind": "bars" | "lines", "x": seconds[], "series": [[label, numbers]…]}.
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";

const TONES = ["--accent", "--warn", "--good", "--danger", "--muted", "--text"];
const HEIGHT = 210; // pixels; the legend below takes what it needs
const DAY = 86400;
const DAYS = [1, 2, 3, 7, 14, 28, 56, 112, 364].map((days) => days * DAY);
const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
const date = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short" });
const drawn = new Map();

function tone(name) {
  const probe = document.createElement("i");
  probe.className = "unseen";
  probe.style.color = `var(${name})`;
  document.body.append(probe);
  const found = getComputedStyle(probe).color;
  probe.remove();
  return found;
}

function axis(more) {
  const line = { stroke: tone("--line"), width: 1 };
  return { stroke: tone("--muted"), grid: line, ticks: { ...line, size: 4 }, font: "12px system-ui", ...more };
}

/** Name the ticks of time: the hour, with the day where a day begins. */
function moments(_, splits, __, ___, step) {
  let last = "";
  return splits.map((seconds) => {
    const moment = new Date(seconds * 1000);
    const day = date.format(moment);
    const text = step >= DAY ? day : day === last ? clock.format(moment) : `${clock.format(moment)}\n${day}`;
    last = day;
    return text;
  });
}

/** Return how many seconds there are at the least from one moment to the next, 0 where there is none. */
function apart(x) {
  return x.length < 2 ? 0 : Math.min(...x.slice(1).map((at, index) => at - x[index]));
}

/** Let each bar stand over the time it counts: it begins at its moment, and the axis ends where the last one does. */
function standing(x) {
  const alone = x.length < 2;
  const step = apart(x);
  return {
    bars: uPlot.paths.bars({ size: [0.8, 120], align: alone ? 0 : 1 }),
    across: alone ? {} : { range: (_, from, to) => [from, to + step] },
    pointed: { points: { show: false }, dataIdx: (_, __, near, at) => (near && x[near] > at ? near - 1 : near) },
  };
}

/** Return how far the axis of figures reaches: from zero, for a bar is as long as what it counts, and a bit past all. */
function reach(least, most) {
  return least === 0 && most === 0 ? [0, 1] : [least * 1.1, most * 1.1];
}

function options(element, data) {
  const { bars, across = {}, pointed = { points: { size: 6 } } } = data.kind === "bars" ? standing(data.x) : {};
  const ticks = apart(data.x) > DAY / 2 ? { incrs: DAYS } : {}; // what is told by the day has no hours; one may have 23
  return {
    width: element.clientWidth || 600,
    height: HEIGHT,
    cursor: pointed,
    legend: { live: true },
    scales: {
      x: across,
      y: { range: (_, least, most) => reach(Math.min(least ?? 0, 0), Math.max(most ?? 0, 0)) },
    },
    axes: [axis({ values: moments, ...ticks }), axis({ size: 56 })],
    series: [
      { value: (_, seconds) => (seconds === null ? "" : new Date(seconds * 1000).toLocaleString()) },
      ...data.series.map(([label], index) => ({
        label,
        value: (_, number, __, at) => (at === null ? "" : (number?.toLocaleString() ?? "–")), // null: nothing is pointed at
        stroke: tone(TONES[index % TONES.length]),
        fill: bars && data.series.length === 1 ? tone(TONES[index % TONES.length]) : undefined,
        width: bars ? 0 : 2,
        paths: bars,
        points: { show: false },
      })),
    ],
  };
}

function draw(element) {
  const data = JSON.parse(element.dataset.chart);
  drawn.get(element)?.destroy();
  drawn.set(element, new uPlot(options(element, data), [data.x, ...data.series.map(([, numbers]) => numbers)], element));
}

function drawAll() {
  for (const [element, chart] of drawn) {
    if (element.isConnected) continue;
    chart.destroy();
    drawn.delete(element);
  }
  for (const element of document.querySelectorAll("[data-chart]")) draw(element);
}

new ResizeObserver(() => {
  for (const [element, chart] of drawn) chart.setSize({ width: element.clientWidth, height: HEIGHT });
}).observe(document.body);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawAll);
document.addEventListener("htmx:after:swap", drawAll);
drawAll();

// Draws every `[data-chart]`: {"kind": "bars" | "lines", "x": seconds[], "series": [[label, numbers]…]}.
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";

const TONES = ["--accent", "--warn", "--good", "--danger", "--muted", "--text"];
const HEIGHT = 210; // pixels; the legend below takes what it needs
const DAY = 86400;
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

function options(element, data) {
  const bars = data.kind === "bars" ? uPlot.paths.bars({ size: [0.8, 60] }) : undefined;
  return {
    width: element.clientWidth || 600,
    height: HEIGHT,
    cursor: { points: { size: 6 } },
    legend: { live: true },
    scales: { y: { range: (_, __, most) => [0, Math.max(most ?? 0, 1) * 1.1] } }, // a bar is as long as what it counts
    axes: [axis({ values: moments }), axis({ size: 56 })],
    series: [
      { value: (_, seconds) => (seconds === null ? "–" : new Date(seconds * 1000).toLocaleString()) },
      ...data.series.map(([label], index) => ({
        label,
        value: (_, number) => number?.toLocaleString() ?? "–",
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

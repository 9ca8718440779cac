// Draws every `[data-chart]`: {"kind": "bars" | "lines", "x": seconds[], "series": [[label, numbers]…]}.
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";

const TONES = ["--accent", "--warn", "--good", "--danger", "--muted"];
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

function options(element, data) {
  const bars = data.kind === "bars" ? uPlot.paths.bars({ size: [0.8, 60] }) : undefined;
  return {
    width: element.clientWidth || 600,
    height: element.clientHeight || 240,
    cursor: { points: { size: 6 } },
    legend: { live: true },
    axes: [axis({}), axis({ size: 56 })],
    series: [
      { value: (_, seconds) => (seconds === null ? "–" : new Date(seconds * 1000).toLocaleString()) },
      ...data.series.map(([label], index) => ({
        label,
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
  for (const [element, chart] of drawn) chart.setSize({ width: element.clientWidth, height: element.clientHeight || 240 });
}).observe(document.body);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawAll);
document.addEventListener("htmx:after:swap", drawAll);
drawAll();

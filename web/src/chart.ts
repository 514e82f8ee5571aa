// Findings over time: bars by day, the kinds on top of each other.
import uPlot from "uplot";
import { KINDS, colour, type Kind } from "./kinds";

type Days = { days: string[]; kinds: Record<Kind, number[]> };

const DAY_S = 86_400;

export function drawChart(element: HTMLElement): void {
  const given = JSON.parse(element.dataset.chart ?? "") as Days;
  const names = JSON.parse(element.dataset.names ?? "{}") as Record<Kind, string>;
  const at = given.days.map((day) => Date.parse(`${day}T00:00:00Z`) / 1000);
  const times = at.filter((time) => !Number.isNaN(time));
  if (times.length !== at.length || !times.length) return;
  // uPlot draws series over each other: sums of what is below make stacks, the tallest is drawn first.
  const sums = KINDS.map((_, last) => at.map((_, day) => KINDS.slice(0, last + 1).reduce((sum, kind) => sum + (given.kinds[kind][day] ?? 0), 0)));
  const bars = uPlot.paths.bars!({ size: [0.8, 28, 1], align: 1 });
  const order = KINDS.map((_, index) => KINDS.length - 1 - index);
  const width = () => Math.max(320, element.clientWidth);
  const plot = new uPlot(
    {
      width: width(),
      height: 240,
      tzDate: (time) => uPlot.tzDate(new Date(time * 1e3), "Etc/UTC"),
      cursor: { drag: { x: true, y: false }, points: { show: false } },
      legend: { show: true },
      scales: { x: { range: (_, from, to) => [(from ?? 0) - DAY_S / 2, (to ?? 1) + DAY_S * 1.5] }, y: { range: (_, __, to) => [0, Math.max(1, (to ?? 1) * 1.1)] } },
      axes: [{ grid: { show: false }, values: "{YYYY}-{MM}-{DD}", space: 90 }, { size: 56, grid: { stroke: "#e3e7ec" } }],
      series: [
        { label: element.dataset.day ?? "", value: (_: uPlot, time: number | null) => (time === null ? "–" : new Date(time * 1e3).toISOString().slice(0, 10)) },
        ...order.map((kind) => {
          const name = KINDS[kind]!;
          return {
            label: names[name], fill: colour(name), stroke: colour(name), width: 0, paths: bars, points: { show: false },
            value: (_: uPlot, __: number | null, ___: number, day: number | null) => (day === null ? "–" : String(given.kinds[name][day] ?? 0)),
          };
        }),
      ],
    },
    [at, ...order.map((kind) => sums[kind]!)],
    element,
  );
  addEventListener("resize", () => plot.setSize({ width: width(), height: 240 }));
  addEventListener("beforeprint", () => plot.setSize({ width: 680, height: 220 }));
  addEventListener("afterprint", () => plot.setSize({ width: width(), height: 240 }));
}

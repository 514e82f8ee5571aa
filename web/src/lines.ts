// Lines over days, with the band that holds most of what comes: forecasts, and what has come and left so far.
import uPlot from "uplot";

type Line = { name: string; values: (number | null)[]; lower?: (number | null)[]; upper?: (number | null)[] };
type Lines = { days: string[]; lines: Line[] };

const COLOURS = ["#17406b", "#b3261e", "#2e7d4f", "#8a5a00", "#6a3d9a", "#00708a", "#5b6470"];

export function drawLines(element: HTMLElement): void {
  const given = JSON.parse(element.dataset.lines ?? "") as Lines;
  const at = given.days.map((day) => Date.parse(`${day}T00:00:00Z`) / 1000);
  if (!at.length || at.some(Number.isNaN)) return;
  const data: (number | null)[][] = [];
  const series: uPlot.Series[] = [];
  const bands: uPlot.Band[] = [];
  const shown = (_: uPlot, value: number | null): string => (value === null ? "–" : value.toLocaleString(undefined, { maximumFractionDigits: 1 }));
  given.lines.forEach((line, place) => {
    const colour = COLOURS[place % COLOURS.length]!;
    if (line.lower && line.upper) {
      const first = series.length + 1;
      for (const bound of [line.upper, line.lower]) {
        data.push(bound);
        series.push({ label: `${line.name} ${bound === line.upper ? "↑" : "↓"}`, stroke: colour, width: 0.5, points: { show: false }, value: shown });
      }
      bands.push({ series: [first, first + 1], fill: `${colour}2e` });
    }
    data.push(line.values);
    series.push({ label: line.name, stroke: colour, width: 2, points: { show: false }, value: shown });
  });
  const width = (): number => Math.max(320, element.clientWidth);
  const plot = new uPlot(
    {
      width: width(),
      height: 260,
      tzDate: (time) => uPlot.tzDate(new Date(time * 1e3), "Etc/UTC"),
      cursor: { drag: { x: true, y: false } },
      legend: { show: true },
      scales: { y: { range: (_, from, to) => [Math.min(0, from ?? 0), Math.max(1, (to ?? 1) * 1.05)] } },
      axes: [{ grid: { show: false }, values: "{YYYY}-{MM}-{DD}", space: 90 }, { size: 64, grid: { stroke: "#e3e7ec" } }],
      series: [
        { label: element.dataset.day ?? "", value: (_: uPlot, time: number | null) => (time === null ? "–" : new Date(time * 1e3).toISOString().slice(0, 10)) },
        ...series,
      ],
      bands,
    },
    [at, ...data] as uPlot.AlignedData,
    element,
  );
  addEventListener("resize", () => plot.setSize({ width: width(), height: 260 }));
  addEventListener("beforeprint", () => plot.setSize({ width: 680, height: 240 }));
  addEventListener("afterprint", () => plot.setSize({ width: width(), height: 260 }));
}

// Natural Earth's countries (public domain, by world-atlas) as lines that a page can carry: coarse for the world, fine
// around the sites of the bundled model. Writes src/shapes.json: per country its rings, each [x0, y0, dx, dy, ...] in
// units of `unit` degrees.
import { readFileSync, writeFileSync } from "node:fs";
import { feature } from "topojson-client";

const FINE = { 410: "10m", 408: "50m", 392: "50m" }; // South Korea; North Korea, Japan
const GRAIN = { "10m": { unit: 0.005, area: 0.0015 }, "50m": { unit: 0.01, area: 0.01 }, "110m": { unit: 0.05, area: 0.3 } };
const WITHOUT = new Set(["010"]); // Antarctica

const read = (name) => JSON.parse(readFileSync(new URL(`node_modules/world-atlas/countries-${name}.json`, import.meta.url)));
const features = (name) => {
  const atlas = read(name);
  return feature(atlas, atlas.objects.countries).features;
};

const area = (ring) => Math.abs(ring.reduce((sum, [x, y], at) => {
  const [nx, ny] = ring[(at + 1) % ring.length];
  return sum + x * ny - nx * y;
}, 0)) / 2;

function packed(ring, unit) {
  const out = [];
  let [lastX, lastY] = [0, 0];
  for (const [longitude, latitude] of ring) {
    const x = Math.round(longitude / unit), y = Math.round(latitude / unit);
    if (out.length && x === lastX && y === lastY) continue;
    out.push(x - lastX, y - lastY);
    [lastX, lastY] = [x, y];
  }
  return out;
}

const shapes = [];
const add = (country, grain) => {
  const { unit, area: least } = GRAIN[grain];
  const { type, coordinates } = country.geometry;
  const polygons = type === "Polygon" ? [coordinates] : coordinates;
  const rings = polygons.map(([outer]) => outer).filter((ring) => area(ring) >= least).map((ring) => packed(ring, unit));
  if (rings.length) shapes.push({ unit, rings });
};
for (const country of features("110m")) if (!(Number(country.id) in FINE) && !WITHOUT.has(country.id)) add(country, "110m");
for (const grain of ["50m", "10m"])
  for (const country of features(grain)) if (FINE[Number(country.id)] === grain) add(country, grain);
writeFileSync(new URL("src/shapes.json", import.meta.url), JSON.stringify(shapes));

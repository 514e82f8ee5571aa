// The journey of an item on a map: land is drawn from shapes of our own, no tiles are asked for.
import L from "leaflet";
import shapes from "./shapes.json";

type Stop = { at: [number, number]; name: string; first: number; last: number; flagged: boolean };
type Journey = { stops: Stop[]; mates: [number, number][][] };

export function rings(): L.LatLngExpression[][] {
  return (shapes as { unit: number; rings: number[][] }[]).flatMap(({ unit, rings }) =>
    rings.map((packed) => {
      const ring: [number, number][] = [];
      let [x, y] = [0, 0];
      for (let at = 0; at < packed.length; at += 2) {
        x += packed[at] ?? 0;
        y += packed[at + 1] ?? 0;
        ring.push([y * unit, x * unit]);
      }
      return ring;
    }),
  );
}

const NEAR_PX = 26;

// Stops that would hide each other on the screen are one mark with all their numbers, and the name of each place.
function marks(map: L.Map, stops: Stop[]): { at: L.LatLng; stops: Stop[] }[] {
  const found: { at: L.LatLng; point: L.Point; stops: Stop[] }[] = [];
  for (const stop of stops) {
    const at = L.latLng(stop.at);
    const point = map.latLngToLayerPoint(at);
    const near = found.find((mark) => mark.point.distanceTo(point) < NEAR_PX);
    if (near) near.stops.push(stop);
    else found.push({ at, point, stops: [stop] });
  }
  return found;
}

const text = (className: string, content: string): HTMLElement => {
  const made = document.createElement("span");
  made.className = className;
  made.textContent = content;
  return made;
};

const numbers = (stops: Stop[]): string => {
  const runs: [number, number][] = [];
  for (const { first, last } of stops) {
    const run = runs[runs.length - 1];
    if (run && run[1] + 1 === first) run[1] = last;
    else runs.push([first, last]);
  }
  return runs.map(([first, last]) => (first === last ? `${first}` : `${first}–${last}`)).join(", ");
};

function drawStops(map: L.Map, layer: L.LayerGroup, stops: Stop[]): void {
  layer.clearLayers();
  for (const mark of marks(map, stops)) {
    const name = mark.stops.some((stop) => stop.flagged) ? "stop stop-flagged" : "stop";
    const icon = L.divIcon({ html: text(name, numbers(mark.stops)), className: "stop-box", iconSize: undefined, iconAnchor: [0, 0] });
    L.marker(mark.at, { icon, keyboard: false, interactive: false }).addTo(layer);
    const names = [...new Set(mark.stops.map((stop) => stop.name))];
    const said = names.slice(0, 3).join(" · ") + (names.length > 3 ? " …" : "");
    L.tooltip({ permanent: true, direction: "auto", offset: [16, 0], className: "stop-name", interactive: false })
      .setLatLng(mark.at).setContent(text("", said)).addTo(layer);
  }
}

export function drawMap(element: HTMLElement): void {
  const journey = JSON.parse(element.dataset.map ?? "") as Journey;
  element.replaceChildren();
  const map = L.map(element, { attributionControl: false, zoomSnap: 0.25, scrollWheelZoom: false, maxZoom: 12, minZoom: 2 });
  const stops = journey.stops;
  map.fitBounds(L.latLngBounds(stops.map((stop) => stop.at)).pad(0.25), { maxZoom: 9, animate: false });
  L.polygon(rings().map((ring) => [ring]), { className: "land", interactive: false, smoothFactor: 0.6 }).addTo(map);
  for (const way of journey.mates) L.polyline(way, { className: "mate-way", interactive: false }).addTo(map);
  stops.slice(1).forEach((stop, at) => {
    const before = stops[at];
    if (before) L.polyline([before.at, stop.at], { className: stop.flagged ? "leg leg-flagged" : "leg", interactive: false }).addTo(map);
  });
  const layer = L.layerGroup().addTo(map);
  drawStops(map, layer, stops);
  map.on("zoomend", () => drawStops(map, layer, stops));
  addEventListener("beforeprint", () => map.invalidateSize());
}

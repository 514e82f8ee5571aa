// The journey of an item on a map: land is drawn from shapes of our own, no tiles are asked for.
import L from "leaflet";
import shapes from "./shapes.json";

type Stop = { at: [number, number]; name: string; first: number; last: number; flagged: boolean };
type Journey = { stops: Stop[]; mates: [number, number][][] };

function rings(): L.LatLngExpression[][] {
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

// Names stand to the right; where that would hide another stop, to the left.
const label = (stop: Stop, scans: string): HTMLElement => {
  const text = document.createElement("span");
  text.textContent = stop.name;
  text.title = `${scans} ${stop.first === stop.last ? stop.first : `${stop.first}–${stop.last}`}`;
  return text;
};

const numbered = (stops: Stop[]): HTMLElement => {
  const mark = document.createElement("span");
  mark.className = stops.some((stop) => stop.flagged) ? "stop stop-flagged" : "stop";
  mark.textContent = stops.map(({ first, last }) => (first === last ? `${first}` : `${first}–${last}`)).join(", ");
  return mark;
};

export function drawMap(element: HTMLElement): void {
  const journey = JSON.parse(element.dataset.map ?? "") as Journey;
  const map = L.map(element, { attributionControl: false, zoomSnap: 0.25, scrollWheelZoom: false, maxZoom: 12, minZoom: 2 });
  L.polygon(rings().map((ring) => [ring]), { className: "land", interactive: false, smoothFactor: 0.6 }).addTo(map);
  for (const way of journey.mates) L.polyline(way, { className: "mate-way", interactive: false }).addTo(map);
  const stops = journey.stops;
  stops.slice(1).forEach((stop, at) => {
    const before = stops[at];
    if (before) L.polyline([before.at, stop.at], { className: stop.flagged ? "leg leg-flagged" : "leg", interactive: false }).addTo(map);
  });
  const places = new Map<string, Stop[]>();
  for (const stop of stops) places.set(stop.at.join(), [...(places.get(stop.at.join()) ?? []), stop]);
  for (const [, here] of places) {
    const first = here[0];
    if (!first) continue;
    const icon = L.divIcon({ html: numbered(here), className: "stop-box", iconSize: undefined, iconAnchor: [0, 0] });
    L.marker(first.at, { icon, keyboard: false, interactive: false }).addTo(map);
    L.tooltip({ permanent: true, direction: "right", offset: [14, 0], className: "stop-name", interactive: false })
      .setLatLng(first.at).setContent(label(first, element.dataset.scans ?? "")).addTo(map);
  }
  map.fitBounds(L.latLngBounds(stops.map((stop) => stop.at)).pad(0.25), { maxZoom: 9 });
  addEventListener("beforeprint", () => map.invalidateSize());
}

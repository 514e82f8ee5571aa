// What is where: a circle at each site, its area the items there; red where the site is outside of its band.
import L from "leaflet";
import { rings } from "./map";

type Site = { at: [number, number]; name: string; wip: number; alert: boolean };

const LARGEST_PX = 30;
const SMALLEST_PX = 4;

export function drawSites(element: HTMLElement): void {
  const sites = JSON.parse(element.dataset.sites ?? "") as Site[];
  element.replaceChildren();
  const map = L.map(element, { attributionControl: false, zoomSnap: 0.25, scrollWheelZoom: false, maxZoom: 12, minZoom: 2 });
  map.fitBounds(L.latLngBounds(sites.map((site) => site.at)).pad(0.15), { maxZoom: 9, animate: false });
  L.polygon(rings().map((ring) => [ring]), { className: "land", interactive: false, smoothFactor: 0.6 }).addTo(map);
  const most = Math.max(1, ...sites.map((site) => site.wip));
  for (const site of [...sites].sort((one, other) => other.wip - one.wip)) {
    const radius = Math.max(SMALLEST_PX, LARGEST_PX * Math.sqrt(site.wip / most));
    const said = document.createElement("span");
    said.textContent = `${site.name}: ${site.wip.toLocaleString(undefined, { maximumFractionDigits: 1 })}`;
    L.circleMarker(site.at, { radius, className: site.alert ? "site site-alert" : "site" }).bindTooltip(said).addTo(map);
  }
  addEventListener("beforeprint", () => map.invalidateSize());
}

// What a page can do beyond being read: each part looks for its own elements, and leaves pages without them alone.
import "./style.css";
import { drawChart } from "./chart";
import { keysMove, plainRows, type Rows } from "./keys";
import { drawMap } from "./map";
import { drawLines } from "./lines";
import { drawSites } from "./sites";
import { longTable } from "./table";
import { uploads } from "./upload";

function start(): void {
  const seen = new IntersectionObserver((entries) => {
    for (const { isIntersecting, target } of entries) {
      if (!isIntersecting) continue;
      seen.unobserve(target);
      draw(target as HTMLElement);
    }
  }, { rootMargin: "600px" });
  const draw = (element: HTMLElement): void => (element.dataset.sites ? drawSites : drawMap)(element);
  document.querySelectorAll<HTMLElement>("[data-map], [data-sites]").forEach((element) => seen.observe(element));
  document.querySelectorAll<HTMLElement>("[data-chart]").forEach(drawChart);
  document.querySelectorAll<HTMLElement>("[data-lines]").forEach(drawLines);
  document.querySelectorAll<HTMLFormElement>("form[data-upload]").forEach(uploads);
  document.querySelectorAll<HTMLFormElement>("form[data-filters]").forEach((form) => form.addEventListener("change", () => form.requestSubmit()));

  const long = document.querySelector<HTMLElement>("[data-rows]");
  const plain = document.querySelector<HTMLTableElement>("table[data-moves]");
  const rows: Rows | null = long && Number(long.dataset.total) ? longTable(long) : plain ? plainRows(plain) : null;
  keysMove(rows, document.body.dataset.back ?? "");

  // On paper all is open: what is closed cannot be clicked there.
  const closed = (): HTMLDetailsElement[] => [...document.querySelectorAll<HTMLDetailsElement>("details:not([open])")];
  let opened: HTMLDetailsElement[] = [];
  addEventListener("beforeprint", () => {
    document.querySelectorAll<HTMLElement>("[data-map]:not(.leaflet-container), [data-sites]:not(.leaflet-container)").forEach(draw);
    opened = closed();
    for (const one of opened) one.open = true;
  });
  addEventListener("afterprint", () => {
    for (const one of opened) one.open = false;
  });
}

start();

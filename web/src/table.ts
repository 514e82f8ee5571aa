// The long table: only the rows in sight are in the page, parts of it are fetched as they are needed.
import type { Rows } from "./keys";

type Row = { href: string; cells: string[]; kinds: { kind: string; name: string; score: string }[] };

const PART = 200;
const HEIGHT = 44;
const SPARE = 8;

export function longTable(box: HTMLElement): Rows {
  const table = box.querySelector("table")!;
  const body = table.tBodies[0]!;
  const total = Number(box.dataset.total);
  const url = box.dataset.rows ?? "";
  const parts = new Map<number, Row[] | null>();
  let at = -1;
  let drawn = "";

  table.setAttribute("aria-rowcount", String(total + 1));
  box.classList.add("is-long");
  document.querySelectorAll("[data-without-script]").forEach((element) => element.remove());

  const fetchPart = async (part: number): Promise<void> => {
    if (parts.has(part)) return;
    parts.set(part, null);
    try {
      const answer = await fetch(`${url}${url.includes("?") ? "&" : "?"}offset=${part * PART}&limit=${PART}`, { headers: { accept: "application/json" } });
      if (!answer.ok) throw new Error(String(answer.status));
      parts.set(part, ((await answer.json()) as { rows: Row[] }).rows);
    } catch {
      parts.delete(part); // asked again at the next scroll
      return;
    }
    drawn = "";
    draw();
  };

  const spacer = (rows: number): HTMLTableRowElement => {
    const line = document.createElement("tr");
    line.className = "spacer";
    line.setAttribute("aria-hidden", "true");
    const cell = line.insertCell();
    cell.colSpan = table.tHead?.rows[0]?.cells.length ?? 1;
    cell.style.height = `${rows * HEIGHT}px`;
    return line;
  };

  const line = (index: number): HTMLTableRowElement => {
    const row = parts.get(Math.floor(index / PART))?.[index % PART];
    const made = document.createElement("tr");
    made.setAttribute("aria-rowindex", String(index + 2));
    made.dataset.row = String(index);
    if (index === at) made.className = "current";
    if (!row) {
      const cell = made.insertCell();
      cell.colSpan = table.tHead?.rows[0]?.cells.length ?? 1;
      cell.className = "waits";
      cell.textContent = "…";
      return made;
    }
    row.cells.forEach((text, column) => {
      const cell = made.insertCell();
      cell.title = text;
      if (column === 0) {
        const link = document.createElement("a");
        link.href = row.href;
        link.className = "epc";
        link.textContent = text;
        cell.append(link);
      } else cell.textContent = text;
    });
    const last = made.insertCell();
    for (const { kind, name, score } of row.kinds) {
      const mark = document.createElement("span");
      mark.className = `kind kind-${kind}`;
      mark.textContent = name;
      const points = document.createElement("span");
      points.className = "score";
      points.textContent = score;
      last.append(mark, " ", points, " ");
    }
    return made;
  };

  const draw = (): void => {
    const from = Math.max(0, Math.floor(box.scrollTop / HEIGHT) - SPARE);
    const to = Math.min(total, Math.ceil((box.scrollTop + box.clientHeight) / HEIGHT) + SPARE);
    const now = `${from} ${to} ${at}`;
    if (now === drawn) return;
    drawn = now;
    for (let part = Math.floor(from / PART); part <= Math.floor(Math.max(to - 1, 0) / PART); part++) void fetchPart(part);
    const focused = body.contains(document.activeElement);
    body.replaceChildren(spacer(from), ...Array.from({ length: to - from }, (_, row) => line(from + row)), spacer(total - to));
    if (focused) focusCurrent();
  };

  const focusCurrent = (): void => body.querySelector<HTMLAnchorElement>("tr.current a")?.focus({ preventScroll: true });

  const moveTo = (row: number): void => {
    at = row;
    const head = table.tHead?.offsetHeight ?? 0;
    const top = row * HEIGHT;
    if (top < box.scrollTop) box.scrollTop = top;
    else if (top + HEIGHT > box.scrollTop + box.clientHeight - head) box.scrollTop = top + HEIGHT - box.clientHeight + head;
    history.replaceState(null, "", `#row=${row + 1}`);
    draw();
    focusCurrent();
  };

  box.addEventListener("scroll", () => requestAnimationFrame(draw), { passive: true });
  addEventListener("resize", draw);
  const remembered = Number(/^#row=(\d+)$/.exec(location.hash)?.[1] ?? 0);
  draw();
  if (remembered > 0 && remembered <= total) moveTo(remembered - 1);
  return {
    count: () => total,
    current: () => at,
    moveTo,
    open: (row) => {
      const found = parts.get(Math.floor(row / PART))?.[row % PART];
      if (found) location.assign(found.href);
    },
  };
}

// Keys to move through the rows of a table: j and k (or arrows) the next and the one before, Enter opens, Esc goes back.
export type Rows = { count(): number; current(): number; moveTo(row: number): void; open(row: number): void };

const typing = (target: EventTarget | null): boolean =>
  target instanceof HTMLElement && (target.isContentEditable || ["INPUT", "SELECT", "TEXTAREA", "BUTTON", "SUMMARY"].includes(target.tagName));

export function keysMove(rows: Rows | null, back: string): void {
  addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
    if (event.key === "Escape") {
      if (typing(event.target)) (event.target as HTMLElement).blur();
      else if (back && history.length > 1) history.back();
      else if (back) location.assign(back);
      return;
    }
    if (!rows || typing(event.target) || !rows.count()) return;
    const step = ({ j: 1, ArrowDown: 1, k: -1, ArrowUp: -1, PageDown: 15, PageUp: -15 } as Record<string, number>)[event.key];
    if (step) {
      event.preventDefault();
      rows.moveTo(Math.min(Math.max(rows.current() + step, 0), rows.count() - 1));
    } else if (event.key === "Home" || event.key === "End") {
      event.preventDefault();
      rows.moveTo(event.key === "Home" ? 0 : rows.count() - 1);
    } else if (event.key === "Enter" && rows.current() >= 0 && !(event.target instanceof HTMLAnchorElement)) {
      event.preventDefault();
      rows.open(rows.current());
    }
  });
}

// Rows that are all in the page.
export function plainRows(table: HTMLTableElement): Rows {
  const rows = () => [...table.tBodies].flatMap((body) => [...body.rows]);
  let at = -1;
  return {
    count: () => rows().length,
    current: () => at,
    moveTo(row) {
      rows()[at]?.classList.remove("current");
      at = row;
      const found = rows()[row];
      found?.classList.add("current");
      found?.scrollIntoView({ block: "nearest" });
      found?.querySelector("a")?.focus({ preventScroll: true });
    },
    open: (row) => rows()[row]?.querySelector("a")?.click(),
  };
}

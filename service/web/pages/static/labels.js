// One key for each verdict: c, r, u and z press the buttons of the current row, other keys those of the page.
(() => {
  const rows = [...document.querySelectorAll("[data-label-row]")];
  let at = Math.max(0, rows.findIndex((row) => `#${row.id}` === location.hash));
  const mark = () => rows.forEach((row, number) => row.classList.toggle("current", number === at));
  rows.forEach((row, number) => row.addEventListener("focusin", () => { at = number; mark(); }));
  mark();
  addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented || event.repeat) return;
    if (!/^[a-z]$/.test(event.key)) return;
    const control = rows[at]?.querySelector(`[data-key="${event.key}"]`)
      ?? document.querySelector(`[data-page-key="${event.key}"]`);
    if (!control) return;
    event.preventDefault();
    control.click();
    if (control.type === "radio") { at = Math.min(at + 1, rows.length - 1); mark(); }
  });
})();

// The kinds in the order of every table, with the colours of the style sheet.
export const KINDS = ["epcFake", "epcDup", "locErr", "evtOrderErr", "jump"] as const;
export type Kind = (typeof KINDS)[number];

export const colour = (kind: Kind): string =>
  getComputedStyle(document.documentElement).getPropertyValue(`--${kind}`).trim() || "#555";

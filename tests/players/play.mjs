// Plays a package in headless Chromium, and prints what was seen as JSON.
//
//   node play.mjs LIBRARIES FOLDER MASTER [--rate F] [--at SECONDS,...] [--switch]
//
// LIBRARIES holds the players' node_modules, FOLDER is served on a free port of 127.0.0.1, MASTER is a .m3u8 or .mpd in it.
// Exit status: 0 it ended by itself (what it showed is in the JSON), 1 it did not.
import { spawn } from "node:child_process";
import { createReadStream, mkdtempSync, rmSync, statSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";

const [libraries, folder, master, ...words] = process.argv.slice(2);
const flag = (name) => (words.includes(name) ? words[words.indexOf(name) + 1] ?? "" : "");
const here = path.dirname(fileURLToPath(import.meta.url));
const TYPES = {
  ".html": "text/html",
  ".js": "text/javascript",
  ".m3u8": "application/vnd.apple.mpegurl",
  ".mpd": "application/dash+xml",
  ".ts": "video/mp2t",
  ".mp4": "video/mp4",
  ".m4s": "video/iso.segment",
};
const ROOTS = { page: here, lib: path.join(libraries, "node_modules"), film: folder };
const PATIENCE_MS = 400_000;

function file(url) {
  const [, root, ...rest] = decodeURIComponent(new URL(url, "http://any").pathname).split("/");
  const base = ROOTS[root] && path.resolve(ROOTS[root]);
  const found = base && path.join(base, ...rest);
  return found?.startsWith(base + path.sep) ? found : undefined;
}

function send(request, response) {
  const found = file(request.url);
  const size = found && statSync(found, { throwIfNoEntry: false })?.size;
  if (size === undefined) {
    response.writeHead(404).end();
    return;
  }
  const type = TYPES[path.extname(found)] ?? "application/octet-stream";
  const range = /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? "");
  const start = range ? Number(range[1]) : 0;
  const end = range?.[2] ? Math.min(Number(range[2]), size - 1) : size - 1;
  const headers = { "content-type": type, "content-length": end - start + 1, "accept-ranges": "bytes" };
  if (range) headers["content-range"] = `bytes ${start}-${end}/${size}`;
  response.writeHead(range ? 206 : 200, headers);
  createReadStream(found, { start, end }).pipe(response);
}

const profile = mkdtempSync(path.join(tmpdir(), "players-"));
let browser;
let said = "";

function end(status, text) {
  process.exitCode = status;
  (status === 0 ? process.stdout : process.stderr).write(`${text}\n`);
  server.close();
  server.closeAllConnections();
  clearTimeout(patience);
  browser.removeListener("exit", gone);
  browser.once("exit", clear);
  // With all its processes, which write into the profile.
  process.kill(-browser.pid, "SIGKILL");
}

const clear = () => rmSync(profile, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 });

const gone = (code) => {
  process.exitCode = 1;
  process.stderr.write(`the browser ended with ${code}: ${said.slice(-2000)}\n`);
  clear();
  process.exit();
};

const server = createServer((request, response) => {
  if (request.method !== "POST") {
    send(request, response);
    return;
  }
  let body = "";
  request.on("data", (part) => (body += part));
  request.on("end", () => {
    response.end();
    end(JSON.parse(body).failed ? 1 : 0, body);
  });
});
const patience = setTimeout(() => end(1, `nothing came of it in ${PATIENCE_MS / 1000} s: ${said.slice(-2000)}`), PATIENCE_MS);

server.listen(0, "127.0.0.1", () => {
  const query = new URLSearchParams({
    master: `/film/${master}`,
    rate: flag("--rate") || "25",
    at: flag("--at"),
    switch: words.includes("--switch") ? "yes" : "",
  });
  const url = `http://127.0.0.1:${server.address().port}/page/page.html?${query}`;
  const quiet = ["--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-quic"];
  const plain = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--mute-audio", "--disable-dev-shm-usage"];
  const settings = ["--autoplay-policy=no-user-gesture-required", `--user-data-dir=${profile}`];
  browser = spawn("chromium", [...plain, ...quiet, ...settings, url], {
    detached: true,
    stdio: ["ignore", "ignore", "pipe"],
  });
  browser.stderr.on("data", (part) => (said += part));
  browser.once("error", gone);
  browser.once("exit", gone);
});

// Seeks to the times that were asked for, then plays the film from its beginning to its end, reading the number that each
// picture carries (tests/oracle/seamcheck.py), and reports all that was seen.
"use strict";

const asked = new URLSearchParams(location.search);
const film = document.getElementById("film");
const BITS = 20;
const errors = [];
const buffers = [];

// What each track has buffered is told by the browser, not by the player.
const add = MediaSource.prototype.addSourceBuffer;
MediaSource.prototype.addSourceBuffer = function (type) {
  const buffer = add.call(this, type);
  buffers.push({ type, buffer });
  return buffer;
};

const canvas = new OffscreenCanvas(BITS, 1);
const pen = canvas.getContext("2d", { willReadFrequently: true });
pen.imageSmoothingEnabled = true;

function number() {
  const { videoWidth: width } = film;
  // The middle of the strip that holds the number.
  const strip = width / BITS;
  const bits = [];
  for (let bit = 0; bit < BITS; bit += 1) {
    pen.drawImage(film, (bit + 0.25) * strip, strip / 4, strip / 2, strip / 4, bit, 0, 1, 1);
  }
  const { data } = pen.getImageData(0, 0, BITS, 1);
  for (let bit = 0; bit < BITS; bit += 1) bits.push(data[bit * 4 + 1] > 125 ? 1 : 0);
  const parity = (odd) => bits.slice(0, -2).reduce((sum, one, at) => (at % 2 === odd ? sum ^ one : sum), 0);
  if (bits[BITS - 2] !== parity(0) || bits[BITS - 1] !== parity(1)) return null;
  return bits.slice(0, -2).reduce((sum, one, at) => sum + one * 2 ** at, 0);
}

const once = (target, name) => new Promise((resolve) => target.addEventListener(name, resolve, { once: true }));
const picture = () => new Promise((resolve) => film.requestVideoFrameCallback((_, told) => resolve(told)));

async function look(at) {
  const arrived = once(film, "seeked");
  const shown = picture();
  film.currentTime = at;
  await arrived;
  const { mediaTime } = await shown;
  return { at, time: mediaTime, number: number() };
}

// hls.js or dash.js, made to look alike: loads the film, and moves to another variant.
function hls(url) {
  const player = new Hls({ startLevel: 0, testBandwidth: false, maxBufferLength: 600 });
  const harmless = new Set([Hls.ErrorDetails.BUFFER_STALLED_ERROR]);
  player.on(Hls.Events.ERROR, (_, told) => {
    if (told.fatal || !harmless.has(told.details)) errors.push(`${told.details}: ${told.error ?? told.reason ?? ""}`);
  });
  player.loadSource(url);
  player.attachMedia(film);
  const levels = () => player.levels.length;
  const change = () => (player.nextLevel = (player.currentLevel + 1) % levels());
  const each = (act) => player.on(Hls.Events.FRAG_CHANGED, (_, { frag }) => frag.type === "main" && act());
  return { levels, change, each };
}

function dash(url) {
  const player = dashjs.MediaPlayer().create();
  player.updateSettings({ streaming: { abr: { autoSwitchBitrate: { video: false, audio: false } } } });
  player.on(dashjs.MediaPlayer.events.ERROR, ({ error }) => errors.push(error.message ?? String(error)));
  player.initialize(film, url, false);
  const levels = () => player.getRepresentationsByType("video").length;
  // Each variant for three seconds: what comes next is asked for before it is known what came.
  const variant = ({ startTime, duration }) => Math.floor((startTime + duration) / 3) % levels();
  const change = (request) => player.setRepresentationForTypeByIndex("video", variant(request));
  const each = (act) =>
    player.on(dashjs.MediaPlayer.events.FRAGMENT_LOADING_COMPLETED, ({ request }) => {
      if (request.mediaType === "video" && request.type === "MediaSegment") act(request);
    });
  return { levels, change, each };
}

const ranges = (told) => Array.from({ length: told.length }, (_, at) => [told.start(at), told.end(at)]);

async function play() {
  const url = asked.get("master");
  const ready = once(film, "canplay");
  const dashing = url.endsWith(".mpd");
  const player = dashing ? dash(url) : hls(url);
  // dash.js does not load again what it has; hls.js does, and gives up what it is loading.
  if (asked.get("switch") && dashing) player.each(player.change);
  await ready;
  const looks = [];
  for (const at of asked.get("at").split(",").filter(Boolean)) looks.push(await look(Number(at)));
  if (asked.get("switch") && !dashing) player.each(player.change);
  // Not to the very first picture: it may be the one that stands there.
  await look(0.5 / Number(asked.get("rate")));
  const shown = [];
  const heights = new Set();
  const watch = (_, told) => {
    shown.push({ time: told.mediaTime, number: number() });
    heights.add(told.height);
    film.requestVideoFrameCallback(watch);
  };
  film.requestVideoFrameCallback(watch);
  const ended = once(film, "ended");
  await film.play();
  await ended;
  const { totalVideoFrames } = film.getVideoPlaybackQuality();
  return {
    looks,
    shown,
    errors,
    decoded: totalVideoFrames,
    sound: film.webkitAudioDecodedByteCount,
    duration: film.duration,
    ended: film.currentTime,
    levels: player.levels(),
    heights: [...heights],
    buffered: buffers.map(({ type, buffer }) => ({ type, ranges: ranges(buffer.buffered) })),
  };
}

const report = (told) => fetch("/told", { method: "POST", body: JSON.stringify(told) });
film.addEventListener("error", () => report({ failed: film.error?.message, errors }));
play().then(report, (why) => report({ failed: String(why.stack ?? why), errors }));

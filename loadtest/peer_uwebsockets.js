// The same tap job on uWebSockets.js (npm `uwebsockets`), as a peer in `make bench`: parse TAP, count by a bucket, keep
// the player's numbers in memory, answer one TAPPED. No login and no database. Prints its port.
'use strict';
const uws = require(require.resolve('uwebsockets', { paths: [process.argv[2]] }));

const RATE_PER_MS = 0.015, BURST = 40, ENERGY = 1000, ENERGY_PER_MS = 0.001, COMBO_PAUSE_MS = 3000;
const out = Buffer.alloc(80);
let at = 0;

function readNumber(data, from) { // sets `at` to what follows; -1 = none
  const head = data[from];
  if (head < 0x80) { at = from + 1; return head; }
  const width = { 0xcc: 1, 0xcd: 2, 0xce: 4 }[head];
  if (width === undefined || from + 1 + width > data.length) return -1;
  let value = 0;
  for (let i = 1; i <= width; i++) value = value * 256 + data[from + i];
  at = from + 1 + width;
  return value;
}

function writeNumber(value) {
  if (value < 0x80) out[at++] = value;
  else if (value < 0x100) { out[at++] = 0xcc; out[at++] = value; }
  else if (value < 0x10000) { out[at++] = 0xcd; at = out.writeUInt16BE(value, at); }
  else if (value < 0x100000000) { out[at++] = 0xce; at = out.writeUInt32BE(value, at); }
  else { out[at++] = 0xcf; at = out.writeBigUInt64BE(BigInt(value), at); }
}

function tapped(player, seq, claimed, now) {
  const passed = now - player.at;
  player.bucket = Math.min(BURST, player.bucket + passed * RATE_PER_MS);
  player.energy = Math.min(ENERGY, player.energy + passed * ENERGY_PER_MS);
  const accepted = Math.min(claimed, Math.floor(player.bucket), Math.floor(player.energy));
  player.at = now;
  player.bucket -= accepted;
  player.energy -= accepted;
  if (accepted) {
    player.combo = now - player.tapped > COMBO_PAUSE_MS ? accepted : player.combo + accepted;
    player.tapped = now;
    player.tokens += 1500 * accepted;
    player.xp += accepted;
  }
  at = 0;
  out[at++] = 0x99;
  out[at++] = 65;
  writeNumber(seq);
  writeNumber(accepted);
  writeNumber(player.tokens);
  writeNumber(player.xp);
  writeNumber(1 + Math.floor(Math.sqrt(Math.floor(player.xp / 100))));
  writeNumber(Math.floor(player.energy));
  writeNumber(player.combo);
  writeNumber(seq);
  return out.subarray(0, at);
}

uws.App().ws('/*', {
  compression: uws.DISABLED,
  maxPayloadLength: 4096,
  idleTimeout: 120,
  upgrade: (res, req, context) => {
    const now = Date.now();
    res.upgrade(
      { player: { bucket: BURST, energy: ENERGY, combo: 0, tokens: 0, xp: 0, at: now, tapped: 0 } },
      req.getHeader('sec-websocket-key'), req.getHeader('sec-websocket-protocol'),
      req.getHeader('sec-websocket-extensions'), context);
  },
  message: (ws, message) => {
    const data = new Uint8Array(message);
    if (data[0] !== 0x94 || data[1] !== 2) return ws.end(1007);
    const seq = readNumber(data, 2);
    const claimed = seq < 0 ? -1 : readNumber(data, at);
    if (claimed < 1) return ws.end(1007);
    ws.send(tapped(ws.getUserData().player, seq, claimed, Date.now()), true, false);
  },
}).listen('127.0.0.1', 0, (listener) => {
  if (!listener) process.exit(1);
  console.log(uws.us_socket_local_port(listener));
});

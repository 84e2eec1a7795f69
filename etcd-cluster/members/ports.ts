import { randomInt } from 'node:crypto';
import { lstatSync, mkdirSync, readFileSync, rmdirSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';

/** Below Linux' range for outgoing connections (32768 and up), so that no client takes a port before its server does. */
const range = { first: 10_000, end: 32_000 } as const;
/**
 * Each process looks in its own part of the range: between the check that a port is free and the start of the server
 * that listens on it, and while a server is restarted, another process would find the same port free.
 */
const share = 200;
const parts = Math.floor((range.end - range.first) / share);
let next = randomInt(share);
let ownPart: number | undefined;

/** Claims a part of the range for this process until it ends: a file for each part names its process. */
function claimPart(): number {
  const folder = join(tmpdir(), `smartstack-ports-${userInfo().uid}`);
  const first = process.pid % parts;
  for (let more = 0; more < parts; more += 1) {
    const part = (first + more) % parts;
    const claim = join(folder, String(part));
    try {
      mkdirSync(folder, { recursive: true, mode: 0o700 });
      // Another user may have made it, or a symbolic link of that name.
      if (!isPrivate(folder)) return first;
      if (isStale(claim)) rmSync(claim, { force: true });
      writeFileSync(claim, String(process.pid), { flag: 'wx' });
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      // Claimed by another process, or that process has just removed the folder.
      if (code === 'EEXIST' || code === 'ENOENT') continue;
      // Without a folder to write to, parts may be shared by chance.
      return first;
    }
    process.once('exit', () => giveUp(folder, claim));
    return part;
  }
  return first;
}

function isPrivate(folder: string): boolean {
  const found = lstatSync(folder);
  return found.isDirectory() && found.uid === process.geteuid?.() && (found.mode & 0o077) === 0;
}

/** Removes a claim, and the folder with the last one. */
function giveUp(folder: string, claim: string): void {
  rmSync(claim, { force: true });
  try {
    rmdirSync(folder);
  } catch {
    // Others have their claims in it.
  }
}

/** True when the process that claimed a part is gone. */
function isStale(claim: string): boolean {
  try {
    process.kill(Number(readFileSync(claim, 'utf8')), 0);
    return false;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ESRCH';
  }
}

/** A TCP port on 127.0.0.1 that nothing listens on: `preferred` if that is free, else another one at each call. */
export async function freePort(preferred?: number): Promise<number> {
  for (let port = preferred ?? nextPort(); ; port = nextPort()) {
    if (await isFree(port)) return port;
  }
}

/** `count` free ports, all different. */
export async function freePorts(count: number): Promise<readonly number[]> {
  const ports = new Set<number>();
  while (ports.size < count) ports.add(await freePort());
  return [...ports];
}

/** The first of `count` consecutive free ports. */
export async function freePortRow(count: number): Promise<number> {
  for (;;) {
    const row = Array.from({ length: count }, nextPort);
    const first = row[0] as number;
    const inARow = row.every((port, index) => port === first + index);
    if (inARow && (await Promise.all(row.map(isFree))).every(Boolean)) return first;
  }
}

function nextPort(): number {
  ownPart ??= claimPart();
  next += 1;
  // A process that needs more ports continues in the next part.
  return range.first + ((ownPart * share + next) % (range.end - range.first));
}

/** True when nothing listens on the port of 127.0.0.1. */
export function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
  });
}

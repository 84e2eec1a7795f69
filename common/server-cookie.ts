import { sha1 } from './digest.ts';

/** What the cookies are like that synapse gives to servers: names end in a port, and hashes have 40 hexadecimal digits. */
const ofServer = /:\d{1,5}$|^[0-9a-f]{40}$/;

/** True for a cookie that only the server of that name may have: it is its name, or its hash, or looks like those. */
export function isCookieOfServer(cookie: string): boolean {
  return ofServer.test(cookie);
}

/** True for a cookie that synapse gives to the server of that name. */
export function isOwnCookie(cookie: string, name: string): boolean {
  return cookie === name || cookie === sha1(name);
}

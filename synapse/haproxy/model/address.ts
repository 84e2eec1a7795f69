/** True when two `host:port` mean the same: IPv6 has several spellings, host names have no letter case. */
export function sameAddress(a: string, b: string): boolean {
  return a === b || canonical(a) === canonical(b);
}

function canonical(address: string): string {
  const colon = address.lastIndexOf(':');
  const host = address.slice(0, colon);
  if (!host.includes(':')) return address.toLowerCase();
  try {
    return `${new URL(`http://[${host}]`).hostname}${address.slice(colon)}`;
  } catch {
    return address;
  }
}

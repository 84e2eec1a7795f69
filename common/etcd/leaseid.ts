/** As `etcdctl lease` prints it. */
export function hex(id: string): string {
  return BigInt(id).toString(16);
}
